"""Building a starting memory: the words in which :mod:`sim.worlds` describes a scenario.

A setup is what a run starts from: a memory and tasks.  It is built directly, not by running kernel code, so
that a world of many thousand pages is there at once; a test compares it with what the kernel's own fault path
leaves behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from sim import guard
from sim.build import Patch, link
from sim.context import Context
from sim.interpreter import execute
from sim.invariants import pte_of
from sim.kernel.interval_tree import anon_vma_interval_tree_remove
from sim.kernel.rmap import anon_vma_chain_link
from sim.kernel.tlb import flush_tlb_func
from sim.lifetimes import compound
from sim.ops import Kernel
from sim.structs import (
    ANON_VMA_CACHEP,
    FREE_AREA,
    PTRS_PER_PTE,
    SWAP_INFO,
    VM_GROWSDOWN,
    VM_WRITE,
    AnonVma,
    AnonVmaChain,
    Cpu,
    Mm,
    Page,
    PageTable,
    Pmd,
    Pte,
    Struct,
    SwapSlot,
    Task,
    TlbEntry,
    Vma,
    Written,
)
from sim.user import swapper
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
    """Where a run starts: its world and parameters, the memory, the tasks.

    Attributes:
        patch: the kernel functions that the world replaces, by dotted name.
        guarded: whether the tasks' code is a reader's own, so that it is watched.
    """

    world: str
    params: dict[str, int]
    memory: dict[Any, Any]
    tasks: tuple[TaskInfo, ...]
    nodes: int
    patch: Patch = field(default_factory=dict)
    guarded: bool = False

    def on(self, variant: Variant) -> tuple[Setup, Variant]:
        """This setup and *variant* on one kernel: the one in which both have replaced what they replace.

        Where both replace the same function the world's own wins: that is the rule it is about.
        """
        patch = {**variant.patch, **self.patch}
        if not patch and variant.guarded >= self.guarded:
            return self, variant
        linked = link(patch, (it.body for it in self.tasks))
        tasks = tuple(replace(it, body=linked(it.body)) for it in self.tasks)
        seams = {name: linked(function) for name, function in variant.seams.items()}
        return replace(self, tasks=tasks), replace(variant, seams=seams, guarded=variant.guarded or self.guarded)


def letter(number: int) -> str:
    """How schedules call task *number*."""
    if number < 26:
        return chr(ord("a") + number)
    return chr(ord("A") + number - 26) if number < 52 else f"({number})"


#: The address space of kernel threads: no user pages, and no CPU in its mask.
INIT_MM: Final = Mm("init_mm")


@dataclass
class Builder:
    """Collects a setup.  Every object needs a name of its own."""

    nodes: int = 2
    memory: dict[Any, Any] = field(default_factory=dict)
    frames: int = 0
    cpus: dict[Cpu, int] = field(default_factory=dict)
    _mms: dict[Mm, None] = field(default_factory=dict)
    _tasks: list[tuple[Task, Cpu, Mm, bool, str, Body]] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)
    _k: Context = field(default_factory=lambda: Context(Task("setup"), INIT_MM, Cpu("setup"), 0, {}))
    _kin: dict[Vma, str] = field(default_factory=dict)  # what the first of its family was called

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
        self._mms[mm] = None
        return mm

    def vma(self, mm: Mm, name: str, start: int, end: int, *, grows_down: bool = False) -> Vma:
        """A VMA over the virtual pages [*start*, *end*) with an anon_vma of its own.

        Pictures and sentences name a page by its number: a stranger to the others had better have others.
        """
        flags = VM_WRITE | (VM_GROWSDOWN if grows_down else 0)
        anon_vma = self._new(AnonVma, f"A_{name}", refcount=1)
        avc = self._new(AnonVmaChain, f"avc_{name}", anon_vma=anon_vma, rb_color="black", rb_subtree_last=end - 1)
        vma: Vma = self._new(Vma, name, vm_mm=mm, vm_start=start, vm_end=end, vm_pgoff=start, vm_flags=flags)
        self._set(anon_vma, root=anon_vma, rb_root=avc)
        self._set(avc, vma=vma)
        self._set(vma, anon_vma=anon_vma, anon_vma_chain=(avc,))
        self._insert(mm, vma)
        self._kin[vma] = name
        return vma

    def untouched(self, mm: Mm, name: str, start: int, end: int) -> Vma:
        """A VMA over [*start*, *end*) that nobody has touched yet: it has no anon_vma."""
        vma: Vma = self._new(Vma, name, vm_mm=mm, vm_start=start, vm_end=end, vm_pgoff=start, vm_flags=VM_WRITE)
        self._insert(mm, vma)
        self._kin[vma] = name
        return vma

    def piece(self, vma: Vma, name: str, start: int, end: int, pgoff: int) -> Vma:
        """A VMA of the same process that was once cut off *vma*, and perhaps moved: it hangs on the same anon_vmas.

        *pgoff* is the offset of its first page, by which the pages are found; it need not be *start*.
        """
        mm, flags = self.memory[vma.vm_mm], self.memory[vma.vm_flags]
        it: Vma = self._new(Vma, name, vm_mm=mm, vm_start=start, vm_end=end, vm_pgoff=pgoff, vm_flags=flags)
        self._set(it, anon_vma=self.memory[vma.anon_vma])
        for avc in reversed(self.memory[vma.anon_vma_chain]):
            anon_vma = self.memory[avc.anon_vma]
            self._link(it, self._new(AnonVmaChain, f"avc({name},{anon_vma})"), anon_vma)
        self._insert(mm, it)
        self._kin[it] = name
        return it

    def recycle(self) -> None:
        """From the start an anon_vma that is freed may be given out again, as slabs do."""
        self.memory[ANON_VMA_CACHEP.free] = ()

    def recycle_frames(self) -> None:
        """From the start a frame that is freed may be given out again, to whoever wants one of its node."""
        self.memory[FREE_AREA.free] = ()

    def clean(self, mm: Mm, vpn: int) -> None:
        """Page *vpn* has been written out, or moved, since it was last written: its PTE is not dirty."""
        place = self.memory[mm.pmd[vpn // PTRS_PER_PTE]].pte[vpn % PTRS_PER_PTE]
        self.memory[place] = self.memory[place]._replace(dirty=False)

    def _insert(self, mm: Mm, vma: Vma) -> None:
        vmas = (*self.memory.get(mm.mmap, ()), vma)
        self._set(mm, mmap=tuple(sorted(vmas, key=lambda it: self.memory[it.vm_start])))

    def fork(self, parent: Mm, name: str) -> Mm:
        """A child of *parent*, as fork leaves it: its VMAs linked into the family, its pages shared and read-only.

        What ``heap`` is in the first of the family is ``heap_C`` in the child C, with ``A_heap_C`` for its own
        anon_vma and ``avc(heap_C,A_heap)`` for its link to the parent's.
        """
        child = self.mm(name)
        for vma in self.memory.get(parent.mmap, ()):
            copy = self._fork_vma(vma, child)
            self._insert(child, copy)
            self._share_pages(vma, parent, child)
        return child

    def exited(self, mm: Mm) -> None:
        """*mm*, which has relatives and no task, has exited before the start: its VMAs and links are gone.

        It must have no pages left, and none of its anon_vmas may be left without a VMA.
        """
        for vma in self.memory.pop(mm.mmap):
            for avc in self.memory[vma.anon_vma_chain]:
                self._do(anon_vma_interval_tree_remove(self._k, avc, self.memory[avc.anon_vma]), self._k)
                assert self.memory[self.memory[avc.anon_vma].rb_root] is not None, f"{avc.anon_vma} has no VMA left"
                self._drop(avc)
            self._drop(vma)
        self._drop(mm)
        del self._mms[mm]

    def _drop(self, ref: Struct) -> None:
        for place in [it for it in self.memory if it.ref is ref]:
            del self.memory[place]

    def _fork_vma(self, vma: Vma, child: Mm) -> Vma:
        """The child's copy of *vma*, linked as ``anon_vma_fork`` links it: to the oldest anon_vma first."""
        name = f"{self._kin[vma]}_{child}"
        same = {it: self.memory[getattr(vma, it)] for it in ("vm_start", "vm_end", "vm_pgoff", "vm_flags")}
        copy: Vma = self._new(Vma, name, vm_mm=child, **same)
        self._kin[copy] = self._kin[vma]
        if (oldest := self.memory.get(vma.anon_vma)) is None:
            return copy
        for avc in reversed(self.memory[vma.anon_vma_chain]):
            anon_vma = self.memory[avc.anon_vma]
            self._link(copy, self._new(AnonVmaChain, f"avc({copy},{anon_vma})"), anon_vma)
        root = self.memory[oldest.root]
        own = self._new(AnonVma, f"A_{name}", refcount=1, root=root)
        self._set(root, refcount=self.memory[root.refcount] + 1)
        self._set(copy, anon_vma=own)
        self._link(copy, self._new(AnonVmaChain, f"avc_{name}"), own)
        return copy

    def _link(self, vma: Vma, avc: AnonVmaChain, anon_vma: AnonVma) -> None:
        """Put *avc* between the two, by the kernel's own code: the tree has the shape that the kernel gives it."""
        self._do(anon_vma_chain_link(self._k, vma, avc, anon_vma), self._k)

    def _do(self, coroutine: Kernel, k: Context) -> None:
        """Run kernel code on the memory, alone."""
        answer = None
        try:
            while True:
                answer = execute(coroutine.send(answer), self.memory, k, [])
        except StopIteration:
            pass

    def _share_pages(self, vma: Vma, parent: Mm, child: Mm) -> None:
        for vpn in range(self.memory[vma.vm_start], self.memory[vma.vm_end]):
            place = parent.pmd[vpn // PTRS_PER_PTE]
            if isinstance(table := self.memory.get(place), PageTable):
                place = table.pte[vpn % PTRS_PER_PTE]
            if (last := self.memory.get(parent.shadow[vpn])) is not None:
                self.memory[child.shadow[vpn]] = last
            if (entry := self.memory.get(place)) is None or (isinstance(entry, Pmd) and vpn % PTRS_PER_PTE):
                continue  # nothing, or in the huge page of before
            shared = self.memory[place] = entry._replace(write=False)
            for count in (entry.page._mapcount, entry.page._count, entry.page.present_ptes):
                self.memory[count] += 1
            if isinstance(shared, Pmd):
                self._map_huge(child, vpn, shared)
            else:
                self.memory[self._table(child, vpn).pte[vpn % PTRS_PER_PTE]] = shared

    def _table(self, mm: Mm, vpn: int) -> PageTable:
        """The page table of *vpn*, made if there is none: ``pt0`` in the first address space, ``pt_C0`` in C."""
        place = mm.pmd[vpn // PTRS_PER_PTE]
        table: PageTable | None = self.memory.get(place)
        if table is None:
            table = self.memory[place] = self._new_table(mm, vpn)
        return table

    def _new_table(self, mm: Mm, vpn: int) -> PageTable:
        first = mm is next(iter(self._mms))
        table: PageTable = self._new(PageTable, f"pt{'' if first else f'_{mm}'}{vpn // PTRS_PER_PTE}")
        return table

    def page(self, vma: Vma, vpn: int, node: int, *, kind: str = "present", pins: int = 0, written: int = 0) -> Page:
        """A frame on *node*, mapped at virtual page *vpn* of *vma*.

        *kind* is ``present`` or ``prot_none`` (marked for a NUMA hinting fault); *pins* references are held from
        outside (get_user_pages); *written* writes have been made to it.
        """
        mm = self.memory[vma.vm_mm]
        table = self._table(mm, vpn)
        page = self._mapped(vma, vpn, node, pins)
        self._write(mm, vpn, page, written)
        self.memory[table.pte[vpn % PTRS_PER_PTE]] = Pte(kind, page, True, bool(written))
        return page

    def _mapped(self, vma: Vma, vpn: int, node: int, pins: int) -> Page:
        """A new frame that one entry maps."""
        index = self.memory[vma.vm_pgoff] + vpn - self.memory[vma.vm_start]
        page: Page = self._new(Page, f"f{self.frames}", node=node, mapping=self.memory[vma.anon_vma], index=index)
        self.frames += 1
        self._set(page, _mapcount=0, _count=1 + pins, pins=pins, present_ptes=1)
        return page

    def _write(self, mm: Mm, vpn: int, page: Page, times: int) -> None:
        """Page *vpn*, which is *page*, has been written to so often."""
        if times:
            self.memory[page.data] = self.memory[mm.shadow[vpn]] = Written(vpn, times, mm)

    def huge_page(
        self, vma: Vma, vpn: int, pages: int, node: int, *, kind: str = "present", pins: int = 0, written: int = 0
    ) -> Page:
        """A huge page of *pages* small ones on *node*, mapped by one entry at *vpn* of *vma*; its head.

        The first of a page table's 512 pages is at *vpn*, and *vma* covers them; those beyond *pages* are left out, and
        nobody may touch them.  The rest as for :meth:`page`.
        """
        start, end = self.memory[vma.vm_start], self.memory[vma.vm_end]
        assert vpn % PTRS_PER_PTE == 0 and start <= vpn and vpn + PTRS_PER_PTE <= end, "a huge page needs 512 addresses"
        head = self._mapped(vma, vpn, node, pins)
        self.memory.update(compound(head, pages - 1, node))
        for number, page in enumerate((head, *self.memory[head.tails])):
            self._write(self.memory[vma.vm_mm], vpn + number, page, written)
        self._map_huge(self.memory[vma.vm_mm], vpn, Pmd(kind, head, True, bool(written)))
        return head

    def _map_huge(self, mm: Mm, vpn: int, pmd: Pmd) -> None:
        """Map a huge page, and put a page table by for when it is split."""
        self.memory[mm.pmd_huge_pte] = (self._new_table(mm, vpn), *self.memory.get(mm.pmd_huge_pte, ()))
        self.memory[mm.pmd[vpn // PTRS_PER_PTE]] = pmd

    def swap(self, slots: int) -> tuple[SwapSlot, ...]:
        """A swap device of so many pages, all free."""
        made = tuple(self._new(SwapSlot, f"swap{number}") for number in range(slots))
        self._set(SWAP_INFO, slots=made)
        return made

    def remembers(self, cpu: Cpu, mm: Mm, vpn: int) -> None:
        """A thread of *mm* on *cpu* has used page *vpn*: its translation is in the TLB."""
        pte = pte_of(self.memory, mm, vpn)
        self.memory[cpu.tlb[mm, vpn]] = TlbEntry(pte.page, pte.write, pte.dirty)

    def task(self, name: str, cpu: Cpu, mm: Mm, body: Body, title: str, *, daemon: bool = False) -> Task:
        """A thread that runs *body*, pinned to *cpu*."""
        task: Task = self._new(Task, name)
        self._tasks.append((task, cpu, mm, daemon, title, body))
        return task

    def idle(self, cpu: Cpu, mm: Mm) -> Task:
        """A thread of *mm* has run on *cpu*, which is idle now and in lazy TLB mode: *mm* is still loaded there."""
        self.memory[cpu.is_lazy] = True
        return self.task(f"swapper@{cpu}", cpu, mm, swapper, f"is idle; {mm} is still loaded there", daemon=True)

    def kernel_thread(self, name: str, cpu: Cpu, body: Body, title: str) -> Task:
        """A thread without an address space of its own, such as kswapd; no user code runs on its CPU."""
        return self.task(name, cpu, INIT_MM, body, title)

    def finish(self, world: str, params: dict[str, int], *, patch: Patch | None = None, guarded: bool = False) -> Setup:
        """The setup: every CPU with a user thread is in its mm's cpumask and has an interrupt handler."""
        used = list(dict.fromkeys((cpu, mm) for _, cpu, mm, *_ in self._tasks))
        user = [(cpu, mm) for cpu, mm in used if mm is not INIT_MM]
        for mm in dict.fromkeys(mm for _, mm in user):
            self._set(mm, cpu_vm_mask=tuple(cpu for cpu, its in user if its is mm))
        if len(used) > 1:
            for cpu, mm in user:
                self.task(f"ipi@{cpu}", cpu, mm, flush_tlb_func, f"interrupt handler of {cpu}", daemon=True)
        return Setup(world, dict(params), self.memory, tuple(self._infos()), self.nodes, patch or {}, guarded)

    def _infos(self) -> Iterable[TaskInfo]:
        for number, (task, cpu, mm, daemon, title, body) in enumerate(self._tasks):
            yield TaskInfo(task, letter(number), cpu, self.cpus[cpu], mm, daemon, title, body)
