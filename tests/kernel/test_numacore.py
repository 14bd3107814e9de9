"""numa/core's NUMA fault: one fault serves 2 MB, and each misplaced page moves on its own."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import pytest

from sim import variants, worlds
from sim.invariants import pte_of
from sim.kernel.fault import page_fault
from sim.machine import Machine
from sim.ops import Acquire, TryAcquire, Until, Write
from sim.setup import Builder
from sim.structs import Mm, Page, PageTable, Task, Vma
from sim.user import numa02_thread, user_write

MUTEX = variants.find("mutex_v37")
P = Mm("P")


def hinted(first: int, end: int, *nodes: int, written: int = 1) -> Builder:
    """A heap [first, end) whose first pages lie on these nodes, all marked with NUMA hints."""
    b = Builder()
    heap = b.vma(b.mm(), "heap", first, end)
    for number, node in enumerate(nodes):
        b.page(heap, first + number, node=node, kind="prot_none", written=written)
    return b


def node_of(it: Any, vpn: int) -> int:
    return it.get(pte_of(it.memory, P, vpn).page.node)


def made_present(it: Any) -> list[int]:
    """The pages whose PTE was turned from a hint into a present one, in order, by their number in the table."""
    frames = {Page(f"f{number}") for number in range(8)}
    seen = [op for op in it.ops if isinstance(op, Write) and op.field.base == "pte" and op.value is not None]
    return [op.field.key for op in seen if op.value.kind == "present" and op.value.page in frames]


def test_one_fault_serves_every_hint_of_its_2mb(alone: Any) -> None:
    """Whichever page was touched; misplaced ones are on the faulting CPU's node afterwards."""
    it = alone(hinted(0, 8, 1, 0, 1, 1).memory, node=0)
    it.call(page_fault(it.k, 2, True))
    assert [node_of(it, vpn) for vpn in range(4)] == [0, 0, 0, 0]
    assert [pte_of(it.memory, P, vpn).kind for vpn in range(4)] == ["present"] * 4
    assert Counter(it.points)["fault"] == 1


def test_the_first_page_of_the_range_is_served_last(alone: Any) -> None:
    it = alone(hinted(4, 12, 0, 0, 0, 0).memory, node=0)
    it.call(page_fault(it.k, 6, True))
    assert made_present(it) == [5, 6, 7, 4]


@pytest.mark.parametrize(("first", "end", "touched", "served"), [(510, 516, 511, 2), (510, 516, 513, 4), (0, 3, 0, 3)])
def test_a_fault_stays_within_its_2mb_and_its_vma(alone: Any, first: int, end: int, touched: int, served: int) -> None:
    b = hinted(first, end, *(0,) * (end - first))
    other = b.vma(P, "other", end, end + 4)
    b.page(other, end, node=0, kind="prot_none")
    it = alone(b.memory, node=0)
    it.call(page_fault(it.k, touched, True))
    present = [vpn for vpn in range(first, end + 1) if pte_of(it.memory, P, vpn).kind == "present"]
    assert len(present) == served
    assert {vpn // 512 for vpn in present} == {touched // 512}
    assert end not in present


def test_two_anon_vma_locks_and_one_flush_for_each_misplaced_page(alone: Any) -> None:
    """The seed's 1024 and 512, here for three pages of four; a page that stays costs neither."""
    it = alone(hinted(0, 8, 1, 0, 1, 1).memory, node=0)
    it.call(page_fault(it.k, 0, True))
    mutex = it.get(Vma("heap").anon_vma).mutex
    assert sum(isinstance(op, Acquire | TryAcquire) and op.lock is mutex for op in it.ops) == 6
    assert Counter(it.points)["tlb_flush"] == 3
    assert Counter(it.points)["unmap_walk"] == Counter(it.points)["remap_walk"] == 3


def test_a_dirty_page_becomes_writable_at_once_and_a_clean_one_does_not(alone: Any) -> None:
    """The VMA's protection is read-only for a private mapping; a clean page costs a second fault."""
    dirty, clean = alone(hinted(0, 8, 0).memory, node=0), alone(hinted(0, 8, 0, written=0).memory, node=0)
    for it in (dirty, clean):
        it.call(user_write(it.k, 0))
    assert Counter(dirty.points)["fault"] == 1
    assert Counter(clean.points)["fault"] == 2
    assert pte_of(clean.memory, P, 0).write


def test_a_page_with_two_mappings_stays_where_it_is(alone: Any) -> None:
    it = alone(hinted(0, 8, 1).memory, node=0)
    page = pte_of(it.memory, P, 0).page
    it.memory[page._mapcount] = 1
    it.call(page_fault(it.k, 0, False))
    pte = pte_of(it.memory, P, 0)
    assert (pte.kind, pte.page, pte.write) == ("present", page, False)
    assert it.get(page._count) == 1


def test_a_pinned_page_keeps_its_node_and_no_reference_is_left(alone: Any) -> None:
    b = Builder()
    heap = b.vma(b.mm(), "heap", 0, 8)
    page = b.page(heap, 0, node=1, kind="prot_none", pins=1, written=1)
    it = alone(b.memory, node=0)
    it.call(page_fault(it.k, 0, True))
    assert pte_of(it.memory, P, 0).page is page
    assert it.get(page._count) == 2
    assert it.get(page.PG_lru)


def two_threads() -> Machine:
    """Two threads on node 0 that write the same 2 MB, which lies on node 1."""
    b = hinted(0, 8, 1, 1)
    for number in range(2):
        body = partial(numa02_thread, vpns=(number,))
        b.task(f"thread-{number}", b.cpu(number, 0), P, body, "faults")
    return Machine(b.finish("test", {}), MUTEX)


def test_the_second_fault_in_a_2mb_sleeps_and_then_does_nothing() -> None:
    """It waits for the page table's PG_locked with mmap_sem held; its own page has been served meanwhile."""
    machine = two_threads()
    first, second = Task("thread-0"), Task("thread-1")
    lock = PageTable("pt0").PG_locked
    while machine.memory.get(lock) is None:
        machine.step(first)
    while machine.enabled(second):
        machine.step(second)
    assert machine.pending(second) == Until(lock, None, sleeps=True)
    assert machine.memory[P.mmap_sem].readers == (first, second)
    points: Counter[str] = Counter()
    while not machine.done:
        points.update(machine.step(machine.runnable()[0]).points)
    assert machine.verdict() is None
    assert points["unmap_walk"] == 2, "each page once"
    assert points["fault"] == 0, "nobody faulted again"


def test_page_table_lock_is_not_held_while_the_page_table_is_locked() -> None:
    """As mailed: it only makes the page-table page certain."""
    machine = two_threads()
    first = Task("thread-0")
    lock = PageTable("pt0").PG_locked
    while machine.pending(first) != TryAcquire(lock):
        machine.step(first)
    assert machine.memory.get(P.page_table_lock) is None


#: The chains of the profile, outermost first: 1354305521-11583-1.  What the compiler inlined there is left out.
FAULT = ["start_thread", "worker_thread", "__memset_sse2", "page_fault", "do_page_fault", "__do_page_fault"]
FAULT += ["handle_mm_fault", "handle_pte_fault", "__do_numa_page", "migrate_misplaced_page", "migrate_pages"]
UNMAP = [*FAULT, "try_to_unmap", "try_to_unmap_anon", "page_lock_anon_vma"]
REMAP = [*FAULT, "move_to_new_page", "rmap_walk"]
INLINED = {"do_numa_page", "unmap_and_move", "__unmap_and_move", "remove_migration_ptes", "rmap_walk_anon"}


def test_the_profile_s_two_call_chains_come_out_of_the_functions_names() -> None:
    """Every time a worker of numa02 takes the mutex it stands in one of the two chains of the mail."""
    machine = Machine(worlds.find("numa02").setup({"threads": 1, "pages": 2, "nodes": 2}), MUTEX)
    chains = []
    task = machine.tasks[0].task
    while not machine.done:
        op = machine.pending(task)
        if isinstance(op, Acquire | TryAcquire) and op.lock.base == "mutex":
            names = [frame.function for frame in machine.stack(task)]
            chains.append([name for name in names if name not in INLINED])
        machine.step(machine.runnable()[0])
    expected = [*UNMAP, *REMAP]
    assert [chain[: len(UNMAP)] for chain in chains[::2]] == [UNMAP, UNMAP], expected
    assert [chain[: len(REMAP)] for chain in chains[1::2]] == [REMAP, REMAP], expected
