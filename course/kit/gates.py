"""Gates: questions that hide what follows until they are answered."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from course.kit.questions import QUESTIONS, Question
from course.kit.shown import Claim, Shown, as_text, as_widget, prose
from course.misconceptions import BANK

LETTERS = "ABCD"


def verdict_on(tag: str) -> str:
    """What is said of an option that stands for *tag*."""
    return "not so" if tag else "right"


def _often(tag: str) -> str:
    """What an option stands for, in words; nothing for the right one."""
    return f" ({tag}, people often think: {BANK[tag]})" if tag else ""


class Choice(Shown):
    """A question and its radio buttons; tells :attr:`waiting` when it has been answered."""

    def __init__(self, question: Question, prompt: str, label: str) -> None:
        self.question = question
        self.choice: int | None = None
        self.waiting: list[Callable[[], None]] = []
        self._radio = widgets.RadioButtons(
            options=[f"{letter}: {it.text}" for letter, it in zip(LETTERS, question.options, strict=False)],
            index=None,
            layout={"width": "100%"},
        )
        self._button = widgets.Button(description=label, disabled=True)
        self._after = widgets.VBox([])
        self.box = widgets.VBox([prose(f"<b>{html.escape(prompt)}</b>"), self._radio, self._button, self._after])
        self._radio.observe(self._chosen, "index")
        self._button.on_click(lambda _: self.answer(self._radio.index))

    def _chosen(self, _: Any) -> None:
        self._button.disabled = self._radio.index is None or self.choice is not None

    def answer(self, choice: int | str) -> None:
        """Answer with an option's number or letter, as the button does.  The first answer counts."""
        if self.choice is not None:
            return
        self.choice = LETTERS.index(choice.upper()) if isinstance(choice, str) else choice
        self._radio.index = self.choice
        self._radio.disabled = self._button.disabled = True
        for tell in self.waiting:
            tell()

    def answer_right(self) -> None:
        """Answer as somebody who knows, for transcripts and tests."""
        self.answer([it.tag for it in self.question.options].index(""))

    def reasons(self) -> str:
        """Every option's reason, as text."""
        marked = zip(LETTERS, self.question.options, strict=False)
        return "\n".join(f"  {letter}  {verdict_on(it.tag)}: {it.why}{_often(it.tag)}" for letter, it in marked)

    def _show_reasons(self) -> None:
        parts = []
        for number, it in enumerate(self.question.options):
            yours = " (your answer)" if number == self.choice else ""
            often = f"<i>{html.escape(_often(it.tag))}</i>"
            parts.append(f"<li><b>{verdict_on(it.tag)}{yours}</b>: {html.escape(it.why)}{often}</li>")
        self._after.children = (prose(f"<ol type='A' style='margin-top: 0'>{''.join(parts)}</ol>"),)

    def _listed(self) -> str:
        marked = zip(LETTERS, self.question.options, strict=False)
        return "\n".join(f"  {letter}  {it.text}" for letter, it in marked)


class Gate(Choice):
    """A question that hides what follows until it is answered."""

    def __init__(self, question: Question) -> None:
        super().__init__(question, question.prompt, "That is my answer")
        self.waiting.append(self._note if question.look else self._show_reasons)

    def _note(self) -> None:
        self._after.children = (prose("<i>Noted. The reasons come when you have seen the run.</i>"),)

    def text(self) -> str:
        """The question with its options; once it is answered also the reasons, if they need no run."""
        told = f"{self.question.name}  {self.question.prompt}\n{self._listed()}"
        return told if self.question.look or self.choice is None else f"{told}\nReasons:\n{self.reasons()}"

    def then(self, *values: Any) -> Shown:
        """Show *values* (text, widgets, figures, claims), but not before this gate has been answered."""
        return Later(self, values)

    def look(self) -> Shown:
        """Ask what was seen, and then show the reasons."""
        return Look(self)


class Later(Shown):
    """Something that a gate hides until it is answered."""

    def __init__(self, gate: Gate, values: tuple[Any, ...]) -> None:
        self.gate, self.values = gate, values
        note = prose(f"<i>Answer {gate.question.name} above; what you see next depends on it.</i>")
        self.box = widgets.VBox(
            [note], layout={"overflow": "visible"}
        )  # so that the controls of a player can stay in sight
        gate.waiting.append(self._open)
        if gate.choice is not None:
            self._open()

    def _open(self) -> None:
        self.box.children = tuple(map(as_widget, self.values))

    def text(self) -> str:
        """The text twin of what is hidden; before the gate is answered its fingerprint, and claims that fail."""
        told = as_text(self.values)
        if self.gate.choice is not None:
            return told
        failed = [it.text() for it in self.values if isinstance(it, Claim) and not it.holds]
        mark = hashlib.blake2b(told.encode(), digest_size=4).hexdigest()
        return "\n".join([f"hidden until {self.gate.question.name} is answered ({mark})", *failed])


class Look(Choice):
    """The second half of a gate: what was seen?  Then every option's reason."""

    def __init__(self, gate: Gate) -> None:
        super().__init__(gate.question, gate.question.look, "That is what I saw")
        self.gate = gate
        self.waiting.append(self._compare)

    def _compare(self) -> None:
        self._show_reasons()
        if self.gate.choice is not None:
            same = self.choice == self.gate.choice
            told = "You saw what you had predicted." if same else "You saw something other than you had predicted."
            self._after.children = (prose(f"<i>{told}</i>"), *self._after.children)

    def text(self) -> str:
        """The question; once it is answered also the reasons."""
        return f"{self.question.look}\n{self._listed() if self.choice is None else self.reasons()}"


def _question(name: str) -> Question:
    if name not in QUESTIONS:
        raise KeyError(f"there is no question '{name}'; there are: {', '.join(sorted(QUESTIONS))}")
    return QUESTIONS[name]


def predict(name: str) -> Gate:
    """The gate called *name*: answer it, and what depends on it opens."""
    return Gate(_question(name))


class Recall(Shown):
    """Questions about older lessons.  They hide nothing."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.gates = [predict(name) for name in names]
        self.box = widgets.VBox([gate.box for gate in self.gates])

    def answer_right(self) -> None:
        """Answer all as somebody who knows."""
        for gate in self.gates:
            gate.answer_right()

    def text(self) -> str:
        """The questions, one after the other."""
        return "\n\n".join(gate.text() for gate in self.gates)


def recall(*names: str) -> Recall:
    """Questions about older lessons."""
    return Recall(names)
