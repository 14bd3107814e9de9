"""The exercises of lesson 4: whose lock is it, which profile has which cause, where does the curve bend?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from course.guarding import compared
from course.kit import Finding, Report, exercise
from course.misconceptions import named
from sim import Stepper, profile, run
from sim.analysis.profile import Profile
from sim.engines.costs import DEFAULT, Costs
from sim.engines.timed_run import TimedRun
from sim.ops import EXCLUSIVE, Acquire, TryAcquire


def known() -> None:
    """Importing this module has made its exercises known."""


# --- 04.2: which profile has which cause? --------------------------------------------------------------------------

#: What lies behind each of the three profiles.
CAUSES: Final[Mapping[str, tuple[str, str]]] = {
    "the lock is handed to whoever waits longest": ("mutex_v37", "handoff"),
    "a running thread may take the lock first": ("mutex_v37", "steal"),
    "the walks share the lock": ("rwsem_v38", "handoff"),
}

_SHOWN: Final = {"A": 2, "B": 0, "C": 1}


@cache
def profiles() -> dict[str, Profile]:
    """The three profiles of the puzzle, by letter."""
    ways = list(CAUSES.values())
    return {
        letter: profile(run("numa02", ways[at][0], policy=ways[at][1], threads=8, pages=32, seed=2))
        for letter, at in _SHOWN.items()
    }


def puzzle() -> str:
    """Three profiles in a line or two each, without their names."""
    lines = []
    for letter, it in profiles().items():
        lines.append(
            f"{letter}  {it.switches} context switches, {it.anon_vma} of them on the anon_vma lock (simulated)"
        )
        lines += [f"     {branch.share:6.2f} %  {branch.site}" for branch in it.branches]
    return "\n".join(lines)


@exercise("L04.2")
def causes(answer: Mapping[str, Any]) -> Report:
    """A letter for each profile, with the number of its cause (1, 2 or 3, in the order of the text)."""
    findings = []
    for letter, number in answer.items():
        if letter not in _SHOWN or number not in (1, 2, 3):
            findings.append(Finding(False, f"'{letter}: {number}': the profiles are A, B, C; the causes are 1, 2, 3."))
            continue
        cause = list(CAUSES)[int(number) - 1]
        if _SHOWN[letter] == int(number) - 1:
            findings.append(Finding(True, f"{letter}: {cause}."))
        else:
            findings.append(_wrong_cause(letter, int(number) - 1))
    return Report("L04.2", tuple(findings))


def _wrong_cause(letter: str, guess: int) -> Finding:
    it = profiles()[letter]
    if it.anon_vma == 0:
        return Finding(False, f"{letter}: nobody slept for the anon_vma lock here. {named('M7')}", "M7")
    if guess == 2:
        return Finding(
            False, f"{letter}: threads slept for the lock, so the walks did not share it. {named('M8')}", "M8"
        )
    told = f"{letter}: look at the branches: who sleeps at the second walk, and who does not?"
    return Finding(False, f"{told} {named('M2')}", "M2")


# --- 04.3: whose lock is it? ---------------------------------------------------------------------------------------

SCOPES: Final = ("each page", "each 2 MiB", "all, alone", "all, together")

_KINDS: Final[Mapping[str, str]] = {
    "page lock": "Page.PG_locked",
    "ptl": "PageTable.ptl",
    "anon_vma lock": "AnonVma.mutex",
    "mmap_sem": "Mm.mmap_sem",
}


@cache
def scopes() -> dict[str, str]:
    """For each lock who has to share it, from a run of two threads with two pages each."""
    trace = Stepper("numa02", "mutex_v37", "", threads=2, pages=2, nodes=2).finish().trace
    objects: dict[str, set[Any]] = {}
    alone: dict[str, bool] = {}
    for event in trace.events:
        if isinstance(event.op, Acquire | TryAcquire):
            kind = f"{type(event.op.lock.ref).__name__}.{event.op.lock.base}"
            objects.setdefault(kind, set()).add(event.op.lock.ref)
            alone[kind] = event.op.mode == EXCLUSIVE
    found = {}
    for name, kind in _KINDS.items():
        number = len(objects[kind])
        found[name] = "each page" if number > 2 else "each 2 MiB" if number == 2 else "all, together"
        if number == 1 and alone[kind]:
            found[name] = "all, alone"
    return found


@exercise("L04.3")
def scope_table(answer: Mapping[str, str]) -> Report:
    """A table lock -> one for what, compared with the locks that a run of two threads takes."""
    data, offered = f"locks are {', '.join(_KINDS)}", f"answers: {SCOPES}"
    return compared("L04.3", answer, scopes(), SCOPES, _wrong_scope, data=data, offered=offered)


def _wrong_scope(lock: str, scope: str) -> Finding:
    if lock == "anon_vma lock" and scope in ("each page", "each 2 MiB"):
        told, tag = "both threads take the same one.", "M19"
    elif lock == "mmap_sem":
        told, tag = "both threads hold it at once, for reading.", "M4"
    elif scope == "each page":
        told, tag = "two pages of a thread share one.", "M19"
    else:
        told, tag = "count the objects that the two threads lock.", "M5"
    return Finding(False, f"{lock}: {told} {named(tag)}", tag)


# --- 04.4: where does the curve bend? ------------------------------------------------------------------------------


class PerPage(NamedTuple):
    """What moving one page takes, in nanoseconds: while the anon_vma lock is held, and outside it."""

    locked_ns: float
    work_ns: float


def locked_time(timed: TimedRun) -> int:
    """For how long the anon_vma's mutex was held in a run that recorded its events, in nanoseconds."""
    since, total = 0, 0
    for event, time in zip(timed.events, timed.times, strict=True):
        for change in event.changes:
            if change.field.base == "mutex" and type(change.field.ref).__name__ == "AnonVma":
                total += time - since if change.old is not None else 0
                since = time
    return total


def no_hand_over(costs: Costs = DEFAULT) -> Costs:
    """*costs*, but going to sleep and being woken take no time."""
    for name in ("sleep", "wake_up", "wake_latency"):
        costs = costs.with_(name, 0)
    return costs


@cache
def per_page(threads: int, costs: Costs = DEFAULT) -> PerPage:
    """What a page takes, measured: the lock with that many threads and free hand-over, the rest with one thread."""
    many = run("numa02", threads=threads, pages=32, costs=no_hand_over(costs), record=True)
    one = run("numa02", threads=1, pages=32, costs=costs, record=True)
    work = (one.elapsed_ns - locked_time(one)) / one.pages_migrated
    return PerPage(locked_time(many) / many.pages_migrated, work)


#: Another machine: copying a page between nodes takes 25 times as long.  [assumed: illustrative]
SLOW_COPY: Final = DEFAULT.with_("copy_page_remote", 20_000)

#: The cases that a formula is tried on: threads, costs.
CASES: Final = ((1, "the usual costs"), (8, "the usual costs"), (2, "slow copies, free hand-over"),
                (16, "slow copies, free hand-over"))  # fmt: skip

NEAR: Final = 0.15


@exercise("L04.4")
def throughput(function: Callable[[int, float, float, float], Any]) -> Report:
    """A reader's ``pages_per_second(threads, work_ns, locked_ns, hand_over_ns)``: within 15 % of the simulation."""
    findings, ratios = [], []
    for threads, name in CASES:
        costs = DEFAULT if name == "the usual costs" else no_hand_over(SLOW_COPY)
        page, hand_over = per_page(threads, costs), costs["wake_latency"]
        said = function(threads, page.work_ns, page.locked_ns, hand_over)
        if said is None:
            return Report("L04.4")
        ratio = said / run("numa02", threads=threads, pages=32, costs=costs).pages_per_second
        ratios.append(ratio)
        who = "1 thread" if threads == 1 else f"{threads} threads"
        given = f"{page.work_ns:,.0f} ns of work, {page.locked_ns:,.0f} under the lock, {hand_over:,} a hand-over"
        off = f"{100 * (ratio - 1):+.0f} % from the simulated ones"
        told = f"{who}, {name} ({given}): {said:,.0f} pages/s, {off}."
        findings.append(Finding(abs(ratio - 1) <= NEAR, told))
    if not all(it.ok for it in findings):
        findings.append(_missing(ratios))
    return Report("L04.4", tuple(findings))


def _missing(ratios: list[float]) -> Finding:
    """What a wrong formula forgets: a unit, a bound, the hand-over, or that one thread needs none."""
    if max(ratios) < 1e-6:
        return Finding(False, "The times are in nanoseconds, and wanted are pages per second: 1e9 ns are a second.")
    if ratios[3] > 1 + NEAR:
        return Finding(False, f"More threads cannot hold the lock for more than all of the time. {named('M2')}", "M2")
    if ratios[1] > 1 + NEAR:
        return Finding(False, f"Whoever slept for the lock runs only after the hand-over. {named('M6')}", "M6")
    return Finding(False, f"One thread alone waits for nobody, so that nothing is handed over. {named('M8')}", "M8")
