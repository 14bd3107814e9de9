"""Whether a reader's variant is right in a world, with a run to play if it is not."""

from __future__ import annotations

import sys
from typing import NamedTuple

from sim import Variant, check, replay
from sim.engines.checker import Progress
from sim.errors import UserError
from sim.invariants import Violation
from sim.trace import Trace


class Judgement(NamedTuple):
    """What was found: a sentence; and a shortest run that ends with a violation, or None if every run is right."""

    sentence: str
    trace: Trace | None = None

    @property
    def violation(self) -> Violation | None:
        """What is wrong at the end of the run."""
        return None if self.trace is None else self.trace.violation


def judge(mine: Variant, world: str = "one_page", progress: Progress | None = None, /, **params: int) -> Judgement:
    """Try every schedule of *world* under *mine*; *progress* is told how many states there are so far, and the depth.

    Raises:
        UserError: if Ctrl-C or too many states ended the search, so that nothing is known.
    """
    verdict = check(world, mine, params, progress=progress)
    where = f"complete search, {verdict.states:,} states, sequentially consistent memory"
    if verdict.violations:
        found = verdict.violations[0]
        trace = replay(found.run_name, {mine.name: mine})
        return Judgement(f"{found.kind}: {found.sentence}", trace)
    if not verdict.complete:
        raise UserError(f"undecided in world {world}: the search was not finished ({verdict.bound})")
    return Judgement(f"no violation in any schedule of world {world} ({where})")


def say_over(told: str, end: str = "") -> None:
    """One line on stderr, where the one before stood."""
    print(f"\r{told:78}", end=end, file=sys.stderr, flush=True)


class Told:
    """Says on stderr how far a search is, every so many states; a context, which ends the line."""

    EVERY = 10_000

    def __init__(self) -> None:
        self._said = 0

    def __enter__(self) -> Progress:
        return self._tell

    def _tell(self, states: int, _: int) -> None:
        if states >= self._said + self.EVERY:
            self._said = states
            say_over(f"{states:,} states so far (Ctrl-C or ■ stops)")

    def __exit__(self, *_: object) -> None:
        if self._said:
            print(file=sys.stderr)
