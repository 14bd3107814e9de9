"""One way of moving pages against threads, beside what theory says: mean value analysis, the bounds, the knee, a law.

What theory says comes from one thread alone (:mod:`sim.analysis.demands`); nothing of it is fitted.  The Universal
Scalability Law is: it is drawn through what was simulated, and describes it.  Times are simulated.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from sim.analysis.demands import Prediction, predict
from sim.analysis.sweep import grid, sweep
from sim.analysis.theory import Usl, usl

#: The numbers of threads unless told otherwise.
THREADS: Final = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class Scaling:
    """What was simulated with each number of threads, and what theory says of it.

    Attributes:
        world, variant, policy, params: of which runs; *params* are those beside the threads.
        simulated: for each number of threads pages a second.
        said: for each what theory says; empty where it says nothing.
        law: the Universal Scalability Law through what was simulated; None with fewer than three numbers of threads.
    """

    world: str
    variant: str
    policy: str
    params: dict[str, int]
    simulated: dict[int, float]
    said: dict[int, Prediction]
    law: Usl | None

    @property
    def range_only(self) -> bool:
        """Whether theory gives bounds and no number, because chance decides who gets a lock."""
        return any(it.range_only for it in self.said.values())

    @property
    def knee(self) -> float:
        """With how many threads one resource would always be busy, if they disturb each other as the most do."""
        return self.said[max(self.said)].knee if self.said else inf

    @property
    def theory(self) -> dict[str, dict[float, float]]:
        """The curves of theory, by name: exact MVA, where there is a number, and the law."""
        curves: dict[str, dict[float, float]] = {}
        if self.said and not self.range_only:
            curves["theory: exact MVA"] = {number: it.pages_per_second for number, it in self.said.items()}
        if self.law is not None:
            curves["scalability law, fitted"] = {number: self.law.throughput(number) for number in self.simulated}
        return curves

    @property
    def bounds(self) -> dict[float, tuple[float, float]]:
        """For each number of threads the least and the most that theory allows."""
        return {number: (it.at_least, it.at_most) for number, it in self.said.items()}

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        rows = []
        for number, speed in self.simulated.items():
            it = self.said.get(number)
            rows.append(
                {
                    "threads": number,
                    "pages_per_second": speed,
                    "mva": None if it is None or it.range_only else it.pages_per_second,
                    "at_least": None if it is None else it.at_least,
                    "at_most": None if it is None else it.at_most,
                    "limit": None if it is None else it.limit,
                    "law": None if self.law is None else self.law.throughput(number),
                }
            )
        law = None if self.law is None else {**vars(self.law), "peak": None if self.law.peak == inf else self.law.peak}
        told = {name: getattr(self, name) for name in ("world", "variant", "policy", "params")}
        return {**told, "knee": None if self.knee == inf else self.knee, "usl": law, "rows": rows}

    def __str__(self) -> str:
        about = "".join(f"; {name}={value}" for name, value in self.params.items())
        lines = [
            f"# pages per second of {self.world} under {self.variant} (simulated; locks by {self.policy}{about})",
            f"{'threads':>7}{'simulated':>12}{'exact MVA':>12}{'at least':>12}{'at most':>12}{'law':>12}",
        ]
        for row in self.to_json()["rows"]:
            its = (row[name] for name in ("pages_per_second", "mva", "at_least", "at_most", "law"))
            lines.append(f"{row['threads']:7}" + "".join(f"{'-' if it is None else f'{it:,.0f}':>12}" for it in its))
        return "\n".join([*lines, "", *self._words()])

    def _words(self) -> list[str]:
        if not self.said:
            words = ["theory says nothing here: its threads are not alike, or few"]
        else:
            limit = self.said[max(self.said)].limit
            held = f", from some {self.knee:.1f} threads on held up by {limit}" if limit else ""
            number = "a range, since chance decides who gets a lock" if self.range_only else "exact MVA and bounds"
            words = [f"theory, from one thread alone: {number}{held}"]
        if self.law is not None:
            best = "" if self.law.peak == inf else f", best at {self.law.peak:.1f} threads"
            words.append(
                f"Universal Scalability Law through what was simulated: contention {self.law.contention:.3f}, coherence"
                f" {self.law.coherence:.5f}{best}; off by {100 * self.law.error:.1f} %"
            )
        return words


def scaling(
    world: str = "numa02",
    variant: str = "mutex_v37",
    threads: Iterable[int] = THREADS,
    *,
    policy: str = "handoff",
    executor: Executor | None = None,
    path: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    **params: int,
) -> Scaling:
    """Run *world* with each number of *threads*, and ask theory; *params* are the world's other parameters.

    *policy* says who gets a lock that is released; *executor*, *path* and *progress* are as
    :func:`sim.analysis.sweep.sweep` takes them.

    Raises:
        UserError: as the engine.
    """
    numbers = sorted(set(threads))
    points = grid(world=world, variant=variant, policy=policy, threads=numbers, **params)
    table = sweep(points, executor=executor, path=path, progress=progress)
    simulated = dict(zip(numbers, map(float, table.column("pages_per_second")), strict=True))
    asked = {it: predict(world, variant, policy=policy, params={**params, "threads": it}) for it in numbers}
    said = {number: it for number, it in asked.items() if it is not None}
    law = usl(simulated.items()) if len(simulated) > 2 and min(simulated.values()) > 0 else None
    return Scaling(world, variant, policy, params, simulated, said, law)
