"""What user code and the MMU do."""

from __future__ import annotations

from functools import partial
from typing import Any

from sim import variants
from sim.machine import Machine
from sim.ops import Until, UserRead, UserWrite, Walk
from sim.setup import Builder
from sim.user import numa02_thread, spinner, user_read, user_write


def one_thread(body: Any, *, mapped: tuple[int, ...] = (), daemon: bool = False) -> Machine:
    b = Builder()
    mm = b.mm()
    heap = b.vma(mm, "heap", 0, 8)
    for vpn in mapped:
        b.page(heap, vpn, node=0)
    b.task("thread", b.cpu(0, 0), mm, body, "runs", daemon=daemon)
    return Machine(b.finish("test", {}), variants.find("mutex_v37"))


def steps(machine: Machine) -> list[Any]:
    ops = []
    while not machine.done:
        ops.append(machine.step(machine.runnable()[0]).op)
    assert machine.verdict() is None
    return ops


def test_a_write_misses_walks_and_is_done() -> None:
    """Three steps for a mapped page, and one if the TLB has it."""

    def twice(k: Any) -> Any:
        yield from user_write(k, 1)
        yield from user_write(k, 1)

    hit = [UserWrite(1)]
    assert steps(one_thread(twice, mapped=(1,))) == [UserWrite(1), Walk(1, True), UserWrite(1), *hit]


def test_a_read_leaves_an_entry_that_is_no_good_for_writing() -> None:
    """A clean page: the first write walks again, to set the dirty bit."""

    def body(k: Any) -> Any:
        yield from user_read(k, 1)
        yield from user_write(k, 1)
        yield from user_read(k, 1)

    read, write = UserRead(1), UserWrite(1)
    assert steps(one_thread(body, mapped=(1,))) == [
        *(read, Walk(1, False), read),
        *(write, Walk(1, True), write),
        read,
    ]


def test_a_fault_makes_the_instruction_start_again() -> None:
    ops = steps(one_thread(partial(user_write, vpn=1)))
    user = [op for op in ops if isinstance(op, UserWrite | Walk)]
    assert user == [UserWrite(1), Walk(1, True), UserWrite(1), Walk(1, True), UserWrite(1)]


def test_numa02_writes_each_page_of_its_slice_once() -> None:
    machine = one_thread(partial(numa02_thread, vpns=(0, 1, 2)))
    done = [op.vpn for op in steps(machine) if isinstance(op, UserWrite)]
    assert [vpn for number, vpn in enumerate(done) if vpn not in done[number + 1 :]] == [0, 1, 2]


def test_a_spinner_keeps_its_cpu_and_never_makes_a_step() -> None:
    machine = one_thread(spinner, daemon=True)
    task = machine.tasks[0].task
    assert not machine.enabled(task)
    op = machine.pending(task)
    assert isinstance(op, Until)
    assert not op.sleeps
