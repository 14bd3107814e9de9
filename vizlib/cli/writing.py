"""How each kind of file is written, by its suffix; all or nothing by :mod:`vizlib.saving`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sim.errors import BadParameter

if TYPE_CHECKING:
    from sim.trace import Trace


def picture_file(name: str, what: str) -> Path:
    """The file *name*, if a picture can be written to it; *what* would be drawn.

    Raises:
        BadParameter: if not.
    """
    target = Path(name)
    if target.suffix not in (".svg", ".png"):
        raise BadParameter(f"{what} is drawn as .svg or .png, and '{name}' has another suffix")
    return target


def html(trace: Trace, step: int | None, dark: bool, part: Path) -> None:
    """A page."""
    from vizlib.film import film
    from vizlib.renderers.html import page

    part.write_text(page(film(trace, open_at=step)), encoding="utf-8")


def html_with_hands(trace: Trace, step: int | None, dark: bool, part: Path) -> None:
    """A page whose reader can be the scheduler."""
    from vizlib.film import film
    from vizlib.renderers.html import page

    part.write_text(page(film(trace, open_at=step, hands=True)), encoding="utf-8")


def _trace_file(trace: Trace, step: int | None, dark: bool, part: Path) -> None:
    trace.save(part)


def _movie(trace: Trace, step: int | None, dark: bool, part: Path) -> None:
    from vizlib.renderers.movie import gif, mp4

    def progress(done: int, of: int) -> None:
        end = "\n" if done == of else ""
        print(f"\r{done} of {of} pictures", end=end, file=sys.stderr, flush=True) if sys.stderr.isatty() else None

    write = mp4 if part.suffix == ".mp4" else gif
    write(trace, part, "dark" if dark else "light", progress=progress)


def _picture(trace: Trace, step: int | None, dark: bool, part: Path) -> None:
    from vizlib.renderers.mpl import render, save

    save(render(trace, step, "dark" if dark else "light"), part)


#: What can be written, by suffix.
WRITERS: dict[str, Callable[[Trace, int | None, bool, Path], None]] = {
    ".html": html,
    ".svg": _picture,
    ".png": _picture,
    ".gif": _movie,
    ".mp4": _movie,
    ".json": _trace_file,
}
