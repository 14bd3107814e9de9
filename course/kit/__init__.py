"""What a lesson asks with: gates that hide what follows, checks, claims.

A gate is private: what somebody answers is kept in memory, written nowhere, and not scored.  Everything has a text
twin (its ``repr``), which is what a screen reader, a test and a reader without widgets get; it is the same in every
run.  While a gate is unanswered the twin of what it hides is a fingerprint: a notebook stores that, so that it gives
nothing away and yet changes when a number does.  Without widgets one answers with ``gate.answer("b")``.

Nothing here knows a lesson: questions and exercises make themselves known with :func:`ask` and :func:`exercise`.

shown.py      a widget, and the same as text; claims, drawings
questions.py  questions with their options
gates.py      predict(), recall()
checks.py     check()
kept.py       explain_back() and what a learner keeps: the only thing that writes a file
"""

from __future__ import annotations

from course.kit.checks import EXERCISES, Finding, Report, check, exercise
from course.kit.gates import Gate, predict, recall
from course.kit.kept import explain_back
from course.kit.questions import QUESTIONS, Option, Question, ask
from course.kit.shown import Claim, Drawing, Shown, as_text, as_widget, claim

__all__ = [
    "EXERCISES",
    "QUESTIONS",
    "Claim",
    "Drawing",
    "Finding",
    "Gate",
    "Option",
    "Question",
    "Report",
    "Shown",
    "as_text",
    "as_widget",
    "ask",
    "check",
    "claim",
    "exercise",
    "explain_back",
    "predict",
    "recall",
]
