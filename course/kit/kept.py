"""What a learner keeps: sentences and answers to exercises, in ``answers.json``; nothing unless they say so."""

from __future__ import annotations

import html
import inspect
import json
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from course.kit.shown import Shown, prose
from sim.errors import UserError

ANSWERS = Path("answers.json")


def kept(path: Path = ANSWERS) -> dict[str, Any]:
    """What stands in ``answers.json``: by exercise a sentence, or ``{"right": ..., "answer": ...}``.

    Raises:
        UserError: if the file is none that :func:`keep` wrote, naming the remedy.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): move it away, and keep your answers again") from error
    if not isinstance(found, dict):
        raise UserError(f"{path} holds no answers by exercise: move it away, and keep your answers again")
    return found


def keep(name: str, answer: Any) -> None:
    """Write an answer that is to be handed in to ``answers.json``, beside the others.

    Raises:
        UserError: if another file stands in that place; it is left as it is.
    """
    found = {**kept(ANSWERS), name: answer}
    ANSWERS.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", "utf-8")


def as_written(answer: Any) -> str:
    """An answer as its writer wrote it: the source of a function or of several, anything else as Python shows it."""
    if isinstance(answer, tuple) and any(map(callable, answer)):
        return "\n\n".join(map(as_written, answer))
    try:
        return inspect.getsource(answer) if callable(answer) else repr(answer)
    except (OSError, TypeError):
        return repr(answer)


class ExplainBack(Shown):
    """A line to write, kept in ``answers.json`` when its writer says so, and not before."""

    def __init__(self, name: str, prompt: str) -> None:
        self._name, self.prompt = name, prompt
        self._line = widgets.Textarea(placeholder="one sentence", layout={"width": "100%", "max_width": "52em"})
        self._said = widgets.HTML()
        button = widgets.Button(description="Keep it")
        button.on_click(lambda _: self.keep())
        self.box = widgets.VBox([prose(f"<b>{html.escape(prompt)}</b>"), self._line, button, self._said])

    def keep(self) -> None:
        """Write what stands in the box to ``answers.json``."""
        keep(self._name, self._line.value)
        self._said.value = "<i>It stands in answers.json now, beside this notebook.</i>"

    def text(self) -> str:
        """The prompt."""
        return f"{self._name}  {self.prompt}"


def explain_back(name: str, prompt: str) -> Shown:
    """Ask for a sentence in the learner's own words."""
    return ExplainBack(name, prompt)
