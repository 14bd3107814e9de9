"""The clock of the timed engine: SimPy's, with a rule for what is due at the same time.

Interrupts come first, in the order in which they were sent, then threads, by their numbers.  SimPy alone would let
those go first who asked first, that is whose step before began first; then even steps that nobody else can see would
decide who comes first.  With the rule only those matter that others can see, and a replay (:mod:`sim.engines.replay`)
makes all between two of them at one go.
"""

from __future__ import annotations

from typing import Final

from simpy import Environment, Event
from simpy.events import EventPriority

#: A time (ns) that never comes; no thread has such a number.
FAR: Final = 1 << 60


class Turn(Event):
    """That a thread, or an interrupt, goes on.

    Attributes:
        rank: which of those that are due at the same time comes first: the number of a thread; less than any for an
            interrupt.
    """

    def __init__(self, clock: Clock, rank: int) -> None:
        super().__init__(clock)
        self.rank = rank

    def fire(self, at: int) -> None:
        """Let who waits for it go on at time *at*."""
        self._ok, self._value = True, None
        self.env.schedule(self, EventPriority(self.rank), at - self.env.now)


class Clock(Environment):
    """SimPy's environment, in which processes wait for their turns."""

    def turn(self, at: int, rank: int) -> Turn:
        """What a process of *rank* yields to go on at time *at*."""
        turn = Turn(self, rank)
        turn.fire(at)
        return turn


def interrupt(number: int) -> int:
    """The rank of the *number*-th interrupt, or round of them, that was sent."""
    return number - FAR
