"""Every claim of a lesson is shown, has a source that is known, or says that it is made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from course import ledger
from course.ledger import PAGE, cited, claims, explained, names, page, sentences
from course.progress import LESSONS
from course.sources import LINES, SOURCES

lessons = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


@lessons
def test_no_claim_is_open(path: Path) -> None:
    """Each figure and each name in the prose stands in a cell, in the model, or beside its source."""
    assert [(it.cell, it.said, it.borne) for it in claims(path) if it.kind == "open"] == []


@lessons
def test_what_is_shown_is_shown_by_a_cell_that_runs(path: Path) -> None:
    """A demonstration points at code cells, whose outputs other tests compare."""
    kinds = [kind for kind, _ in ledger.cells(path)]
    found = [it for it in claims(path) if it.kind == "shown"]
    assert found
    for it in found:
        head = it.borne.split(";")[0]
        numbers = [int(part) for part in head.removeprefix("cells ").removeprefix("cell ").split(", ")
                   if part.isdigit()]  # fmt: skip
        assert all(kinds[number] == "code" for number in numbers), it


@lessons
def test_few_claims_are_made_up(path: Path) -> None:
    """At most three in a lesson."""
    assert sum(it.kind == "illustrative" for it in claims(path)) <= 3


@lessons
def test_every_source_is_known(path: Path) -> None:
    """A line of the kernel is where the table has a function; a mail or a commit is in the list of sources."""
    assert [it for it in cited(path) if not explained(it)] == []


def test_every_known_source_is_cited() -> None:
    """The list of sources holds nothing that no lesson needs."""
    used = set().union(*map(cited, LESSONS))
    assert sorted(set(SOURCES) - used) == []
    assert sorted(set(LINES) - {it.partition("@")[0] for it in used}) == []


def test_the_page_is_the_ledger() -> None:
    """What instructors read is what the lessons say now."""
    assert PAGE.read_text("utf-8") == page(), "run: python -m course.refresh"


def test_a_figure_and_a_name_from_nowhere_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules above can fail: what no cell shows is left over, whatever else stands in its paragraph."""
    path = LESSONS[0]
    its, outputs = ledger.cells(path), ledger.shown(path)
    said = "It is so `[source: 5a505085f043]`. In 4711 of 100 cases `no_such_function()` waits in lesson 9."
    monkeypatch.setattr(ledger, "cells", lambda _: [*its, ("markdown", said)])
    monkeypatch.setattr(ledger, "shown", lambda _: [*outputs, ""])
    last = claims(path)[-2:]
    assert [(it.kind, it.borne) for it in last] == [
        ("source", "5a505085f043"), ("open", "100, 4711, no_such_function"),
    ]  # fmt: skip
    assert explained("mm/rmap.c:1471@v3.7.2") == ""
    assert explained("mm/rmap.c:1470@v3.7.2") == "`try_to_unmap_anon`; here: `sim/kernel/rmap.py`"
    assert explained("sim/no_such_file.py") == explained("0123456789ab") == ""


def test_a_mark_speaks_for_what_stands_before_it() -> None:
    """In its paragraph, and not for what comes after it; the tag illustrative for its own sentence alone."""
    found = list(sentences("One. Two `[source: sim/ops.py]`. Three.\n\nFour. Five `[assumed: illustrative]`."))
    assert found == [
        ("One.", "source: sim/ops.py"), ("Two.", "source: sim/ops.py"), ("Three.", ""),
        ("Four.", ""), ("Five.", "assumed: illustrative"),
    ]  # fmt: skip


def test_code_is_no_name() -> None:
    """A name alone is one, with or without brackets; what is more than a name is code; glossary words are defined."""
    assert names("`try_to_unmap()` and rmap_walk_anon; `f(k, my_page)`, mmap_sem, anon_vmas, `x = yield a.b_c`") == {
        "try_to_unmap", "rmap_walk_anon",
    }  # fmt: skip
