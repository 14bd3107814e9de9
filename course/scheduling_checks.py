"""The exercises of lesson 3: who is what, a schedule that goes wrong, where the lock goes, what needs one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from errno import EBUSY
from functools import cache
from typing import Final

from course.guarding import compared, held_alone
from course.kit import Finding, Report, exercise
from course.misconceptions import named
from course.scheduling import (
    PARAMS,
    STATES,
    WORLD,
    WRONG,
    certified,
    contended,
    followed,
    isolating,
    preemptions,
    states,
)  # fmt: skip
from course.unyielded import slips, without_steps
from course.verdicts import judge
from sim import Stepper, Variant, run
from sim.context import Context
from sim.errors import UserError
from sim.kernel.swap import get_page
from sim.kernel.vmscan import isolate_lru_page
from sim.ops import Acquire, Field, Kernel, Write
from sim.structs import Mm, Page
from sim.sync import spin_lock, spin_unlock
from sim.trace import Trace


def known() -> None:
    """Importing this module has made its exercises known."""


# --- 03.2: running, runnable, blocked ------------------------------------------------------------------------------


@cache
def standing() -> dict[str, tuple[str, ...]]:
    """At each moment of the run what the two threads are."""
    trace, moments = contended()
    return {letter: tuple(states(trace, step).values()) for letter, step in moments.items()}


@exercise("L03.2")
def who_is_what(answer: Mapping[str, Sequence[str]]) -> Report:
    """A table moment -> (what migrator-1 is, what migrator-2 is), compared with the run."""
    findings = []
    for moment, said in answer.items():
        if moment not in standing() or len(said) != 2 or set(said) - set(STATES):
            told = f"'{moment}: {said}': the moments are {', '.join(standing())}; two of {', '.join(STATES)} for each."
            findings.append(Finding(False, told))
        elif tuple(said) == standing()[moment]:
            findings.append(Finding(True, f"{moment}: migrator-1 {said[0]}, migrator-2 {said[1]}."))
        else:
            findings.append(_not_so(moment, tuple(said)))
    return Report("L03.2", tuple(findings))


def _not_so(moment: str, said: tuple[str, ...]) -> Finding:
    right = standing()[moment]
    told, tag = "Look at who makes the next step, in the lanes to the right of that moment: that one is running.", "M2"
    if said.count("running") > 1:
        told = "Steps come one after the other in a run: one thread makes the next, and one only."
    elif [it == "blocked" for it in said] != [it == "blocked" for it in right]:
        told, tag = "Who waits for a mutex sleeps, and cannot be chosen; who was stopped or woken can.", "M6"
    return Finding(False, f"{moment}: {told} {named(tag)}", tag)


# --- 03.3: a schedule that goes wrong ------------------------------------------------------------------------------


@exercise("L03.3")
def bring_it_about(answer: str) -> Report:
    """A schedule after which both threads have taken the page, with no more preemptions than the checker needs."""
    try:
        trace = followed(str(answer))
    except UserError as fault:
        return Report("L03.3", (Finding(False, f"{fault}."),))
    par, mine = certified().preemptions, preemptions(trace)
    if trace.violation is None or trace.violation.kind != WRONG:
        return Report("L03.3", (_why_not(trace),), trace)
    told = f"{trace.violation.sentence}, after {len(trace.events)} steps, with {_times(mine)}."
    if mine > par:
        told = f"Both have it: {told} It can be done with {_times(par)}. {named('M2')}"
        return Report("L03.3", (Finding(False, told, "M2"),), trace)
    return Report("L03.3", (Finding(True, f"{told} Nobody can do it with fewer."),), trace)


def _times(number: int) -> str:
    return f"{number} preemption{'s' * (number != 1)}"


def _why_not(trace: Trace) -> Finding:
    looked: list[tuple[str, int]] = []
    taken = 0
    for event in trace.events:
        field = getattr(event.op, "field", event.op)
        if isinstance(field, Field) and field.base == "PG_lru":
            if event.op is field:
                looked.append((event.task.name, event.step))
            taken = taken or next((event.step for it in event.changes if it.new is False), 0)
    if len(looked) < 2:
        return Finding(False, "The run ends before both have looked whether the page is on the list: let them go on.")
    if taken and looked[1][1] > taken:
        told = f"{looked[1][0]} looks at step {looked[1][1]}, and the page was taken off at step {taken}: too late."
        return Finding(False, f"{told} Stop the first one earlier. {named('M1')}", "M1")
    return Finding(False, "Both have seen the page on the list; now let both take it.")


# --- 03.4: where does the lock go? ---------------------------------------------------------------------------------

#: The lines, in the order of the alphabet; look and take stand in each answer.
LINES: Final[Mapping[str, str]] = {
    "lock": "take a lock that both threads share",
    "lock mine": "take a lock of this thread's own",
    "look": "is the page on the list?",
    "take": "if it was: take it off, with a reference",
    "unlock": "give the shared lock back",
    "unlock mine": "give the lock of its own back",
}


def by_lines(lines: Sequence[str]) -> Callable[..., Kernel]:
    """``isolate_lru_page`` that does *lines* in their order; what is taken before it was looked at is taken unseen."""
    todo = tuple(lines)

    def isolate(k: Context, page: Page) -> Kernel:
        shared = k.mm.page_table_lock
        mine = Mm(f"{k.current}'s own").page_table_lock
        rest, on_the_list, taken = todo, True, False
        while rest:
            line, rest = rest[0], rest[1:]
            if line == "look":
                on_the_list = yield page.PG_lru
            elif line == "take" and on_the_list:
                yield page.PG_lru.set(False)
                yield from get_page(k, page)
                taken = True
            elif line.startswith("lock"):
                yield from spin_lock(shared if line == "lock" else mine)
            elif line.startswith("unlock"):
                yield from spin_unlock(shared if line == "unlock" else mine)
        return 0 if taken else -EBUSY

    return isolate


@exercise("L03.4")
def place_the_lock(answer: Sequence[str]) -> Report:
    """Lines in an order; every schedule is tried, and a bad one can be played."""
    foreign = [f"'{it}' is no line." for it in answer if it not in LINES]
    if foreign or list(answer).count("look") != 1 or list(answer).count("take") != 1:
        faults = foreign or ["'look' and 'take' stand in it once each."]
        return Report("L03.4", tuple(Finding(False, it) for it in faults))
    verdict = judge(isolating("my_lines", by_lines(answer), ours=True), WORLD, **PARAMS)
    if verdict.violation is None:
        return Report("L03.4", (Finding(True, f"{verdict.sentence}."),))
    if list(answer).index("take") < list(answer).index("look"):
        told = "look comes before take: who takes a page unseen takes it from somebody else."
        return Report("L03.4", (Finding(False, told), _bad(verdict.sentence, "")), verdict.trace)
    if kept := [it for it in ("lock", "lock mine") if list(answer).count(it) > list(answer).count(f"un{it}")]:
        told = f"'{kept[0]}' is never given back: the function ends and holds it, and what comes then goes wrong."
        return Report("L03.4", (Finding(False, told), _bad(verdict.sentence, "")), verdict.trace)
    tag = _line_tag(list(answer)) if verdict.violation.kind == WRONG else ""
    return Report("L03.4", (_bad(verdict.sentence, tag),), verdict.trace)


def _bad(sentence: str, tag: str) -> Finding:
    return Finding(False, f"{sentence}. {named(tag)}" if tag else f"{sentence}.", tag)


def _line_tag(lines: list[str]) -> str:
    if "lock mine" in lines:
        return "M5"
    if "lock" not in lines or "unlock" not in lines:
        return "M1"
    between = lines[min(lines.index("look"), lines.index("take")) : max(lines.index("look"), lines.index("take"))]
    return "M1" if "unlock" in between and "lock" not in between else "M4"


# --- 03.5: what needs a lock? --------------------------------------------------------------------------------------

LOCKS: Final[Mapping[str, str]] = {"ptl": "PageTable.ptl", "page lock": "Page.PG_locked", "none": ""}
DATA: Final[Mapping[str, str]] = {
    "PTE": "PageTable.pte",
    "mapcount": "Page._mapcount",
    "references": "Page._count",
    "PG_lru": "Page.PG_lru",
}


@cache
def observed() -> dict[str, str]:
    """For each datum the lock that was held alone at every change of it, in runs of four worlds of Linux 3.7."""
    worlds = ("two_migrators", "stack_grows", "one_page", "neighbour_faults")
    return held_alone(DATA, LOCKS, *(Stepper(world, "mutex_v37").finish().trace for world in worlds))


@exercise("L03.5")
def lock_table(answer: Mapping[str, str]) -> Report:
    """A table datum -> lock, compared with the locks that were held at every change in the runs."""
    return compared("L03.5", answer, observed(), LOCKS, _wrong_lock, offered=f"locks are {', '.join(LOCKS)}")


def _wrong_lock(datum: str, lock: str) -> Finding:
    if observed()[datum] == "none":
        told = f"{datum}: one step looks at it and changes it, so that nobody comes between; no lock is held each time."
        return Finding(False, f"{told} {named('M5')}", "M5")
    if lock == "none":
        told = f"{datum}: in the runs one lock was held alone at every change of it. Which? See *Locks* at such a step."
        return Finding(False, told)
    return Finding(False, f"{datum}: the runs change it without holding the {lock} alone. {named('M4')}", "M4")


# --- 03.6: the function --------------------------------------------------------------------------------------------


@exercise("L03.6")
def isolate(function: Callable[..., Kernel]) -> Report:
    """A reader's ``isolate_lru_page(k, page)``: one thread takes the page and moves it, in every schedule.

    Then eight threads must move at least 90 % of what they move with the kernel's own.
    """
    if not inspect.isgeneratorfunction(function):
        return without_steps("L03.6", function)
    mine = isolating("mine", function)
    try:
        verdict = judge(mine, WORLD, **PARAMS)
        alone = Stepper(WORLD, mine, "", **PARAMS).run("migrator-1").run("ipi@cpu1").finish().trace
    except UserError as fault:
        return Report("L03.6", (*slips(function, value=True), Finding(False, f"{fault}.")))
    if verdict.trace is not None and verdict.violation is not None:
        if why := slips(function, value=True) or _took_nothing(verdict.trace):
            return Report("L03.6", (*why, _bad(verdict.sentence, "")), verdict.trace)
        tag = _isolate_tag(verdict.trace, function.__name__) if verdict.violation.kind == WRONG else ""
        return Report("L03.6", (_bad(verdict.sentence, tag),), verdict.trace)
    findings = [Finding(True, f"{verdict.sentence}.")]
    frame = Page("f0")
    if not alone.memory_at(len(alone.events)).get(frame.life, False):
        told = "But nobody moves the page: a function that takes nothing hurts nobody. Return 0 when it was taken."
        return Report("L03.6", (*findings, Finding(False, told)), alone)
    findings.append(Finding(True, "The page is moved, by one of the two."))
    return Report("L03.6", (*findings, _fast_enough(mine)))


#: What part of the kernel's own throughput a function must keep.
ENOUGH: Final = 0.9


def _pages_per_second(mine: Variant) -> float:
    """Simulated: eight threads that move eight pages each."""
    found = run("movers", mine, threads=8, pages=8)
    return 0 if found.violation else found.pages_per_second


@cache
def _kernels_own() -> float:
    return _pages_per_second(isolating("kernels_own", isolate_lru_page))


def _fast_enough(mine: Variant) -> Finding:
    part = _pages_per_second(mine) / _kernels_own()
    told = f"Eight threads move {100 * part:.0f} % of what they move with the kernel's own (simulated)"
    if part >= ENOUGH:
        return Finding(True, f"{told}.")
    return Finding(False, f"{told}; {100 * ENOUGH:.0f} % are wanted. Which lock is one too many? {named('M5')}", "M5")


def _took_nothing(trace: Trace) -> tuple[Finding, ...]:
    """Whether somebody says 0 who has found the page off the list; its answer is seen by the note that it makes."""
    found: dict[str, bool] = {}
    for event in trace.events:
        field, who = getattr(event.op, "field", event.op), event.task.name
        base = field.base if isinstance(field, Field) else ""
        if base == "PG_lru" and not isinstance(event.op, Write):
            found[who] = bool(event.answer)
        elif base == "taken_by" and not isinstance(event.op, Write) and not found.get(who, True):
            told = f"{who} finds the page off the list at its last look, and is answered 0 all the same: return -EBUSY."
            return (Finding(False, told),)
    return ()


def _isolate_tag(trace: Trace, name: str) -> str:
    """What a wrong function looks like: no lock at all, or one that does not cover both look and take."""
    events = zip(trace.events, trace.stacks, strict=True)
    locks = [stack for event, stack in events if isinstance(event.op, Acquire)]
    return "M4" if any(name in {it.function for it in stack} for stack in locks) else "M1"
