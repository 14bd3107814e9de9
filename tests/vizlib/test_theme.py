"""Colours can be read, and told apart, by everybody."""

from __future__ import annotations

from itertools import combinations

import pytest

from vizlib import theme
from vizlib.theme import COLOURS, TASK_COLOURS, Mode, colour, contrast, soft, task_colour

MODES: tuple[Mode, ...] = ("light", "dark")
GROUNDS = ("paper", "card", "well")
INKS = ("ink", "muted", "good", "bad", "wash-edge", "page-edge", *(task_colour(it) for it in range(TASK_COLOURS)))


def test_contrast_is_that_of_wcag() -> None:
    """Black on white is 21, a colour on itself 1, and WebAIM's grey #767676 on white 4.54."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#808080", "#808080") == 1
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ink", INKS)
def test_every_ink_can_be_read_on_every_ground(ink: str, mode: Mode) -> None:
    """4.5 to 1 at least, which WCAG 2.1 AA asks of small text."""
    for ground in GROUNDS:
        assert contrast(colour(ink, mode), colour(ground, mode)) >= 4.5, ground


@pytest.mark.parametrize("mode", MODES)
def test_words_can_be_read_on_what_is_coloured(mode: Mode) -> None:
    """Ink on the sentence, on pale bars, on the page; a migration entry's own colour on its own pale ground."""
    for ground in ("wash", "page", *(soft(task_colour(it)) for it in range(TASK_COLOURS))):
        assert contrast(colour("ink", mode), colour(ground, mode)) >= 7, ground
    for ink, ground in (("task3", "task3-soft"), ("task4", "task4-soft"), ("page-edge", "page"), ("bad", "wash")):
        assert contrast(colour(ink, mode), colour(ground, mode)) >= 4.5, ink
    for number in range(TASK_COLOURS):  # a bar in the lanes with its name on it
        assert contrast(colour("card", mode), colour(task_colour(number), mode)) >= 4.5


#: Viénot, Brettel and Mollon (1999): what is seen without the long-wave or the middle-wave cones, in linear RGB.
BLINDNESS = {
    "none": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.11238, 0.88762, 0), (0.11238, 0.88762, 0), (0.00401, -0.00401, 1)),
    "deuteranopia": ((0.29275, 0.70725, 0), (0.29275, 0.70725, 0), (-0.02234, 0.02234, 1)),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", BLINDNESS)
def test_the_first_four_tasks_are_told_apart(kind: str, mode: Mode) -> None:
    """With normal sight, and without red or green cones."""
    seen = [_seen(colour(task_colour(it), mode), kind) for it in range(4)]
    for one, other in combinations(seen, 2):
        assert sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5 >= 0.1


def _seen(rgb: str, kind: str) -> list[float]:
    linear = [(int(rgb[at : at + 2], 16) / 255) ** 2.2 for at in (1, 3, 5)]
    seen = [sum(a * b for a, b in zip(row, linear, strict=True)) for row in BLINDNESS[kind]]
    return [max(it, 0) ** (1 / 2.2) for it in seen]


def test_the_style_sheet_has_every_colour_in_both_modes() -> None:
    """So that a mark's colour name is always a custom property."""
    sheet = theme.css()
    for name in COLOURS:
        assert sheet.count(f"--rw-{name}:") == 3  # light, dark by the system, dark by choice


def test_an_unknown_colour_is_no_colour() -> None:
    """A misspelt name fails at once and not as a black box on the page; ``none`` is no colour and stays."""
    assert colour("none") == "none"
    with pytest.raises(KeyError):
        colour("taks1")
