"""When a search that is an aid, and not the verdict itself, gives up."""

from __future__ import annotations

import time

from sim.errors import UserError


class GaveUp(UserError):
    """A search was ended by its bound; the message says which."""


class Bound:
    """So many nodes, and so many seconds.

    Counting nodes gives the same answer on every machine; seconds are for people who wait.
    """

    def __init__(self, nodes: int, seconds: float = float("inf")) -> None:
        self._nodes = nodes
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._looks = 0

    def look(self, nodes: int) -> None:
        """Go on after *nodes* nodes.

        Raises:
            GaveUp: if that is too many, or took too long.
        """
        if nodes > self._nodes:
            raise GaveUp(f"gave up after {self._nodes:,} nodes")
        self._looks += 1
        if self._looks & 0xFF == 1 and time.monotonic() > self._end:
            raise GaveUp(f"gave up after {self._seconds:g} seconds, at {nodes:,} nodes")
