"""``python -m course.refresh``: run the lessons and store their outputs, transcripts and the guide's tables.

Run it after a change of the model that changes a number.  What is stored holds no widget state, and no times, so that
the tests can compare all of it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from course import hazards, ledger, published
from course.instructor import demos, prepost
from course.progress import COURSE, INDEX, LESSONS, lesson_path, transcript_path
from course.running import values_of
from sim.cli.base import Answer, Parser, answer, answers
from sim.wording import times


def transcript(path: Path) -> str:
    """A lesson as text: its prose, its code, and what every cell shows to somebody who answers the gates rightly."""
    lesson = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    names: dict[str, Any] = {}
    parts = []
    for cell in lesson.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
        else:
            parts.append(f"```python\n{cell.source}\n```")
            shown = "\n".join(it if isinstance(it, str) else repr(it) for it in values_of(cell.source, names))
            if shown:
                parts.append(f"```text\n{shown}\n```")
    return "\n\n".join(parts) + "\n"


def execute(path: Path) -> None:
    """Run a lesson in a fresh kernel and store its outputs."""
    lesson = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(lesson, timeout=120, store_widget_state=False, resources={"metadata": {"path": COURSE}}).execute()
    kept = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    lesson.metadata = nbformat.from_dict({"kernelspec": kept, "language_info": {"name": "python"}})  # type: ignore[no-untyped-call]
    for cell in lesson.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            if "data" in output:  # a view of a widget that will not be there; its text stays
                output.data.pop("application/vnd.jupyter.widget-view+json", None)
    nbformat.write(lesson, path)  # type: ignore[no-untyped-call]


def refresh(options: argparse.Namespace) -> Answer:
    """Write the pages that come from the model, then run the lessons asked for, and after them the index.

    Raises:
        UserError: for a lesson that is none.
    """
    asked = [lesson_path(it) for it in options.lessons] or LESSONS
    hazards.PAGE.write_text(hazards.page(hazards.PAGE.read_text("utf-8")), "utf-8")
    published.PAGE.write_text(published.page(published.PAGE.read_text("utf-8")), "utf-8")
    for at, made in prepost.PAGES.items():
        at.write_text(made(), "utf-8")
    for done, at in enumerate(asked):
        print(f"{at.name}  ({done + 1} of {len(asked)})", file=sys.stderr)
        execute(at)
        transcript_path(at).write_text(transcript(at), "utf-8")
    demos.PAGE.write_text(demos.page(), "utf-8")
    ledger.PAGE.write_text(ledger.page(), "utf-8")
    execute(INDEX)
    names = [it.name for it in asked]
    lessons = times(len(names), "lesson")
    return Answer({"lessons": names}, f"stored anew: {lessons}, the index, and the pages made from the model")


def main(argv: Sequence[str] | None = None) -> int:
    """Refresh what is stored; return the exit code."""
    parser = Parser(
        prog="python -m course.refresh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    answers(parser, refresh)
    parser.add_argument("lessons", nargs="*", metavar="LESSON", help="its number, such as 06; all if none is given")
    return answer(parser, argv)


if __name__ == "__main__":
    sys.exit(main())
