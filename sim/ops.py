"""What a kernel coroutine may yield.

A kernel function never touches shared state itself.  It yields one of the operations below and is sent the
answer; every yield is a place where another CPU may run.  What an operation *means* stands in one place,
:mod:`sim.machine`; what it costs in :mod:`sim.engines.costs`; how it reads in English in :mod:`vizlib.explain`.

    value = yield page.mapping              # a field, yielded, is read          -> its value
    yield page.mapping.set(anon_vma)        # a store                            -> None
    old = yield pte.xchg(None)              # atomic exchange                    -> the old value
    count = yield page._mapcount.add(-1)    # atomic add                         -> the new value
    ok = yield anon_vma.refcount.add_unless(1, 0)                              # -> True if it was added
    ok = yield page._count.cmpxchg(2, 0)    # atomic compare and exchange       -> True if it was 2, and now is 0
    yield from mutex_lock(root.mutex)       # locks are taken through sim.sync

Yield only as a statement, as ``x = yield op``, or alone in a condition: a yield inside a half-evaluated
expression leaves operands where the checker cannot see them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

if TYPE_CHECKING:
    from sim.locks import LockKind
    from sim.structs import Struct

EXCLUSIVE = "exclusive"
SHARED = "shared"

#: As the end of a flush: all that a TLB holds of the address space.  arch/x86/include/asm/tlbflush.h:65 (v3.7)
TLB_FLUSH_ALL = -1


def _spell(key: Hashable) -> str:
    return ":".join(map(str, key)) if isinstance(key, tuple) else str(key)


class Op:
    """Anything a kernel coroutine may yield."""

    __slots__ = ()


class Field(Op):
    """A named place in memory: one field of one object, or one slot of a field that is a table.

    Yielding a field reads it.  Fields are interned by their object, so identity is equality.

    Attributes:
        ref: the object that the field belongs to.
        name: the field's name, with its key in brackets for a table: ``pte[3]``.
        base: the name without the key: ``pte``.
        key: the key, or ``None``.
        default: the value that it has until somebody writes it.
        guard: what protects it, as declared in :mod:`sim.structs`.
        lock: how it behaves as a lock, or ``None`` if it is no lock.
        life: the field that says whether the object was freed, or ``None`` for objects that never are.
        const: whether it is never written after set-up; reading it is no step.
    """

    __slots__ = ("base", "const", "default", "guard", "key", "life", "lock", "name", "ref")

    def __init__(
        self,
        ref: Struct,
        base: str,
        key: Hashable = None,
        *,
        default: Any = None,
        guard: str = "",
        lock: LockKind | None = None,
        life: Field | None = None,
    ) -> None:
        self.ref = ref
        self.base = base
        self.key = key
        self.name = base if key is None else f"{base}[{_spell(key)}]"
        self.default = default
        self.guard = guard
        self.const = guard == "const"
        self.lock = lock
        self.life = life

    def __repr__(self) -> str:
        return f"{self.ref}.{self.name}"

    def set(self, value: Hashable) -> Write:
        """Store *value*."""
        return Write(self, value)

    def xchg(self, value: Hashable) -> Xchg:
        """Store *value* and answer what stood there, in one atomic step."""
        return Xchg(self, value)

    def add(self, delta: int) -> Add:
        """Add *delta* and answer the new value, in one atomic step."""
        return Add(self, delta)

    def add_unless(self, delta: int, unless: int) -> AddUnless:
        """Add *delta* unless the value is *unless*; answer whether it was added.  Atomic."""
        return AddUnless(self, delta, unless)

    def cmpxchg(self, old: Hashable, new: Hashable) -> CmpXchg:
        """Store *new* if the value is *old*; answer whether it was stored.  Atomic."""
        return CmpXchg(self, old, new)


# Operations are compared and hashed by value (the checker keys local states on them).  They are not frozen,
# because a frozen dataclass takes twice as long to make; nobody changes one.


@dataclass(slots=True, unsafe_hash=True)
class Write(Op):
    """Store *value* into *field*.  Answer: None."""

    field: Field
    value: Hashable


@dataclass(slots=True, unsafe_hash=True)
class Xchg(Op):
    """Atomically store *value*.  Answer: the old value (``ptep_get_and_clear``)."""

    field: Field
    value: Hashable


@dataclass(slots=True, unsafe_hash=True)
class Wrprotect(Op):
    """Atomically take the right to write out of the PTE *field* (``ptep_set_wrprotect``).  Answer: None.

    The hardware may set the dirty bit at any time; a load and a store would lose it.
    """

    field: Field


@dataclass(slots=True, unsafe_hash=True)
class Add(Op):
    """Atomically add *delta* (``atomic_add_return``).  Answer: the new value."""

    field: Field
    delta: int


@dataclass(slots=True, unsafe_hash=True)
class AddUnless(Op):
    """Atomically add *delta* unless the value is *unless* (``atomic_add_unless``).  Answer: whether it was added."""

    field: Field
    delta: int
    unless: int


@dataclass(slots=True, unsafe_hash=True)
class CmpXchg(Op):
    """Atomically store *new* if the value is *old* (``atomic_cmpxchg``).  Answer: whether it was stored."""

    field: Field
    old: Hashable
    new: Hashable


@dataclass(slots=True, unsafe_hash=True)
class Acquire(Op):
    """Take *lock*; disabled while it cannot be had (a rwsem queues instead).  Answer: None.

    *nested*: inside another lock of the same kind, which is otherwise against the order (``SINGLE_DEPTH_NESTING``).
    """

    lock: Field
    mode: str = EXCLUSIVE
    nested: bool = False


@dataclass(slots=True, unsafe_hash=True)
class TryAcquire(Op):
    """Take *lock* if it can be had now.  Answer: whether it was taken."""

    lock: Field
    mode: str = EXCLUSIVE


@dataclass(slots=True, unsafe_hash=True)
class Release(Op):
    """Give *lock* back.  A bug event if the task does not hold it in *mode*.  Answer: None."""

    lock: Field
    mode: str = EXCLUSIVE


@dataclass(slots=True, unsafe_hash=True)
class Until(Op):
    """Disabled until *field* holds *value*.  *sleeps* says whether the task gives its CPU away.  Answer: None.

    *queued*: it is woken through a queue of its own, and does not touch the object again, which may have been freed.
    """

    field: Field
    value: Hashable
    sleeps: bool = False
    queued: bool = False


@dataclass(slots=True, unsafe_hash=True)
class Alloc(Op):
    """A new object of *struct* with *init* as (field name, value) pairs.  Answer: the object.

    It is named by the task that allocates it and the number of that task's allocations, so that its name
    does not depend on the interleaving and is never used again.  Only a world that recycles anon_vmas or frames
    (:class:`sim.structs.Slab`) gives an object back that was freed, the last one first: an anon_vma with its other
    fields as they were left, since its memory was never anything else, a frame empty.

    *tails*: so many frames follow it and make one huge page with it; the answer is its head.
    """

    struct: type[Struct]
    init: tuple[tuple[str, Hashable], ...] = ()
    tails: int = 0


@dataclass(slots=True, unsafe_hash=True)
class Free(Op):
    """Free *ref*: from now on touching it is a bug event, and so is freeing it again.  Answer: None.

    A huge page is freed by its head, and whole.
    """

    ref: Struct


@dataclass(slots=True, unsafe_hash=True)
class RcuReadLock(Op):
    """Begin a read section: type-safe objects that are freed from now on stay what they are.  Answer: None."""


@dataclass(slots=True, unsafe_hash=True)
class RcuReadUnlock(Op):
    """End the read section: from now on touching what was freed in it is a bug event.  Answer: None."""


@dataclass(slots=True, unsafe_hash=True)
class CopyPage(Op):
    """Copy 4 KiB of user data from one frame to another (``copy_highpage``).  Answer: None."""

    dst: Struct
    src: Struct


@dataclass(slots=True, unsafe_hash=True)
class UserRead(Op):
    """A load by user code through this CPU's TLB.  Answer: False on a TLB miss.

    The value is held against the last write of any thread: a bug event if it is not that.
    *vpn*: virtual page number.
    """

    vpn: int


@dataclass(slots=True, unsafe_hash=True)
class UserWrite(Op):
    """A store by user code through this CPU's TLB.  Answer: False if no entry is writable and dirty."""

    vpn: int


@dataclass(slots=True, unsafe_hash=True)
class Walk(Op):
    """The MMU walks the page table and fills this CPU's TLB.  Answer: None, or the PTE it faults on as a string.

    ``"none"`` (nothing mapped), ``"prot_none"``, ``"migration"``, ``"swap"``, ``"not_present"`` (a huge page at the end
    of its split), ``"read_only"``.  A write sets the dirty bit in the PTE, as x86 hardware does.
    """

    vpn: int
    write: bool


@dataclass(slots=True, unsafe_hash=True)
class Invlpg(Op):
    """Drop what this CPU's TLB holds of *mm* from *vpn* to before *end*.  Answer: None.

    *end* is 0 for the one page (``__flush_tlb_single``), :data:`TLB_FLUSH_ALL` for the whole address space.  One step
    for any number of pages: nobody else looks into this TLB.
    """

    mm: Struct
    vpn: int
    end: int = 0


@dataclass(slots=True, unsafe_hash=True)
class SendIpi(Op):
    """Ask every other CPU in *mm*'s cpumask to drop the pages from *vpn* to before *end*.  Answer: how many CPUs.

    *end* is 0 for the one page, :data:`TLB_FLUSH_ALL` for the whole address space.  *cpus*: these CPUs instead of those
    in the mask; *more*: further (mm, vpn, end) to drop in the same interrupt; *gen*: which flush this is of those that
    *mm* has asked for, so that a CPU can tell whether it is behind (0: of several address spaces at once).

    Only queues the requests; each CPU's handler answers in a step of its own, and the sender waits for
    ``cpu.csd_pending`` to be 0 (``smp_call_function_many``, kernel/smp.c:447, v3.7).
    """

    mm: Struct
    vpn: int
    end: int = 0
    cpus: tuple[Struct, ...] | None = None
    more: tuple[tuple[Struct, int, int], ...] = ()
    gen: int | None = None


@dataclass(slots=True, unsafe_hash=True)
class FlushTlb(Op):
    """This CPU makes flush number *gen* of *mm*, or all that it has not made yet.  Answer: whether it was behind.

    If *gen* is the next one it drops the pages from *vpn* to before *end*; else, or if *gen* is 0, all that the missing
    ones were for.  One step, because interrupts are off (``flush_tlb_func``, arch/x86/mm/tlb.c, v6.1).
    """

    mm: Struct
    vpn: int = 0
    end: int = 0
    gen: int = 0


@dataclass(slots=True, unsafe_hash=True)
class AskFlush(Op):
    """Count one more flush of *mm*, for the pages from *vpn* to before *end*.  Answer: which it is.

    Atomic (``inc_mm_tlb_gen``, arch/x86/include/asm/tlbflush.h, v6.1).
    """

    mm: Struct
    vpn: int
    end: int


@dataclass(slots=True, unsafe_hash=True)
class HandleIpi(Op):
    """This CPU's interrupt handler takes the oldest request, drops the entries and acknowledges.  Answer: None.

    One step, because interrupts are off: nobody can see a state between the drop and the acknowledgement
    that the sender's own wait does not show as well (``flush_tlb_func``, arch/x86/mm/tlb.c:97, v3.7).
    """


@dataclass(slots=True, unsafe_hash=True)
class Choose(Op):
    """A free decision between 0 and *options* - 1; *what* names it in English.  Answer: the number chosen.

    A clock in the timed engine, every answer in the checker; the answer stands in the schedule.
    """

    options: int
    what: str


@dataclass(slots=True, unsafe_hash=True)
class Bug(Op):
    """``BUG()``: the kernel itself noticed that something is wrong.  *culprits* are the objects at fault."""

    kind: str
    sentence: str
    culprits: tuple[Struct, ...] = ()


@dataclass(slots=True, unsafe_hash=True)
class Point(Op):
    """A tracepoint: counted, may cost time, and touches nothing.

    Not a step: the machine passes it while it fetches the next operation, so it adds no interleaving.
    """

    name: str


#: What every kernel function returns: a coroutine that yields operations and is sent their answers.
Kernel: TypeAlias = Generator[Op, Any, Any]

#: A function that makes one.
KernelFunction: TypeAlias = Callable[..., Kernel]

#: An operation that is a step: everything but a tracepoint.  A union, so that the type checker sees what a match lacks.
Step: TypeAlias = (
    Field | Write | Xchg | Wrprotect | Add | AddUnless | CmpXchg | Acquire | TryAcquire | Release | Until | Alloc
    | Free | RcuReadLock | RcuReadUnlock | CopyPage | UserRead | UserWrite | Walk | Invlpg | SendIpi | HandleIpi
    | FlushTlb | AskFlush
    | Choose | Bug
)  # fmt: skip

#: The same, to loop over.
STEPS: tuple[type[Op], ...] = get_args(Step)
