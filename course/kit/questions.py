"""Questions with their options, and a reason for each."""

from __future__ import annotations

from dataclasses import dataclass


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


def ask(name: str, prompt: str, *options: Option, look: str = "") -> Question:
    """Make a question known.

    Raises:
        ValueError: if it has not three or four options, or not one right one, or an option has no reason.
    """
    if not 3 <= len(options) <= 4 or [it.tag for it in options].count("") != 1 or not all(it.why for it in options):
        raise ValueError(f"{name}: three or four options, each with a why; one without a misconception's tag")
    question = QUESTIONS[name] = Question(name, prompt, options, look)
    return question
