"""Fork by kernel code: the same memory as the builder's, every count right, and nothing written behind the child."""

from __future__ import annotations

from typing import Any

import pytest

from sim import invariants
from sim.invariants import Violation
from sim.kernel.exit import do_exit
from sim.kernel.fork import do_fork
from sim.kernel.migrate import sys_move_pages
from sim.kernel.rmap import TTU_MIGRATION, try_to_unmap
from sim.ops import Acquire, HandleIpi, Release, SendIpi, Wrprotect
from sim.setup import Builder
from sim.structs import PTRS_PER_PTE, AnonVma, Cpu, Mm, Page, PageTable, Pte, Struct, Task, Vma
from sim.user import user_read, user_write


def family() -> Builder:
    """P with a heap over two page tables, four pages of it mapped, and a stack that it has not touched."""
    b = Builder()
    p = b.mm("P")
    heap = b.vma(p, "heap", PTRS_PER_PTE - 4, PTRS_PER_PTE + 4)
    for vpn in (PTRS_PER_PTE - 4, PTRS_PER_PTE - 1, PTRS_PER_PTE, PTRS_PER_PTE + 2):
        b.page(heap, vpn, node=vpn % 2, written=vpn % 3)
    b.vma(p, "stack", 3 * PTRS_PER_PTE, 3 * PTRS_PER_PTE + 2, grows_down=True)
    return b


def canonical(memory: Any, mms: list[Mm]) -> dict[str, Any]:
    """*memory* as seen from the address spaces, each object called by the way that leads to it."""
    todo: list[tuple[Struct, str]] = [(mm, f"mm{number}") for number, mm in enumerate(mms)]
    names: dict[Any, str] = dict(todo)

    def name(value: Any, place: str) -> Any:
        if isinstance(value, Struct):
            if value not in names:
                names[value] = place
                todo.append((value, place))
            return names[value]
        if isinstance(value, tuple):
            return type(value).__name__, *(name(it, f"{place}.{n}") for n, it in enumerate(value))
        return value

    known: dict[str, Any] = {}
    for ref, its in todo:
        for field in sorted((it for it in memory if it.ref is ref), key=lambda it: it.name):
            if memory[field] != field.default and not isinstance(ref, Cpu | Task):
                known[f"{its}.{field.name}"] = name(memory[field], f"{its}.{field.name}")
    return known


def test_a_fork_leaves_what_the_builder_makes_of_it(alone: Any) -> None:
    """Field for field but for names: VMAs, links, trees, roots, PTEs, counts, and what each must read."""
    it = alone(family().memory)
    child = it.call(do_fork(it.k))
    by_hand = family()
    ours = by_hand.fork(Mm("P"), "C")
    forked = canonical(it.memory, [Mm("P"), child])
    assert forked == canonical(by_hand.memory, [Mm("P"), ours])
    assert sum(place.endswith("._mapcount") for place in forked) == 4
    assert invariants.at_end(it.memory) is None


def test_a_grandchild_is_what_the_builder_makes_of_it(alone: Any) -> None:
    """The second generation is linked to both before it."""
    b = family()
    b.fork(Mm("P"), "C")
    it = alone(b.memory, mm="C")
    child = it.call(do_fork(it.k))
    by_hand = family()
    by_hand.fork(Mm("P"), "C")
    by_hand.fork(Mm("C"), "G")
    assert canonical(it.memory, [Mm("P"), Mm("C"), child]) == canonical(by_hand.memory, [Mm("P"), Mm("C"), Mm("G")])


def test_a_vma_that_nobody_has_touched_is_copied_without_page_tables(alone: Any) -> None:
    """It has no anon_vma: the child's faults will fill it."""
    b = Builder()
    p = b.mm("P")
    it = alone(b.memory)
    it.set(Vma("bare"), vm_mm=p, vm_start=0, vm_end=4)
    it.set(p, mmap=(Vma("bare"),))
    child = it.call(do_fork(it.k))
    (copy,) = it.get(child.mmap)
    assert [it.get(getattr(copy, name)) for name in ("vm_mm", "vm_start", "vm_end", "anon_vma")] == [child, 0, 4, None]
    assert it.get(child.pmd[0]) is None


def test_the_child_is_in_the_trees_before_its_first_pte(alone: Any) -> None:
    """A walk that meets an entry of the child must be able to find the child (kernel/fork.c:398 before :437)."""
    it = alone(family().memory)
    root = it.get(AnonVma("A_heap").rb_root)
    linked_first = []
    for op in it.steps(do_fork(it.k)):
        field = getattr(op, "field", None)
        if field is not None and field.base == "pte" and str(field.ref).startswith("alone."):
            linked_first.append(it.get(root.rb_right) is not None)
    assert linked_first == [True] * 4


def test_the_parents_ptl_is_taken_inside_the_childs(alone: Any) -> None:
    """Two page tables, each copied with both locks."""
    it = alone(family().memory)
    it.call(do_fork(it.k))
    ptls = [
        ("+" if isinstance(op, Acquire) else "-", str(op.lock.ref).startswith("alone."))
        for op in it.ops
        if isinstance(op, Acquire | Release) and op.lock.base == "ptl"
    ]
    assert ptls == [("+", True), ("+", False), ("-", False), ("-", True)] * 2
    assert [op.nested for op in it.ops if isinstance(op, Acquire) and op.lock.base == "mmap_sem"] == [False, True]


def test_a_migration_entry_is_copied_and_gives_no_right_to_write(alone: Any) -> None:
    """In both it says read-only from now on; the page gets no mapping and no reference from it."""
    b = Builder()
    p = b.mm("P")
    page = b.page(b.vma(p, "heap", 0, 2), 0, node=0, written=1)
    it = alone(b.memory)
    it.memory[page._count] += 1  # the isolation
    it.set(page, PG_locked=Task("migrator"))
    it.call(try_to_unmap(it.k, page, TTU_MIGRATION))
    before = it.get(page._count)
    child = it.call(do_fork(it.k))
    entry = Pte("migration", page, False)
    assert it.get(PageTable("pt0").pte[0]) == entry
    assert it.get(it.get(child.pmd[0]).pte[0]) == entry
    assert (it.get(page._mapcount), it.get(page._count), it.get(page.migration_ptes)) == (-1, before, 2)
    assert not [op for op in it.ops if isinstance(op, Wrprotect)]


def test_a_stale_migration_entry_stops_a_fork(alone: Any) -> None:
    """As it stops a fault: its page is not locked."""
    b = Builder()
    p = b.mm("P")
    page = b.page(b.vma(p, "heap", 0, 2), 0, node=0)
    it = alone(b.memory)
    it.memory[PageTable("pt0").pte[0]] = Pte("migration", page, True)
    with pytest.raises(Violation, match="which is not locked"):
        it.call(do_fork(it.k))


def test_the_parents_other_threads_stop_writing_before_fork_returns(bench: Any) -> None:
    """One interrupt for all pages; what a thread wrote before belongs to both, what it writes later to the parent."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    b.spawn("forker", do_fork)
    b.spawn("writer", lambda k: user_write(k, 0), cpu=1)
    run = b.start()
    run.only("writer")
    tlb = run.machine.contexts[1].cpu.tlb[b.p, 0]
    assert run[tlb].write
    run.only("forker", until=lambda event: type(event.op) is SendIpi)
    assert run[tlb].write, "until it answers it can go on"
    run.only("forker")
    assert run[tlb] is None
    assert run.ops(HandleIpi) == 1
    assert run[b.results["forker"].shadow[0]] == run[page.data]
    assert run.violation is None


def write_twice(k: Any) -> Any:
    yield from user_write(k, 0)
    yield from user_write(k, 0)


def test_without_the_flush_a_thread_writes_behind_the_childs_back(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The frame is the child's too: that is what flush_tlb_mm at the end of dup_mmap is for."""

    def nothing(k: Any, mm: Any) -> Any:
        yield from ()

    monkeypatch.setattr("sim.kernel.fork.flush_tlb_mm", nothing)
    b = bench()
    b.page(b.heap, 0, node=0, written=1)
    b.spawn("forker", do_fork)
    b.spawn("writer", write_twice, cpu=1)
    run = b.start()
    run.only("writer", until=lambda event: event.answer is True)
    run.only("forker")
    run.only("writer")
    assert run.violation is not None
    assert run.violation.kind == "lost write"


# --- and the end ------------------------------------------------------------------------------------------


def leave(it: Any, name: str) -> None:
    """The process with the address space called *name* ends."""
    it.k.mm = Mm(name)
    it.call(do_exit(it.k))


@pytest.mark.parametrize("order", ["PCG", "PGC", "CPG", "CGP", "GPC", "GCP"])
def test_exits_leave_nothing_behind(alone: Any, order: str) -> None:
    """Three generations that share pages, gone in each order: every object is freed, once, and so is every frame."""
    b = family()
    b.fork(Mm("P"), "C")
    b.fork(Mm("C"), "G")
    it = alone(b.memory)
    for name in order:
        leave(it, name)
        assert invariants.at_end(it.memory) is None
    refs = {field.ref for field in it.memory}
    assert [ref for ref in refs if type(ref).mortal and not it.get(ref.life)] == []
    assert sum(isinstance(ref, Page) for ref in refs) == 4


def test_a_thread_that_is_not_the_last_leaves_the_address_space(alone: Any) -> None:
    """mm_users says who is left."""
    b = family()
    it = alone(b.memory)
    it.set(Mm("P"), mm_users=2)
    leave(it, "P")
    assert (it.get(Mm("P").mm_users), it.get(Mm("P").life), len(it.get(Mm("P").mmap))) == (1, False, 2)
    leave(it, "P")
    assert it.get(Mm("P").life)


def test_a_page_of_a_dead_parent_is_the_childs_alone_and_can_move(alone: Any) -> None:
    """After the exit its mapcount is 1, its anon_vma is still the parent's, and the walk finds the child."""
    b = Builder()
    p = b.mm("P")
    page = b.page(b.vma(p, "heap", 0, 2), 0, node=0, written=1)
    b.fork(p, "C")
    it = alone(b.memory)
    leave(it, "P")
    assert (it.get(page._mapcount), it.get(page.mapping)) == (0, AnonVma("A_heap"))
    it.k.mm = Mm("C")
    assert it.call(sys_move_pages(it.k, Mm("C"), (0,), 1)) == 0
    it.call(user_read(it.k, 0))
    assert it.get(page.life)
    assert invariants.at_end(it.memory) is None
