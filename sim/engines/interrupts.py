"""Flush requests on their way: when each reaches its CPU, who answers it when, and whose time that takes.

The sender interrupts its targets one after the other, each CPU answers one request at a time, and the thread that it
takes the CPU from goes on later by as much.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from heapq import heappop, heappush
from typing import Any, Final

from sim.engines.ledger import Ledger
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

    def __init__(self, env: Any, ledger: Ledger, waiting: dict[Field, Any], serve: Callable[..., int]) -> None:
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
        self._handled = [0] * len(tasks)  # until when a handler is at work
        costs = ledger.costs
        self._send, self._target = costs["ipi_send"], costs["ipi_target"]
        self._near, self._far = costs["ipi_delivery"], costs["ipi_delivery_remote"]

    def deliver(self, i: int, changes: Sequence[Change], clock: int) -> Generator[Any, Any, None]:
        """The requests that task *i* has queued at *clock* reach the CPUs in turn, and each CPU answers its own."""
        env, peek, machine, handled = self._env, self._env.peek, self._machine, self._handled
        arrivals = self._arrivals(i, changes, clock)
        now = int(env.now)
        alone: float = 0  # nobody else can act before *alone*
        while arrivals and machine.violation is None:
            at, handler = heappop(arrivals)
            if at > now and at >= alone and at >= (alone := peek()):
                yield env.timeout(at - now)
                now, alone = at, 0
            if at < handled[handler]:  # it is still at work on somebody else's
                heappush(arrivals, (handled[handler], handler))
            elif machine.memory.get(machine.tasks[handler].cpu.irqs_off):  # its CPU takes no interrupts for now
                heappush(arrivals, (at + _AGAIN, handler))
            elif self._answer(handler, at):
                alone = 0

    def _arrivals(self, i: int, changes: Sequence[Change], clock: int) -> list[tuple[int, int]]:
        """When each of the requests reaches its handler, in that order."""
        tasks, at, node = self._machine.tasks, clock + self._send, self._machine.tasks[i].node
        arrivals = []
        for field, _, _ in changes:
            if (handler := self._handler.get(field)) is not None:
                at += self._target
                arrivals.append((at + (self._near if tasks[handler].node == node else self._far), handler))
        return sorted(arrivals)

    def _answer(self, handler: int, clock: int) -> bool:
        """A CPU's *handler* answers one request, and takes the CPU from the thread there for as long.

        Returns whether somebody was waiting for this answer.
        """
        ledger = self._ledger
        op = self._machine.ops[handler]
        assert op is not None
        ns = ledger.step(handler, op, clock)
        self._handled[handler] = clock + ns
        thread = self._thread[handler]
        pending, _, left = ledger.changes[-1]
        served = not left and pending in self._waiting
        if served:  # the sender spins until the last CPU has answered
            self._serve(pending, clock)
        if self.busy[thread]:
            self.owed[thread] += ns
        else:
            self.serving[thread] = clock + ns
        return served
