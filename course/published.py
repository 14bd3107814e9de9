"""What others have measured and published, beside what our model says of the same: simulated, and how far apart.

``python -m course.refresh`` writes the table into ``instructor/published.md``; the prose around it is written by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from sim.engines.costs import DEFAULT, Costs
from sim.engines.timed import run
from sim.engines.timed_run import TimedRun

PAGE: Final = Path(__file__).parent / "instructor" / "published.md"
BEGIN, END = "<!-- numbers -->", "<!-- /numbers -->"

#: The kernel before 6.3, which flushes page by page, and 6.3, which flushes batch by batch.
BEFORE, AFTER = "v61", "batch_v63"

#: 4.14, to which the mail with Zi Yan's table was a contribution: a huge page can move whole.
FOUR = "thp_v414"

ZI_YAN: Final = "L:20170620230715, two sockets E5-2640 v3"
YING: Final = "commit 7e12beb8ca2a, two sockets, pmbench and migratepages"


@cache
def moved(variant: str, pages: int, spinners: int, costs: Costs = DEFAULT, huge_pages: int = 0) -> TimedRun:
    """One move_pages call; *spinners* other threads of the process keep their CPUs busy, on both nodes in turn.

    With *huge_pages* it moves so many of these, and *pages* says nothing.
    """
    return run("move_pages", variant, pages=pages, spinners=spinners, huge_pages=huge_pages, costs=costs)


def microseconds(variant: str, pages: int, costs: Costs = DEFAULT) -> float:
    """How long one call for so many pages takes on an otherwise idle machine (µs)."""
    return moved(variant, pages, 0, costs).elapsed_ns / 1000


def huge_microseconds(variant: str, costs: Costs = DEFAULT) -> float:
    """How long one call for one huge page takes on an otherwise idle machine (µs)."""
    return moved(variant, 1, 0, costs, huge_pages=1).elapsed_ns / 1000


def fewer_ipis(spinners: int, pages: int = 512, costs: Costs = DEFAULT) -> float:
    """By how many per cent batches cut the interrupts."""
    before, after = (moved(it, pages, spinners, costs).counts["ipis_received"] for it in (BEFORE, AFTER))
    return 100 * (after / before - 1)


def speed_up(spinners: int, pages: int = 512, costs: Costs = DEFAULT) -> float:
    """How many times as many pages a second batches move."""
    before, after = (moved(it, pages, spinners, costs).pages_per_second for it in (BEFORE, AFTER))
    return after / before


@dataclass(frozen=True, slots=True)
class Number:
    """A published number.

    Attributes:
        what: of what.
        source: where it was published.
        theirs: the number.
        unit: what it is in, as it is printed after it.
        ours: makes the run or runs and returns our number, simulated.
        close: the least and the most that ours may be to say that it agrees.
    """

    what: str
    source: str
    theirs: float
    unit: str
    ours: Callable[[], float]
    close: tuple[float, float]


def _within(theirs: float, factor: float = 3) -> tuple[float, float]:
    return theirs / factor, theirs * factor


NUMBERS: Final = (
    Number("one 4 KiB page", ZI_YAN, 62.47, " µs", lambda: microseconds(FOUR, 1), _within(62.47)),
    Number("512 pages of 4 KiB", ZI_YAN, 1987.38, " µs", lambda: microseconds(FOUR, 512), _within(1987.38)),
    Number("one huge page of 2 MiB", ZI_YAN, 658.54, " µs", lambda: huge_microseconds(FOUR), _within(658.54)),
    Number("batches: flush interrupts, 16 CPUs", YING, -99.1, " %", lambda: fewer_ipis(15), (-100, -98)),
    Number("batches: pages a second, 8 CPUs", YING, 3.917, " times", lambda: speed_up(7), (2, 8)),
    Number("batches: pages a second, 16 CPUs", YING, 3.917, " times", lambda: speed_up(15), (2, 8)),
    Number("batches: pages a second, 32 CPUs", YING, 3.917, " times", lambda: speed_up(31), (2, 8)),
)


def table() -> str:
    """Every number of :data:`NUMBERS`, theirs and ours, as Markdown."""
    rows = [
        ["what", "published", "simulated", "simulated to published", "source"],
        ["---", "---:", "---:", "---:", "---"],
    ]
    for it in NUMBERS:
        ours = it.ours()
        said = [f"{number:,.4g}{it.unit}" for number in (it.theirs, ours)]
        rows.append([it.what, *said, f"{ours / it.theirs:.2f}", it.source])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def page(text: str) -> str:
    """The guide's page *text* with the present table in it."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"
