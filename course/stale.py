"""Stale translations (lesson 9): what an access meets, when a flush must have been made, and whom it interrupts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, Final

from course.guarding import compared
from course.kit import Finding, Report, exercise
from course.looking import run_to, table
from course.misconceptions import named
from course.unyielded import slips, without_steps
from course.verdicts import judge
from sim import Stepper, Variant, check, run, variant
from sim.context import Context
from sim.errors import UserError
from sim.kernel.batch.migrate import Unmapped, in_batches, unmap_batch
from sim.kernel.batch.rmap import init_tlb_ubc, try_to_unmap_flush, try_to_unmap_flush_dirty
from sim.kernel.migrate import MIGRATE_SYNC, putback_lru_pages
from sim.ops import Kernel, UserRead, UserWrite, Walk
from sim.setup import Builder
from sim.structs import Page
from sim.trace import Trace
from sim.user import user_read, user_write
from sim.variants import batch_flush_after_copy
from sim.worlds import World
from sim.worlds.moving import mover


def known() -> None:
    """Importing this module has made its exercises known."""


# --- 09.2: what does an access meet? -------------------------------------------------------------------------------

KINDS: Final = ("TLB hit", "TLB miss", "fault", "migration wait")

#: Six accesses, in the order in which they are made.
EVENTS: Final[Mapping[str, str]] = {
    "A": "worker writes page 0 for the first time; the PTE is present",
    "B": "worker reads page 0 again",
    "C": "the PTE is cleared, the interrupt has not reached CPU 1: worker writes page 0",
    "D": "CPU 1 has flushed, the migration entry stands: worker reads page 0",
    "E": "page 0 is mapped again, at its new frame: worker writes it",
    "F": "main writes below its stack, where nothing has been mapped yet",
}


def events() -> str:
    """The accesses of exercise 09.2."""
    return table(EVENTS)


@cache
def met() -> dict[str, str]:
    """What each access meets, from runs under Linux 3.7."""
    found = {}
    s = Stepper("one_page", "mutex_v37")
    found["A"], found["B"] = _access(s, "worker"), _access(s, "worker")
    run_to(s, "migrator", "smp_call_function_many").step("migrator")
    found["C"] = _access(s, "worker")
    s.run("ipi@cpu1")
    run_to(s, "migrator", "migrate_page_copy")
    found["D"] = _access(s, "worker")

    s = Stepper("one_page", "mutex_v37", "", rounds=2)
    s.run("worker", 4)
    while s.machine.enabled(s.task("migrator")) or s.machine.enabled(s.task("ipi@cpu1")):
        s.step("migrator" if s.machine.enabled(s.task("migrator")) else "ipi@cpu1")
    found["E"] = _access(s, "worker")
    found["F"] = _access(Stepper("stack_grows", "mutex_v37"), "main")
    return found


def _access(stepper: Stepper, who: str) -> str:
    """Let *who* make one access, or go as far as it comes with it; say what it met."""
    task, begun = stepper.task(who), len(stepper.trace.events)
    while stepper.machine.enabled(task):
        stepper.step(task)
        event = stepper.trace.events[-1]
        if isinstance(event.op, UserRead | UserWrite) and event.answer is not False:
            break
    trace = stepper.trace
    functions = {frame.function for stack in trace.stacks[begun:] for frame in stack}
    if "migration_entry_wait" in functions:
        return "migration wait"
    if "page_fault" in functions:
        return "fault"
    walked = any(isinstance(event.op, Walk) for event in trace.events[begun:])
    return "TLB miss" if walked else "TLB hit"


@exercise("L09.2")
def what_it_meets(answer: Mapping[str, str]) -> Report:
    """A table access -> what it meets, compared with the runs."""
    data, offered = "the accesses are A to F", f"answers: {KINDS}"
    return compared("L09.2", answer, met(), KINDS, _not_met, data=data, offered=offered)


def _not_met(letter: str, said: str) -> Finding:
    so = met()[letter]
    if letter == "B":
        told, tag = "its own first access has put the entry into CPU 1's TLB, and nobody has touched it since.", ""
    elif so == "TLB hit":
        told, tag = "CPU 1 asks its TLB, which still has the entry.", "M14"
    elif said == "TLB hit":
        told, tag = "the entry that CPU 1's TLB had is gone, or there never was one.", ""
    elif said == "TLB miss":
        told, tag = "a miss alone ends well: the MMU finds a PTE that maps a frame. What does it find here?", ""
    elif so == "TLB miss":
        told, tag = "a miss asks the page table; a fault comes only if there is no PTE to be had.", "M16"
    elif so == "migration wait":
        told, tag = "it faults, and then? The page is on its way, and not gone.", "M17"
    else:
        told, tag = "nobody moves this page.", "M17"
    return Finding(False, f"{letter}: {told}{f' {named(tag)}' if tag else ''}", tag)


# --- 09.3: when must it have been flushed, and how often? ----------------------------------------------------------

#: The parts of moving eight pages.
PARTS: Final[Mapping[str, str]] = {
    "unmap": "replace the PTEs of all pages by migration entries, without a flush",
    "unmap, flush each": "the same, and after each page have every CPU drop it",
    "flush": "have every CPU drop all of these pages that it may still have, in one round",
    "flush dirty": "the same, but nobody is interrupted unless a page could be written",
    "copy": "copy all pages to their new frames",
    "remap": "replace the migration entries by PTEs of the new frames",
    "free": "free the old frames",
}


def moving_parts() -> str:
    """The parts of exercise 09.3."""
    return table(PARTS)


#: What must be in an order, and in this sequence.
MOVE: Final = ("unmap", "copy", "remap", "free")

#: Where an order is tried: a page that is written, one that is read, and one whose frame is wanted by a stranger.
ORDERED: Final = ("write_during_copy", "read_after_remap", "frame_reused")

MOVED, OTHERS = 8, 3


def in_order(order: Sequence[str]) -> Variant:
    """Linux 3.7, but pages are moved many at a time by doing the parts in *order*."""
    parts = tuple(order)

    def one_batch(k: Context, pages: tuple[Page, ...], node: int) -> Kernel:
        """Move *pages*, part by part; return those that did not go."""
        yield from init_tlb_ubc(k)
        its: tuple[Unmapped, ...] = ()
        copied: tuple[tuple[Unmapped, int], ...] = ()
        left: tuple[Page, ...] = ()
        todo = parts
        while todo:
            part, todo = todo[0], todo[1:]
            if part == "unmap":
                its, left = yield from unmap_batch(k, pages, node)
            elif part == "unmap, flush each":
                its, left = yield from _one_by_one(k, pages, node)
            elif part == "flush":
                yield from try_to_unmap_flush(k)
            elif part == "flush dirty":
                yield from try_to_unmap_flush_dirty(k)
            elif part == "copy":
                copied = yield from _copy(k, its)
            elif part == "remap":
                yield from _remap(k, copied)
            else:
                yield from putback_lru_pages(k, tuple(it.page for it, rc in copied if rc == 0))
        yield k.current.tlb_ubc.set(None)  # what was not flushed is forgotten
        return (*left, *(it.page for it, rc in copied if rc != 0))

    def migrate_pages(
        k: Context, pages: tuple[Page, ...], node: int, passes: int = 10, mode: str = MIGRATE_SYNC
    ) -> Kernel:
        """In batches.  The seam is mm/migrate.c:959 (v3.7)."""
        failed = yield from in_batches(k, pages, node, passes, mode, one_batch)
        return failed

    return variant("batch_2mb").changed("my_order", "many pages at a time, in my order", migrate_pages=migrate_pages)


def _one_by_one(k: Context, pages: tuple[Page, ...], node: int) -> Kernel:
    its: tuple[Unmapped, ...] = ()
    left: tuple[Page, ...] = ()
    while pages:
        page, pages = pages[0], pages[1:]
        some, rest = yield from unmap_batch(k, (page,), node)
        yield from try_to_unmap_flush(k)
        its, left = (*its, *some), (*left, *rest)
    return its, left


def _copy(k: Context, its: tuple[Unmapped, ...]) -> Kernel:
    copied: tuple[tuple[Unmapped, int], ...] = ()
    while its:
        it, its = its[0], its[1:]
        rc = yield from batch_flush_after_copy._copy(k, it)
        copied = (*copied, (it, rc))
    return copied


def _remap(k: Context, copied: tuple[tuple[Unmapped, int], ...]) -> Kernel:
    while copied:
        (it, rc), copied = copied[0], copied[1:]
        yield from batch_flush_after_copy._remap(k, it, rc)


def interrupts(mine: Variant | str, others: int = OTHERS) -> int:
    """How often other CPUs are interrupted while one thread moves eight pages; so many threads spin elsewhere."""
    return run("move_pages", mine, pages=MOVED, spinners=others).counts["ipis_received"]


@exercise("L09.3")
def when_to_flush(answer: Sequence[str]) -> Report:
    """Parts in an order: every schedule of three worlds, then at most 3 interrupts for 8 pages and 3 other CPUs."""
    rest = tuple(it.partition(",")[0] for it in answer if not it.startswith("flush"))
    if not set(answer) <= set(PARTS) or rest != MOVE:
        told = f"the parts are {'; '.join(PARTS)}; unmap, copy, remap, free stand in this sequence, once each."
        return Report("L09.3", (Finding(False, told),))
    mine = in_order(answer)
    findings = []
    for world in ORDERED:
        verdict = judge(mine, world)
        if verdict.violation is not None:
            tag = _flush_tag(list(answer), verdict.violation.kind)
            findings.append(Finding(False, f"{world}: {verdict.sentence}. {named(tag)}", tag))
            return Report("L09.3", tuple(findings), verdict.trace)
        findings.append(Finding(True, f"{verdict.sentence}."))
    return Report("L09.3", (*findings, _counted(interrupts(mine))))


def _flush_tag(order: list[str], kind: str) -> str:
    if not any("flush" in it for it in order):
        return "M14"
    return "M18" if kind == "lost write" else "M31"


def _counted(number: int) -> Finding:
    told = f"Moving {MOVED} pages interrupts other CPUs {number} times."
    if number <= OTHERS:
        return Finding(True, told)
    return Finding(False, f"{told} {OTHERS} are enough: one for each CPU. {named('M30')}", "M30")


# --- 09.4: flush_tlb_page ------------------------------------------------------------------------------------------


def _moves_and_reads(k: Context, *, vpn: int) -> Kernel:
    yield from user_write(k, vpn)
    yield from mover(k, vpns=(vpn,), node=1, passes=2)
    yield from user_read(k, vpn)
    yield from user_write(k, vpn)
    yield from user_read(k, vpn)


def _alone() -> Builder:
    b = Builder()
    mm, cpu0 = b.mm(), b.cpu(0, 0)
    b.cpu(1, 1)
    b.page(b.vma(mm, "heap", 0, 1), 0, node=0, written=1)
    b.task("mover", cpu0, mm, partial(_moves_and_reads, vpn=0), "writes page 0, moves it, and uses it again")
    return b


#: One thread and its page: it is its own CPU that has the page in its TLB.
ALONE: Final = World("alone", "A thread moves a page that it uses itself.", "One order of steps.", {}, {}, _alone)


@exercise("L09.4")
def flush_one_page(function: Callable[..., Any]) -> Report:
    """A reader's ``flush_tlb_page(k, vma, start)``: right on every CPU, and 24 interrupts for 8 pages and 3 others."""
    if not inspect.isgeneratorfunction(function):
        return without_steps("L09.4", function)
    mine = variant("mutex_v37").changed("my_flush", flush_tlb_page=function)
    forgot = slips(function)
    try:
        verdict = judge(mine, "write_during_copy")
    except (UserError, AttributeError) as fault:  # the machine has been handed a field in place of what stands in it
        if not forgot and isinstance(fault, AttributeError):
            raise
        return Report("L09.4", (*forgot, Finding(False, f"{fault}.")))
    if verdict.violation is not None and forgot:
        return Report("L09.4", (*forgot, Finding(False, f"{verdict.sentence}.")), verdict.trace)
    if verdict.violation is not None:
        tag = "M15" if _drops(verdict.trace) else "M14"
        return Report("L09.4", (Finding(False, f"{verdict.sentence}. {named(tag)}", tag),), verdict.trace)
    findings = [Finding(True, f"{verdict.sentence}.")]
    found = check(ALONE, mine).violations
    if found:
        told = f"{found[0].sentence}: this CPU has a TLB too, and it sends itself no interrupt."
        return Report("L09.4", (*forgot, *findings, Finding(False, told)))
    findings.append(Finding(True, "A thread that moves a page of its own uses the new frame afterwards."))
    return Report("L09.4", (*findings, *_for_nothing(mine)))


def _drops(trace: Trace | None) -> bool:
    return trace is not None and any(type(event.op).__name__ == "Invlpg" for event in trace.events)


def _for_nothing(mine: Variant) -> list[Finding]:
    """Whether as many CPUs are interrupted as by the kernel's own function, no more."""
    findings = []
    for others in (OTHERS, 0):
        number, enough = interrupts(mine, others), interrupts("mutex_v37", others)
        told = f"{MOVED} pages, {others} other CPUs: {number} interrupts"
        more = number > enough
        told = f"{told}; {enough} are enough. {named('M30')}" if more else f"{told}."
        findings.append(Finding(not more, told, "M30" if more else ""))
    return findings
