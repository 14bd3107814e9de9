"""A page fault: what it leaves behind, and who was faster."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from sim import invariants, variants
from sim.invariants import Violation
from sim.kernel.fault import page_fault
from sim.kernel.memory import follow_page
from sim.machine import Machine
from sim.ops import Acquire, Alloc, Release, TryAcquire, Write
from sim.setup import Builder
from sim.structs import Mm, Page, PageTable, Pte, Task, Vma, Written
from sim.user import user_read, user_write

MUTEX = variants.find("mutex_v37")


def world(*bodies: Any, mapped: tuple[int, ...] = (0,)) -> Machine:
    """A heap of eight pages, some of them mapped and clean, and a thread on a CPU of its own for each body."""
    b = Builder()
    mm = b.mm()
    heap = b.vma(mm, "heap", 0, 8)
    for vpn in mapped:
        b.page(heap, vpn, node=0)
    for number, body in enumerate(bodies):
        b.task(f"thread-{number}", b.cpu(number, number), mm, body, "faults")
    return Machine(b.finish("test", {}), MUTEX)


def run_until(machine: Machine, number: int, what: type, base: str) -> Any:
    """Let thread *number* run until its next step is a *what* of a field called *base*."""
    task = Task(f"thread-{number}")
    while True:
        op = machine.pending(task)
        field = getattr(op, "field", None) or getattr(op, "lock", None)
        if isinstance(op, what) and field.base == base:
            return field
        machine.step(task)


def run_out(machine: Machine, number: int) -> None:
    task = Task(f"thread-{number}")
    while machine.enabled(task):
        machine.step(task)


def finish(machine: Machine) -> None:
    while machine.runnable() and not machine.done:
        machine.step(machine.runnable()[0])
    assert machine.verdict() is None


def pte_of(machine: Machine, vpn: int) -> Any:
    return invariants.pte_of(machine.memory, Mm("P"), vpn)


def get(machine: Machine, field: Any) -> Any:
    return machine.memory.get(field, field.default)


# --- a new page ------------------------------------------------------------------------------------------


def test_an_anonymous_fault_maps_a_page_of_its_own(alone: Any) -> None:
    """One reference, one mapping, known to the reverse map, on the LRU, on the faulting CPU's node, dirty."""
    b = Builder()
    b.vma(b.mm(), "heap", 4, 12)
    it = alone(b.memory, node=1)
    it.call(page_fault(it.k, 6, True))
    pte = invariants.pte_of(it.memory, Mm("P"), 6)
    page = pte.page
    assert pte == Pte("present", page, write=True, dirty=True)
    assert it.get(page._count) == 1
    assert it.get(page._mapcount) == 0
    assert it.get(page.mapping) is it.get(Vma("heap").anon_vma)
    assert it.get(page.index) == 6
    assert it.get(page.PG_lru)
    assert it.get(page.node) == 1
    assert it.get(Mm("P").mmap_sem).readers == ()
    assert it.points == ["fault", "page_fault_entry", "alloc_page", "clear_page"]


def test_the_first_fault_of_a_vma_gives_it_an_anon_vma(alone: Any) -> None:
    b = Builder()
    heap = b.vma(b.mm(), "heap", 4, 12)
    it = alone(b.memory)
    it.set(heap, anon_vma=None, anon_vma_chain=())
    it.call(page_fault(it.k, 6, True))
    anon_vma = it.get(heap.anon_vma)
    assert it.get(invariants.pte_of(it.memory, Mm("P"), 6).page.mapping) is anon_vma
    assert it.get(heap.anon_vma_chain) == (it.get(anon_vma.rb_root),)


def test_a_setup_is_what_the_fault_path_leaves_behind(alone: Any) -> None:
    """A world built by hand equals one whose pages were written by a thread, but for the frames' names."""
    by_hand, by_fault = Builder(), Builder()
    for b in (by_hand, by_fault):
        b.vma(b.mm(), "heap", 0, 8)
    by_hand.page(Vma("heap"), 3, node=0, written=1)
    it = alone(by_fault.memory)
    it.call(user_write(it.k, 3))

    def seen(memory: Any) -> dict[str, Any]:
        pte = invariants.pte_of(memory, Mm("P"), 3)
        fields = {name: memory.get(getattr(pte.page, name)) for name in Page.fields() if name not in {"node", "pins"}}
        return {**fields, "pte": pte._replace(page=None)}

    before = seen(by_hand.memory)
    after = seen(it.memory)
    assert {**before, "PG_lru": None} == {**after, "PG_lru": None}
    assert by_hand.memory.get(Mm("P").shadow[3]) == it.get(Mm("P").shadow[3]) == Written(3, 1, Mm("P"))


def test_a_first_fault_in_a_new_2mb_makes_the_page_table(alone: Any) -> None:
    """Allocated without a lock, stored under page_table_lock."""
    b = Builder()
    b.vma(b.mm(), "heap", 510, 514)
    it = alone(b.memory)
    it.call(page_fault(it.k, 510, True))
    it.call(page_fault(it.k, 513, True))
    first, second = it.get(Mm("P").pmd[0]), it.get(Mm("P").pmd[1])
    assert isinstance(first, PageTable)
    assert isinstance(second, PageTable)
    assert first is not second
    kinds = [type(op) for op in it.ops]
    store = it.ops.index(Write(Mm("P").pmd[1], second))
    assert kinds.index(Alloc) < it.ops.index(Acquire(Mm("P").page_table_lock)) < store
    assert store < it.ops.index(Release(Mm("P").page_table_lock))
    it.call(page_fault(it.k, 512, True))
    assert it.get(Mm("P").pmd[1]) is second
    assert Acquire(Mm("P").page_table_lock) not in it.ops


def test_of_two_faults_on_one_page_the_slower_gives_its_frame_back() -> None:
    """It looks at the PTE again under the ptl."""
    machine = world(partial(user_write, vpn=1), partial(user_write, vpn=1))
    run_until(machine, 0, Acquire, "ptl")
    run_out(machine, 1)
    winner = pte_of(machine, 1).page
    finish(machine)
    assert pte_of(machine, 1).page is winner
    loser = Page("thread-0.f1")
    assert winner is Page("thread-1.f1")
    assert get(machine, loser.life), "the loser's frame is free again"


def test_of_two_first_faults_in_a_2mb_the_slower_gives_its_page_table_back() -> None:
    machine = world(partial(user_write, vpn=1), partial(user_write, vpn=2), mapped=())
    run_until(machine, 0, Acquire, "page_table_lock")
    run_out(machine, 1)
    finish(machine)
    assert get(machine, Mm("P").pmd[0]) is PageTable("thread-1.pt1")
    assert get(machine, PageTable("thread-0.pt1").life)
    assert pte_of(machine, 1).page is not pte_of(machine, 2).page


# --- what else the PTE may say ---------------------------------------------------------------------------


def test_a_fault_that_somebody_has_served_only_marks_the_page_dirty(alone: Any) -> None:
    b = Builder()
    heap = b.vma(b.mm(), "heap", 0, 8)
    page = b.page(heap, 0, node=0)
    it = alone(b.memory)
    it.call(page_fault(it.k, 0, True))
    assert invariants.pte_of(it.memory, Mm("P"), 0) == Pte("present", page, True, True)
    it.call(page_fault(it.k, 0, True))
    assert not [op for op in it.ops if isinstance(op, Write)], "and if it is dirty already, not even that"


def test_a_write_to_a_read_only_pte_makes_it_writable(alone: Any) -> None:
    """The page has one mapping, so nobody else needs the old contents; the page lock is taken for the decision."""
    b = Builder()
    heap = b.vma(b.mm(), "heap", 0, 8)
    page = b.page(heap, 0, node=0)
    it = alone(b.memory)
    pte = it.get(Mm("P").pmd[0]).pte[0]
    it.memory[pte] = Pte("present", page, False)
    it.call(user_read(it.k, 0))
    it.call(user_write(it.k, 0))
    assert it.get(pte) == Pte("present", page, True, True)
    assert TryAcquire(page.PG_locked) in it.ops
    assert it.points == ["fault", "page_fault_entry", "tlb_flush"]


def test_a_writer_sleeps_for_the_page_lock_without_the_ptl() -> None:
    """Somebody has locked the page; the ptl is given back before the sleep, and the PTE looked at again after it."""

    def locker(k: Any) -> Any:
        yield Acquire(page.PG_locked)
        yield Release(page.PG_locked)

    page = Page("f0")
    machine = world(partial(user_write, vpn=0), locker)
    table = get(machine, Mm("P").pmd[0])
    machine.memory[table.pte[0]] = Pte("present", page, False)
    machine.step(Task("thread-1"))
    run_out(machine, 0)
    assert machine.pending(Task("thread-0")) == Acquire(page.PG_locked)
    assert get(machine, table.ptl) is None
    assert get(machine, page._count) == 2
    finish(machine)
    assert pte_of(machine, 0) == Pte("present", page, True, True)
    assert get(machine, page._count) == 1


def test_a_writer_that_slept_for_the_page_lock_may_find_the_page_gone() -> None:
    """Then it gives everything back and lets the write be tried again."""

    def migrator(k: Any) -> Any:
        yield Acquire(page.PG_locked)
        yield get(machine, Mm("P").pmd[0]).pte[0].set(Pte("present", page))
        yield Release(page.PG_locked)

    page = Page("f0")
    machine = world(partial(user_write, vpn=0), migrator)
    machine.memory[get(machine, Mm("P").pmd[0]).pte[0]] = Pte("present", page, False)
    machine.step(Task("thread-1"))
    run_out(machine, 0)
    run_out(machine, 1)
    finish(machine)
    assert get(machine, page._count) == 1


def test_an_entry_of_another_kind_ends_the_run(alone: Any) -> None:
    """Such as one for a page that memory has destroyed (hwpoison)."""
    b = Builder()
    page = b.page(b.vma(b.mm(), "heap", 0, 8), 0, node=0)
    it = alone(b.memory)
    it.memory[it.get(Mm("P").pmd[0]).pte[0]] = Pte("hwpoison", page)
    with pytest.raises(Violation, match="a hwpoison entry at page 0"):
        it.call(page_fault(it.k, 0, True))


def test_a_fault_on_a_migration_entry_sleeps_with_mmap_sem_held() -> None:
    """Until the page is unlocked; then the access is tried again."""

    def migrator(k: Any) -> Any:
        yield Acquire(page.PG_locked)
        yield table.pte[0].set(Pte("migration", page))
        yield table.pte[0].set(Pte("present", page))
        yield Release(page.PG_locked)

    page, table = Page("f0"), PageTable("pt0")
    machine = world(partial(user_write, vpn=0), migrator)
    machine.step(Task("thread-1"))
    machine.step(Task("thread-1"))
    run_out(machine, 0)
    assert get(machine, Mm("P").mmap_sem).readers == (Task("thread-0"),)
    assert get(machine, page._count) == 2
    machine.step(Task("thread-1"))
    assert not machine.enabled(Task("thread-0"))
    machine.step(Task("thread-1"))
    finish(machine)
    assert get(machine, page._count) == 1


@pytest.mark.parametrize(("address", "write"), [(3, False), (12, True)])
def test_an_access_outside_every_vma_ends_the_run(alone: Any, address: int, write: bool) -> None:
    b = Builder()
    b.vma(b.mm(), "heap", 4, 12)
    it = alone(b.memory)
    with pytest.raises(Violation, match=f"segmentation fault at page {address} of P"):
        it.call(page_fault(it.k, address, write))


def test_a_write_to_a_read_only_vma_ends_the_run(alone: Any) -> None:
    b = Builder()
    heap = b.vma(b.mm(), "heap", 4, 12)
    it = alone(b.memory)
    it.set(heap, vm_flags=0)
    with pytest.raises(Violation, match="segmentation fault at page 4"):
        it.call(page_fault(it.k, 4, True))


# --- mmap_sem --------------------------------------------------------------------------------------------


def test_a_fault_waits_for_a_writer_of_mmap_sem() -> None:
    """First the trylock, then the queue."""

    def writer(k: Any) -> Any:
        yield Acquire(k.mm.mmap_sem)
        yield Release(k.mm.mmap_sem)

    machine = world(partial(user_read, vpn=0), writer, mapped=())
    machine.step(Task("thread-1"))
    run_out(machine, 0)
    assert machine.pending(Task("thread-0")) == Acquire(Mm("P").mmap_sem, "shared")
    assert get(machine, Mm("P").mmap_sem).queue == ((Task("thread-0"), "shared"),)
    finish(machine)


# --- follow_page -----------------------------------------------------------------------------------------


def test_follow_page_takes_a_reference(alone: Any) -> None:
    """Under the ptl, for a present PTE and for a NUMA hint; nothing for the rest."""
    b = Builder()
    heap = b.vma(b.mm(), "heap", 0, 1024)
    page, hinted = b.page(heap, 0, node=0), b.page(heap, 1, node=0, kind="prot_none")
    it = alone(b.memory)
    assert it.call(follow_page(it.k, heap, 0)) is page
    assert it.get(page._count) == 2
    assert it.call(follow_page(it.k, heap, 1)) is hinted
    assert it.call(follow_page(it.k, heap, 2)) is None
    assert it.call(follow_page(it.k, heap, 600)) is None
    it.memory[it.get(Mm("P").pmd[0]).pte[0]] = Pte("migration", page)
    assert it.call(follow_page(it.k, heap, 0)) is None
    assert it.get(page._count) == 2
