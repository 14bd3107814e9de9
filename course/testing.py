"""A test for the repair (lesson 7): a thread's own calls, beside a mover that holds every mmap_sem."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from course.kit import Finding, Report, exercise
from course.misconceptions import named
from course.unyielded import slips, without_steps
from course.verdicts import Judgement, judge
from sim import Stepper, variant
from sim.context import Context
from sim.errors import UserError
from sim.ops import EXCLUSIVE, Acquire, Kernel
from sim.setup import Builder
from sim.structs import Mm
from sim.sync import down_read, up_read
from sim.trace import Trace
from sim.worlds import WORLDS, World
from sim.worlds.callers import CALLERS, Target

#: The page that moves: the lowest of the stack of process P.
PAGE: Final = 1016
NAME: Final = "my_test"


def known() -> None:
    """Importing this module has made its exercise known."""


def _holding(k: Context, *, body: Callable[..., Kernel], mm: Mm) -> Kernel:
    """*body* by one who holds the mmap_sem of *mm* to read."""
    yield from down_read(mm.mmap_sem)
    yield from body(k)
    yield from up_read(mm.mmap_sem)


def world_of(test: Callable[..., Kernel]) -> World:
    """Compaction moves a page of P's stack and holds P's mmap_sem; a thread of P runs *test*."""

    def build() -> Builder:
        b = Builder()
        mm, cpu0, cpu1 = b.mm(), b.cpu(0, 1), b.cpu(1, 1)
        stack = b.vma(mm, "stack", PAGE, PAGE + 1, grows_down=True)
        page = b.page(stack, PAGE, node=0, written=1)
        CALLERS["compaction"].join(b, Target(mm, page, PAGE), cpu0, passes=2, around=partial(_holding, mm=mm))
        b.task("tester", cpu1, mm, test, "your test")
        return b

    return World(NAME, "Your test beside compaction.", "", {}, {}, build)


@contextmanager
def _known_as(it: World) -> Iterator[None]:
    """While this is entered, runs of *it* can be replayed by name."""
    WORLDS[it.name] = it
    try:
        yield
    finally:
        del WORLDS[it.name]


@dataclass(frozen=True, repr=False)
class Tested(Report):
    """A report whose run is one of a world that has no name for others."""

    world: World | None = None

    def play(self) -> Any:
        """The player of the run."""
        if self.world is None:
            return super().play()
        with _known_as(self.world):
            return super().play()


@exercise("L07.4")
def test_of_the_repair(test: Callable[..., Any]) -> Report:
    """A reader's ``test(k)`` beside a move of page 1016 fails with the patch, and passes with 3.7 and 3.8."""
    if not inspect.isgeneratorfunction(test):
        return without_steps("L07.4", test)
    world = world_of(test)
    with _known_as(world):
        try:
            patch = judge(variant("rfc_remap_unlocked"), NAME)
        except UserError as fault:
            return Report("L07.4", (*slips(test), Finding(False, f"{fault}.")))
        if patch.violation is None:
            trace = Stepper(NAME, "mutex_v37").finish().trace
            return Tested("L07.4", (_harmless(patch, trace),), trace, world=world)
        findings = [Finding(True, f"the patch fails: {patch.sentence}, in {_steps(patch)} steps.")]
        for name in ("mutex_v37", "rwsem_v38"):
            verdict = judge(variant(name), NAME)
            if verdict.violation is not None:
                told = (
                    f"{name} fails too: {verdict.sentence}. The test must tell the patch from kernels that are right."
                )
                return Tested("L07.4", (*findings, Finding(False, told)), verdict.trace, world=world)
            findings.append(Finding(True, f"{name}: {verdict.sentence}."))
    return Tested("L07.4", tuple(findings), patch.trace, world=world)


def _steps(it: Judgement) -> int:
    return 0 if it.trace is None else len(it.trace.events)


def _harmless(verdict: Judgement, trace: Trace) -> Finding:
    """Why the patch passes a test, and what that looks like."""
    mine = [event for event in trace.events if str(event.task) == "tester"]
    waits = any(isinstance(it.op, Acquire) and it.op.lock.base == "mmap_sem" and it.op.mode == EXCLUSIVE for it in mine)
    if waits:
        told, tag = "Your thread wants the mmap_sem to write, and waits until the mover has given it back.", "M9"
    elif any("migration_entry_wait" in it.points for it in mine) or not _locks(trace):
        told, tag = "Your thread takes no anon_vma lock: it changes nothing that a walk goes by.", "M17"
    else:
        told, tag = "What your thread changes is not on the walk's way.", "M4"
    return Finding(False, f"The patch passes: {verdict.sentence}. {told} {named(tag)}", tag)


def _locks(trace: Trace) -> bool:
    """Whether the tester took an anon_vma's lock."""
    return any(
        isinstance(it.op, Acquire) and it.op.lock.base == "mutex" and str(it.task) == "tester" for it in trace.events
    )
