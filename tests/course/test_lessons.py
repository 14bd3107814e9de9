"""The rules that every lesson keeps, as far as a machine can see them; and what the lessons say."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest

from course.glossary import WORDS
from course.instructor import solutions_01
from course.kit import EXERCISES, QUESTIONS
from course.refresh import COURSE, LESSONS, transcript, transcript_path
from sim import profile
from sim.engines.costs import DEFAULT, ROWS
from sim.engines.replay import replay

SECTIONS = (
    "Hook", "Predict", "Run", "Observe", "Investigate", "Modify", "Make", "Explain back", "Retrieval",
    "What the model leaves out",
)  # fmt: skip
ALLOWED = ("sim", "vizlib", "course", "matplotlib.pyplot", "ipywidgets", "networkx")
MARK = re.compile(r"\[(?:source: [^\]]+|assumed: illustrative)\]")
CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)
BANNED = re.compile(r"\b(?:simply|just|obviously|proved?|proven)\b", re.IGNORECASE)
PICTURES = ("play", "why", "beside", "beside_nearest", "over_time", "curves", "bars", "still",
            "picture", "level")  # fmt: skip
SIMULATES = re.compile(r"(?<!\.)\b(?:run|profile|puzzle)\(")

lessons = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


def cells(path: Path) -> list[Any]:
    """The cells of a lesson."""
    return list(nbformat.read(path, as_version=4).cells)


def code(path: Path) -> list[str]:
    """The code cells of a lesson."""
    return [cell.source for cell in cells(path) if cell.cell_type == "code"]


@cache
def told(path: Path) -> str:
    """The transcript of a lesson, run now."""
    return transcript(path)


def test_there_are_lessons() -> None:
    """The rules below look at something."""
    assert {path.stem[:2] for path in LESSONS} >= {"01", "02", "03", "04", "05", "06", "08", "09", "10"}


@lessons
def test_a_lesson_is_short(path: Path) -> None:
    """At most 25 cells, 3 gates, and 15 lines in a code cell."""
    assert len(cells(path)) <= 25
    assert "\n".join(code(path)).count("predict(") <= 3
    assert [source for source in code(path) if source.count("\n") + 1 > 15] == []


@lessons
def test_the_sections_stand_in_order(path: Path) -> None:
    """Every lesson goes the same way, from the hook to what the model leaves out."""
    prose = "\n".join(cell.source for cell in cells(path) if cell.cell_type == "markdown")
    assert tuple(re.findall(r"^## (.+)$", prose, re.MULTILINE)) == SECTIONS


@lessons
def test_the_hook_is_short_and_shows_something(path: Path) -> None:
    """At most 120 words, and one artefact."""
    prose = "\n".join(cell.source for cell in cells(path) if cell.cell_type == "markdown")
    hook = prose.split("## Hook")[1].split("\n## ")[0]
    words = re.sub(r"```.*?```", "", hook, flags=re.DOTALL).split()
    assert len(words) <= 120
    assert hook.count("```") == 2


@lessons
def test_imports_are_few(path: Path) -> None:
    """A lesson imports the course's own packages, and the three that lessons may be about."""
    names = []
    for node in ast.walk(ast.parse("\n".join(code(path)))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    assert [it for it in names if not any(it == ok or it.startswith(ok + ".") for ok in ALLOWED)] == []


@lessons
def test_a_gate_comes_before_what_it_is_about(path: Path) -> None:
    """A player or a curve stands inside a gate's then(...), so it cannot be seen unpredicted."""
    for source in code(path):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in PICTURES:
                inside = [
                    it
                    for it in ast.walk(ast.parse(source))
                    if isinstance(it, ast.Call)
                    and ast.unparse(it.func).endswith(".then")
                    and ast.unparse(node) in ast.unparse(it)
                ]
                assert inside, f"{ast.unparse(node)} stands outside a gate"


@lessons
def test_every_gate_is_answered_for(path: Path) -> None:
    """Each gate that a lesson names is used; each question and exercise of the lesson exists."""
    source = "\n".join(code(path))
    number = path.stem[:2]
    asked = set(re.findall(r'(?:predict|recall)\("(L[\w.]+)"', source)) | set(re.findall(r'"(L\d\d\.r\d)"', source))
    assert asked == {name for name in QUESTIONS if name.startswith(f"L{number}")}
    checked = set(re.findall(r'check\("(L[\w.]+)"', source))
    assert checked == {name for name in EXERCISES if name.startswith(f"L{number}")}


@lessons
def test_a_word_of_art_is_defined_where_it_is_first_used(path: Path) -> None:
    """In the lesson's own glossary, in its text where it stands in italics, or in the glossary of an earlier lesson."""
    defined = {word for it in LESSONS if it <= path for word in _defined("\n".join(code(it)))}
    prose = CODE.sub(" ", "\n".join(cell.source for cell in cells(path) if cell.cell_type == "markdown"))
    used = {word for word in WORDS if re.search(rf"\b{re.escape(word)}s?\b", prose)}
    assert sorted(it for it in used - defined if f"*{it}*" not in prose) == []


def _defined(source: str) -> list[str]:
    """The words that a lesson's glossaries print."""
    return [word for words in re.findall(r"glossary\(([^)]*)\)", source) for word in re.findall(r'"([^"]+)"', words)]


@lessons
def test_what_is_claimed_is_shown(path: Path) -> None:
    """After each piece of prose, before the next heading, a cell shows it; or it names its source."""
    found = cells(path)
    for at, cell in enumerate(found):
        if cell.cell_type != "markdown" or MARK.search(cell.source):
            continue
        assert [it.cell_type for it in found[at + 1 : at + 2]] == ["code"], cell.source


@lessons
def test_few_things_are_assumed(path: Path) -> None:
    """At most three numbers or behaviours of a lesson are made up, and they say so."""
    prose = "\n".join(cell.source for cell in cells(path) if cell.cell_type == "markdown")
    assert prose.count("[assumed: illustrative]") <= 3


@lessons
def test_no_word_belittles_or_overclaims(path: Path) -> None:
    """Nothing is called simple, and nothing is called proved: not in prose, nor in questions and claims."""
    number = path.stem[:2]
    asked = [
        text
        for name, it in QUESTIONS.items()
        if name.startswith(f"L{number}")
        for text in (it.prompt, it.look, *(part for option in it.options for part in (option.text, option.why)))
    ]
    prose = [cell.source for cell in cells(path) if cell.cell_type == "markdown"]
    assert BANNED.findall("\n".join([*asked, *prose])) == []


@lessons
def test_simulated_numbers_say_so(path: Path) -> None:
    """Whatever a cell shows of a timed run carries the word, in the output itself."""
    parts = re.findall(r"```python\n(.*?)\n```\n\n```text\n(.*?)\n```", told(path), re.DOTALL)
    assert parts
    for source, shown in parts:
        if SIMULATES.search(source) and re.search(r"\d", shown):
            assert "simulated" in shown, source


@lessons
def test_every_claim_holds(path: Path) -> None:
    """What a lesson says about its runs is so."""
    assert "NOT SO" not in told(path)
    assert "shown: " in told(path)


@lessons
def test_no_widget_is_stored(path: Path) -> None:
    """A stored lesson has no widget state, no views of widgets that are gone, and every code cell has an output."""
    lesson = nbformat.read(path, as_version=4)
    assert set(lesson.metadata) == {"kernelspec", "language_info"}
    for cell in lesson.cells:
        if cell.cell_type == "code":
            assert cell.outputs, cell.source
            assert all("widget-view" not in kind for it in cell.outputs for kind in it.get("data", {}))


@lessons
def test_a_stored_lesson_gives_no_answer_away(path: Path) -> None:
    """Who opens a lesson sees no reason of a question, and no solution."""
    stored = path.read_text("utf-8")
    number = path.stem[:2]
    whys = [it.why for name, q in QUESTIONS.items() if name.startswith(f"L{number}") for it in q.options]
    assert [why for why in whys if why in stored] == []
    order = solutions_01.GOOD["L01.2"]
    assert ", ".join(f'\\"{it}\\"' for it in order) not in stored


@lessons
def test_the_transcript_is_the_lesson(path: Path) -> None:
    """The transcript for instructors, and for readers without a screen, is what the lesson says now."""
    assert transcript_path(path).read_text("utf-8") == told(path), "run: python -m course.refresh"


def test_the_solutions_stand_with_the_instructors() -> None:
    """Each lesson has some, and no notebook imports them."""
    there = {path.stem for path in (COURSE / "instructor").glob("solutions_*.py")}
    assert there == {f"solutions_{path.stem[:2]}" for path in LESSONS}
    assert not any("instructor" in source for path in LESSONS for source in code(path))


@pytest.mark.parametrize("factor", [1 / 3, 3])
@pytest.mark.parametrize("row", [row.name for row in ROWS])
def test_the_timing_conclusions_hold_in_a_wide_band(row: str, factor: float) -> None:
    """Lesson 4 says the same if any cost is three times as high or as low.

    From tapes, which say what the runs would, to the nanosecond.
    """
    costs = DEFAULT.with_(row, DEFAULT[row] * factor)
    one, readers, handoff, steal = (
        replay("numa02", variant, policy=policy, threads=threads, pages=8, costs=costs)
        for threads, variant, policy in (
            (1, "rwsem_v38", "handoff"),
            (8, "rwsem_v38", "handoff"),
            (8, "mutex_v37", "handoff"),
            (8, "mutex_v37", "steal"),
        )
    )
    assert one.pages_per_second < readers.pages_per_second < 8 * one.pages_per_second
    assert handoff.pages_per_second < one.pages_per_second
    assert steal.pages_per_second < one.pages_per_second
    first, second = profile(handoff).branches
    assert abs(first.share - second.share) < 4
