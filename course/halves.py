"""Half a fix (lesson 8): two walks and their shares of one lock; a function with two families of callers, its split."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from statistics import fmean
from typing import Any, Final, NamedTuple

from course.bottleneck import NEAR, no_hand_over
from course.kit import Finding, Report, exercise
from course.looking import kind_of, table
from course.misconceptions import named
from course.unyielded import slips, without_steps
from course.verdicts import Judgement, judge
from sim import Stepper, Variant, lockstat, run, variant
from sim.context import Context
from sim.engines.costs import DEFAULT, Costs
from sim.errors import UserError
from sim.kernel.interval_tree import anon_vma_interval_tree_iter_first, anon_vma_interval_tree_iter_next
from sim.kernel.rmap import (
    SWAP_AGAIN,
    TTU_MIGRATION,
    is_vma_temporary_stack,
    page_mapped,
    try_to_unmap_one,
    vma_address,
)
from sim.ops import Kernel
from sim.structs import AnonVma, Page
from sim.variants import rfc_split_unlocked
from sim.worlds.callers import CALLERS


def known() -> None:
    """Importing this module has made its exercises known."""


# --- two walks, one lock -------------------------------------------------------------------------------------------

#: The walks, and the functions in which they ask for the lock.
WALKS: Final[Mapping[str, str]] = {"the unmap walk": "page_lock_anon_vma", "the remap walk": "rmap_walk_anon"}

THREADS, PAGES = 8, 8


class Halves(NamedTuple):
    """What the two walks have of one lock.

    Attributes:
        sleeps: how often a walk slept for it, where a released lock goes to whoever has slept longest.
        held_ns: for how long a walk holds it for one page, where handing it over takes no time.
    """

    sleeps: Mapping[str, int]
    held_ns: Mapping[str, float]

    def __str__(self) -> str:
        rows = {}
        for walk, slept in self.sleeps.items():
            sleeps, held = (f"{share(it, walk):7.1%}" for it in (self.sleeps, self.held_ns))
            rows[walk] = f"{slept:8}{sleeps}{self.held_ns[walk]:18,.0f} ns{held}"
        head = f"{THREADS} threads of numa02, Linux 3.7 (simulated)"
        return "\n".join([head, table({"": f"{'sleeps':>15}{'held for a page':>28}", **rows})])


def share(parts: Mapping[str, float], name: str) -> float:
    """What part of the whole *name* has, between 0 and 1."""
    return parts[name] / sum(parts.values())


def halves(costs: Costs = DEFAULT, pages: int = PAGES) -> Halves:
    """How often each of the two walks sleeps for the anon_vma's mutex, and for how long it then has it; simulated."""
    slept, free = (
        lockstat("numa02", "mutex_v37", threads=THREADS, pages=pages, costs=it)["AnonVma.mutex"]
        for it in (costs, no_hand_over(costs))
    )
    return Halves(
        {walk: slept.wait_sites[site].count for walk, site in WALKS.items()},
        {walk: free.hold_sites[site].mean for walk, site in WALKS.items()},
    )


@cache
def ways() -> Mapping[str, Variant]:
    """Which walk takes the lock: Linux 3.7, the patch, its other half, neither, and both together as in Linux 3.8."""
    unmap_unlocked = variant("mutex_v37").changed(
        "unmap_unlocked",
        page_lock_anon_vma=rfc_split_unlocked.page_lock_anon_vma,
        page_unlock_anon_vma=rfc_split_unlocked.page_unlock_anon_vma,
    )
    return {
        "both walks": variant("mutex_v37"),
        "the unmap walk": variant("rfc_remap_unlocked"),
        "the remap walk": unmap_unlocked,
        "neither": variant("rfc_split_unlocked"),
        "both, shared": variant("rwsem_v38"),
    }


@cache
def pages_per_second(way: str, costs: Costs = DEFAULT, pages: int = PAGES) -> float:
    """Simulated: what eight threads of numa02 move if the lock is taken in that *way*, the mean of two runs."""
    runs = (run("numa02", ways()[way], threads=THREADS, pages=pages, costs=costs, seed=seed) for seed in (1, 2))
    return fmean(it.pages_per_second for it in runs)


def throughputs(costs: Costs = DEFAULT, pages: int = PAGES) -> dict[str, float]:
    """Simulated pages per second for each of :func:`ways`."""
    return {way: pages_per_second(way, costs, pages) for way in ways()}


# --- three ways out ------------------------------------------------------------------------------------------------

#: What was thought of for try_to_unmap, and what was there before: the variant, and its name in :func:`ways`.
OUT: Final[Mapping[str, tuple[str, str]]] = {
    "Linux 3.7": ("mutex_v37", "both walks"),
    "a flag, as mailed": ("rfc_as_posted", ""),
    "a split": ("rfc_split_unlocked", "neither"),
    "Linux 3.8": ("rwsem_v38", "both, shared"),
}

#: Where they are tried: one page, a page that is swapped out, a thread that does not move pages.
TRIED: Final = ("one_page", "reclaim_vs_exit", "stack_grows")


class Weighed(NamedTuple):
    """A way out: what goes wrong in each world ("" for nothing), and how much it moves; 0 if it stops at once."""

    wrong: Mapping[str, str]
    pages_per_second: float

    def __str__(self) -> str:
        kinds = " ".join(f"{it or 'right':21}" for it in self.wrong.values())
        return f"{kinds} {f'{self.pages_per_second:,.0f}' if self.pages_per_second else 'stops':>18}"


def weighed(worlds: Sequence[str] = TRIED) -> dict[str, Weighed]:
    """For each way out the verdict of every schedule of *worlds*, and the simulated pages per second of numa02."""
    found = {}
    for out, (name, way) in OUT.items():
        verdicts = {world: judge(variant(name), world) for world in worlds}
        wrong = {world: it.violation.kind if it.violation else "" for world, it in verdicts.items()}
        found[out] = Weighed(wrong, pages_per_second(way) if way else 0)
    return found


def scales(rows: Mapping[str, Weighed]) -> str:
    """The rows of :func:`weighed` as a table."""
    head = " ".join(f"{it:21}" for it in TRIED)
    return table({"": f"{head} {'pages/s, simulated':>18}", **rows})


# --- 08.2: what does a caller hold? --------------------------------------------------------------------------------

#: What a caller may hold when its unmap walk begins, and how the runs call it.
HELD: Final[Mapping[str, str]] = {
    "page lock": "Page.PG_locked",
    "mmap_sem": "Mm.mmap_sem",
    "anon_vma lock": "AnonVma.mutex",
    "reference": "AnonVma.refcount",
}

ASKED: Final = ("move_pages", "NUMA fault", "compaction", "reclaim")


@cache
def holding() -> dict[str, frozenset[str]]:
    """For each caller what it holds when its unmap walk begins, from a run of each under Linux 3.7."""
    numbers = {name: number for number, name in enumerate(CALLERS)}
    return {name: frozenset(_at_the_walk(numbers[name])) for name in ASKED}


def _at_the_walk(caller: int) -> list[str]:
    trace = Stepper("caller_and_disturber", "mutex_v37", "", caller=caller).finish().trace
    memory, references = dict(trace.initial), 0
    for event in trace.events:
        if str(event.task) == "caller":
            if "unmap_walk" in event.points:
                kinds = {kind_of(lock) for lock, _ in memory[event.task.held]}
                kinds |= {"AnonVma.refcount"} if references else set()
                return [name for name, kind in HELD.items() if kind in kinds]
            references += sum(it.new - it.old for it in event.changes if kind_of(it.field) == "AnonVma.refcount")
        memory.update((change.field, change.new) for change in event.changes)
    raise ValueError(f"caller {caller} does not come to its walk")


@exercise("L08.2")
def what_callers_hold(answer: Mapping[str, Collection[str]]) -> Report:
    """A table caller -> what it holds when its unmap walk begins, compared with the runs."""
    findings = []
    for caller, held in answer.items():
        if caller not in ASKED or isinstance(held, str) or not set(held) <= set(HELD):
            told = f"'{caller}: {held}': callers are {', '.join(ASKED)}; each has a tuple of {', '.join(HELD)}."
            findings.append(Finding(False, told))
        elif set(held) == holding()[caller]:
            findings.append(Finding(True, f"{caller}: {', '.join(held)}."))
        else:
            findings.append(_not_held(caller, set(held)))
    return Report("L08.2", tuple(findings))


def _not_held(caller: str, said: set[str]) -> Finding:
    more, less = said - holding()[caller], holding()[caller] - said
    if more:
        told, tag = f"in the run it has no {' and no '.join(sorted(more))}. Others have it, whom you know.", "M21"
    elif "anon_vma lock" in less:
        told, tag = "it takes the anon_vma lock as well: what else it holds keeps no tree still.", "M20"
    elif "reference" in less:
        told, tag = "it has a reference to the anon_vma as well, to find it again when nobody maps the page.", "M10"
    else:
        told, tag = f"it holds the {' and the '.join(sorted(less))} as well.", "M4"
    return Finding(False, f"{caller}: {told} {named(tag)}", tag)


# --- 08.3: how much does the lock let through? ---------------------------------------------------------------------

BOUNDED: Final = ("both walks", "the unmap walk", "the remap walk")


@exercise("L08.3")
def let_through(answer: Mapping[str, float]) -> Report:
    """For each set of walks that take the lock the most pages per second; handing over is free.  Within 15 %."""
    findings = []
    for way, most in answer.items():
        if way not in BOUNDED or not isinstance(most, int | float):
            findings.append(Finding(False, f"'{way}: {most}': a number for each of {', '.join(BOUNDED)}."))
            continue
        ratio = most / pages_per_second(way, no_hand_over())
        told = f"{way}: {most:,.0f} pages/s, {100 * (ratio - 1):+.0f} % from the simulated ones."
        findings.append(Finding(True, told) if abs(ratio - 1) <= NEAR else _not_let_through(way, told, ratio))
    return Report("L08.3", tuple(findings))


def _not_let_through(way: str, told: str, ratio: float) -> Finding:
    if ratio < 1:
        return Finding(False, f"{told} For how long is the lock held in this case?")
    if ratio > THREADS / 2 and way != "the remap walk":
        why, tag = "One thread has the lock at a time, however many there are.", "M2"
    elif way == "the remap walk":
        why, tag = "Without any lock fewer are moved than that: something else is full by then.", "M8"
    else:
        why, tag = "Half of the sleeps is not half of the time: this walk is the longer one.", "M7"
    return Finding(False, f"{told} {why} {named(tag)}", tag)


# --- 08.4: two wrappers --------------------------------------------------------------------------------------------


def unmap_walk(k: Context, page: Page, anon_vma: AnonVma, flags: int) -> Kernel:
    """Visit every VMA that may map *page*, until none does: the middle of ``try_to_unmap_anon``, which locks around it.

    Caller holds the page lock, and sees to it that *anon_vma* stays and that nobody changes its tree.
    mm/rmap.c:1470 (v3.7)
    """
    ret = SWAP_AGAIN
    pgoff = yield page.index
    avc = yield from anon_vma_interval_tree_iter_first(k, anon_vma, pgoff, pgoff)
    while avc is not None:
        vma = yield avc.vma
        temporary = False
        if flags & TTU_MIGRATION:
            temporary = yield from is_vma_temporary_stack(k, vma)
        if not temporary:
            address = yield from vma_address(k, pgoff, vma)
            ret = yield from try_to_unmap_one(k, page, vma, address, flags)
            if ret != SWAP_AGAIN:
                break
            mapped = yield from page_mapped(k, page)
            if not mapped:
                break
        avc = yield from anon_vma_interval_tree_iter_next(k, avc, pgoff, pgoff)
    return ret


Wrapper = Callable[..., Any]


def split(reclaim: Wrapper, migration: Wrapper) -> Variant:
    """Linux 3.8, but reclaim unmaps a page by the one function and migration by the other."""

    def try_to_unmap(k: Context, page: Page, flags: int) -> Kernel:
        """What the two callers would call by name.  The seam is mm/rmap.c:1630 (v3.7)."""
        if flags & TTU_MIGRATION:
            ret = yield from migration(k, page, flags)
        else:
            ret = yield from reclaim(k, page, flags)
        return ret

    return variant("rwsem_v38").changed("my_split", "two functions in place of one", try_to_unmap=try_to_unmap)


#: Where the two are checked: what is tried, the world, its parameters, and whether it is reclaim that walks.
SPLIT: Final[tuple[tuple[str, str, dict[str, int], bool], ...]] = (
    ("reclaim, the last process exits", "reclaim_vs_exit", {}, True),
    ("reclaim, a relative exits", "caller_and_disturber", {"caller": 5, "disturber": 1}, True),
    ("migration, a stack grows", "stack_grows", {}, False),
    ("migration, a relative exits", "root_freed_first~fixed", {}, False),
)

#: What part of the throughput without a lock in the unmap walk the split must keep.
ENOUGH: Final = 0.5


@exercise("L08.4")
def two_wrappers(answer: Sequence[Wrapper]) -> Report:
    """A reader's ``try_to_unmap`` and ``try_to_migrate`` on Linux 3.8: each with its callers, then the speed."""
    if not all(map(inspect.isgeneratorfunction, answer)):
        return without_steps("L08.4", *answer)
    mine = split(*answer)
    forgot = slips(*answer, value=True)
    findings: list[Finding] = []
    for what, world, params, reclaims in SPLIT:
        try:
            verdict = judge(mine, world, **params)
        except UserError as fault:
            return Report("L08.4", (*forgot, *findings, Finding(False, f"{fault}.")))
        if verdict.violation is not None and forgot:
            return Report("L08.4", (*forgot, *findings, Finding(False, f"{what}: {verdict.sentence}.")), verdict.trace)
        if verdict.violation is not None:
            told, tag = _wrapper_fault(verdict, reclaims, answer[0 if reclaims else 1].__name__)
            told = f"{what}: {verdict.sentence}. {told}"
            findings.append(Finding(False, f"{told} {named(tag)}" if tag else told, tag))
            return Report("L08.4", tuple(findings), verdict.trace)
        findings.append(Finding(True, f"{what}: {verdict.sentence}."))
    return Report("L08.4", (*findings, *(forgot or [_fast_enough(mine, answer[0])])))


def _wrapper_fault(verdict: Judgement, reclaims: bool, wrapper: str) -> tuple[str, str]:
    """What a wrong wrapper looks like: a hint and a misconception's tag, or a hint alone."""
    assert verdict.trace is not None
    assert verdict.violation is not None
    if verdict.violation.kind == "null pointer":
        return "There is no anon_vma if nobody maps the page any more: then answer SWAP_AGAIN.", ""
    if verdict.violation.kind in ("held at exit", "release without hold"):
        return "What a function takes it gives back, and nothing else.", ""
    if verdict.violation.kind in ("lock order", "deadlock"):
        return "A walk needs one lock.", "M5"
    pairs = zip(verdict.trace.events, verdict.trace.stacks, strict=True)
    inside = [event for event, stack in pairs if any(frame.function == wrapper for frame in stack)]
    changed = {kind_of(it.field) for event in inside for it in event.changes}
    if reclaims and "AnonVma.refcount" in changed:
        return "A reference keeps the anon_vma; its links and VMAs are freed all the same.", "M10"
    if reclaims:
        return "Migration has taken a reference before; reclaim has none.", "M21"
    if "AnonVma.rwsem" in changed:
        return "The lock of which anon_vma?", "M19"
    return "Migration's reference keeps the anon_vma; its links and VMAs are freed all the same.", "M10"


def _no_lock(k: Context, page: Page, flags: int) -> Kernel:
    """The walk that migration would like."""
    anon_vma = yield page.mapping
    ret = yield from unmap_walk(k, page, anon_vma, flags)
    return ret


def moved_by(mine: Variant) -> float:
    """Simulated: pages per second of eight threads of numa02."""
    return run("numa02", mine, threads=THREADS, pages=PAGES).pages_per_second


def _fast_enough(mine: Variant, reclaim: Wrapper) -> Finding:
    part = moved_by(mine) / moved_by(split(reclaim, _no_lock))
    told = f"Eight threads move {100 * part:.0f} % of what they move if migration unmaps without a lock (simulated)"
    if part >= ENOUGH:
        return Finding(True, f"{told}.")
    told = f"{told}; {100 * ENOUGH:.0f} % are wanted. Must walks keep each other out?"
    return Finding(False, f"{told} {named('M27')}", "M27")
