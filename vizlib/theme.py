"""Colours by name, for light and for dark.

The hues are those of Okabe and Ito (2008), which people with any common colour blindness tell apart; they are
darkened for text on white and lightened for text on black until the contrast is that of WCAG 2.1 AA (4.5 to 1 for
text, 3 to 1 for an outline that carries meaning).  A test measures it.

A mark never carries a number, only a name from here.  Colour never speaks alone: the task's name stands wherever its
colour does, and a state is told by shape, dash and word as well.
"""

from __future__ import annotations

from typing import Literal

Mode = Literal["light", "dark"]

#: Every colour: its name, then light and dark.
COLOURS: dict[str, tuple[str, str]] = {
    "ink": ("#1f2421", "#eceeea"),  # text, and arrows that are always there
    "muted": ("#5f6661", "#a3aba5"),  # text of second rank
    "paper": ("#fbfbf9", "#14181a"),  # the ground
    "card": ("#ffffff", "#1c2023"),  # a box on it
    "well": ("#f0f1ee", "#272c30"),  # a box in a box: a frame, a source line
    "edge": ("#d3d6d0", "#343b3f"),  # an outline that only divides
    "wash": ("#fff1c4", "#40371c"),  # the sentence, and the line that has run
    "wash-edge": ("#876700", "#d9b650"),
    "good": ("#00704f", "#4bd3a5"),  # Okabe-Ito bluish green
    "bad": ("#b3261e", "#ff8a80"),  # a violation; always with the word
    "page": ("#e4e7f6", "#2c3354"),  # the user's page, which travels
    "page-edge": ("#3f4f9e", "#a9b6ff"),
    # Tasks, in the order in which a world lists them.
    "task0": ("#b34700", "#ff9a4d"),  # vermillion
    "task1": ("#0069a6", "#66bdf2"),  # blue
    "task2": ("#00704f", "#4bd3a5"),  # bluish green
    "task3": ("#9a3d7c", "#eba6d0"),  # reddish purple
    "task4": ("#7a5c00", "#f0c84a"),  # orange, darkened
    "task5": ("#0a6775", "#62d0dd"),  # teal: not of Okabe and Ito; only worlds with six threads see it
    "task6": ("#8b2f2f", "#ffa8a0"),
    "task7": ("#46606b", "#b3c6cf"),
    # The same, pale: a bar that a name is written on.
    "task0-soft": ("#f9e3d3", "#5a3116"),
    "task1-soft": ("#d5e8f5", "#173f5c"),
    "task2-soft": ("#cdeade", "#12493a"),
    "task3-soft": ("#f0d7e7", "#57284a"),
    "task4-soft": ("#f4e6bd", "#4b3d12"),
    "task5-soft": ("#d3ecef", "#12454d"),
    "task6-soft": ("#f3d6d4", "#572726"),
    "task7-soft": ("#dde5e8", "#2f3c42"),
}

#: How many tasks have a colour of their own; the next ones begin again, which their names make bearable.
TASK_COLOURS = 8

FONT = "'Inter','DejaVu Sans',system-ui,sans-serif"
MONO = "'DejaVu Sans Mono',ui-monospace,monospace"


def colour(name: str, mode: Mode = "light") -> str:
    """The colour called *name*, as ``#rrggbb``; ``none`` stays ``none``."""
    if name == "none":
        return name
    return COLOURS[name][0 if mode == "light" else 1]


def task_colour(number: int) -> str:
    """The name of the colour of the *number*-th task."""
    return f"task{number % TASK_COLOURS}"


def soft(name: str) -> str:
    """The pale twin of a task's colour."""
    return f"{name}-soft"


def contrast(one: str, other: str) -> float:
    """The contrast of two colours ``#rrggbb`` by WCAG 2.1: 1 for the same, 21 for black on white."""
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def css() -> str:
    """The colours as CSS custom properties ``--rw-<name>`` of ``.rmapwalk``: the reader's choice, or the system's."""
    light = _properties("light")
    dark = _properties("dark")
    return (
        f".rmapwalk{{{light}color-scheme:light}}\n"
        f"@media (prefers-color-scheme:dark){{.rmapwalk:not([data-theme=light]){{{dark}color-scheme:dark}}}}\n"
        f".rmapwalk[data-theme=dark]{{{dark}color-scheme:dark}}\n"
    )


def _properties(mode: Mode) -> str:
    return "".join(f"--rw-{name}:{colour(name, mode)};" for name in COLOURS)


def _luminance(rgb: str) -> float:
    channels = [int(rgb[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (it / 12.92 if it <= 0.04045 else ((it + 0.055) / 1.055) ** 2.4 for it in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
