"""The tables for which lessons ask, most of them datum -> lock: what runs show, and an answer compared with it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from course.kit import Finding, Report
from course.looking import locksets
from sim.trace import Trace


def held_alone(data: Mapping[str, str], locks: Mapping[str, str], *traces: Trace) -> dict[str, str]:
    """For each datum which of *locks* was held alone at every change of it in the runs, or "none".

    *data* and *locks* say what the runs call (``PageTable.pte``) what the table calls by its own name.
    """
    found = locksets(*traces)
    names = {lock: name for name, lock in locks.items()}
    return {name: ", ".join(names[it] for it in found[kind] if it in names) or "none" for name, kind in data.items()}


def compared(
    name: str,
    answer: Mapping[str, str],
    right: Mapping[str, str],
    choices: Collection[str],
    wrong: Callable[[str, str], Finding],
    *,
    offered: str,
    data: str = "",
    praise: Callable[[str], str] = str,
) -> Report:
    """An answer to exercise *name*, row by row.

    Args:
        name: the exercise.
        answer: what the reader says of each datum.
        right: what is so; its keys are the data that there are.
        choices: what may be said of a datum.
        wrong: what is found about a datum of which something else was said.
        data: what there is, in a sentence about an answer that is none; ``data are PTE, mapcount`` if not given.
        offered: the choices in a sentence about an answer that is none: ``locks are ptl, none``.
        praise: how a right answer is told.
    """
    there = data or f"data are {', '.join(right)}"
    findings = []
    for datum, said in answer.items():
        if datum not in right or said not in choices:
            findings.append(Finding(False, f"'{datum}: {said}': {there}; {offered}."))
        elif right[datum] == said:
            findings.append(Finding(True, f"{datum}: {praise(said)}."))
        else:
            findings.append(wrong(datum, said))
    return Report(name, tuple(findings))
