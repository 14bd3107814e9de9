"""Mutants: the kernel code with one thing wrong, and the violation that must then appear.

Each entry of mutants.toml takes something away (an acquire with its release, a flush with its wait, a second look) or
swaps two operations, and names the world, the variant and the kind of violation that the checker must find first.  An
acquire is never removed alone: "release without hold" would be a cheap way to notice.

A mutant is a function's source, rewritten, which replaces it wherever it is bound.  Worlds for them alone stand here.
"""

from __future__ import annotations

import inspect
import itertools
import linecache
import tomllib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from sim import build, variants, worlds
from sim.build import Patch
from sim.context import Context
from sim.engines.checker import check
from sim.engines.stepper import Stepper
from sim.invariants import KINDS
from sim.kernel.exit import do_exit
from sim.kernel.fork import dup_mm
from sim.kernel.migrate import sys_move_pages
from sim.kernel.mmap import expand_stack, sys_munmap
from sim.kernel.v38.memory import do_numa_page
from sim.kernel.v38.migrate import numamigrate_update_ratelimit
from sim.ops import Bug, Kernel
from sim.setup import Builder
from sim.structs import PTRS_PER_PTE, AnonVma, AnonVmaChain, PageTable, Pgdat, Task, Vma
from sim.sync import down_read, up_read
from sim.user import user_read, user_write
from sim.variants import Variant
from sim.worlds import World
from sim.worlds.edits import kernel_mover

NODE1 = Pgdat("node1")
MUTANTS: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("mutants.toml").read_text())["mutant"]
BY_NAME = pytest.mark.parametrize("mutant", MUTANTS, ids=[it["name"] for it in MUTANTS])


# --- worlds that only mutants need -----------------------------------------------------------------------


def _write(k: Context, *, vpn: int, move: bool = False) -> Kernel:
    yield from user_write(k, vpn)
    if move:
        yield from _move(k, vpn=vpn)
    yield from user_read(k, vpn)


def _move(k: Context, *, vpn: int) -> Kernel:
    yield from sys_move_pages(k, k.mm, (vpn,), 1, 2)


def _fork(k: Context, *, vpn: int | None = None) -> Kernel:
    yield from dup_mm(k)
    if vpn is not None:
        yield from user_write(k, vpn)


def alone() -> Builder:
    """A thread writes a page, moves it, and reads it: nobody else is there."""
    b = Builder()
    mm, cpu = b.mm(), b.cpu(0, 0)
    b.page(b.vma(mm, "heap", 0, 8), 0, node=0)
    b.task("thread", cpu, mm, partial(_write, vpn=0, move=True), "writes, moves and reads page 0")
    return b


def pinned() -> Builder:
    """A pinned page is unmapped and put back, twice, while a thread writes it."""
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    b.page(b.vma(mm, "heap", 0, 8), 0, node=0, pins=1)
    b.task("mover", cpu0, mm, partial(_move, vpn=0), "tries to move page 0")
    b.task("writer", cpu1, mm, partial(_write, vpn=0), "writes page 0")
    return b


def hinted() -> Builder:
    """A thread faults on the NUMA hint of a page while another thread moves that page."""
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    b.page(b.vma(mm, "heap", 0, 1), 0, node=0, kind="prot_none", written=1)
    b.task("mover", cpu0, mm, partial(_move, vpn=0), "moves page 0")
    b.task("writer", cpu1, mm, partial(user_write, vpn=0), "writes page 0, on which a NUMA hint stands")
    return b


def hinted_twice() -> Builder:
    """Two threads on two nodes fault on the NUMA hint of one page."""
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    b.page(b.vma(mm, "heap", 0, 1), 0, node=0, kind="prot_none", written=1)
    b.task("near", cpu0, mm, partial(user_write, vpn=0), "writes page 0")
    b.task("far", cpu1, mm, partial(user_write, vpn=0), "writes page 0, which then moves")
    return b


def first_touch(second: int) -> Builder:
    """Two threads touch a new VMA at once, pages 0 and *second*: no page table yet, and no anon_vma."""
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    heap = b.vma(mm, "heap", 0, 8)
    _forget(b, AnonVma("A_heap"), AnonVmaChain("avc_heap"))
    del b.memory[heap.anon_vma], b.memory[heap.anon_vma_chain]
    b.task("first", cpu0, mm, partial(_write, vpn=0), "touches page 0")
    b.task("second", cpu1, mm, partial(_write, vpn=second), f"touches page {second}")
    return b


def relatives() -> Builder:
    """Parent and child share an anon_vma; each has a page of its own at address 0, and moves it."""
    b = Builder()
    parent, child = b.mm("P"), b.mm("C")
    cpu0, cpu1 = b.cpu(0, 0), b.cpu(1, 1)
    heap, theirs = b.vma(parent, "heap", 0, 8), b.vma(child, "heap_C", 0, 8)
    first, second = AnonVmaChain("avc_heap"), AnonVmaChain("avc_heap_C")
    _forget(b, AnonVma("A_heap_C"))
    b.memory[second.anon_vma] = b.memory[theirs.anon_vma] = AnonVma("A_heap")
    b.memory[first.rb_right], b.memory[second.rb_parent], b.memory[second.rb_color] = second, first, "red"
    b.page(heap, 0, node=0, written=1)
    b.memory[child.pmd[0]] = PageTable("pt_C")
    b.page(theirs, 0, node=0, written=2)
    b.task("parent", cpu0, parent, partial(_move, vpn=0), "moves its page")
    b.task("child", cpu1, child, partial(_move, vpn=0), "moves its page")
    return b


def growing_twice() -> Builder:
    """Two threads make one stack grow to different depths, and the deeper one moves the page that it got.

    The other gets no page: two first faults in a stack that grows lose one to every walk (world stack_index).
    """
    top = PTRS_PER_PTE - 8
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    stack = b.vma(mm, "stack", top, top + 1, grows_down=True)
    b.page(stack, top, node=0, written=1)
    b.task("deep", cpu0, mm, partial(_write, vpn=top - 3, move=True), "writes far below the stack, and moves that page")
    b.task("shallow", cpu1, mm, partial(_grow, vma=stack, address=top - 1), "grows the stack by one page")
    return b


def _grow(k: Context, *, vma: Vma, address: int) -> Kernel:
    yield from down_read(k.mm.mmap_sem)
    yield from expand_stack(k, vma, address)
    yield from up_read(k.mm.mmap_sem)


def fork_and_write() -> Builder:
    """A process forks and then writes its page, which a kernel thread moves meanwhile."""
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    page = b.page(b.vma(mm, "heap", 0, 1), 0, node=0, written=1)
    b.kernel_thread("mover", cpu0, partial(kernel_mover, page=page, node=1, passes=1), "moves page 0")
    b.task("forker", cpu1, mm, partial(_fork, vpn=0), "forks, and writes page 0")
    return b


def fork_beside_a_writer() -> Builder:
    """One thread of a process forks while another writes a page twice, the first time through its TLB."""
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    b.page(b.vma(mm, "heap", 0, 1), 0, node=0, written=1)
    b.task("forker", cpu0, mm, _fork, "forks")
    b.remembers(cpu1, mm, 0)
    b.task("writer", cpu1, mm, partial(_write, vpn=0), "writes page 0 and reads it back")
    return b


def copies() -> Builder:
    """Parent and child share a page, which both write; a second thread of the child reads it."""
    b = Builder()
    parent = b.mm()
    cpus = [b.cpu(number, number % 2) for number in range(3)]
    b.page(b.vma(parent, "heap", 0, 1), 0, node=0, written=1)
    child = b.fork(parent, "C")
    b.task("parent", cpus[0], parent, partial(user_write, vpn=0), "writes page 0")
    b.task("child", cpus[1], child, partial(user_write, vpn=0), "writes page 0")
    b.remembers(cpus[2], child, 0)
    b.task("reader", cpus[2], child, partial(user_read, vpn=0), "reads page 0 of the child")
    return b


def copy_beside_a_move() -> Builder:
    """A child writes a page that it shares with its parent, which moves it."""
    b = Builder()
    parent, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    b.page(b.vma(parent, "heap", 0, 1), 0, node=0, written=1)
    child = b.fork(parent, "C")
    b.task("mover", cpu0, parent, partial(_move, vpn=0), "moves page 0")
    b.task("child", cpu1, child, partial(_write, vpn=0), "writes page 0 and reads it back")
    return b


def moved_and_unmapped() -> Builder:
    """A thread moves a page that another thread of the process unmaps."""
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    b.page(b.vma(mm, "heap", 0, 1), 0, node=0, written=1)
    b.page(b.vma(mm, "other", 1, 2), 1, node=1)
    b.task("mover", cpu0, mm, partial(_move, vpn=0), "moves page 0")
    b.task("owner", cpu1, mm, partial(sys_munmap, start=0, length=1), "unmaps page 0")
    return b


def ends() -> Builder:
    """A process exits: nobody else is there."""
    b = Builder()
    mm, cpu = b.mm(), b.cpu(0, 0)
    b.page(b.vma(mm, "heap", 0, 1), 0, node=0, written=1)
    b.task("process", cpu, mm, do_exit, "exits")
    return b


def forks() -> Builder:
    """A process forks: nobody else is there."""
    b = Builder()
    mm, cpu = b.mm(), b.cpu(0, 0)
    b.page(b.vma(mm, "heap", 0, 1), 0, node=0, written=1)
    b.task("process", cpu, mm, _fork, "forks")
    return b


def asked_at_once() -> Builder:
    """Two threads ask whether a page may still move to node 1 in this window; after the first no more may."""
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 1), b.cpu(1, 1)
    b.memory[NODE1.ratelimit_pages] = 0
    b.task("one", cpu0, mm, partial(_ask, other=Task("two")), "asks for a page")
    b.task("two", cpu1, mm, partial(_ask, other=Task("one")), "asks for a page")
    return b


def _ask(k: Context, *, other: Task) -> Kernel:
    refused = yield from numamigrate_update_ratelimit(k, NODE1, 1)
    if not refused:
        yield k.current.done.set(True)
        both = yield other.done
        if both:
            yield Bug("kernel bug", "two pages may move where one may", (NODE1,))


def _never(k: Context, pgdat: Pgdat) -> Kernel:
    yield from ()
    return False


def _forget(b: Builder, *refs: Any) -> None:
    for it in [it for it in b.memory if it.ref in refs]:
        del b.memory[it]


def private(build: Callable[..., Builder], name: str = "", patch: Patch | None = None, **fixed: int) -> World:
    """A world of this file."""
    name = name or build.__name__
    return World(name, build.__doc__ or "", "", {}, {}, partial(build, **fixed), patch or {})


WORLDS = dict(worlds.WORLDS)
PRIVATE = (
    *map(private, (alone, ends, forks, pinned, hinted, hinted_twice, relatives, growing_twice)),
    *map(private, (fork_and_write, fork_beside_a_writer, copies, copy_beside_a_move, moved_and_unmapped)),
    private(first_touch, "same_page", second=0),
    private(first_touch, "two_pages", second=1),
    private(hinted, "hinted_v38", {"numacore.memory.do_numa_page": do_numa_page}),
    private(asked_at_once, patch={"v38.migrate._window_is_over": _never}),
)


@pytest.fixture(autouse=True)
def private_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worlds of this file are found by name, for the time of a test."""
    for it in PRIVATE:
        monkeypatch.setitem(worlds.WORLDS, it.name, it)


# --- making a mutant -------------------------------------------------------------------------------------

SERIAL = itertools.count()


def edits(mutant: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """For each function, by its dotted name, what is replaced and by what."""
    found: dict[str, list[tuple[str, str]]] = {}
    for place, statements in mutant.get("without", {}).items():
        for it in statements:
            target, assigns, _ = it.partition(" = ")
            found.setdefault(place, []).append((it, f"{target} = None" if assigns else "yield from ()"))
    for place, pieces in mutant.get("instead", {}).items():
        found.setdefault(place, []).extend((old, new) for old, new in pieces)
    return found


def rewritten(function: FunctionType, changes: list[tuple[str, str]]) -> FunctionType:
    """*function* from its source with *changes* made; the checker reads that source as it reads any other."""
    before = source = inspect.getsource(function)
    for old, new in changes:
        assert source.count(old) == 1, f"{function.__name__} has this {source.count(old)} times: {old!r}"
        source = source.replace(old, new)
    assert source != before
    name = f"<mutant {next(SERIAL)} of {function.__name__}>"
    text = f"from __future__ import annotations\n{source}"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    made: dict[str, Any] = {}
    exec(compile(text, name, "exec", dont_inherit=True), function.__globals__, made)
    return made[function.__name__]  # type: ignore[no-any-return]  # what the source defines


def mutated(mutant: dict[str, Any]) -> Variant:
    """The mutant's variant, on a kernel with the rewritten functions."""
    patch = {place: rewritten(build.functions()[place], changes) for place, changes in edits(mutant).items()}
    variant = variants.find(mutant.get("variant", "mutex_v37"))
    return replace(variant, patch={**variant.patch, **patch})


# --- what the table claims -------------------------------------------------------------------------------


@BY_NAME
def test_the_checker_finds_the_mutant(mutant: dict[str, Any]) -> None:
    """The first violation is of the kind that the table names, and a person can step to it."""
    variant = mutated(mutant)
    params = mutant.get("params", {})
    verdict = check(mutant["world"], variant, params)
    assert [it.kind for it in verdict.violations] == [mutant["kind"]] * bool(mutant["kind"])
    assert verdict.verdict == ("unsafe" if mutant["kind"] else "safe")
    for found in verdict.violations:
        run = Stepper(mutant["world"], variant, found.run_name.split()[2], **verdict.params)
        assert run.trace.violation is not None
        assert (run.trace.violation.kind, len(run.events)) == (found.kind, found.steps)


@pytest.mark.parametrize("mutant", [it for it in MUTANTS if "elsewhere" in it], ids=lambda it: it["name"])
def test_what_one_world_rightly_does_not_find_another_does(mutant: dict[str, Any]) -> None:
    """The first world of ``elsewhere`` finds the mutant; all of them are the business of the full product."""
    assert mutant["kind"] == ""
    world, kind = next(iter(mutant["elsewhere"].items()))
    assert [it.kind for it in check(world, mutated(mutant)).violations] == [kind]


CASES = {(it["world"], it.get("variant", "mutex_v37"), tuple(it.get("params", {}).items())) for it in MUTANTS}


@pytest.mark.parametrize(("world", "variant", "params"), sorted(CASES))
def test_the_code_as_it_stands_is_safe_there(world: str, variant: str, params: tuple[tuple[str, int], ...]) -> None:
    """In every world of the table, its own and the project's, a complete search finds nothing."""
    verdict = check(world, variant, dict(params))
    assert (verdict.verdict, verdict.complete) == ("safe", True)


def test_no_mutant_is_found_the_cheap_way() -> None:
    """Each kind is one that exists and none is "release without hold"; what is not found says why."""
    assert {it["kind"] for it in MUTANTS} <= {*KINDS, ""} - {"release without hold"}
    assert all(bool(it["kind"]) != bool(it.get("why")) for it in MUTANTS)
    assert len({it["name"] for it in MUTANTS}) == len(MUTANTS)


def test_the_mutants_reach_every_file_that_locks_or_flushes() -> None:
    """Something is taken from each of the files in which a page is moved, faulted in or flushed."""
    files = {place.rpartition(".")[0] for it in MUTANTS for place in edits(it)}
    assert files == {
        *("rmap", "fork", "migrate", "memory", "fault", "mmap", "mprotect", "mremap", "exec", "tlb", "smp"),
        *("pgtable_generic", "v38.pgtable_generic", "v38.huge_memory", "v38.memory", "v38.migrate", "v414.huge_memory"),
        *("numacore.memory", "numacore.migrate", "vmscan", "huge_memory", "mempolicy", "gup"),
        *("batch.migrate", "batch.rmap", "batch.vmscan"),
        *("v61.filemap", "v61.gup", "v61.mempolicy", "v61.migrate", "v61.mremap", "v61.pgtable_generic"),
        *("v61.rmap", "v61.tlb", "v63.migrate", "v63.rmap", "v63.tlb", "v612.memory", "v612.rmap"),
    }


@pytest.mark.exhaustive
@BY_NAME
def test_no_world_without_a_mutants_function_notices_it(mutant: dict[str, Any]) -> None:
    """The full product: the mutant in every world of the project; which of them find it is printed for the table.

    A mutant that its own world finds may be found in others too, under any name of a fault.  One that its world
    rightly does not find is found in the worlds that the table names as ``elsewhere``, and in no other.
    """
    variant = mutated(mutant)
    killers = {}
    for name, it in WORLDS.items():
        if variants.find("mutex_v37").verdicts.get(name) == "safe" and not it.patch:
            verdict = check(name, variant, limit=200_000)
            if verdict.violations:
                killers[name] = verdict.violations[0].kind
    print(f"{mutant['name']}: " + (", ".join(f"{world} ({kind})" for world, kind in killers.items()) or "nowhere"))
    if not mutant["kind"]:
        assert killers == mutant.get("elsewhere", {})
