"""A replay that has come back to where it was: to the same state, but for the time and for how much is left to do.

What follows then is what followed before.  So what was done between is done in thought, as often as every thread has
that much left, and each time takes as long and counts as much.  Nothing is rounded: the result is the same as without.

Compared is the whole state: where each thread is on its tape, what interrupts cost it and since when it sleeps, who
waits for what, the locks in memory, requests on their way, cache lines and copies.  Times count from now; where only
what is still to come matters, all times that are past are alike.
"""

from __future__ import annotations

from operator import eq
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sim.engines.replay import Player

#: The rounds of one thread within which a state must come again.
ROUNDS: Final = 64

#: Under which name a tally has the time (ns).
TIME: Final = "ns"


class Cycles:
    """Finds the state of *player* that comes again, and skips what would be repeated.

    Attributes:
        skipped: how much time that was (ns).
    """

    def __init__(self, player: Player) -> None:
        self._player = player
        self._looked = 0
        self._state: list[Any] = []
        self._left: list[int] = []
        self._tally: dict[Any, int] = {}
        self.skipped = 0

    def look(self) -> None:
        """A thread has begun another round: is the state one that was there before?"""
        if self.skipped or self._looked == ROUNDS:
            return
        self._looked += 1
        left = self._player.books.left
        if self._state and all(map(eq, self._player.state(), self._state)):
            self._skip([before - now for before, now in zip(self._left, left, strict=True)])
        elif self._looked.bit_count() == 1:  # the 1st, 2nd, 4th, 8th ... are kept: one of them lies on any cycle
            self._state, self._left, self._tally = [*self._player.state()], left[:], self._player.tally()

    def _skip(self, rounds: list[int]) -> None:
        """What was done since the state was kept, *rounds* by each thread, is repeated as often as can be."""
        player, books = self._player, self._player.books
        times = min(left // each for left, each in zip(books.left, rounds, strict=True) if each)
        for i, each in enumerate(rounds):
            books.pass_over(i, each * times)
        gained = {name: number - self._tally.get(name, 0) for name, number in player.tally().items()}
        self.skipped = gained[TIME] * times
        player.add({name: number * times for name, number in gained.items()})
