"""Two ways to call kernel functions in a test: one task quite alone, and a bench of several driven by hand.

it = alone(memory)                       # nobody else is there: call a function and look
page = it.call(follow_page(it.k, vma, 0))
assert it.get(page._count) == 2

b = bench()                              # a process, its heap of 8 pages, and a CPU on each of two nodes
page = b.page(b.heap, 0, node=0)
b.spawn("mover", lambda k: sys_move_pages(k, k.mm, (0,), 1))
run = b.start("mutex_v37")
run.only("mover")                        # until it has finished, or cannot go on
assert run[page._count] == 0
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pytest

from sim import variants
from sim.context import Context
from sim.interpreter import execute
from sim.invariants import Violation
from sim.kernel.vmscan import isolate_lru_page
from sim.machine import Event, Machine, advance
from sim.ops import Acquire, Field, Kernel, Op, TryAcquire
from sim.setup import Builder, Setup
from sim.structs import Cpu, Mm, Pte, Task


class Run:
    """A run that the test drives, with everything that has happened in it."""

    def __init__(self, setup: Setup, variant: str | variants.Variant) -> None:
        self.machine = Machine(setup, variants.find(variant) if isinstance(variant, str) else variant)
        self.events: list[Event] = []
        self.points = Counter(point for points in self.machine.starts for point in points)

    def __getitem__(self, field: Field) -> Any:
        return self.machine.memory.get(field, field.default)

    @property
    def violation(self) -> Violation | None:
        return self.machine.verdict()

    def only(self, *names: str, until: Callable[[Event], bool] = lambda event: False) -> Event | None:
        """Let these tasks run in turn, and interrupt handlers answer, *until* an event or until none can go on."""
        daemons = [info.task for info in self.machine.tasks if info.daemon]
        while True:
            able = self.machine.runnable()
            going = [task for task in (*map(Task, names), *daemons) if task in able]
            if not going:
                return None
            event = self.machine.step(going[0])
            self.events.append(event)
            self.points.update(event.points)
            if until(event):
                return event

    def all(self) -> Violation | None:
        """Let everybody run to the end, the first task first; return what is wrong with the result."""
        while not self.machine.done and self.machine.violation is None and self.machine.runnable():
            self.only(*(str(info.task) for info in self.machine.tasks), until=lambda event: True)
        return self.violation

    def ops(self, kind: type[Op]) -> int:
        """How many operations of this kind were done."""
        return sum(type(event.op) is kind for event in self.events)

    def taken(self, name: str) -> int:
        """How often a lock of this name was taken."""
        return sum(
            type(event.op) in (Acquire, TryAcquire)
            and event.op.lock.base == name  # type: ignore[attr-defined]
            and event.answer is not False
            and event.outcome == "done"
            for event in self.events
        )


def _noting(k: Context, *, results: dict[str, Any], name: str, function: Callable[[Context], Kernel]) -> Kernel:
    """Call *function*, in whatever kernel *k* runs, and note what it returns."""
    results[name] = yield from function(k)


class Bench(Builder):
    """A process P with a heap, and one CPU on each of two nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.p = self.mm("P")
        self.heap = self.vma(self.p, "heap", 0, 8)
        self.cpu0, self.cpu1 = self.cpu(0, 0), self.cpu(1, 1)
        self.results: dict[str, Any] = {}

    def spawn(self, name: str, function: Callable[[Context], Kernel], cpu: int = 0, mm: Any = None) -> None:
        """A task that calls *function*; what it returns stands in ``results[name]``."""
        body = partial(_noting, results=self.results, name=name, function=function)
        self.task(name, (self.cpu0, self.cpu1)[cpu], mm or self.p, body, name)

    def migrator(self, page: Any, passes: int = 10, **mode: str) -> None:
        """A task that isolates a page and hands it to migrate_pages, for node 1: no mmap_sem, no follow_page."""

        def body(k: Context) -> Kernel:
            yield from isolate_lru_page(k, page)
            failed = yield from k.migrate_pages((page,), 1, passes, **mode)
            return failed

        self.spawn("migrator", body)

    def relative(self, name: str, vma: Any, *vpns: int) -> Any:
        """A process that was forked from P: its VMA is linked to *vma*'s anon_vma, and it maps these pages of it."""
        mm = self.mm(name)
        memory = self.memory
        self._insert(mm, self._fork_vma(vma, mm))
        for vpn in vpns:
            place = memory[memory[vma.vm_mm].pmd[0]].pte[vpn]
            page = memory[place].page
            memory[place] = memory[place]._replace(write=False)
            memory[self._table(mm, vpn).pte[vpn]] = Pte("present", page, write=False)
            for field in (page._count, page._mapcount, page.present_ptes):
                memory[field] = memory[field] + 1
        return mm

    def start(self, variant: str | variants.Variant = "mutex_v37") -> Run:
        """Start all tasks; none has made a step."""
        return Run(self.finish("bench", {}), variant)


@pytest.fixture
def bench() -> type[Bench]:
    """What makes an empty bench; a fixture, because test folders are no packages."""
    return Bench


# --- one function alone --------------------------------------------------------------------------------------------


class Alone:
    """A memory and one task that runs kernel functions on it to their end, every step in order.

    Attributes:
        memory: what stands where; only what differs from the default.
        k: the task's context.
        ops: the steps of the last call.
        points: its tracepoints.
    """

    def __init__(self, memory: Mapping[Field, Any] | None = None, *, mm: str = "P", node: int = 0) -> None:
        self.memory: dict[Field, Any] = dict(memory or {})
        self.k = Context(Task("alone"), Mm(mm), Cpu("cpu0"), node, variants.find("mutex_v37").seams)
        self.ops: list[Op] = []
        self.points: list[str] = []

    def get(self, field: Field) -> Any:
        """What stands in *field*."""
        return self.memory.get(field, field.default)

    def set(self, ref: Any, **values: Any) -> Any:
        """Give fields of *ref* these values; return it."""
        for name, value in values.items():
            self.memory[getattr(ref, name)] = value
        return ref

    def steps(self, coroutine: Kernel) -> Iterator[Op]:
        """Yield each step of *coroutine* after it was done."""
        self.ops, self.points = [], []
        op = advance(coroutine, None, self.memory, self.points)
        while op is not None:
            answer = execute(op, self.memory, self.k, [])
            self.ops.append(op)
            yield op
            op = advance(coroutine, answer, self.memory, self.points)

    def call(self, coroutine: Kernel) -> Any:
        """Run *coroutine* to its end and return what it returns."""
        result = []

        def body() -> Kernel:
            answer = yield from coroutine
            result.append(answer)

        for _ in self.steps(body()):
            pass
        return result[0]


@pytest.fixture(scope="session")
def alone() -> type[Alone]:
    """``alone(memory)``: one task that runs kernel functions; ``call`` runs one to its end."""
    return Alone
