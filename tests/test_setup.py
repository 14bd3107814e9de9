"""Starting memories: built directly, and yet what the kernel's own code would have left."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import combinations
from typing import Any

import pytest

from sim import invariants, variants
from sim.context import Context
from sim.engines.stepper import Stepper
from sim.kernel.tlb import flush_tlb_func
from sim.machine import Machine
from sim.ops import Field, Kernel
from sim.setup import INIT_MM, Builder
from sim.structs import PTRS_PER_PTE, AnonVma, AnonVmaChain, Cpu, Page, PageTable, Struct, Task, Vma
from sim.user import user_write
from sim.variants import Variant
from sim.worlds import WORLDS, World

Memory = dict[Field, Any]
EACH = pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)


# --- against the fault path ------------------------------------------------------------------------------


def _toucher(k: Context, *, vpns: tuple[int, ...]) -> Kernel:
    while vpns:
        yield from user_write(k, vpns[0])
        vpns = vpns[1:]


def faulted(start: int, end: int, vpns: tuple[int, ...], node: int) -> Memory:
    """The memory after a thread on *node* has written *vpns* of a new VMA that has neither anon_vma nor pages."""
    b = Builder()
    mm, cpu = b.mm(), b.cpu(0, node)
    vma = b.vma(mm, "heap", start, end)
    gone = {AnonVma("A_heap"), AnonVmaChain("avc_heap")}
    b.memory = {it: value for it, value in b.memory.items() if it.ref not in gone}
    del b.memory[vma.anon_vma], b.memory[vma.anon_vma_chain]
    b.task("toucher", cpu, mm, partial(_toucher, vpns=vpns), "touches pages")
    machine = Machine(b.finish("test", {}), variants.find("mutex_v37"))
    while not machine.done:
        machine.step(Task("toucher"))
    assert machine.verdict() is None
    return machine.memory


def built(start: int, end: int, vpns: tuple[int, ...], node: int) -> Memory:
    """The memory that the builder makes of the same."""
    b = Builder()
    mm, cpu = b.mm(), b.cpu(0, node)
    vma = b.vma(mm, "heap", start, end)
    for vpn in vpns:
        b.page(vma, vpn, node=node, written=1)
    b.task("toucher", cpu, mm, partial(_toucher, vpns=vpns), "touches pages")
    return dict(b.finish("test", {}).memory)


def canonical(memory: Memory) -> dict[str, Any]:
    """*memory* with objects called by the way that leads to them, without what is a CPU's or a task's own."""
    todo: list[tuple[Struct, str]] = [(Vma("heap"), "vma"), (memory[Vma("heap").vm_mm], "mm")]
    names = dict(todo)

    def name(value: Any, place: str) -> Any:
        if isinstance(value, Struct):
            return names.get(value) or names.setdefault(value, place)
        if isinstance(value, tuple):
            return type(value).__name__, *(name(it, f"{place}.{n}") for n, it in enumerate(value))
        return value

    known: dict[str, Any] = {}
    for ref, its in todo:
        for field in sorted(
            (it for it in memory if it.ref is ref and memory[it] != it.default), key=lambda it: it.name
        ):
            before = set(names)
            known[f"{its}.{field.name}"] = name(memory[field], f"{its}.{field.name}")
            todo += [(it, names[it]) for it in names if it not in before and not isinstance(it, Cpu | Task)]
    return known


@pytest.mark.parametrize(
    ("start", "end", "vpns"),
    [
        (0, 8, (0,)),
        (0, 8, (7, 2)),
        (100, 2000, (100, 700, 701, 1999)),
        (5 * PTRS_PER_PTE, 5 * PTRS_PER_PTE + 1, (2560,)),
    ],
)
@pytest.mark.parametrize("node", [0, 1])
def test_a_built_page_is_what_a_fault_leaves(start: int, end: int, vpns: tuple[int, ...], node: int) -> None:
    """Counts, mapping, index, PTE, page table, anon_vma, its tree, and the link: field for field, but for names."""
    by_hand, by_fault = canonical(built(start, end, vpns, node)), canonical(faulted(start, end, vpns, node))
    assert by_hand == by_fault
    assert sum(place.endswith("._mapcount") for place in by_hand) == len(vpns)


def test_the_comparison_sees_every_field_of_a_page() -> None:
    """Any one field of the built memory that is not as it should be makes the two differ: the test above can fail."""
    memory = built(0, 8, (3,), 1)
    known = canonical(memory)
    page = next(it.ref for it in memory if isinstance(it.ref, Page))
    kinds = (Page, PageTable, Vma, AnonVma, AnonVmaChain)
    wrong = [it for it in memory if isinstance(it.ref, kinds) and memory[it] != it.default]
    assert {it.name for it in wrong} >= {"_count", "_mapcount", "mapping", "index", "pte[3]", "rb_root", "refcount"}
    assert {it.name for it in wrong if it.ref is page} >= {"node", "present_ptes", "data"}
    for field in wrong:
        assert canonical({**memory, field: field.default}) != known, field


# --- worlds ----------------------------------------------------------------------------------------------


@EACH
def test_a_world_starts_whole(world: World) -> None:
    """No lock is held, every count is right, every written page is mapped: what must hold at the end holds at first.

    And a page's number says whose it is, as pictures and sentences name a page by it: only those whom a fork made kin
    have pages of the same number.
    """
    for params in ({}, world.small()):
        memory = dict(world.setup(params).memory)
        assert invariants.at_end(memory) is None
        vmas = [vma for it in memory if it.base == "mmap" for vma in memory[it]]
        for one, other in combinations(vmas, 2):
            start = max(memory[it.vm_start] for it in (one, other))
            end = min(memory[it.vm_end] for it in (one, other))
            assert start >= end or _root(one, memory) is _root(other, memory), f"{one} and {other}: page {start}"


def _root(vma: Vma, memory: Memory) -> Any:
    """Whose lock the family of *vma* has; itself if it has no family."""
    anon_vma = memory.get(vma.anon_vma)
    return vma if anon_vma is None else memory[anon_vma.root]


@EACH
def test_a_world_is_the_same_every_time(world: World) -> None:
    """Memory, tasks and letters do not depend on what was built or run before."""
    first = world.setup(world.small())
    before = dict(first.memory)
    run = Stepper(world.name, **world.small()).finish(7)
    again = world.setup(world.small())
    assert list(again.memory.items()) == list(before.items())
    assert [(it.task, it.letter, it.cpu) for it in again.tasks] == [(it.task, it.letter, it.cpu) for it in first.tasks]
    assert dict(run.setup.memory) == before  # a run changes a copy


def _safe_there(world: World) -> list[Variant]:
    """The variants under which *world* goes well; none if a rule was taken from it."""
    return [it for it in map(variants.find, variants.names()) if it.verdicts[world.name] == "safe"]


@pytest.mark.parametrize("world", [pytest.param(it, id=it.name) for it in WORLDS.values() if _safe_there(it)])
def test_a_world_runs_to_its_end_in_turn(world: World) -> None:
    """Whoever can run runs on: all finish, and nothing is wrong.

    Under the first variant that is safe there; that it is so in any order, under each, is what the checker confirms.
    """
    machine = Machine(world.setup(world.small()), _safe_there(world)[0])
    while not machine.done and (ready := machine.runnable()):
        while not machine.done and machine.enabled(ready[0]):
            machine.step(ready[0])
    assert machine.done
    assert machine.verdict() is None


@EACH
def test_each_cpu_has_one_thread_and_one_interrupt_handler(world: World) -> None:
    """Where there is more than one CPU; each thread's CPU is in its process's cpumask and on the node that it says.

    A kernel thread's CPU runs no user code: it is in no cpumask and nobody interrupts it.
    """
    setup = world.setup(world.small())
    threads = [it for it in setup.tasks if it.body is not flush_tlb_func]
    handlers = [it for it in setup.tasks if it.body is flush_tlb_func]
    cpus = _of(threads)
    assert len(set(cpus)) == len(cpus)
    assert _of(handlers) == (_of(it for it in threads if it.mm is not INIT_MM) if len(cpus) > 1 else [])
    assert all(it.daemon for it in handlers)
    for it in setup.tasks:
        assert it.mm is INIT_MM or it.cpu in setup.memory[it.mm.cpu_vm_mask]
        assert setup.memory.get(it.cpu.node, 0) == it.node < setup.nodes


def _of(tasks: Iterable[Any]) -> list[Cpu]:
    return [it.cpu for it in tasks]


def test_the_pages_of_numa02_lie_on_the_wrong_node() -> None:
    """Each thread's slice is marked for NUMA faults, and stands on the node after its thread's."""
    setup = WORLDS["numa02"].setup({"threads": 4, "pages": 3, "nodes": 4})
    for number, info in enumerate(it for it in setup.tasks if not it.daemon):
        table = setup.memory[info.mm.pmd[number]]
        ptes = [setup.memory[it] for it in table.pte.values() if it in setup.memory]
        assert [it.kind for it in ptes] == ["prot_none"] * 3
        assert {setup.memory.get(it.page.node, 0) for it in ptes} == {(info.node + 1) % 4}


def test_two_objects_cannot_have_one_name() -> None:
    """A name is an identity, so a second object of the same name would be the first."""
    b = Builder()
    b.vma(b.mm(), "heap", 0, 8)
    with pytest.raises(ValueError, match="two objects are called A_heap"):
        b.vma(b.mm("Q"), "heap", 0, 8)


# --- families --------------------------------------------------------------------------------------------


def test_a_family_is_linked_as_the_worked_example_says() -> None:
    """P, its child C and its grandchild G: chains newest first, one root, references, trees in order of age."""
    b = Builder()
    parent = b.mm("P")
    page = b.page(b.vma(parent, "heap", 0, 8), 3, node=0, written=1)
    grandchild = b.fork(b.fork(parent, "C"), "G")
    b.task("nobody", b.cpu(0, 0), parent, partial(_toucher, vpns=()), "nothing")
    memory = b.finish("test", {}).memory
    chains = {it.name: [memory[avc.anon_vma].name for avc in memory[it.anon_vma_chain]] for it in map(Vma, HEAPS)}
    assert chains == {
        "heap": ["A_heap"],
        "heap_C": ["A_heap_C", "A_heap"],
        "heap_G": ["A_heap_G", "A_heap_C", "A_heap"],
    }
    own = [memory[Vma(it).anon_vma] for it in HEAPS]
    assert [memory[it.root].name for it in own] == ["A_heap"] * 3
    assert [memory[it.refcount] for it in own] == [3, 1, 1]
    assert [[memory[avc.vma].name for avc in in_order(memory, it)] for it in own] == [HEAPS, HEAPS[1:], HEAPS[2:]]
    assert (memory[page._mapcount], memory[page._count], memory[page.present_ptes]) == (2, 3, 3)
    pte = invariants.pte_of(memory, grandchild, 3)
    assert (pte.page, pte.write) == (page, False)
    assert memory[grandchild.shadow[3]] == memory[parent.shadow[3]] == memory[page.data]


HEAPS = ["heap", "heap_C", "heap_G"]


def in_order(memory: Memory, anon_vma: AnonVma) -> list[AnonVmaChain]:
    """The links in the tree of *anon_vma*, from left to right."""

    def below(node: Any) -> list[AnonVmaChain]:
        return [] if node is None else [*below(memory.get(node.rb_left)), node, *below(memory.get(node.rb_right))]

    return below(memory[anon_vma.rb_root])


def test_a_kernel_thread_has_no_pages_and_takes_no_interrupts() -> None:
    """Its CPU is in no cpumask, and it has no handler; the CPUs of users have."""
    b = Builder()
    mm = b.mm()
    b.task("user", b.cpu(0, 0), mm, partial(_toucher, vpns=()), "nothing")
    b.kernel_thread("kswapd", b.cpu(1, 0), partial(_toucher, vpns=()), "nothing")
    setup = b.finish("test", {})
    assert setup.memory[mm.cpu_vm_mask] == (Cpu("cpu0"),)
    assert [it.task.name for it in setup.tasks] == ["user", "kswapd", "ipi@cpu0"]
