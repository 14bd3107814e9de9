"""What a learner keeps: sentences, in ``answers.json``."""

from __future__ import annotations

import html
import json
from pathlib import Path

import ipywidgets as widgets

from course.kit.shown import Shown, prose

ANSWERS = Path("answers.json")


def keep(name: str, answer: str) -> None:
    """Write an answer that is to be handed in to ``answers.json``, beside the others."""
    try:
        kept = json.loads(ANSWERS.read_text("utf-8"))
    except FileNotFoundError:
        kept = {}
    ANSWERS.write_text(json.dumps({**kept, name: answer}, indent=2, ensure_ascii=False) + "\n", "utf-8")


class ExplainBack(Shown):
    """A line to write, kept in ``answers.json`` when its writer says so, and not before."""

    def __init__(self, name: str, prompt: str) -> None:
        self._name, self._prompt = name, prompt
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
        return f"{self._name}  {self._prompt}"


def explain_back(name: str, prompt: str) -> Shown:
    """Ask for a sentence in the learner's own words."""
    return ExplainBack(name, prompt)
