"""The unlocked walk (lesson 6): what others change under the anon_vma lock, and the lesson's checks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from textwrap import fill
from typing import Any, Final, NamedTuple

from course.guarding import compared
from course.kit import Finding, Report, exercise
from course.looking import kind_of, locksets, table
from course.misconceptions import named
from course.unyielded import slips, without_steps
from course.verdicts import Judgement, judge
from sim import Stepper, Variant, run, variant
from sim.errors import UserError
from sim.ops import EXCLUSIVE, Field
from sim.trace import Trace

#: The patch of 1 December 2012: no lock around the remap walk.
PATCH: Final = "rfc_remap_unlocked"

#: Fields of memory by what a walk needs them for.
PARTS: Final[Mapping[str, str]] = {
    "AnonVma.rb_root": "interval tree",
    **{f"AnonVmaChain.rb_{it}": "interval tree" for it in ("left", "right", "parent", "color", "subtree_last")},
    **{f"AnonVmaChain.{it}": "links (AVC)" for it in ("vma", "anon_vma", "life")},
    **{f"Vma.{it}": "links (AVC)" for it in ("anon_vma", "anon_vma_chain")},
    **{f"Vma.{it}": "bounds of a VMA" for it in ("vm_start", "vm_end", "vm_pgoff")},
    "Mm.pmd": "PMD",
}


def known() -> None:
    """Importing this module has made its exercises known."""


# --- looking -------------------------------------------------------------------------------------------------------


def beside_nearest(trace: Trace) -> list[Any]:
    """A run that goes wrong beside the nearest that passes: the player, and in words what sets the two apart."""
    from vizlib.compare import counterexample
    from vizlib.player.widget import Player

    film = counterexample(trace)
    told = [film["why"]["sentence"], *(swap["words"] for swap in film["why"]["swaps"])]
    return [Player(film), "\n".join(fill(it, 110, subsequent_indent="  ") for it in told)]


class Held(NamedTuple):
    """What a task changed under an anon_vma's mutex, and the mmap_sems that it held then ("P to read")."""

    mmap_sems: tuple[str, ...]
    changed: tuple[str, ...]


def held(trace: Trace) -> dict[str, Held]:
    """Those tasks of a run that changed something that a walk goes by, while they had an anon_vma's mutex."""
    memory = dict(trace.initial)
    found: dict[str, list[Held]] = {}
    for event in trace.events:
        locks = memory.get(event.task.held, ())
        changed = tuple(PARTS[kind_of(it.field)] for it in event.changes if kind_of(it.field) in PARTS)
        if changed and "AnonVma.mutex" in {kind_of(lock) for lock, _ in locks}:
            found.setdefault(str(event.task), []).append(Held(tuple(_mmap_sems(locks)), changed))
        memory.update((change.field, change.new) for change in event.changes)
    return {who: Held(*(tuple(sorted({it for one in ones for it in one})) for ones in zip(*its, strict=True)))
            for who, its in found.items()}  # fmt: skip


def _mmap_sems(locks: Iterable[tuple[Field, str]]) -> Iterator[str]:
    for lock, mode in locks:
        if kind_of(lock) == "Mm.mmap_sem":
            yield f"{lock.ref} to {'write' if mode == EXCLUSIVE else 'read'}"


class Row(NamedTuple):
    """How the patch fails in a world: what goes wrong, who disturbed, what that task held and changed."""

    kind: str
    who: str
    mmap_sems: tuple[str, ...]
    changed: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind:22} {self.who:11} {', '.join(self.mmap_sems) or 'none':12} {', '.join(self.changed)}"


def disturbed(*worlds: str) -> dict[str, Row]:
    """For each world the shortest run in which the patch fails, and who changed what under the anon_vma lock in it.

    Raises:
        ValueError: if the patch holds in one of them.
    """
    rows = {}
    for world in worlds:
        verdict = judge(variant(PATCH), world)
        if verdict.trace is None or verdict.violation is None:
            raise ValueError(f"{world}: {verdict.sentence}")
        ((who, it),) = held(verdict.trace).items()
        rows[world] = Row(verdict.violation.kind, who, *it)
    return rows


def disturbers(rows: Mapping[str, Row]) -> str:
    """The rows of :func:`disturbed` as a table."""
    return table(
        {"world": f"{'goes wrong':22} {'disturber':11} {'its mmap_sem':12} changes under the anon_vma lock", **rows}
    )


# --- 06.2: which of the two locks keeps it still? ------------------------------------------------------------------

#: What a walk goes by, and what the runs call it.
WALKED: Final[Mapping[str, str]] = {
    "interval tree": "AnonVma.rb_root",
    "vm_pgoff of a stack": "Vma.vm_pgoff",
    "link of a relative": "AnonVmaChain.rb_right",
    "PMD": "Mm.pmd",
    "PTE": "PageTable.pte",
}
KEEPS: Final = ("mmap_sem", "anon_vma lock", "either", "neither")


@cache
def keeps() -> dict[str, str]:
    """For each datum which of the two locks was held alone at every change of it, in runs of five worlds."""
    worlds = ("stack_grows", "neighbour_faults", "relative_exits", "relative_adjusts", "khugepaged_collapse")
    found = locksets(*(Stepper(world, "mutex_v37").finish().trace for world in worlds))
    answers = {(True, False): "mmap_sem", (False, True): "anon_vma lock", (True, True): "either"}
    both = {name: ("Mm.mmap_sem" in found[kind], "AnonVma.mutex" in found[kind]) for name, kind in WALKED.items()}
    return {name: answers.get(which, "neither") for name, which in both.items()}


@exercise("L06.2")
def what_keeps_it_still(answer: Mapping[str, str]) -> Report:
    """A table datum -> lock, compared with the locks that were held at every change in the runs."""
    return compared("L06.2", answer, keeps(), KEEPS, _not_kept, offered=f"answers: {KEEPS}")


def _not_kept(datum: str, lock: str) -> Finding:
    if lock == "neither":
        return Finding(
            False, f"{datum}: in the runs one of the two was held alone at every change: see the table above."
        )
    told, tag = {
        "link of a relative": ("A relative changes it under the mmap_sem of its own process, or under none.", "M20"),
        "PMD": ("Who hides a page table holds both, alone. Either keeps it still; a walk needs one of them.", "M26"),
        "PTE": ("Faults change it under the ptl, whatever else is held.", "M4"),
    }.get(datum, ("A growing stack and a first fault hold the mmap_sem to read, as the walk does.", "M20b"))
    return Finding(False, f"{datum}: {told} {named(tag)}", tag)


# --- 06.3: where must the two stop? --------------------------------------------------------------------------------

#: Where either may be stopped, in the order in which it comes there.
STOPS: Final[Mapping[str, Mapping[str, str]]] = {
    "worker": {
        "try_to_unmap": "before the walk that takes the PTEs away",
        "remove_migration_ptes": "before the walk that puts them back",
    },
    "main": {
        "anon_vma_prepare": "before it takes the lock",
        "anon_vma_interval_tree_pre_update_vma": "with the lock, before the VMA is taken out of the tree",
        "anon_vma_interval_tree_post_update_vma": "with the lock, before the VMA is put back into the tree",
        "anon_vma_unlock": "before it gives the lock back",
    },
}


def places() -> str:
    """The places at which exercise 06.3 lets the threads stop."""
    return "\n\n".join(table(places, f"{who} stops in") for who, places in STOPS.items())


def stopped(worker: str, main: str) -> Trace:
    """The stack grows under the patch: worker runs up to a place, then main up to one, then worker on, then both."""
    stepper = Stepper("stack_grows", PATCH)
    for who, place in (("worker", worker), ("main", main), ("worker", "")):
        task = stepper.task(who)
        while not any(frame.function == place for frame in stepper.machine.stack(task)):
            ready = [it for it in stepper.runnable if it == task or it.name.startswith("ipi")]
            if not ready:
                break
            stepper.step(task if task in ready else ready[0])
    return stepper.finish().trace


@exercise("L06.3")
def where_to_stop(answer: Mapping[str, str]) -> Report:
    """A place for either thread; the run is made, and is right if it goes wrong."""
    foreign = [f"'{it}'" for who, it in answer.items() if it not in STOPS.get(who, {})]
    if foreign or set(answer) != set(STOPS):
        told = f"{', '.join(foreign) or 'A thread'} is not in the list: see print(places())."
        return Report("L06.3", (Finding(False, told),))
    trace = stopped(**answer)
    if trace.violation is not None:
        told = f"{trace.violation.kind}: {trace.violation.sentence}. Nobody needs to be stopped a second time."
        return Report("L06.3", (Finding(True, told),), trace)
    return Report("L06.3", (_passes(answer),), trace)


def _passes(answer: Mapping[str, str]) -> Finding:
    if answer["worker"] == "try_to_unmap":
        told, tag = "The walk that takes the PTEs away has kept its lock: it waits for main.", ""
    elif answer["main"] == "anon_vma_unlock":
        told, tag = "The lock is still held, but the VMA is back in the tree: the walk finds it.", "M4"
    else:
        told, tag = "The function has begun, but the VMA is still in the tree: the walk finds it.", "M1"
    return Finding(False, f"No violation in this run. {told}{f' {named(tag)}' if tag else ''}", tag)


# --- 06.4: the repair ----------------------------------------------------------------------------------------------

#: Where a repair is checked: a thread of the same process; a relative; a page whose anon_vma is not its family's root.
REPAIRED: Final = ("stack_grows", "relative_exits", "root_freed_first~fixed")

#: What part of the patch's throughput a repair must keep.
ENOUGH: Final = 0.5


@exercise("L06.4")
def repair(answer: Sequence[Callable[..., Any]]) -> Report:
    """A reader's ``rmap_walk_anon_lock`` and ``rmap_walk_anon_unlock`` on Linux 3.8: the verdict, then the speed."""
    if not all(map(inspect.isgeneratorfunction, answer)):
        return without_steps("L06.4", *answer)
    lock, unlock = answer
    mine = variant("rwsem_v38").changed("my_walk", rmap_walk_anon_lock=lock, rmap_walk_anon_unlock=unlock)
    findings = []
    for world in REPAIRED:
        try:
            verdict = judge(mine, world)
        except UserError as fault:
            return Report("L06.4", (*slips(*answer), Finding(False, f"{fault}.")))
        if verdict.violation is not None:
            told = f"{world}: {verdict.sentence}."
            if forgot := slips(*answer):
                return Report("L06.4", (*forgot, Finding(False, told)), verdict.trace)
            tag = _repair_tag(verdict, world, lock.__name__)
            findings.append(Finding(False, f"{told} {named(tag)}" if tag else told, tag))
            return Report("L06.4", tuple(findings), verdict.trace)
        findings.append(Finding(True, f"{verdict.sentence}."))
    return Report("L06.4", (*findings, _fast_enough(mine)))


def _repair_tag(verdict: Judgement, world: str, lock: str) -> str:
    """What a wrong repair looks like; "" for one that forgets to give a lock back."""
    assert verdict.trace is not None
    assert verdict.violation is not None
    events = zip(verdict.trace.events, verdict.trace.stacks, strict=True)
    taken = {kind_of(it.field) for event, stack in events for it in event.changes if it.field.lock is not None
             and any(frame.function == lock for frame in stack)}  # fmt: skip
    if verdict.violation.kind == "held at exit":
        return ""
    if verdict.violation.kind in ("lock order", "deadlock"):
        return "M5"
    if not taken:
        return "M20b"
    return "M19" if world == REPAIRED[-1] else "M4"


def pages_per_second(mine: Variant | str) -> float:
    """Simulated: eight threads of numa02, eight pages each; on Linux 3.8, so that the other walk is shared."""
    return run("numa02", mine, threads=8, pages=8).pages_per_second


def unlocked(k: Any, anon_vma: Any) -> Any:
    """No lock, as in the patch.  mm/rmap.c:1707 (v3.7), removed by the patch."""
    yield from ()


def _fast_enough(mine: Variant) -> Finding:
    patch = variant("rwsem_v38").changed("no_lock", rmap_walk_anon_lock=unlocked, rmap_walk_anon_unlock=unlocked)
    part = pages_per_second(mine) / pages_per_second(patch)
    told = f"Eight threads move {100 * part:.0f} % of what they move without the lock (simulated)"
    if part >= ENOUGH:
        return Finding(True, f"{told}.")
    return Finding(
        False, f"{told}; {100 * ENOUGH:.0f} % are wanted. Must walkers keep each other out? {named('M27')}", "M27"
    )
