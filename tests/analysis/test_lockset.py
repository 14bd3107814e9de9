"""The table from data to locks: what is held at every access of every execution, and no more than that."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from sim import variants, worlds
from sim.analysis.accesses import observe
from sim.analysis.guards import Term, locks_of
from sim.analysis.lockset import BARE_READS, NOTHING, TWO, Lockset, lockset
from sim.cli import main
from sim.engines.checker import check
from sim.ops import SHARED, Acquire, Alloc, Choose, Kernel, RcuReadLock, RcuReadUnlock, Release
from sim.structs import STRUCTS, AnonVma, AnonVmaChain, Mm, Page, PageTable, Pte, Vma
from sim.variants import Variant
from sim.worlds import World
from tests.engines.toys import MUTEX, T, toy

MM, FAMILY = Mm("P"), AnonVma("A")


def table_of(*bodies: Callable[..., Kernel], variant: Variant = MUTEX, memory: dict[Any, Any] | None = None) -> Lockset:
    world = toy(*bodies, memory=memory)
    return lockset([observe(world.setup(), variant, 100_000)])


def locked(*locks: Any, then: Any) -> Callable[..., Kernel]:
    """A task that takes locks, does one operation, and gives them back."""

    def body(k: Any) -> Kernel:
        at = 0
        while at < len(locks):
            yield Acquire(*locks[at]) if isinstance(locks[at], tuple) else Acquire(locks[at])
            at += 1
        yield then
        while at:
            at -= 1
            yield Release(*locks[at]) if isinstance(locks[at], tuple) else Release(locks[at])

    return body


# --- what protects a field -------------------------------------------------------------------------------


def test_the_one_lock_that_is_held_each_time_protects() -> None:
    line = table_of(locked(T.lock, then=T.a.set(1)), locked(T.sem, T.lock, then=T.a)).line("Toy.a")
    assert (line.at_writes, line.at_reads) == (("lock",), ("sem", "lock"))
    assert (line.protection, line.flag, line.bare) == ("lock", "", ())


def test_nothing_protects_what_one_writes_under_a_lock_and_another_under_none() -> None:
    line = table_of(locked(T.lock, then=T.a.set(1)), locked(then=T.a.set(2))).line("Toy.a")
    assert (line.at_writes, line.protection, line.flag) == ((), "nothing", NOTHING)
    assert line.writers == line.bare == ("body",)


def test_a_lock_that_two_share_does_not_keep_them_apart() -> None:
    reader = (T.sem, SHARED)
    assert table_of(locked(reader, then=T.a.set(1)), locked(reader, then=T.a)).line("Toy.a").flag == NOTHING
    line = table_of(locked(T.sem, then=T.a.set(1)), locked(reader, then=T.a)).line("Toy.a")
    assert (line.at_writes, line.at_reads, line.protection) == (("sem",), ("sem read",), "sem")


def test_two_locks_are_told_whether_each_would_do_or_writers_need_both() -> None:
    line = table_of(*[locked(T.sem, T.lock, then=T.a.set(it)) for it in (1, 2)]).line("Toy.a")
    assert (line.protection, line.flag) == ("sem, lock: each would be enough", TWO)
    bodies = locked(T.sem, T.lock, then=T.a.set(1)), locked(T.lock, then=T.a), locked((T.sem, SHARED), then=T.a)
    line = table_of(*bodies).line("Toy.a")
    assert (line.at_reads, line.flag) == ((), TWO)
    assert line.protection == "sem + lock: writers hold all, readers one of them"


def test_a_reader_without_the_writers_lock_is_named() -> None:
    def peeks(k: Any) -> Kernel:
        yield T.a

    line = table_of(*[locked(T.lock, then=T.a.set(it)) for it in (1, 2)], peeks).line("Toy.a")
    assert (line.protection, line.flag, line.bare) == ("lock for writers", BARE_READS, ("peeks",))


def test_a_reader_in_an_rcu_section_is_told() -> None:
    def looks(k: Any) -> Kernel:
        yield RcuReadLock()
        yield T.a
        yield RcuReadUnlock()

    line = table_of(*[locked(T.lock, then=T.a.set(it)) for it in (1, 2)], looks).line("Toy.a")
    assert (line.at_reads, line.flag) == (("rcu",), "")
    assert line.protection == "lock for writers, rcu for readers"


def test_atomic_operations_need_no_lock() -> None:
    line = table_of(locked(then=T.a.add(1)), locked(then=T.a.add(1)), locked(then=T.a)).line("Toy.a")
    assert (line.protection, line.flag) == ("atomic", "")
    assert table_of(locked(then=T.a.add(1)), locked(then=T.a.set(1))).line("Toy.a").flag == NOTHING


def test_what_one_task_writes_or_nobody_is_said_to_be_so() -> None:
    found = table_of(locked(then=T.a.set(1)), locked(then=T.b))
    assert found.line("Toy.a").protection == "one task only"
    assert found.line("Toy.b").protection == "never written once it can be found"


def test_one_execution_without_the_lock_is_enough() -> None:
    """Which is what a single run would miss: the lock is left out on one way of three."""

    def mostly(k: Any) -> Kernel:
        chosen = yield Choose(3, "whether to lock")
        if chosen:
            yield Acquire(T.lock)
        yield T.a.set(1)
        if chosen:
            yield Release(T.lock)

    assert table_of(mostly, locked(T.lock, then=T.a.set(2))).line("Toy.a").flag == NOTHING


def test_a_store_may_make_the_way_by_which_its_lock_is_found() -> None:
    """The VMA comes to its address space under that one's lock, and leaves it so: the way is there after, or before."""
    vma = Vma("moves in and out")

    def moves_in(k: Any) -> Kernel:
        yield Acquire(MM.mmap_sem)
        yield vma.vm_mm.set(MM)
        yield vma.vm_mm.set(None)
        yield Release(MM.mmap_sem)

    assert "vm_mm.mmap_sem" in table_of(moves_in).line("Vma.vm_mm").at_writes


def test_a_flag_is_stored_atomically() -> None:
    page = Page("flagged")
    line = table_of(locked(then=page.PG_lru.set(False)), locked(then=page.PG_lru.set(True))).line("Page.PG_lru")
    assert (line.protection, line.flag, line.broken) == ("atomic", "", ())


def test_an_address_space_without_users_needs_no_lock() -> None:
    """Its last task has it alone; as long as it has users, the same store breaks the guard."""

    def clears(k: Any) -> Kernel:
        yield MM.pmd[0].set(PageTable("some"))

    assert table_of(clears).line("Mm.pmd").broken == ("clears",)
    line = table_of(clears, memory={MM.mm_users: 0}).line("Mm.pmd")
    assert (line.at_writes, line.broken) == (("mm_users",), ())


# --- objects that nobody else can find -------------------------------------------------------------------


def test_a_new_object_needs_no_lock_until_it_is_published() -> None:
    """It is written before and after it is put where others find it: only the second write counts."""

    def publishes(where: Any, k: Any) -> Kernel:
        vma = yield Alloc(Vma)
        yield vma.vm_end.set(1)
        yield Acquire(MM.mmap_sem)
        yield MM.mmap.set((vma,))
        yield vma.vm_end.set(2)
        yield Release(MM.mmap_sem)
        yield MM.mmap.set(())
        yield vma.vm_flags.set(0)

    line = table_of(partial(publishes, MM.mmap)).line("Vma.vm_end")
    assert (line.private, line.writers, line.at_writes) == (("publishes",), ("publishes",), ("Mm[mmap].mmap_sem",))
    line = table_of(partial(publishes, MM.mmap)).line("Vma.vm_flags")
    assert (line.private, line.writers) == (("publishes",), ())


# --- roles -----------------------------------------------------------------------------------------------


def test_a_lock_is_named_by_the_way_to_it() -> None:
    """From the chain to its anon_vma, to that one's root; and backwards, from a page to the table that maps it."""
    child, avc, page, pages = AnonVma("child"), AnonVmaChain("avc"), Page("page"), PageTable("pages")
    memory = {
        FAMILY.root: FAMILY,
        child.root: FAMILY,
        avc.anon_vma: child,
        child.rb_root: avc,
        page.mapping: child,
        pages.pte[3]: Pte("present", page),
        MM.pmd[0]: pages,
    }
    bodies = [locked(FAMILY.mutex, pages.ptl, then=avc.rb_left.set(None)), locked(pages.ptl, then=page.index.set(1))]
    found = table_of(*bodies, memory=memory)
    assert "anon_vma.root.lock" in found.line("AnonVmaChain.rb_left").at_writes
    assert found.line("Page.index").at_writes == ("PageTable[pte].ptl",)


def test_two_locks_of_one_role_are_not_one_lock() -> None:
    """Each thread takes the ptl of another page table: neither is held each time."""
    one, two = PageTable("one"), PageTable("two")
    line = table_of(locked(one.ptl, then=T.a.set(1)), locked(two.ptl, then=T.a.set(2))).line("Toy.a")
    assert (line.at_writes, line.flag) == (("some PageTable.ptl",), NOTHING)


# --- what is declared ------------------------------------------------------------------------------------


def test_every_guard_can_be_read() -> None:
    for struct in STRUCTS.values():
        for name in struct.fields():
            it = getattr(struct, name)
            for term in frozenset().union(*locks_of(it.guard)):
                assert _leads_to_a_lock(struct, term.role), f"{struct.__name__}.{name}: {it.guard}"


def _leads_to_a_lock(struct: Any, role: str) -> bool:
    """Whether the first name of a role is a field (or, as in ``Page[tails]``, one of a struct that names this one), and
    its last one a lock of some struct (``lock``: an anon_vma's).

    ``mm_users`` counts as one: the last user of an address space is alone in it.
    """
    *way, last = role.split(".")
    its = [getattr(it, last) for it in STRUCTS.values() if last in it.fields()]
    if way and (back := re.fullmatch(r"(\w+)\[(\w+)\]", way[0])):
        struct, way[0] = STRUCTS[back[1]], back[2]
    return (not way or way[0] in struct.fields()) and (last in ("lock", "mm_users") or any(it.lock for it in its))


def test_a_guard_is_alternatives_of_locks() -> None:
    assert locks_of("mmap_sem | mmap_sem read + vm_mm.ptl") == (
        frozenset({Term("mmap_sem", True)}),
        frozenset({Term("mmap_sem", False), Term("vm_mm.ptl", True)}),
    )
    assert locks_of("set once") == ()
    with pytest.raises(ValueError, match="'the mmap_sem' is no part of a guard"):
        locks_of("the mmap_sem")


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["mutex_v37", "rwsem_v38"])
def test_the_declared_guards_are_what_every_execution_holds(variant: str) -> None:
    """In every world whose rule stands; and they are no empty words: the tree is written under the root's lock only."""
    whole = [it for it in worlds.WORLDS.values() if not it.base]
    found = lockset([_observe(it, variants.find(variant)) for it in whole])
    assert found.complete
    assert {it.name: it.broken for it in found.lines if it.broken} == {}
    for name in ("rb_left", "rb_right", "rb_parent", "rb_subtree_last"):
        assert found.line(f"AnonVmaChain.{name}").at_writes[0] == "anon_vma.root.lock"
        assert found.line(f"AnonVmaChain.{name}").protection == "anon_vma.root.lock"
    assert found.line("PageTable.pte").at_writes[0] == "ptl"
    assert found.line("Page._mapcount").protection == "atomic"  # a fault has the ptl, a split the anon_vma lock


def _observe(world: World, variant: Variant) -> Any:
    return observe(world.setup(world.small()), variant, 200_000)


def test_a_writer_that_takes_no_lock_breaks_the_guard() -> None:
    """The stack's VMA leaves the tree and comes back without the root's lock."""

    def nothing(k: Any, anon_vma: Any) -> Kernel:
        yield from ()

    bare = MUTEX.changed("bare", anon_vma_lock_write=nothing, anon_vma_unlock_write=nothing)
    found = lockset([_observe(worlds.find("stack_grows"), bare)])
    assert {"AnonVma.rb_root", "AnonVmaChain.rb_left", "Vma.vm_start"} <= set(found.broken)
    assert "expand_downwards" in found.line("Vma.vm_start").broken


def test_the_rfc_reads_the_tree_without_its_lock() -> None:
    found = lockset([_observe(worlds.find("stack_grows"), variants.find("rfc_remap_unlocked"))])
    line = found.line("AnonVma.rb_root")
    assert (line.flag, line.bare) == (BARE_READS, ("anon_vma_interval_tree_iter_first",))
    assert found.broken == ()  # its writers still do as declared


# --- the command -----------------------------------------------------------------------------------------


def test_the_command_prints_a_table_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["lockset", "stack_grows", "--variant", "mutex_v37"]
    assert main(argv) == 0
    said = capsys.readouterr().out.splitlines()
    states = check("stack_grows", "mutex_v37").states
    assert said[0] == f"stack_grows under mutex_v37: {states:,} states, all there are"
    assert any(re.match(r"AnonVmaChain\.rb_left +anon_vma\.root\.lock", line) for line in said)
    assert main([*argv, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert set(data) == {"worlds", "variant", "states", "complete", "fields"}
    assert data["fields"]["PageTable.pte"]["at_writes"][0] == "ptl"
    assert data["fields"]["Vma.vm_pgoff"]["flag"] == TWO


def test_a_table_of_part_of_the_states_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lockset", "stack_grows", "--variant", "mutex_v37", "--limit", "100"]) == 0
    assert "not all there are" in capsys.readouterr().out


def test_a_limit_below_one_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lockset", "stack_grows", "--variant", "mutex_v37", "--limit", "0"]) == 2
    assert "--limit 0 is not allowed" in capsys.readouterr().err
