"""Checks of exercises: what is right about an answer, and what a wrong one looks like."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from course.kit import kept


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
        answer: what was looked at.
    """

    name: str
    findings: tuple[Finding, ...] = ()
    trace: Any = field(default=None, compare=False)
    answer: Any = field(default=..., compare=False, repr=False)

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

    def keep(self) -> str:
        """Write the answer, and whether it is right, to ``answers.json``: for :func:`progress`, and to be handed in."""
        if not self.findings:
            return f"{self.name} is not answered yet, so there is nothing to keep."
        kept.keep(self.name, {"right": self.ok, "answer": kept.as_written(self.answer)})
        return f"{self.name} stands in {kept.ANSWERS} now, beside this notebook."

    def play(self) -> Any:
        """The player of the run that shows what is wrong."""
        from vizlib.film import film
        from vizlib.player.widget import Player

        return "There is no run to show." if self.trace is None else Player(film(self.trace))


EXERCISES: dict[str, Callable[[Any], Report]] = {}


def exercise(name: str) -> Callable[[Callable[[Any], Report]], Callable[[Any], Report]]:
    """Make a function of an answer the check of exercise *name*."""

    def known(function: Callable[[Any], Report]) -> Callable[[Any], Report]:
        EXERCISES[name] = function
        return function

    return known


def check(name: str, answer: Any) -> Report:
    """Look at an answer to exercise *name*: a value or a function, as the exercise says; ``...`` is no answer yet.

    Nothing is stored, unless the learner calls :meth:`Report.keep`.

    Raises:
        KeyError: if there is no such exercise.
    """
    if name not in EXERCISES:
        raise KeyError(f"there is no exercise '{name}'; there are: {', '.join(sorted(EXERCISES))}")
    if unanswered(answer):
        return Report(name)
    return replace(EXERCISES[name](answer), answer=answer)


def unanswered(answer: Any) -> bool:
    """Whether *answer*, or a part of it, has been left as ``...``."""
    if isinstance(answer, Mapping):
        return any(map(unanswered, answer.values()))
    if isinstance(answer, Sequence) and not isinstance(answer, str):
        return any(map(unanswered, answer))
    return answer is ...
