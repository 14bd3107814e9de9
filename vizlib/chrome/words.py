"""Fitting words into boxes: about how wide a text is, and where to cut it."""

from __future__ import annotations

from vizlib.scene import Text


def width(text: str, size: float, *, mono: bool = False, bold: bool = False) -> float:
    """About how wide *text* is: near enough for a pill."""
    return len(text) * size * (0.605 if mono else 0.66 if bold else 0.58)


def shorten(text: str, room: float, size: float, *, mono: bool = False, bold: bool = False) -> str:
    """*text*, cut with dots if it does not fit."""
    fits = int(room / width("m", size, mono=mono, bold=bold))
    return text if len(text) <= fits else text[: max(fits - 1, 0)] + "…"


def heading(words: str, x: float = 0, y: float = 12) -> Text:
    """The title of a column."""
    return Text(words.upper(), x, y, 11, 700, ink="muted")
