"""Building a starting memory: the words in which :mod:`sim.worlds` describes a scenario.

A setup is what a run starts from: a memory and tasks.  It is built directly, not by running kernel code, so
that a world of many thousand pages is there at once; a test compares it with what the kernel's own fault path
leaves behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sim import guard
from sim.context import Context
from sim.kernel.tlb import flush_tlb_func
from sim.ops import Kernel
from sim.structs import (
    PTRS_PER_PTE,
    VM_GROWSDOWN,
    VM_WRITE,
    AnonVma,
    AnonVmaChain,
    Cpu,
    Mm,
    Page,
    PageTable,
    Pte,
    Struct,
    Task,
    Vma,
)
from sim.variants import Variant

Body = Callable[[Context], Kernel]


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """A task of a world.

    Attributes:
        task: its name in memory.
        letter: how schedules call it: ``a`` to ``z``, ``A`` to ``Z``, then ``(52)``, ``(53)``, ...
        cpu: the CPU it is pinned to.
        node: that CPU's NUMA node.
        mm: its address space.
        daemon: whether it never finishes, and nobody waits for it to.
        title: what it is, in a few words.
        body: the coroutine function that it runs, given its context.
    """

    task: Task
    letter: str
    cpu: Cpu
    node: int
    mm: Mm
    daemon: bool
    title: str
    body: Body

    def context(self, variant: Variant) -> Context:
        """The ``k`` with which it runs under *variant*."""
        seams = variant.seams
        if variant.guarded:  # a seam is called in the middle of kernel code, which would be blamed for what it returns
            seams = {name: partial(guard.start, function) for name, function in seams.items()}
        return Context(self.task, self.mm, self.cpu, self.node, seams)


@dataclass(frozen=True, slots=True)
class Setup:
    """Where a run starts: its world and parameters, the memory, the tasks."""

    world: str
    params: dict[str, int]
    memory: dict[Any, Any]
    tasks: tuple[TaskInfo, ...]
    nodes: int


def letter(number: int) -> str:
    """How schedules call task *number*."""
    if number < 26:
        return chr(ord("a") + number)
    return chr(ord("A") + number - 26) if number < 52 else f"({number})"


@dataclass
class Builder:
    """Collects a setup.  Every object needs a name of its own."""

    nodes: int = 2
    memory: dict[Any, Any] = field(default_factory=dict)
    frames: int = 0
    cpus: dict[Cpu, int] = field(default_factory=dict)
    _tasks: list[tuple[Task, Cpu, Mm, bool, str, Body]] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)

    def _new(self, struct: type[Any], name: str, **values: Any) -> Any:
        if name in self._names:
            raise ValueError(f"two objects are called {name}")
        self._names.add(name)
        ref = struct(name)
        self._set(ref, **values)
        return ref

    def _set(self, ref: Struct, **values: Any) -> None:
        for name, value in values.items():
            self.memory[getattr(ref, name)] = value

    def cpu(self, number: int, node: int) -> Cpu:
        """CPU *number* on NUMA node *node*."""
        cpu: Cpu = self._new(Cpu, f"cpu{number}", node=node)
        self.cpus[cpu] = node
        return cpu

    def mm(self, name: str = "P") -> Mm:
        """An address space."""
        mm: Mm = self._new(Mm, name)
        return mm

    def vma(self, mm: Mm, name: str, start: int, end: int, *, grows_down: bool = False) -> Vma:
        """A VMA over the virtual pages [*start*, *end*) with an anon_vma of its own."""
        flags = VM_WRITE | (VM_GROWSDOWN if grows_down else 0)
        anon_vma = self._new(AnonVma, f"A_{name}", refcount=1)
        avc = self._new(AnonVmaChain, f"avc_{name}", anon_vma=anon_vma, rb_color="black", rb_subtree_last=end - 1)
        vma: Vma = self._new(Vma, name, vm_mm=mm, vm_start=start, vm_end=end, vm_pgoff=start, vm_flags=flags)
        self._set(anon_vma, root=anon_vma, rb_root=avc)
        self._set(avc, vma=vma)
        self._set(vma, anon_vma=anon_vma, anon_vma_chain=(avc,))
        vmas = (*self.memory.get(mm.mmap, ()), vma)
        self._set(mm, mmap=tuple(sorted(vmas, key=lambda it: self.memory[it.vm_start])))
        return vma

    def page(self, vma: Vma, vpn: int, node: int, *, kind: str = "present", pins: int = 0, written: int = 0) -> Page:
        """A frame on *node*, mapped at virtual page *vpn* of *vma*.

        *kind* is ``present`` or ``prot_none`` (marked for a NUMA hinting fault); *pins* references are held from
        outside (get_user_pages); *written* writes have been made to it.
        """
        mm = self.memory[vma.vm_mm]
        table = self.memory.get(mm.pmd[vpn // PTRS_PER_PTE])
        if table is None:
            table = self._new(PageTable, f"pt{vpn // PTRS_PER_PTE}")
            self.memory[mm.pmd[vpn // PTRS_PER_PTE]] = table
        page: Page = self._new(Page, f"f{self.frames}", node=node, mapping=self.memory[vma.anon_vma], index=vpn)
        self.frames += 1
        self._set(page, _mapcount=0, _count=1 + pins, pins=pins, present_ptes=1)
        if written:
            self._set(page, data=(vpn, written))
            self.memory[mm.shadow[vpn]] = written
        self.memory[table.pte[vpn % PTRS_PER_PTE]] = Pte(kind, page, True, bool(written))
        return page

    def task(self, name: str, cpu: Cpu, mm: Mm, body: Body, title: str, *, daemon: bool = False) -> Task:
        """A thread that runs *body*, pinned to *cpu*."""
        task: Task = self._new(Task, name)
        self._tasks.append((task, cpu, mm, daemon, title, body))
        return task

    def finish(self, world: str, params: dict[str, int]) -> Setup:
        """The setup: every CPU with a thread is in its mm's cpumask and has an interrupt handler."""
        used = list(dict.fromkeys((cpu, mm) for _, cpu, mm, *_ in self._tasks))
        for mm in dict.fromkeys(mm for _, mm in used):
            self._set(mm, cpu_vm_mask=tuple(cpu for cpu, its in used if its is mm))
        if len(used) > 1:
            for cpu, mm in used:
                self.task(f"ipi@{cpu}", cpu, mm, flush_tlb_func, f"interrupt handler of {cpu}", daemon=True)
        return Setup(world, dict(params), self.memory, tuple(self._infos()), self.nodes)

    def _infos(self) -> Iterable[TaskInfo]:
        for number, (task, cpu, mm, daemon, title, body) in enumerate(self._tasks):
            yield TaskInfo(task, letter(number), cpu, self.cpus[cpu], mm, daemon, title, body)
