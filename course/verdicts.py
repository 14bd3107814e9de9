"""Whether a reader's variant is right in a world, with a run to play if it is not."""

from __future__ import annotations

from typing import NamedTuple

from sim import Variant, check, replay
from sim.invariants import Violation
from sim.trace import Trace


class Judgement(NamedTuple):
    """What was found: a sentence; and a shortest run that ends with a violation, or None."""

    sentence: str
    trace: Trace | None = None

    @property
    def violation(self) -> Violation | None:
        """What is wrong at the end of the run."""
        return None if self.trace is None else self.trace.violation


def judge(mine: Variant, world: str = "one_page", **params: int) -> Judgement:
    """Try every schedule of *world* under *mine*."""
    verdict = check(world, mine, params)
    how = "complete search" if verdict.complete else "search not complete"
    where = f"{how}, {verdict.states:,} states, sequentially consistent memory"
    if verdict.violations:
        found = verdict.violations[0]
        trace = replay(found.run_name, {mine.name: mine})
        return Judgement(f"{found.kind}: {found.sentence}", trace)
    if not verdict.complete:
        return Judgement(f"undecided in world {world} ({where})")
    return Judgement(f"no violation in any schedule of world {world} ({where})")
