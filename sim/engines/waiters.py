"""Who waits under the clock, and how each of them is served when what it waits for has come true."""

from __future__ import annotations

from typing import Final

from simpy import Environment, Event

from sim.ops import Op

GRANT: Final = "its operation is done for it at once, and it goes on later"
WAKE: Final = "it is woken, and does its operation when it runs"
RETRY: Final = "it is woken but keeps its place in the queue: somebody may be faster"
SPIN: Final = "it looks when it looks next"


class Waiter(Event):
    """A task that waits for a field; as an event it fires at the time that its waker names.

    Attributes:
        i: the number of the task.
        op: what it wants to do.
        since: since when it waits (ns).
        how: how it is served.
        sleeps: whether it has given up its CPU.
    """

    def __init__(self, env: Environment, i: int, op: Op, since: int, how: str, sleeps: bool) -> None:
        super().__init__(env)
        self.i, self.op, self.since, self.how, self.sleeps = i, op, since, how, sleeps

    def fire(self, at: int) -> None:
        """Let the task go on at time *at*."""
        self._ok, self._value = True, None
        self.env.schedule(self, delay=at - self.env.now)
