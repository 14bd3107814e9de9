"""Every event has a sentence that a newcomer can read."""

from __future__ import annotations

import re

import pytest

from sim import ops
from sim.engines.stepper import Stepper
from sim.invariants import Violation
from sim.ops import (
    SHARED,
    Acquire,
    Bug,
    Choose,
    CmpXchg,
    CopyPage,
    Field,
    HandleIpi,
    Point,
    SendIpi,
    TryAcquire,
    UserWrite,
    Xchg,
)
from sim.structs import Mm, Page, PageTable
from sim.trace import Trace
from tests.vizlib import runs
from vizlib.explain import sentence
from vizlib.moments import Moment, Run


def told(world: str = "one_page", variant: str = "mutex_v37") -> list[str]:
    """The sentences of a run, that of step 0 first."""
    return [it.sentence for it in runs.shots(world, variant)[0]]


def with_op(op: ops.Op, **more: object) -> str:
    """The sentence for a made-up event in one_page."""
    trace = runs.trace()
    event = trace.events[0]._replace(op=op, changes=(), **more)
    run = Run(Trace(**{**vars(trace), "events": [event, *trace.events[1:]]}))
    return sentence(run.moment(1))


@pytest.mark.parametrize("name", runs.NAMES, ids=" ".join)
def test_every_sentence_is_english_and_names_who(name: tuple[str, str]) -> None:
    """It begins with the task or its CPU, ends with a full stop, and no Python shines through."""
    shots, _ = runs.shots(*name)
    for shot in shots[1:]:
        event = shot.moment.event
        assert event is not None
        assert event.task.name in shot.sentence.split(" — ")[0]
        assert shot.sentence.endswith(".")
        assert not re.search(r"\.\.|,[,.;]", shot.sentence), shot.sentence
        assert not re.search(r"None|True|False|[<>{}]|\bPte\(|Rwsem|TlbEntry|'\w+'", shot.sentence), shot.sentence
        assert "  " not in shot.sentence


def test_the_runs_show_nearly_every_operation() -> None:
    """What the runs never do is written out in the tests below, so no operation is without a sentence."""
    seen = {type(event.op) for name in runs.NAMES for event in runs.trace(*name).events}
    assert set(ops.STEPS) - seen <= {ops.Bug, ops.Choose, ops.CmpXchg}


def test_a_decision_says_what_was_decided() -> None:
    """In the words of the operation, with the number."""
    assert with_op(Choose(3, "how long to wait"), choice=2) == "worker decides how long to wait: 2."


def test_freezing_references_says_whether_it_was_done() -> None:
    """And what stood in the way if it was not."""
    count = Page("f0")._count
    assert with_op(CmpXchg(count, 2, 0), answer=True) == (
        "worker freezes the references to frame f0 at 2: from now on nobody gets another."
    )
    assert (
        with_op(CmpXchg(count, 2, 0), answer=False)
        == "worker does not freeze the references to frame f0: they are 1, not 2."
    )


def test_write_protection_names_the_page() -> None:
    """Fork does that to each page of the parent."""
    said = with_op(ops.Wrprotect(PageTable("pt0").pte[0]))
    assert said == "worker takes the right to write out of the PTE of p0 in one atomic step."


def test_bug_says_what_the_kernel_says() -> None:
    """Once, not twice."""
    violation = Violation("kernel bug", "f0 is not locked")
    said = with_op(Bug("kernel bug", "f0 is not locked"), outcome="bug", violation=violation)
    assert said == "worker stops the machine (BUG): f0 is not locked."


def test_a_tracepoint_has_a_sentence_too() -> None:
    """It is no step, but the match has to be whole."""
    assert with_op(Point("fault")) == "worker passes the tracepoint fault."


def test_something_unknown_is_no_sentence() -> None:
    """The exhaustive match fails at once instead of saying nothing."""
    with pytest.raises(AssertionError):
        with_op(ops.Op())


def at(op: type[ops.Op], nth: int = 1, world: str = "one_page", variant: str = "mutex_v37", **parts: object) -> str:
    """The sentence of the *nth* event with *op*."""
    return told(world, variant)[runs.step_of(runs.trace(world, variant), op, nth, **parts)]


def test_clearing_a_pte_says_who_may_still_use_it() -> None:
    """The heart of lesson 01: after the clearing a TLB still holds the translation."""
    step = next(event.step for event in runs.events_of(runs.trace(), Xchg) if event.changes[0].field.base == "pte")
    assert told()[step] == ("migrator clears the PTE of p0 in one atomic step; CPU 1 may still use what it remembers.")


def test_the_interrupt_is_told_from_both_ends() -> None:
    """Who sends it waits; who takes it drops the entry and answers."""
    assert at(SendIpi).startswith("migrator sends an interrupt to CPU 1: drop p0!")
    assert at(HandleIpi) == (
        "CPU 1's interrupt handler (ipi@cpu1) takes the interrupt, drops p0 from the TLB and answers CPU 0."
    )


def test_a_write_through_a_stale_entry_is_told_apart() -> None:
    """Before the clearing it is a write through the TLB; after it the word STALE stands there."""
    writes = [event.step for event in runs.events_of(runs.trace(), UserWrite) if event.answer]
    assert told()[writes[0]] == "worker writes p0, in frame f0 on node 0, through its TLB."
    assert "STALE" in told()[writes[1]]


def test_the_copy_says_from_where_to_where() -> None:
    """Frames and nodes."""
    assert at(CopyPage) == ("migrator copies the 4 KiB of p0 from frame f0 on node 0 to frame migrator.f1 on node 1.")


def test_locks_are_named_with_their_purpose() -> None:
    """The two walks take the same lock; the sentences tell them apart."""
    sentences = told()
    assert "migrator takes the anon_vma lock of A_heap for the unmap walk." in sentences
    assert "migrator takes the anon_vma lock of A_heap for the remap walk." in sentences
    assert sentences[runs.step_of(runs.trace(), Acquire)].startswith("migrator takes mmap_sem of P to read")


def test_a_try_is_told_without_a_comma_too_many() -> None:
    """Of a rwsem, whether it could be had or not, with a purpose or without."""
    tried = TryAcquire(Mm("P").mmap_sem, SHARED)
    had, held = (with_op(tried, answer=it) for it in (True, False))
    assert had == "worker takes mmap_sem of P to read, beside other readers."
    assert held.startswith("worker cannot take mmap_sem of P to read, beside other readers, held by ")


def test_who_releases_a_lock_says_who_has_been_waiting() -> None:
    """In the counterexample main waits for the lock that worker releases."""
    assert "worker releases the anon_vma lock of A_stack, which main has been waiting for." in told(
        "stack_grows", "rfc_remap_unlocked"
    )


def test_the_counterexample_tells_its_story() -> None:
    """The tree is empty, the walk finds nobody, the lock is released: the violation stands in the last sentence."""
    sentences = told("stack_grows", "rfc_remap_unlocked")
    empty = sentences.index(
        "main takes avc_stack out of the interval tree of A_stack, which is EMPTY now: a walk finds nobody."
    )
    met = sentences.index("worker enters the interval tree of A_stack and finds it EMPTY.")
    assert empty < met < len(sentences) - 1
    assert "stale migration entry" in sentences[-1]


def test_a_growing_stack_is_torn_between_two_stores() -> None:
    """vm_start has moved and vm_pgoff has not: the sentence says so, and says when they fit again."""
    sentences = told("stack_grows")
    torn = next(at for at, it in enumerate(sentences) if "do not fit" in it)
    assert "moves the start of VMA stack to p1015" in sentences[torn]
    assert "fit again" in sentences[torn + 1]


def test_reading_a_pte_says_what_stands_there() -> None:
    """None, a frame, a migration entry or a NUMA hint."""
    reads = " ".join(
        shot.sentence
        for name in runs.NAMES
        for shot in runs.shots(*name)[0][1:]
        if isinstance(shot.moment.event.op, Field)  # type: ignore[union-attr]  # step 0 is left out
    )
    for words in ("it maps frame", "a migration entry", "a NUMA hint for", "looks at the PTE of p1015: none"):
        assert words in reads


def test_a_queued_writer_says_behind_whom() -> None:
    """A rwsem that cannot be had is joined: the sentence of that step says who has it; later it wakes up with it."""
    runs_ = (Stepper("stack_grows", "rwsem_v38", passes=2).finish(seed).trace for seed in range(50))
    trace = next(it for it in runs_ if any(event.outcome == "blocked" for event in it.events))
    at = next(event for event in trace.events if event.outcome == "blocked")
    said = [sentence(moment) for moment in Run(trace).moments()]
    assert re.search(r"wants the anon_vma lock .* has it, so it queues and sleeps\.$", said[at.step])
    got = next(event for event in trace.events[at.step :] if event.task is at.task)
    assert said[got.step].startswith(f"{at.task} wakes up with the anon_vma lock of A_stack")


def test_step_0_says_who_can_begin() -> None:
    """Handlers are not named: they have nothing to do yet."""
    assert told()[0] == "Nothing has happened yet. migrator and worker can run."
    assert isinstance(runs.shots()[0][0].moment, Moment)
