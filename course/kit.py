"""What a lesson asks with: gates that hide what follows, checks, claims.

A gate is private: what somebody answers is kept in memory, written nowhere, and not scored.  Everything has a text
twin (its ``repr``), which is what a screen reader, a test and a reader without widgets get; it is the same in every
run.  While a gate is unanswered the twin of what it hides is a fingerprint: a notebook stores that, so that it gives
nothing away and yet changes when a number does.  Without widgets one answers with ``gate.answer("b")``.

Nothing here knows a lesson: questions and exercises make themselves known with :func:`ask` and :func:`exercise`.
"""

from __future__ import annotations

import hashlib
import html
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ipywidgets as widgets

__all__ = [
    "Claim",
    "Finding",
    "Gate",
    "Option",
    "Question",
    "Report",
    "ask",
    "check",
    "claim",
    "exercise",
    "explain_back",
    "predict",
    "recall",
]

LETTERS = "ABCD"
_VIEW = "application/vnd.jupyter.widget-view+json"


@dataclass(frozen=True)
class Option:
    """One answer of a question.

    Attributes:
        text: what it says; at most 80 characters, so that it stays on one line.
        why: why it is right, or what one would have to believe to choose it.
        tag: the misconception it stands for, such as ``M14``; "" for the right answer.
    """

    text: str
    why: str
    tag: str = ""


@dataclass(frozen=True)
class Question:
    """A question with three or four options, of which one is right (it has no tag).

    Attributes:
        look: what is asked after the run; "" if the reasons may be shown as soon as it is answered.
    """

    name: str
    prompt: str
    options: tuple[Option, ...]
    look: str = ""


QUESTIONS: dict[str, Question] = {}
EXERCISES: dict[str, Callable[[Any], Report]] = {}


def ask(name: str, prompt: str, *options: Option, look: str = "") -> Question:
    """Make a question known.

    Raises:
        ValueError: if it has not three or four options, or not one right one, or an option has no reason.
    """
    if not 3 <= len(options) <= 4 or [it.tag for it in options].count("") != 1 or not all(it.why for it in options):
        raise ValueError(f"{name}: three or four options, each with a why; one without a misconception's tag")
    question = QUESTIONS[name] = Question(name, prompt, options, look)
    return question


# --- things to show ------------------------------------------------------------------------------------------------


def as_text(value: Any) -> str:
    """The text twin of what a lesson shows."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return "\n\n".join(filter(None, map(as_text, value)))
    return "" if _is_figure(value) else repr(value)


def as_widget(value: Any) -> widgets.Widget:
    """What a lesson shows, as a widget."""
    if isinstance(value, widgets.Widget):
        return value
    if isinstance(value, list | tuple):
        return widgets.VBox([as_widget(it) for it in value])
    if _is_figure(value):
        data = io.BytesIO()
        value.savefig(data, format="png", dpi=100, bbox_inches="tight")
        return widgets.Image(value=data.getvalue(), format="png", layout={"max_width": "100%", "width": "800px"})
    return widgets.HTML(f"<pre style='line-height: 1.3; margin: 0'>{html.escape(as_text(value))}</pre>")


def _is_figure(value: Any) -> bool:
    return hasattr(value, "savefig")


def _prose(text: str) -> widgets.Widget:
    return widgets.HTML(f"<div style='line-height: 1.4; max-width: 52em'>{text}</div>")


class Shown:
    """Something with a widget and a text twin."""

    box: widgets.Widget

    def text(self) -> str:
        """The text twin."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, **_: Any) -> Mapping[str, Any]:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        return {"text/plain": self.text(), _VIEW: view}


# --- gates ---------------------------------------------------------------------------------------------------------


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
        self.box = widgets.VBox([_prose(f"<b>{html.escape(prompt)}</b>"), self._radio, self._button, self._after])
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
        return "\n".join(f"  {letter}  {'right' if not it.tag else it.tag}: {it.why}" for letter, it in marked)

    def _show_reasons(self) -> None:
        parts = []
        for number, it in enumerate(self.question.options):
            mark = "right" if not it.tag else it.tag
            yours = " (your answer)" if number == self.choice else ""
            parts.append(f"<li><b>{mark}{yours}</b>: {html.escape(it.why)}</li>")
        self._after.children = (_prose(f"<ol type='A' style='margin-top: 0'>{''.join(parts)}</ol>"),)

    def _listed(self) -> str:
        marked = zip(LETTERS, self.question.options, strict=False)
        return "\n".join(f"  {letter}  {it.text}" for letter, it in marked)


class Gate(Choice):
    """A question that hides what follows until it is answered."""

    def __init__(self, question: Question) -> None:
        super().__init__(question, question.prompt, "That is my answer")
        self.waiting.append(self._note if question.look else self._show_reasons)

    def _note(self) -> None:
        self._after.children = (_prose("<i>Noted. The reasons come when you have seen the run.</i>"),)

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
        self._gate, self._values = gate, values
        note = _prose(f"<i>Answer {gate.question.name} above; what you see next depends on it.</i>")
        self.box = widgets.VBox([note])
        gate.waiting.append(self._open)
        if gate.choice is not None:
            self._open()

    def _open(self) -> None:
        self.box.children = tuple(map(as_widget, self._values))

    def text(self) -> str:
        """The text twin of what is hidden; before the gate is answered its fingerprint, and claims that fail."""
        told = as_text(self._values)
        if self._gate.choice is not None:
            return told
        failed = [it.text() for it in self._values if isinstance(it, Claim) and not it.holds]
        mark = hashlib.blake2b(told.encode(), digest_size=4).hexdigest()
        return "\n".join([f"hidden until {self._gate.question.name} is answered ({mark})", *failed])


class Look(Choice):
    """The second half of a gate: what was seen?  Then every option's reason."""

    def __init__(self, gate: Gate) -> None:
        super().__init__(gate.question, gate.question.look, "That is what I saw")
        self._gate = gate
        self.waiting.append(self._compare)

    def _compare(self) -> None:
        self._show_reasons()
        if self._gate.choice is not None:
            same = self.choice == self._gate.choice
            told = "You saw what you had predicted." if same else "You saw something other than you had predicted."
            self._after.children = (_prose(f"<i>{told}</i>"), *self._after.children)

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


# --- checks --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """One sentence about an answer; *tag* is the misconception that it looks like, or ""."""

    ok: bool
    text: str
    tag: str = ""


@dataclass(frozen=True)
class Report:
    """What :func:`check` found.

    Attributes:
        findings: sentence by sentence.
        trace: a run that shows what is wrong, to be played, or None.
    """

    name: str
    findings: tuple[Finding, ...] = ()
    trace: Any = field(default=None, compare=False)

    @property
    def ok(self) -> bool:
        """Whether everything is right."""
        return bool(self.findings) and all(it.ok for it in self.findings)

    @property
    def tags(self) -> tuple[str, ...]:
        """The misconceptions that the answer looks like."""
        return tuple(it.tag for it in self.findings if it.tag)

    def __repr__(self) -> str:
        if not self.findings:
            return f"{self.name}: not answered yet"
        lines = [f"{self.name}: {'right' if self.ok else 'not yet'}"]
        lines += [f"  {'yes' if it.ok else 'no '}  {it.text}" for it in self.findings]
        if self.trace is not None:
            lines.append(f"  a run of {len(self.trace.events)} steps shows it: show it with .play()")
        return "\n".join(lines)

    def play(self) -> Any:
        """The player of the run that shows what is wrong."""
        from vizlib.film import film
        from vizlib.player.widget import Player

        return "There is no run to show." if self.trace is None else Player(film(self.trace))


def exercise(name: str) -> Callable[[Callable[[Any], Report]], Callable[[Any], Report]]:
    """Make a function of an answer the check of exercise *name*."""

    def known(function: Callable[[Any], Report]) -> Callable[[Any], Report]:
        EXERCISES[name] = function
        return function

    return known


def check(name: str, answer: Any) -> Report:
    """Look at an answer to exercise *name*: a value or a function, as the exercise says; ``...`` is no answer yet.

    Nothing is stored.

    Raises:
        KeyError: if there is no such exercise.
    """
    if name not in EXERCISES:
        raise KeyError(f"there is no exercise '{name}'; there are: {', '.join(sorted(EXERCISES))}")
    if unanswered(answer):
        return Report(name)
    return EXERCISES[name](answer)


def unanswered(answer: Any) -> bool:
    """Whether *answer*, or a part of it, has been left as ``...``."""
    if isinstance(answer, Mapping):
        return any(map(unanswered, answer.values()))
    if isinstance(answer, Sequence) and not isinstance(answer, str):
        return any(map(unanswered, answer))
    return answer is ...


# --- claims --------------------------------------------------------------------------------------------------------


class Claim(Shown):
    """A sentence, and whether the run bears it out."""

    def __init__(self, sentence: str, holds: bool) -> None:
        self.sentence = sentence
        self.holds = holds
        self.box = as_widget(self.text())

    def text(self) -> str:
        """The sentence, with the verdict before it."""
        return f"{'shown:' if self.holds else 'NOT SO:'} {self.sentence}"


def claim(sentence: str, holds: Any) -> Claim:
    """State *sentence* and show whether it holds; inside ``gate.then(...)``, once that gate has been answered."""
    return Claim(sentence, bool(holds))


# --- what is kept --------------------------------------------------------------------------------------------------

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
        self.box = widgets.VBox([_prose(f"<b>{html.escape(prompt)}</b>"), self._line, button, self._said])

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
