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
        self._coming: list[deque[int]] = [deque() for _ in self.busy]  # when requests reach a handler

    def send(self, i: int, asked: tuple[int, ...], clock: int) -> None:
        """Task *i* has sent requests to the handlers *asked* at *clock*."""
        due, handled, all_coming = self.due, self._handled, self._coming
        for it in self._arrivals(i, asked, clock):
            at, handler = it
            coming = all_coming[handler]
            if not coming or at < coming[0]:
                coming.appendleft(at)
                heappush(due, it if at >= handled[handler] else (handled[handler], handler))
            elif at >= coming[-1]:
                coming.append(at)
            else:
                insort(coming, at)

    def settle(self, queue: list[Any]) -> None:
        """Those requests are answered that are due before the first event of *queue*."""
        due, handled, handle, all_coming = self.due, self._handled, self._ledger.handle, self._coming
        busy, owed, serving, threads, waiting = self.busy, self.owed, self.serving, self._thread, self._waiting
        while (at := due[0][0]) <= queue[0][0]:
            handler = due[0][1]
            coming = all_coming[handler]
            if not coming or at < coming[0] or at < handled[handler]:
                heappop(due)  # something was faster than what was next when this was noted
                continue
            ns, pending, left = handle(handler, at)
            coming.popleft()
            handled[handler] = until = at + ns
            if not coming:
                heappop(due)
            else:
                following = coming[0]
                heapreplace(due, (max(until, following), handler))
            if not left and pending in waiting:  # the sender spins until the last CPU has answered
                self._serve(pending, at)
            thread = threads[handler]
            if busy[thread]:
                owed[thread] += ns
            else:
                serving[thread] = until

    def state(self, now: int) -> Any:
        """Requests on their way, and what interrupts cost, with times from *now* on."""
        at_work = [[max(0, until - now) for until in its] for its in (self._handled, self.serving)]
        return [[at - now for at in coming] for coming in self._coming], at_work, self.busy[:], self.owed[:]
