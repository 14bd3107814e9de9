"""Where a learner stands: what is kept, what the index shows of it, and what it does with a damaged file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

from course import check, explain_back, progress, refresh
from course.instructor import solutions_01, solutions_08
from course.kit import EXERCISES
from course.progress import INDEX, LESSONS
from sim.errors import UserError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without answers."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_index_shows_every_lesson_and_exercise(elsewhere: Path) -> None:
    """In order, each with a link to its file, if that is here; nothing is kept yet."""
    for path in LESSONS[1:]:
        (elsewhere / path.name).touch()
    found = progress()
    assert [it.file for it in found] == [path.name for path in LESSONS]
    assert sorted(name for it in found for name in it.exercises) == sorted(EXERCISES)
    assert all(it.right == () for it in found)
    shown = found._repr_html_()
    assert [path for path in LESSONS if f"href='{path.name}'" in shown] == LESSONS[1:]


def test_what_is_kept_counts_if_it_is_right(elsewhere: Path) -> None:
    """A wrong answer is kept as wrong; a sentence stands beside it."""
    good = check("L01.2", solutions_01.GOOD["L01.2"])
    assert good.keep() == "L01.2 stands in answers.json now, beside this notebook."
    check("L01.3", {"PTE": "mmap_sem"}).keep()
    box: Any = explain_back("L01.5", "Why?").box
    box.children[1].value = "because"
    box.children[2].click()
    first = progress()[0]
    assert (first.right, first.explained) == (("L01.2",), True)
    assert first.told == "1 of 3 exercises kept as right, and a sentence"
    kept = json.loads((elsewhere / "answers.json").read_text())
    assert kept == {
        "L01.2": {"right": True, "answer": repr(solutions_01.GOOD["L01.2"])},
        "L01.3": {"right": False, "answer": "{'PTE': 'mmap_sem'}"},
        "L01.5": "because",
    }


def test_a_function_is_kept_as_its_writer_wrote_it(elsewhere: Path) -> None:
    """A teacher reads source, not an address."""
    check("L01.4", solutions_01.GOOD["L01.4"]).keep()
    kept = json.loads((elsewhere / "answers.json").read_text())
    assert kept["L01.4"]["right"]
    assert kept["L01.4"]["answer"].startswith("def ")


def test_several_functions_are_kept_as_they_were_written(elsewhere: Path) -> None:
    """Where an exercise asks for two, a teacher reads both."""
    check("L08.4", solutions_08.GOOD["L08.4"]).keep()
    written = json.loads((elsewhere / "answers.json").read_text())["L08.4"]["answer"]
    assert [f"def {name}(" in written for name in ("try_to_unmap", "try_to_migrate")] == [True, True]
    assert " at 0x" not in written


def test_no_answer_is_not_kept(elsewhere: Path) -> None:
    """A blank leaves no file."""
    assert check("L01.4", ...).keep() == "L01.4 is not answered yet, so there is nothing to keep."
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("text", ["{", "[1]", "\x00"])
def test_a_damaged_file_is_left_as_it_is(elsewhere: Path, text: str) -> None:
    """One sentence names the file and the remedy."""
    file = elsewhere / "answers.json"
    file.write_text(text)
    with pytest.raises(UserError, match=r"answers\.json .*move it away"):
        progress()
    with pytest.raises(UserError, match="move it away"):
        check("L01.3", {"PTE": "ptl"}).keep()
    assert file.read_text() == text


def test_the_stored_index_is_of_today() -> None:
    """Its table is what somebody sees who has kept nothing."""
    shown = [
        out.data["text/plain"]
        for cell in nbformat.read(INDEX, 4).cells
        for out in cell.get("outputs", ())
        if "data" in out
    ]
    assert shown[-1] == repr(progress()), "run: python -m course.refresh"


def test_who_asks_for_help_or_a_lesson_that_is_none_has_nothing_stored_anew(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``python -m course.refresh`` writes into the course; help and a fault come before that."""
    monkeypatch.setattr(Path, "write_text", None)
    with pytest.raises(SystemExit):
        refresh.main(["--help"])
    assert "all if none is given" in capsys.readouterr().out
    assert refresh.main(["3", "99"]) == 2
    assert "there is no lesson '99'" in capsys.readouterr().err
