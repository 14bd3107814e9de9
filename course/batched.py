"""Flushing in batches (lesson 10): what a batch may wait for, how large it may be, who comes back for the rest."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, Final

from course.guarding import compared
from course.kit import Finding, Report, exercise
from course.looking import kind_of, table
from course.misconceptions import named
from course.progress import COURSE
from course.unyielded import slips, without_steps
from course.verdicts import Judgement, Told, judge
from sim import Stepper, Variant, run, variant
from sim.analysis.batches import Batch, Lab, measured
from sim.context import Context
from sim.engines.timed_run import TimedRun
from sim.errors import UserError
from sim.ops import Acquire, Kernel, Until
from sim.setup import Builder
from sim.structs import Page
from sim.sync import end_page_writeback
from sim.user import spinner
from sim.worlds import World
from sim.worlds.moving import mover


def known() -> None:
    """Importing this module has made its exercises known."""


# --- the batch lab, and what was recorded --------------------------------------------------------------------------

BASE: Final = "batch_v63"
REGION, WRITERS = 64, 3


def batch_lab(*sizes: int) -> Lab:
    """Linux 6.3 moves 64 pages in batches of each of *sizes* while three threads go on writing to them; simulated."""
    return Lab([_batch(it) for it in sizes], BASE, {"pages": REGION, "writers": WRITERS})


@cache
def _batch(size: int) -> Batch:
    row = measured({"size": size, "variant": BASE, "pages": REGION, "writers": WRITERS})
    return Batch(size, **{**row, "percentiles": tuple(row["percentiles"])})


#: What is counted of a booted kernel: the name in the lesson, and that in ``recorded/counts.json``.
RECORDED: Final[Mapping[str, str]] = {
    "pages moved": "pages moved OK (pgmigrate_success)",
    "flushes of one page": "flush_tlb_mm_range calls (one page each)",
    "flushes of a batch": "arch_tlbbatch_flush calls (batched, whole mm)",
    "interrupts": "TLB IPIs received (/proc/interrupts TLB, CPU1+2+3)",
}


def booted(kernel: str) -> dict[str, list[int]]:
    """What *kernel* ("6.1", "6.12") did when it moved 2 MB beside three threads that spin: each of three recordings."""
    counts = json.loads((COURSE / "recorded" / "counts.json").read_text("utf-8"))[kernel]["E2idle"]
    return {name: counts[it] for name, it in RECORDED.items()}


# --- 10.2: what may be waited for? ---------------------------------------------------------------------------------

MAY, MUST_NOT = "may", "must not"

#: What a task might wait for while it holds the page locks of a batch, and what the runs call it.
AWAITED: Final[Mapping[str, tuple[str, str]]] = {
    "A": ("the other CPUs' answers to its flush", "Cpu.csd_pending"),
    "B": ("the lock of one more page", "Page.PG_locked"),
    "C": ("the ptl, to change a PTE", "PageTable.ptl"),
    "D": ("the end of the writing-out of one more page (PG_writeback)", "Page.PG_writeback"),
    "E": ("the anon_vma lock, to walk", "AnonVma.rwsem"),
}


def awaited() -> str:
    """What exercise 10.2 asks about."""
    return table({letter: words for letter, (words, _) in AWAITED.items()})


@cache
def allowed() -> dict[str, str]:
    """For each of :data:`AWAITED` whether a batch may wait for it.

    It may, if 6.3 does so with two pages locked, which no schedule of ``batch_deadlock`` holds against it; it must not,
    if a kernel that does so deadlocks there while it waits for that.
    """
    found = {}
    if judge(variant(BASE), "batch_deadlock").trace is None:
        found.update(dict.fromkeys(_waits_of_a_batch(), MAY))
    for name, world in (("batch_v63_rc", "batch_deadlock"), (BASE, "batch_deadlock~B7")):
        found[_waited_at_the_end(judge(variant(name), world))] = MUST_NOT
    return {letter: found[it] for letter, (_, it) in AWAITED.items()}


def _waits_of_a_batch() -> set[str]:
    """What kinds of thing 6.3 takes or waits for, without being able to give up, with two pages locked."""
    trace = Stepper("move_pages", BASE, "", pages=2, spinners=1).finish().trace
    memory, found = dict(trace.initial), set()
    for event in trace.events:
        locked = [it for it, _ in memory.get(event.task.held, ()) if it.base == "PG_locked"]
        if isinstance(event.op, Acquire) and len(locked) > 1:
            found.add(kind_of(event.op.lock))
        elif isinstance(event.op, Until) and len(locked) > 1:
            found.add(kind_of(event.op.field))
        memory.update((it.field, it.new) for it in event.changes)
    return found


def _waited_at_the_end(verdict: Judgement) -> str:
    """For what kind of thing the mover, which is the first task, waits at the end of a run that hangs."""
    assert verdict.trace is not None
    op = verdict.trace.pending[0]
    assert isinstance(op, Acquire | Until)
    return kind_of(op.lock if isinstance(op, Acquire) else op.field)


@exercise("L10.2")
def what_may_be_waited_for(answer: Mapping[str, str]) -> Report:
    """A table of what a batch "may" or "must not" wait for, compared with the runs."""
    data, offered = "the letters are A to E", f"answers: '{MAY}', '{MUST_NOT}'"
    return compared("L10.2", answer, allowed(), (MAY, MUST_NOT), _wrong_wait, data=data, offered=offered)


def _wrong_wait(letter: str, said: str) -> Finding:
    if said == MUST_NOT:
        told, tag = "whoever is to end that wait needs no page lock, and so comes to an end.", "M34"
    else:
        told = "whoever is to end that wait may be waiting for a page of the batch."
        tag = "M11" if AWAITED[letter][1] == "Page.PG_locked" else "M33"
    return Finding(False, f"{letter}: {told} {named(tag)}", tag)


# --- 10.3: how large may a batch be? -------------------------------------------------------------------------------

#: The bounds: interrupts in all, and the longest wait of a faulting thread (ns, simulated).
MOST_INTERRUPTS, LONGEST_WAIT = 12, 25_000


@exercise("L10.3")
def size_of_a_batch(answer: Any) -> Report:
    """A size, tried in the batch lab (64 pages, 3 writers): at most 12 interrupts, no wait beyond 25 µs (simulated)."""
    if isinstance(answer, bool) or not isinstance(answer, int) or not 1 <= answer <= REGION:
        return Report("L10.3", (Finding(False, f"{answer!r} is no size of a batch: a whole number, 1 to {REGION}."),))
    it = _batch(answer)
    few, soon = it.ipis <= MOST_INTERRUPTS, it.percentiles[-1] <= LONGEST_WAIT
    counted = f"flushes: {it.flushes}, interrupts: {it.ipis}"
    waited = f"the longest wait is {it.percentiles[-1] / 1000:.1f} µs (simulated)"
    if few:
        first = Finding(True, f"{counted}.")
    elif it.flushes <= MOST_INTERRUPTS:
        told = f"{counted}: each flush may interrupt each of {WRITERS} CPUs."
        first = Finding(False, f"{told} {named('M30')}", "M30")
    else:
        first = Finding(False, f"{counted}: the flushes alone are more than {MOST_INTERRUPTS}.")
    if soon:
        second = Finding(True, f"{waited}.")
    else:
        told = f"{waited}: a page is wanted from its unmapping until its own turn to be copied."
        second = Finding(False, f"{told} {named('M24')}", "M24")
    return Report("L10.3", (first, second))


# --- 10.4: migrate_pages_sync --------------------------------------------------------------------------------------

MOVED, OTHERS = 8, 3

#: For how many reads the last page goes on being written out once the first is unmapped: until a batch has seen it.
_WRITING: Final = 15_000


def _writes_out(k: Context, *, page: Page, first: Page) -> Kernel:
    yield Until(first._mapcount, -1)
    reads = 0
    while reads < _WRITING:
        yield page.PG_writeback
        reads += 1
    yield from end_page_writeback(page)


def _written_out() -> Builder:
    b = Builder()
    mm = b.mm()
    heap = b.vma(mm, "heap", 0, MOVED)
    pages = [b.page(heap, vpn, node=0, written=1) for vpn in range(MOVED)]
    b.memory[pages[-1].PG_writeback] = True
    move = partial(mover, vpns=tuple(range(MOVED)), node=1, passes=10)
    b.task("mover", b.cpu(0, 0), mm, move, f"moves {MOVED} pages to node 1")
    for number in range(1, OTHERS + 1):
        b.task(f"spinner-{number}", b.cpu(number, number % 2), mm, spinner, "keeps its CPU busy", daemon=True)
    body = partial(_writes_out, page=pages[-1], first=pages[0])
    b.kernel_thread("writeback", b.cpu(OTHERS + 1, 1), body, "writes the last page out")
    return b


#: Eight pages move, of which the last is being written out; nobody who does that needs a page lock.
WRITTEN_OUT: Final = World("written_out", "Eight pages move; one is busy.", "A clock's order.", {}, {}, _written_out)


def with_batches(function: Callable[..., Any]) -> Variant:
    """Linux 6.3 with a ``migrate_pages_sync`` of a reader's."""
    return variant(BASE).changed("my_batches", migrate_pages_sync=function)


def moved_in_time(mine: Variant | str) -> TimedRun:
    """Eight pages and three other CPUs, under the clock; one page is busy at first."""
    return run(WRITTEN_OUT, mine)


@exercise("L10.4")
def batches_and_the_rest(function: Callable[..., Any]) -> Report:
    """A reader's ``migrate_pages_sync``: no deadlock in any schedule, 8 pages of 8 moved, with at most 6 interrupts."""
    if not inspect.isgeneratorfunction(function):
        return without_steps("L10.4", function)
    mine = with_batches(function)
    try:
        with Told() as progress:
            verdict = judge(mine, "batch_deadlock", progress)
        if verdict.violation is not None:
            tag = "M11" if verdict.violation.kind in ("deadlock", "lock order") else ""
            told = f"{verdict.sentence}.{f' {named(tag)}' if tag else ''}"
            return Report("L10.4", (*_slip(function), Finding(False, told, tag)), verdict.trace)
        found = moved_in_time(mine)
    except UserError as fault:
        return Report("L10.4", (*_slip(function), Finding(False, f"{fault}.")))
    return Report("L10.4", (Finding(True, f"{verdict.sentence}."), *_weighed(found), *_slip(function, found)))


def _slip(function: Callable[..., Any], found: TimedRun | None = None) -> tuple[Finding, ...]:
    """What it has forgotten, if it is known to be wrong."""
    right = found is not None and found.pages_migrated == MOVED
    return () if right else slips(function, value=True)


def _weighed(found: TimedRun) -> list[Finding]:
    """Whether all pages have moved, and what that has cost."""
    if found.violation is not None:
        return [Finding(False, f"{found.violation.kind}: {found.violation.sentence}.")]
    told = f"{found.pages_migrated} pages of {MOVED} moved, one of them busy at first"
    all_ = found.pages_migrated == MOVED
    first = Finding(all_, f"{told}." if all_ else f"{told}. {named('M35')}", "" if all_ else "M35")
    interrupts, enough = found.counts["ipis_received"], 2 * OTHERS
    few = interrupts <= enough
    told = f"{interrupts} interrupts of {OTHERS} other CPUs"
    rest = "." if few else f": no more than {enough} are needed, for a batch and for one page that was busy."
    return [first, Finding(few, f"{told}{rest}")]
