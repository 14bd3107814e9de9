"""The kernel's structs: their fields, what guards each field, and the lock order.

Lock order, outermost first; who takes a lock may hold only locks further out (mm/rmap.c:20, v3.7):

    mm->mmap_sem
      page table's PG_locked              (numa/core only: one fault at a time per 2 MB)
        page->PG_locked
          root anon_vma->mutex            (rwsem from 3.8 on)
            mm->page_table_lock
              page table's ptl            (split page-table lock: one per 512 PTEs)
                swap_lock, a node's numabalancing_migrate_lock

Two of one kind nest only where the taker says so (``nested``): the mmap_sem of parent and child, two ptls.

An object is a *name*; its state stands in a memory beside it.  ``page.mapping`` is therefore a
:class:`~sim.ops.Field`, which says where to look, and yielding it reads it.  Objects are interned: the same
struct and name are the same Python object, in every run.

Addresses are virtual page numbers (``vpn``, 4 KiB units), so the kernel's shifts by PAGE_SHIFT vanish.
"""

from __future__ import annotations

import difflib
from collections.abc import Hashable
from typing import Any, ClassVar, Self, overload

from sim.locks import FREE_RWSEM, LockKind
from sim.ops import Field
from sim.values import IpiRequest as IpiRequest
from sim.values import Pmd as Pmd
from sim.values import Pte as Pte
from sim.values import TlbEntry as TlbEntry
from sim.values import TlbflushUnmapBatch as TlbflushUnmapBatch
from sim.values import TlbGen as TlbGen
from sim.values import Written as Written

MMAP_SEM = LockKind("rwsem", sleeps=True, rank=10)
TABLE_LOCK = LockKind("page lock", sleeps=True, rank=15)
PAGE_LOCK = LockKind("page lock", sleeps=True, rank=20)
ANON_VMA_MUTEX = LockKind("mutex", sleeps=True, rank=40)
ANON_VMA_RWSEM = LockKind("rwsem", sleeps=True, rank=40)
PAGE_TABLE_LOCK = LockKind("spinlock", sleeps=False, rank=50)
PTL = LockKind("spinlock", sleeps=False, rank=60)
SWAP_LOCK = LockKind("spinlock", sleeps=False, rank=70)
NUMABALANCING_MIGRATE_LOCK = LockKind("spinlock", sleeps=False, rank=70)

PTRS_PER_PTE = 512
VM_WRITE, VM_GROWSDOWN, VM_LOCKED = 0x2, 0x100, 0x2000
#: The flags of a temporary stack, which nothing else has together.  include/linux/mm.h:128 (v3.7)
VM_STACK_INCOMPLETE_SETUP = 0x8000 | 0x10000


class declare:
    """A field of a struct: its default, its guard, and how it behaves as a lock.

    The guard says which locks a writer holds once others can find the object, as paths from it
    (:mod:`sim.analysis.roles`): ``ptl``; ``anon_vma.root.lock``; ``vm_mm.mmap_sem read`` if it is enough to share it;
    ``A + B`` for both, ``A | B`` for either; ``mm_users`` for the last user of the address space; ``Page[tails]...``
    goes the other way, to the page that has this one among its tails.  Or it is a word:

    * ``const``: never written after set-up; reading it is no step;
    * ``set once``: written once more at most;
    * ``atomic``: written by atomic operations only; ``flag``: one bit, of which every store is atomic;
    * ``cpu``, ``task``: this CPU's or this task's own;
    * ``itself``: it is a lock;
    * ``TLB``: user data, which is reached through TLBs and page tables;
    * ``ghost``: kept by the machine for its checks; the kernel has no such field.

    ``python -m sim lockset`` holds the guards against what is held in every explored execution.
    """

    def __init__(
        self, default: Any = None, *, guard: str, lock: LockKind | None = None, outlives: bool = False
    ) -> None:
        self.default = default
        self.guard = guard
        self.lock = lock
        self.outlives = outlives  # may be touched after the object was freed (a frame's reference count)

    def __set_name__(self, owner: type[Struct], name: str) -> None:
        self.name = name

    def field(self, ref: Struct, key: Hashable = None) -> Field:
        """The place of this field in *ref*."""
        mortal = ref.mortal and not self.outlives and self.guard != "const"
        life = ref.life if mortal else None
        return Field(ref, self.name, key, default=self.default, guard=self.guard, lock=self.lock, life=life)

    @overload
    def __get__(self, ref: None, owner: type[Struct]) -> declare: ...
    @overload
    def __get__(self, ref: Struct, owner: type[Struct]) -> Field: ...
    def __get__(self, ref: Struct | None, owner: type[Struct]) -> declare | Field:
        if ref is None:
            return self
        field = self.field(ref)
        ref.__dict__[self.name] = field  # found there next time, before this method
        return field


class Slots(dict[Hashable, Field]):
    """The slots of a field that is a table: ``table.pte[3]``."""

    def __init__(self, ref: Struct, declared: table) -> None:
        super().__init__()
        self._ref = ref
        self._declared = declared

    def __missing__(self, key: Hashable) -> Field:
        field = self[key] = self._declared.field(self._ref, key)
        return field


class table(declare):
    """A field with many slots, each a field of its own."""

    @overload  # type: ignore[override]  # a table of fields, not a field
    def __get__(self, ref: None, owner: type[Struct]) -> table: ...
    @overload
    def __get__(self, ref: Struct, owner: type[Struct]) -> Slots: ...
    def __get__(self, ref: Struct | None, owner: type[Struct]) -> table | Slots:
        if ref is None:
            return self
        slots = ref.__dict__[self.name] = Slots(ref, self)
        return slots


class Struct:
    """An object in memory: a name and its fields.  ``Page("f3") is Page("f3")``."""

    #: Whether the object can be freed; then touching it afterwards is a bug event.
    mortal: ClassVar[bool] = False
    #: Whether its slab is ``SLAB_DESTROY_BY_RCU``: an object freed within a read section stays of its type to its end.
    typesafe: ClassVar[bool] = False
    #: How objects of this kind are named when a task allocates one: ``kmigr.f1``.
    short: ClassVar[str] = "it"
    #: True from the moment it is freed.
    life = declare(False, guard="ghost", outlives=True)

    _all: ClassVar[dict[str, Struct]]
    name: str

    def __init_subclass__(cls) -> None:
        cls._all = {}

    def __new__(cls, name: str) -> Self:
        """The one object of this struct called *name*."""
        found = cls._all.get(name)
        if found is None:
            found = cls._all[name] = super().__new__(cls)
            found.name = name
        return found  # type: ignore[return-value]  # each struct has a table of its own

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name,)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        near = difflib.get_close_matches(name, self.fields(), n=3, cutoff=0.3) or self.fields()
        raise AttributeError(f"struct {type(self).__name__} has no field '{name}'; nearest: {', '.join(near)}")

    @classmethod
    def fields(cls) -> list[str]:
        """The names of the declared fields, in order of declaration."""
        return [name for base in reversed(cls.__mro__) for name, it in vars(base).items() if isinstance(it, declare)]


class Page(Struct):
    """A frame and its ``struct page``.  include/linux/mm_types.h:40 (v3.7)"""

    short = "f"
    mortal = True
    node = declare(0, guard="const")
    PG_locked = declare(None, guard="itself", lock=PAGE_LOCK)
    PG_lru = declare(True, guard="flag")
    PG_mlocked = declare(False, guard="flag")
    #: Whether it is being written out; only modern migration asks.
    PG_writeback = declare(False, guard="flag")
    #: Whether the copy on swap is older.  Kept for pages of the swap cache: to enter it makes any page dirty.
    PG_dirty = declare(False, guard="PG_locked")
    #: The swap slot of a page in the swap cache, else None.  (In the kernel valid only while PG_swapcache is set.)
    private = declare(None, guard="PG_locked")
    mapping = declare(None, guard="PG_locked | Page[tails].mapping.root.lock")
    index = declare(0, guard="PG_locked | Page[tails].mapping.root.lock")
    #: Whether it is the head of a huge page: then the frames that follow it, its tails, are parts of this page.
    PG_head = declare(False, guard="flag")
    #: The frames that make a huge page together with this one, in order; frames lie where they lie.
    tails = declare((), guard="const")
    #: The head of the huge page of which this frame is a tail (PageTail), or None.
    first_page = declare(None, guard="flag")
    _mapcount = declare(-1, guard="atomic")
    _count = declare(0, guard="atomic", outlives=True)
    #: The user's data: the last write that is in this frame (:class:`Written`), or None.
    data = declare(None, guard="TLB")
    #: How many PTEs name this frame as a migration entry, and as a mapping.
    migration_ptes = declare(0, guard="ghost", outlives=True)
    present_ptes = declare(0, guard="ghost", outlives=True)
    #: References from outside the model's page tables, such as get_user_pages: the page is pinned.
    pins = declare(0, guard="ghost", outlives=True)


class SwapInfo(Struct):
    """The swap devices, all in one: their slots.  include/linux/swap.h:181 (v3.7)"""

    short = "swap"
    slots = declare((), guard="const")
    swap_lock = declare(None, guard="itself", lock=SWAP_LOCK)


#: The only one; without slots there is no swap.
SWAP_INFO = SwapInfo("swap_info")
#: In a swap slot's count: a page of the swap cache belongs to it.  include/linux/swap.h:173 (v3.7)
SWAP_HAS_CACHE = 0x40


class SwapSlot(Struct):
    """A page-sized piece of a swap device: its count, its page in the swap cache, and what was written out.

    A swap entry (``swp_entry_t``) is the slot itself.  Slots are given out again and again, under the same name.
    include/linux/swap.h:181 (v3.7)
    """

    short = "swp"
    info = declare(SWAP_INFO, guard="const")
    #: How many PTEs name it, plus :data:`SWAP_HAS_CACHE` while a page of the swap cache does; 0 is free.
    swap_map = declare(0, guard="info.swap_lock")
    #: ``swapper_space.page_tree[slot]``: the page in the swap cache, or None.
    page_tree = declare(None, guard="atomic")
    #: What the device holds: the last write that was written out, or None.
    data = declare(None, guard="page_tree.PG_locked")
    #: How many PTEs name it.
    swap_ptes = declare(0, guard="ghost")


class PageTable(Struct):
    """A page of 512 PTEs with its split lock.  include/linux/mm_types.h:107 (v3.7)"""

    short = "pt"
    mortal = True
    PG_locked = declare(None, guard="itself", lock=TABLE_LOCK)
    ptl = declare(None, guard="itself", lock=PTL)
    pte = table(None, guard="ptl")


class Mm(Struct):
    """An address space.  include/linux/mm_types.h:311 (v3.7)"""

    short = "mm"
    mortal = True
    #: How many threads use it; who else looks at it is not counted.
    mm_users = declare(1, guard="atomic")
    mmap_sem = declare(FREE_RWSEM, guard="itself", lock=MMAP_SEM)
    page_table_lock = declare(None, guard="itself", lock=PAGE_TABLE_LOCK)
    #: The VMAs, in order of address.
    mmap = declare((), guard="mmap_sem")
    #: For each 512 pages their :class:`PageTable`, or the :class:`Pmd` of a huge page, or None.
    pmd = table(None, guard="page_table_lock | mmap_sem | mm_users")
    #: How many small pages make a huge one (512 in the kernel); 0: a fault maps none (``transparent_hugepage=never``).
    hpage_nr = declare(0, guard="const")
    #: The page tables that were put by, one for each huge page: a split must not fail for want of one.
    pmd_huge_pte = declare((), guard="page_table_lock")
    #: The CPUs that may hold TLB entries of this address space, in order.
    cpu_vm_mask = declare((), guard="atomic")
    #: How many flushes this address space has asked for (:class:`TlbGen`); only modern kernels count them.
    tlb_gen = declare(TlbGen(), guard="atomic")
    #: How many tasks have changed PTEs and not flushed yet.
    tlb_flush_pending = declare(0, guard="atomic")
    #: The pages, [first, end), that somebody has unmapped and perhaps not yet flushed, or None.  In v4.13 a flag.
    tlb_flush_batched = declare(None, guard="flag")
    #: How many scans for NUMA hints have begun (in 3.8 the time of the next), and where the next one starts.
    numa_next_scan = declare(0, guard="atomic")
    numa_scan_offset = declare(0, guard="flag")
    #: Of each 512 pages the first so many are in use, and nobody looks at the others (a small huge page); 0: all are.
    used_of_512 = declare(0, guard="const")
    #: Per virtual page the last write any thread made (:class:`Written`), or None: what every later read must see.
    shadow = table(None, guard="ghost")


class Vma(Struct):
    """A range of virtual pages, [vm_start, vm_end).  include/linux/mm_types.h:226 (v3.7)"""

    short = "vma"
    mortal = True
    vm_mm = declare(None, guard="set once")
    vm_start = declare(0, guard="vm_mm.mmap_sem | vm_mm.mmap_sem read + anon_vma.root.lock")
    vm_end = declare(0, guard="vm_mm.mmap_sem")
    vm_pgoff = declare(0, guard="vm_mm.mmap_sem | vm_mm.mmap_sem read + anon_vma.root.lock")
    vm_flags = declare(VM_WRITE, guard="vm_mm.mmap_sem")
    anon_vma = declare(None, guard="vm_mm.mmap_sem | vm_mm.mmap_sem read + vm_mm.page_table_lock")
    anon_vma_chain = declare((), guard="vm_mm.mmap_sem | vm_mm.mmap_sem read + vm_mm.page_table_lock | vm_mm.mm_users")


class AnonVma(Struct):
    """What the anonymous pages of a family of VMAs point to.  include/linux/rmap.h:27 (v3.7)"""

    short = "av"
    mortal = True
    typesafe = True
    #: The oldest anon_vma of the family; only its lock is ever taken.
    root = declare(None, guard="set once")
    mutex = declare(None, guard="itself", lock=ANON_VMA_MUTEX)
    rwsem = declare(FREE_RWSEM, guard="itself", lock=ANON_VMA_RWSEM)
    refcount = declare(0, guard="atomic")
    rb_root = declare(None, guard="root.lock")


class AnonVmaChain(Struct):
    """The link of one VMA to one anon_vma, a node of its interval tree.  include/linux/rmap.h:60 (v3.7)"""

    short = "avc"
    mortal = True
    vma = declare(None, guard="set once")
    anon_vma = declare(None, guard="set once")
    rb_left = declare(None, guard="anon_vma.root.lock")
    rb_right = declare(None, guard="anon_vma.root.lock")
    rb_parent = declare(None, guard="anon_vma.root.lock")
    rb_color = declare("red", guard="anon_vma.root.lock")
    rb_subtree_last = declare(0, guard="anon_vma.root.lock")


class Cpu(Struct):
    """A CPU: its TLB and its queue of interrupt requests.  kernel/smp.c:27 (v3.7)"""

    short = "cpu"
    node = declare(0, guard="const")
    #: Slots are (mm, vpn); a slot holds a :class:`TlbEntry` or None.
    tlb = table(None, guard="cpu")
    #: How many of its address space's flushes it has made (``cpu_tlbstate.ctxs[].tlb_gen``); only in modern kernels.
    tlb_gen = declare(0, guard="cpu")
    #: Whether it runs no thread of the address space whose page tables it has loaded (lazy TLB mode).
    is_lazy = declare(False, guard="cpu")
    call_single_queue = declare((), guard="atomic")
    #: How many CPUs have not yet answered this CPU's request.
    csd_pending = declare(0, guard="atomic")
    #: Whether its thread has turned interrupts off (the interrupt flag).
    irqs_off = declare(False, guard="cpu")


class Pgdat(Struct):
    """A node, and how much NUMA faults may move to it in a window of time.  include/linux/mmzone.h:733 (v3.8)"""

    short = "pgdat"
    ratelimit_pages = declare(32768, guard="const")
    numabalancing_migrate_lock = declare(None, guard="itself", lock=NUMABALANCING_MIGRATE_LOCK)
    numabalancing_migrate_nr_pages = declare(0, guard="numabalancing_migrate_lock")


class Task(Struct):
    """A thread, or a CPU's interrupt handler."""

    short = "t"
    #: Whether its user code has said that it is done, for others who look.
    done = declare(False, guard="task")
    #: The locks it holds, as (lock, mode), in the order in which it took them.
    held = declare((), guard="task")
    #: How many objects it has allocated.
    allocs = declare(0, guard="task")
    #: The flushes that it has put off (:class:`TlbflushUnmapBatch`), or None: then each PTE is flushed at once.
    tlb_ubc = declare(None, guard="task")
    #: Whether the order in which it takes locks is not looked at.
    lockdep_recursion = declare(False, guard="task")
    #: Within an RCU read section the type-safe objects that were freed since it began; else None.
    rcu = declare(None, guard="task")


class Rcu(Struct):
    """Read-copy-update: who is in a read section.  kernel/rcutree.c (v3.7)"""

    short = "rcu"
    readers = declare((), guard="atomic")


RCU = Rcu("rcu")


class Slab(Struct):
    """The free objects of a struct that may be given out again.  mm/slub.c (v3.7)"""

    short = "slab"
    #: The objects that may be given out again, the last one freed last; None in worlds that do not recycle.
    free = declare(None, guard="atomic")


ANON_VMA_CACHEP = Slab("anon_vma_cachep")
#: The free frames, likewise (``zone->free_area`` of all nodes together).  mm/page_alloc.c:1293 (v3.7)
FREE_AREA = Slab("free_area")


#: Every struct by its name.
STRUCTS: dict[str, type[Struct]] = {
    it.__name__: it
    for it in (Page, SwapInfo, SwapSlot, PageTable, Mm, Vma, AnonVma, AnonVmaChain, Cpu, Pgdat, Task, Rcu, Slab)
}
