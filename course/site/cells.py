"""A lesson's cells as a page shows them: what they show to somebody who answers the questions rightly.

A question's reasons, and what it hides in JupyterLab, stand under a cover that the reader opens.  A run becomes a
player in a file of its own, which the page loads when the reader comes to it.  What needs Python says so.
"""

from __future__ import annotations

import html
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import nbformat

from course.kit import Claim, Drawing, Report, Shown
from course.kit.gates import Choice, Gate, Later, Look, Recall, verdict_on
from course.kit.kept import ExplainBack
from course.progress import LESSONS, Progress, title
from course.running import values_of
from vizlib.player.widget import Player
from vizlib.renderers.html import page as film_page

HOW: Final = '<a href="running.html">how to run it</a>'
CHECKED: Final = f"To be checked, your answer needs Python. Write it into this cell in JupyterLab: {HOW}."
KEPT: Final = f"Write it down before you read on. In JupyterLab a button keeps it: {HOW}."
CONTROLS: Final = f"In JupyterLab this has controls, which need Python: {HOW}. This is what it shows, as text."


@dataclass
class Written:
    """A lesson as a notebook whose outputs are HTML, and the files beside its page, by name."""

    notebook: Any
    files: dict[str, bytes] = field(default_factory=dict)


def written(path: Path, lessons: Sequence[Path] = LESSONS) -> Written:
    """Run the lesson at *path*; *lessons* are those that the site has.

    Raises:
        Exception: whatever a cell raises.
    """
    lesson = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    found = Written(lesson)
    names: dict[str, Any] = {}
    for number, cell in enumerate(lesson.cells):
        if cell.cell_type == "code":
            shown = values_of(cell.source, names)
            cell.execution_count = None
            made = "\n".join(_Cell(found.files, f"{path.stem}-{number}", lessons).shown(shown))
            data = {"text/html": made}
            cell.outputs = [nbformat.v4.new_output("display_data", data=data)] if made else []  # type: ignore[no-untyped-call]
    return found


class _Cell:
    """Makes HTML of what one cell shows."""

    def __init__(self, files: dict[str, bytes], name: str, lessons: Sequence[Path]) -> None:
        self._files, self._name, self._lessons = files, name, lessons

    def shown(self, values: Any) -> Iterator[str]:
        """Each value in turn; lines that were printed one after the other stand in one block."""
        for printed, some in groupby(values, lambda it: isinstance(it, str)):
            if printed:
                yield _text("\n".join(some))
            else:
                yield from map(self._of, some)

    def _all(self, values: Any) -> str:
        return "\n".join(self.shown(values))

    def _of(self, value: Any) -> str:
        match value:
            case Report():
                return _note(CHECKED)
            case Progress():
                return _contents(self._lessons)
            case Player():
                return self._player(value)
            case list() | tuple():
                return self._all(value)
            case Shown():
                return self._shown(value)
            case _ if hasattr(value, "savefig"):
                return self._figure(value)
        return _text(str(value))

    def _shown(self, value: Shown) -> str:
        """What a lesson asks with."""
        match value:
            case Recall():
                return self._all(value.gates)
            case Look():
                return _choice(value.question.look, value, "What did you see? Then open the reasons")
            case Gate() if value.question.look:
                return _asked(value.question.prompt, value) + _note("The reasons come when you have seen the run.")
            case Choice():
                return _choice(value.question.prompt, value, "Your answer first; then open the reasons")
            case Later():
                first = f"Your answer to {html.escape(value.gate.question.name)} first; then open what it hides"
                return _cover(first, self._all(value.values))
            case Drawing():
                return f"<div class='rmw-figure'>{value.svg}</div>"
            case Claim():
                return f"<p class='rmw-claim'>{html.escape(value.text())}</p>"
            case ExplainBack():
                return f"<p><b>{html.escape(value.prompt)}</b></p>{_note(KEPT)}"
        return _note(CONTROLS) + _text(value.text())

    def _file(self, content: bytes, suffix: str) -> str:
        """Put a file beside the page, and say where it is."""
        name = f"{self._name}-{len(self._files)}{suffix}"
        self._files[name] = content
        return f"shown/{name}"

    def _player(self, player: Player) -> str:
        film = player.film if player.step is None else {**player.film, "open_at": player.step}
        at = self._file(film_page(film).encode(), ".html")
        label = html.escape(f"{player.film['title']} ({self._name}, {player.steps} steps)")
        return (
            f'<iframe class="rmw-frame" title="{label}" sandbox="allow-scripts" loading="lazy" src="{at}"></iframe>'
            f'<p class="rmw-alone"><a href="{at}">This run on a page of its own</a></p>'
        )

    def _figure(self, figure: Any) -> str:
        data = io.BytesIO()
        figure.savefig(data, format="png", dpi=120, bbox_inches="tight", metadata={"Software": None})
        at = self._file(data.getvalue(), ".png")
        label = html.escape(figure.get_label() or "a chart of this lesson; its numbers stand beside it as text")
        return f'<img class="rmw-figure" alt="{label}" src="{at}">'


def _text(text: str) -> str:
    return f"<pre class='rmw-text' tabindex='0'>{html.escape(text)}</pre>"


def _note(sentence: str) -> str:
    return f"<p class='rmw-note'>{sentence}</p>"


def _cover(summary: str, inside: str) -> str:
    return f"<details class='rmw-cover'><summary>{summary}</summary>\n{inside}\n</details>"


def _asked(prompt: str, choice: Choice) -> str:
    """A question and its options."""
    options = "".join(f"<li>{html.escape(it.text)}</li>" for it in choice.question.options)
    return f"<p><b>{html.escape(choice.question.name)}</b>  {html.escape(prompt)}</p><ol type='A'>{options}</ol>"


def _choice(prompt: str, choice: Choice, cover: str) -> str:
    """A question with its options, and the reasons under a cover."""
    whys = "".join(f"<li><b>{verdict_on(it.tag)}:</b> {html.escape(it.why)}</li>" for it in choice.question.options)
    return _asked(prompt, choice) + _cover(cover, f"<ol type='A'>{whys}</ol>")


def _contents(lessons: Sequence[Path]) -> str:
    """The lessons, in place of where a learner stands in them: that needs Python."""
    rows = "".join(f'<li><a href="{it.stem}.html">{html.escape(title(it))}</a></li>' for it in lessons)
    return f"<ul class='rmw-lessons'>{rows}</ul>" + _note(f"Where you stand is shown in JupyterLab: {HOW}.")
