"""Where a learner stands: the lessons, and which of their exercises are kept as right."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import NamedTuple

from course.kit.checks import EXERCISES
from course.kit.kept import kept
from sim.errors import BadParameter

COURSE = Path(__file__).parent
INDEX = COURSE / "00_start_here.ipynb"
LESSONS = sorted(path for path in COURSE.glob("[0-9][0-9]_*.ipynb") if path != INDEX)
#: Lessons by their numbers: ``06``.
BY_NUMBER = {path.stem[:2]: path for path in LESSONS}


def lesson_path(number: str) -> Path:
    """The lesson with that number, such as ``6`` or ``06``.

    Raises:
        BadParameter: naming those that there are.
    """
    path = BY_NUMBER.get(number.zfill(2))
    if path is None:
        raise BadParameter(f"there is no lesson '{number}'; there are {', '.join(BY_NUMBER)}")
    return path


def transcript_path(path: Path) -> Path:
    """Where the transcript of a lesson stands."""
    return COURSE / "instructor" / f"{path.stem}.transcript.md"


class Standing(NamedTuple):
    """A lesson: its file, its title, its exercises, and those that the learner has kept as right."""

    file: str
    title: str
    exercises: tuple[str, ...]
    right: tuple[str, ...]
    explained: bool

    @property
    def told(self) -> str:
        """How far it is, in a few words."""
        explained = ", and a sentence" if self.explained else ""
        return f"{len(self.right)} of {len(self.exercises)} exercises kept as right{explained}"


class Progress(tuple[Standing, ...]):
    """All lessons; a table in a notebook, lines of text elsewhere."""

    def __repr__(self) -> str:
        return "\n".join(f"{it.title:52}{it.told}" for it in self)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td style='text-align: left'>{_linked(it)}</td>"
            f"<td style='text-align: left'>{html.escape(it.told)}</td></tr>"
            for it in self
        )
        head = "<tr><th style='text-align: left'>Lesson</th><th style='text-align: left'>You</th></tr>"
        return f"<table>{head}{rows}</table>"


def _linked(it: Standing) -> str:
    """The title; a link, if the lesson is beside the reader's notebook (in a browser alone, not all are)."""
    name = html.escape(it.title)
    return f"<a href='{html.escape(it.file)}'>{name}</a>" if Path(it.file).exists() else name


def title(path: Path) -> str:
    """The first heading of a notebook."""
    first = json.loads(path.read_text("utf-8"))["cells"][0]["source"]  # plain JSON: nbformat takes seconds to load
    return "".join(first).partition("\n")[0].lstrip("# ")


def progress() -> Progress:
    """Every lesson with what the learner has kept of it in ``answers.json``, beside the notebooks.

    Raises:
        UserError: if that file is none of ours, naming the remedy.
    """
    answers = kept()
    found = []
    for path in LESSONS:
        number = path.stem[:2]
        exercises = tuple(sorted(it for it in EXERCISES if it.startswith(f"L{number}.")))
        right = tuple(it for it in exercises if isinstance(answers.get(it), dict) and answers[it].get("right"))
        explained = any(isinstance(it, str) and name.startswith(f"L{number}.") for name, it in answers.items())
        found.append(Standing(path.name, title(path), exercises, right, explained))
    return Progress(found)
