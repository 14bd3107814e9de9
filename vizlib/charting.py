"""``python -m vizlib chart``: series of runs under the clock as a picture, with the numbers as text beside it.

    python -m vizlib chart staircase -o staircase.svg
    python -m vizlib chart scaling numa02 --variant mutex_v37 --pages 16 -o theory.svg
    python -m vizlib chart lockstat numa02 --variant mutex_v37 --threads 8 --pages 16 -o waiters.svg
    python -m vizlib chart batches --variant batch_v63 -o batches.png
    python -m vizlib chart convergence numa01_thread_alloc --variant rwsem_v38 --rounds 40 --scan 64 -o pages.svg

The options are those of the command of ``python -m sim`` with the same name.  All times are simulated.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sim.cli.running import run_options, timed_run
from sim.cli.staircases import (
    batches_options,
    made_batches,
    made_scaling,
    made_staircase,
    scaling_options,
    staircase_options,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sim.analysis.batches import Lab
    from sim.analysis.convergence import Convergence
    from sim.analysis.lockstat import LockStat
    from sim.analysis.scaling import Scaling
    from sim.analysis.staircase import Staircase
    from vizlib.theme import Mode


class Chart(NamedTuple):
    """A kind of chart.

    Attributes:
        text: what it shows, for help texts.
        options: adds its options to a parser.
        measure: makes the runs that the options ask for; ``str()`` of what it returns is the chart's text twin.
        draw: draws what that returns.
    """

    text: str
    options: Callable[[argparse.ArgumentParser], None]
    measure: Callable[[argparse.Namespace], Any]
    draw: Callable[[Any, Mode], Figure]


def staircase(found: Staircase, mode: Mode = "light") -> Figure:
    """Threads to pages a second, a line a rung."""
    from vizlib.charts import curves

    return curves(found.series(), title="What each kernel reaches", mode=mode)


def batches(found: Lab, mode: Mode = "light") -> Figure:
    """Batch size to interrupts for each page, to pages a second, and to what a faulting thread waits: three panels."""
    from matplotlib.ticker import FuncFormatter

    from vizlib.charts import curves, panels
    from vizlib.charts.canvas import settled

    pages = found.pages
    shares: dict[str, dict[float, float]] = {
        f"{name} %": {it.size: it.percentiles[at] / 1000 for it in found.batches}
        for at, name in enumerate(found.percentiles)
    }
    series: list[tuple[str, dict[str, dict[float, float]]]] = [
        ("interrupts a page", {"interrupts": {it.size: it.ipis / pages for it in found.batches}}),
        ("pages a second", {"pages/s": {it.size: it.pages_per_second for it in found.batches}}),
        ("a faulting thread waits, µs", shares),
    ]
    figure, axes = panels(mode, len(series), "What a batch is good for, and who pays (simulated)")
    for ax, (what, its) in zip(axes, series, strict=True):
        curves(its, x="pages in a batch", y=what, mode=mode, ax=ax)
        ax.yaxis.set_major_formatter(FuncFormatter(lambda it, _: f"{it:,.0f}" if it >= 10 else f"{it:g}"))
    return settled(figure)


def convergence(found: Convergence, mode: Mode = "light") -> Figure:
    """Which share of the pages is on a right node, and which share of the stores is remote, over time."""
    from vizlib.charts import staircase as steps

    parts = 40
    remote = [(0.0, 100 * found.remote(parts)[0][1])]
    remote += [
        (float(before[0]), 100 * after[1])
        for before, after in zip(found.remote(parts), found.remote(parts)[1:], strict=False)
    ]
    series = {
        "pages on a right node": [(float(at), 100 * it) for at, it in found.right],
        "stores that are remote": [*remote, (float(found.run.elapsed_ns), remote[-1][1])],
    }
    return steps(series, y="%", title=f"{found.run.world} under {found.run.variant}", mode=mode)


def scaling(found: Scaling, mode: Mode = "light") -> Figure:
    """Threads to pages a second: what was simulated, on what theory says."""
    from vizlib.charts import throughput

    knee = found.knee if found.knee <= max(found.simulated) else None
    title = f"{found.world} under {found.variant}"
    simulated = {float(number): speed for number, speed in found.simulated.items()}
    return throughput({"simulated": simulated}, found.theory, bounds=found.bounds, knee=knee, title=title, mode=mode)


def waiters(found: LockStat, mode: Mode = "light") -> Figure:
    """How many wait for each class of locks that anybody waits for, over time."""
    from vizlib.charts import staircase as steps

    series = {
        it.name: [(float(at), float(number)) for at, number in it.timeline] for it in found.classes if it.timeline
    }
    title = f"{found.run.world} under {found.run.variant}, locks by {found.run.policy}"
    return steps(series or {"nobody waits": [(0.0, 0.0)]}, y="threads that wait", title=title, mode=mode)


def _lockstat(options: argparse.Namespace) -> LockStat:
    from sim.analysis.lockstat import lockstat as measure

    found: LockStat = timed_run(options, measure)
    return found


def _convergence(options: argparse.Namespace) -> Convergence:
    from sim.analysis.convergence import convergence as measure

    found: Convergence = timed_run(options, measure)
    return found


#: By name.
CHARTS: Final = {
    "staircase": Chart(
        "pages a second against threads, kernel after kernel", staircase_options, made_staircase, staircase
    ),
    "batches": Chart("what a batch is good for, and who pays", batches_options, made_batches, batches),
    "scaling": Chart(
        "one kernel against threads, beside queueing theory and the scalability law",
        scaling_options,
        made_scaling,
        scaling,
    ),
    "lockstat": Chart("how many threads wait for each class of locks, over time", run_options, _lockstat, waiters),
    "convergence": Chart("pages come to where they are used", run_options, _convergence, convergence),
}
