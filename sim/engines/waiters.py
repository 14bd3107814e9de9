"""Who waits under the clock, and how each of them is served when what it waits for has come true."""

from __future__ import annotations

from typing import Final

from sim.engines.clock import Clock, Turn
from sim.ops import Op

GRANT: Final = "its operation is done for it at once, and it goes on later"
WAKE: Final = "it is woken, and does its operation when it runs"
RETRY: Final = "it is woken but keeps its place in the queue: somebody may be faster"
SPIN: Final = "it looks when it looks next"


class Waiter(Turn):
    """A task that waits for a field; it goes on at the time that its waker names.

    Attributes:
        i: the number of the task.
        op: what it wants to do.
        since: since when it waits (ns).
        how: how it is served.
        sleeps: whether it has given up its CPU.
    """

    def __init__(self, clock: Clock, i: int, op: Op, since: int, how: str, sleeps: bool) -> None:
        super().__init__(clock, i)
        self.i, self.op, self.since, self.how, self.sleeps = i, op, since, how, sleeps
