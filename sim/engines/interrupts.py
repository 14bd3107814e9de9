"""Flush requests on their way: when each reaches its CPU, who answers it when, and whose time that takes.

The sender interrupts its targets one after the other, each CPU answers one request at a time, and the thread that it
takes the CPU from goes on later by as much.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Generator, Iterable
from itertools import count
from operator import add
from typing import Any, Final

from sim.engines.clock import interrupt
from sim.machine import Change
from sim.ops import Field, HandleIpi

#: How soon after a CPU takes interrupts again one that was held up gets through, at the latest (ns).
_AGAIN: Final = 10


class Interrupts:
    """The interrupt handlers of a run.

    Attributes:
        threads: the numbers of the tasks that are no handlers.
        busy: for each task whether it is on its CPU and not waiting; kept by the clock.
        owed: what interrupts cost a busy thread, which it has not paid yet (ns).
        serving: until when the CPU of a waiting thread serves an interrupt.
    """

    def __init__(self, env: Any, ledger: Any, waiting: dict[Field, Any], serve: Callable[..., int]) -> None:
        self._env, self._ledger, self._machine = env, ledger, ledger.machine
        self._waiting, self._serve = waiting, serve
        tasks = self._machine.tasks
        handlers = [i for i in range(len(tasks)) if isinstance(self._machine.ops[i], HandleIpi)]
        self.threads = [i for i in range(len(tasks)) if i not in set(handlers)]
        self.busy = [True] * len(tasks)
        self.owed = [0] * len(tasks)
        self.serving = [0] * len(tasks)
        self._handler = {tasks[i].cpu.call_single_queue: i for i in handlers}  # who takes the requests of a queue
        on_cpu = {tasks[i].cpu: i for i in self.threads}
        self._thread = [on_cpu[tasks[i].cpu] for i in range(len(tasks))]
        self._node = [info.node for info in tasks]
        self._irqs_off = [info.cpu.irqs_off for info in tasks]
        self._sent = 0  # how often
        self._handled = [0] * len(tasks)  # until when a handler is at work
        self._known: dict[tuple[int, tuple[int, ...]], list[tuple[int, int]]] = {}  # what _after() has found
        costs = ledger.costs
        self._send, self._target = costs["ipi_send"], costs["ipi_target"]
        self._near, self._far = costs["ipi_delivery"], costs["ipi_delivery_remote"]

    def asked(self, changes: Iterable[Change]) -> tuple[int, ...]:
        """The handlers to which a step that made *changes* has sent requests, in that order."""
        handlers = self._handler
        return tuple([handlers[change[0]] for change in changes if change[0] in handlers])

    def send(self, i: int, asked: tuple[int, ...], clock: int) -> None:
        """Task *i* has sent requests to the handlers *asked* at *clock*."""
        self._sent += 1
        arrivals = [(clock + after, handler) for after, handler in self._after(i, asked)]
        self._env.process(self._deliver(interrupt(self._sent), arrivals))

    def _deliver(self, rank: int, arrivals: list[tuple[int, int]]) -> Generator[Any, Any, None]:
        """Requests that were sent at one time reach their CPUs in turn; each answers its own."""
        env, peek, machine, handled = self._env, self._env.peek, self._machine, self._handled
        handle, irqs_off, memory = self._ledger.handle, self._irqs_off, machine.memory
        busy, owed, threads, waiting = self.busy, self.owed, self._thread, self._waiting
        now = int(env.now)
        alone: float = 0  # nobody else can act before *alone*
        for following, (at, handler) in enumerate(arrivals, 1):  # those that are put off are among the following
            if at > now and at >= alone and at >= (alone := peek()):
                yield env.turn(at, rank)
                alone = 0
            now = at
            if at < (until := handled[handler]):  # it is still at work on somebody else's
                insort(arrivals, (until, handler), following)
            elif memory.get(irqs_off[handler]):  # its CPU takes no interrupts for now
                insort(arrivals, (at + _AGAIN, handler), following)
            else:  # it answers one request, and takes the CPU from the thread there for as long
                ns, pending, left = handle(handler, at)
                handled[handler] = at + ns
                if not left and pending in waiting:  # the sender spins until the last CPU has answered
                    self._serve(pending, at)
                    alone = 0
                thread = threads[handler]
                if busy[thread]:
                    owed[thread] += ns
                else:
                    self.serving[thread] = at + ns
                if machine.violation is not None:
                    return

    def _after(self, i: int, asked: tuple[int, ...]) -> list[tuple[int, int]]:
        """How long after task *i* has sent its requests each reaches its handler, and which that is, in that order."""
        found = self._known.get((i, asked))
        if found is None:
            node, sent = self._node[i], count(self._send + self._target, self._target)
            delivery = (self._near if self._node[it] == node else self._far for it in asked)
            found = self._known[i, asked] = sorted(zip(map(add, sent, delivery), asked, strict=True))
        return found
