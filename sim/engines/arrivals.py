"""The interrupts of a replay: a queue for each handler, and no process for any of them."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush, heapreplace
from typing import Any, Final

from sim.engines.clock import FAR
from sim.engines.interrupts import Interrupts
from sim.ops import Field

#: What is always due last, of threads; and later than that, of interrupts.
NEVER: Final = (FAR, FAR, None)
_NO_MORE: Final = (FAR + 1, FAR)


class Arrivals(Interrupts):
    """Interrupts that arrive, and do what they do, as those of the timed engine.

    Attributes:
        due: when a handler answers its next request, and which handler that is.
    """

    def __init__(self, env: Any, ledger: Any, waiting: dict[Field, Any], serve: Callable[..., int]) -> None:
        super().__init__(env, ledger, waiting, serve)
        self.due: list[tuple[int, int]] = [_NO_MORE]
        self._ns = ledger.costs["ipi_handler"]
        self._coming: list[deque[int]] = [deque() for _ in self.busy]  # when requests reach a handler
        self._asking: list[deque[list[Any]]] = [deque() for _ in self.busy]  # whose they are, as they were sent

    def send(self, i: int, asked: tuple[int, ...], clock: int) -> None:
        """Task *i* has sent requests to the handlers *asked* at *clock*."""
        due, handled, all_coming, asking = self.due, self._handled, self._coming, self._asking
        unanswered = [len(asked), self._machine.tasks[i].cpu.csd_pending]
        for after, handler in self._after(i, asked):
            at = clock + after
            asking[handler].append(unanswered)
            coming = all_coming[handler]
            if not coming or at < coming[0]:
                coming.appendleft(at)
                heappush(due, (max(at, handled[handler]), handler))
            elif at >= coming[-1]:
                coming.append(at)
            else:
                insort(coming, at)

    def settle(self, queue: list[Any]) -> None:
        """Those requests are answered that are due before the first event of *queue*: the oldest of each handler."""
        due, handled, all_coming, asking, ns = self.due, self._handled, self._coming, self._asking, self._ns
        busy, owed, serving, threads, waiting = self.busy, self.owed, self.serving, self._thread, self._waiting
        while (at := due[0][0]) <= queue[0][0]:
            handler = due[0][1]
            coming = all_coming[handler]
            if not coming or at < coming[0] or at < handled[handler]:
                heappop(due)  # something was faster than what was next when this was noted
                continue
            coming.popleft()
            handled[handler] = until = at + ns
            if not coming:
                heappop(due)
            else:
                following = coming[0]
                heapreplace(due, (until if following < until else following, handler))  # noqa: FURB136 - max() is slow
            unanswered = asking[handler].popleft()
            unanswered[0] -= 1
            if not unanswered[0]:
                self._machine.memory[unanswered[1]] = 0
                if unanswered[1] in waiting:  # the sender spins until the last CPU has answered
                    self._serve(unanswered[1], at)
            thread = threads[handler]
            if busy[thread]:
                owed[thread] += ns
            else:
                serving[thread] = until

    def state(self, now: int) -> Any:
        """Requests on their way, and what interrupts cost, with times from *now* on."""
        requests = (
            [[at - now for at in coming] for coming in self._coming],
            [list(map(list, it)) for it in self._asking],
        )
        at_work = [[max(0, until - now) for until in its] for its in (self._handled, self.serving)]
        return requests, at_work, self.busy[:], self.owed[:]
