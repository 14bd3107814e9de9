"""What things cost, in nanoseconds: one table, and nothing else in the project knows a number of this kind.

Each row says where its number comes from: a source, or the word *illustrative*, which means a round number inside
the range that engineers quote for machines of 2 to 3 GHz, with two or more sockets.  What a run finds has to hold
for a wide band around every row (a test multiplies each by three and divides it by three).

IPI cost by number and distance: a sender pays ``ipi_send`` once and ``ipi_target`` for each CPU, whose handler starts
``ipi_delivery`` later, or ``ipi_delivery_remote`` on another node; for *n* targets that is about 1 us + 0.2 us n, the
shape of the table in kernel-facts, section 6.  The acknowledgement counts from the start of the handler.

Four kinds of row: what an operation costs whoever does it, what passing a tracepoint costs (they stand for work
that the model leaves out, such as an allocator), what waiting costs beyond the wait itself, and for how long something
that CPUs share is busy with one of them (:mod:`sim.engines.shared`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, assert_never

from sim.errors import BadParameter, UnknownName
from sim.ops import (
    Acquire,
    Add,
    AddUnless,
    Alloc,
    AskFlush,
    Bug,
    Choose,
    CmpXchg,
    CopyPage,
    Field,
    FlushTlb,
    Free,
    HandleIpi,
    Invlpg,
    RcuReadLock,
    RcuReadUnlock,
    Release,
    SendIpi,
    Step,
    TryAcquire,
    Until,
    UserRead,
    UserWrite,
    Walk,
    Write,
    Wrprotect,
    Xchg,
)

ILLUSTRATIVE: Final = "illustrative"
_ZI_YAN = "L:20170620230715 (Zi Yan, June 2017); 2 MiB at once in 658,540 ns, one page alone in 62,470"
_ONEDFRK = "an IPI there and back takes 1.5 us (1 to 3): weak web sources, kernel-facts section 6"
_INGO = "L:20150610082640 (Ingo Molnar, 10 June 2015), at 2.5 GHz"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table.

    Attributes:
        name: how :meth:`Costs.with_` and the timed engine call it.
        ns: nanoseconds.
        what: what is paid for.
        source: where the number comes from, or ``illustrative``.
        confidence: A if a source that was read gives it, B if one gives it indirectly, C for what engineers quote.
        low, high: the range in which it lies on the machines in question; 0 if nobody gave one.
    """

    name: str
    ns: float
    what: str
    source: str = ILLUSTRATIVE
    confidence: str = "C"
    low: float = 0
    high: float = 0


ROWS: Final[tuple[Row, ...]] = (
    # What operations cost.
    Row("read", 2, "a load that hits the cache"),
    Row("write", 2, "a store that hits the cache"),
    Row("atomic", 20, "an uncontended atomic instruction", ILLUSTRATIVE, "C", 5, 30),
    Row("acquire", 20, "taking a lock that is free: one atomic instruction", ILLUSTRATIVE, "C", 5, 30),
    Row("try_acquire", 20, "a trylock, whether it succeeds or not", ILLUSTRATIVE, "C", 5, 30),
    Row("release", 20, "giving a lock back when nobody sleeps on it", ILLUSTRATIVE, "C", 5, 30),
    Row("until", 2, "looking whether something has come true"),
    Row("alloc", 100, "a small object from a slab"),
    Row("free", 50, "giving it back"),
    Row("rcu", 1, "beginning or ending an RCU read section: a counter of the task's own"),
    Row("copy_page", 400, "copying 4 KiB between frames of this CPU's node", ILLUSTRATIVE, "C", 300, 1000),
    Row("copy_page_remote", 800, "the same if either frame is on another node", _ZI_YAN, "C", 500, 1290),
    Row("user_access", 2, "a load or store of user code that hits the TLB"),
    Row("walk", 6, "the MMU's page-table walk, tables in the cache: 15 cycles", _INGO, "A", 4, 8),
    Row("invlpg", 92, "dropping one page from this CPU's TLB: 230 cycles", _INGO, "A", 80, 100),
    Row("ipi_send", 100, "starting to interrupt other CPUs"),
    Row("ipi_target", 200, "writing one target's request and interrupting it"),
    Row("ipi_handler", 400, "interrupt entry, the flush, the acknowledgement, and exit; delays that CPU's thread too"),
    Row("choose", 2, "looking at a clock"),
    # What tracepoints cost.
    Row("page_fault_entry", 600, "page fault entry and exit, without the work", ILLUSTRATIVE, "C", 300, 1500),
    Row("syscall", 100, "system call entry and exit"),
    Row("lru_add_drain_all", 50_000, "every CPU gives back its pagevecs", _ZI_YAN, "B", 20000, 62470),
    Row("alloc_page", 150, "a frame from the buddy allocator's per-CPU list"),
    Row("clear_page", 400, "zeroing a new frame"),
    Row("swap_io", 100_000, "4 KiB to a swap device or from it: a solid-state disk"),
    # What user code does between two faults: a seed varies these by a half, up and down.
    Row("memset_page", 400, "a store of user code that hits stands for filling the 4 KiB of its page"),
    Row("memset_page_remote", 800, "the same if the frame is on another node", ILLUSTRATIVE, "C", 500, 1600),
    Row("start_spread", 20_000, "threads start within this time of each other"),
    # What waiting costs.
    Row("spin_handover", 200, "a contended cache line travels to a spinning CPU", ILLUSTRATIVE, "C", 80, 400),
    Row("mutex_spin_poll", 100, "how often a spinner of a mutex looks at it"),
    Row("mutex_set_owner", 50, "from taking a mutex until its owner field says so"),
    Row("sleep", 1_000, "giving up the CPU: queueing and schedule()"),
    Row("wake_up", 500, "waking one sleeper, paid by the waker"),
    Row("wake_latency", 4_000, "from being woken until the thread runs again", ILLUSTRATIVE, "C", 2000, 10000),
    Row("ipi_delivery", 700, "from the sender's write until the handler starts", _ONEDFRK, "B", 500, 1500),
    Row("ipi_delivery_remote", 1_400, "the same on a CPU of another node", ILLUSTRATIVE, "C", 700, 3000),
    # For how long something that CPUs share is busy.
    Row("rwsem_line", 100, "the count of a rwsem changes on another CPU than before: its line comes", low=80, high=400),
    Row("copy_memory", 300, "a page copy keeps a node's memory busy: 4 KiB at some 13 GB/s", low=100, high=600),
)


def row_of(op: Step) -> str:
    """The name of the row that says what *op* costs whoever does it.  The type checker names a missing operation."""
    match op:
        case Field():
            return "read"
        case Write():
            return "write"
        case Xchg() | Wrprotect() | Add() | AddUnless() | CmpXchg() | AskFlush():
            return "atomic"
        case Acquire():
            return "acquire"
        case TryAcquire():
            return "try_acquire"
        case Release():
            return "release"
        case Until():
            return "until"
        case Alloc():
            return "alloc"
        case Free():
            return "free"
        case RcuReadLock() | RcuReadUnlock():
            return "rcu"
        case CopyPage():
            return "copy_page"
        case UserRead() | UserWrite():
            return "user_access"
        case Walk():
            return "walk"
        case Invlpg() | FlushTlb():
            return "invlpg"
        case SendIpi():
            return "ipi_send"
        case HandleIpi():
            return "ipi_handler"
        case Choose() | Bug():
            return "choose"
        case _:
            assert_never(op)


class Costs:
    """A table of costs: ``costs["copy_page"]`` is in nanoseconds.  Not changed once made."""

    def __init__(self, rows: Iterable[Row] = ROWS) -> None:
        self.rows: MappingProxyType[str, Row] = MappingProxyType({row.name: row for row in rows})

    def __getitem__(self, name: str) -> int:
        """What *name* costs, rounded to whole nanoseconds."""
        return round(self.rows[name].ns)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Costs) and dict(self.rows) == dict(other.rows)

    def __hash__(self) -> int:
        return hash(tuple(self.rows.values()))

    def point(self, name: str) -> int:
        """What passing the tracepoint *name* costs: nothing, unless it has a row."""
        return self[name] if name in self.rows else 0

    def scaled(self, factor: float) -> Costs:
        """These costs with every row multiplied by *factor*."""
        return Costs(Row(row.name, _valid(row.name, row.ns * factor), row.what, row.source) for row in self)

    def with_(self, name: str, ns: float) -> Costs:
        """These costs with one other row, which becomes illustrative.

        Raises:
            UnknownName: if there is no such row, naming the nearest.
            BadParameter: if *ns* is negative.
        """
        if name not in self.rows:
            raise UnknownName("cost", name, self.rows)
        new = Row(name, _valid(name, ns), self.rows[name].what)
        return Costs(new if row.name == name else row for row in self)


def _valid(name: str, ns: float) -> float:
    if not 0 <= ns < float("inf"):
        raise BadParameter(f"{name} cannot cost {ns} ns: 0 or more")
    return ns


#: What runs are charged unless told otherwise.
DEFAULT: Final = Costs()
