"""Numbers in a lesson's prose: the lesson prints each, sets it in a cell, asks for it in an exercise, or cites it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from course.ledger import asked, cells, figures
from course.progress import LESSONS, transcript_path

#: What is no prose: code, links, marks, headings and the numbers of a list.
NO_PROSE = re.compile(
    r"```.*?```|`[^`]*`|\[[^\]]*\]\([^)]*\)|\[[^\]]*\]|^#[^\n]*|\*\*\d\*\*|^\d+\. ", re.DOTALL | re.MULTILINE
)


def prose(path: Path) -> list[str]:
    """The paragraphs of a lesson that name no source."""
    parts = [source for kind, source in cells(path) if kind == "markdown"]
    return [it for part in parts for it in part.split("\n\n") if "[source:" not in it]


def known(path: Path) -> set[str]:
    """The numbers that a lesson prints, and those in its cells and in what its exercises ask for."""
    shown = re.findall(r"```(?:text|python)\n(.*?)\n```", transcript_path(path).read_text("utf-8"), re.DOTALL)
    return figures("\n".join([*shown, asked(path)]))


def unfounded(paragraphs: list[str], founded: set[str]) -> list[tuple[str, str]]:
    """The numbers of *paragraphs* that are not among *founded*, each with its paragraph; a per cent is one of 100."""
    return [
        (it, part)
        for part in paragraphs
        for it in sorted(figures(NO_PROSE.sub(" ", part)) - founded - ({"100"} if "%" in part else set()))
    ]


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_numbers_of_the_prose_are_those_of_the_outputs(path: Path) -> None:
    """A number that no cell shows and no source stands beside is one that somebody remembered."""
    assert unfounded(prose(path), known(path)) == []


def test_a_remembered_number_is_noticed() -> None:
    """A number that is off by one is not what the cell shows; code, links, marks and versions are no prose."""
    assert unfounded(["It took 1,025 locks in 12.5 µs."], figures("1024 locks, 12.5")) == [
        ("1025", "It took 1,025 locks in 12.5 µs.")
    ]
    assert unfounded(["# 96\nLinux v3.7.2 has `x[99]` at mm/rmap.c:1470, [98](97), **3** and p7."], set()) == []
