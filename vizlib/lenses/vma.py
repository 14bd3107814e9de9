"""VMAs: ranges of virtual pages, the right end of the reverse map."""

from __future__ import annotations

from sim.structs import Vma
from vizlib.layout import Box
from vizlib.moments import Moment
from vizlib.names import page_name
from vizlib.scene import Mark, Text


def mark(vma: Vma, name: str, box: Box, moment: Moment, panel: str = "rmap") -> Mark:
    """*vma* with its range and its page offset.

    An address is vm_start + index - vm_pgoff: while one of the two has moved and the other has not, a walk computes
    a wrong one, and the mark says "torn".
    """
    start, end, pgoff = moment.get(vma.vm_start), moment.get(vma.vm_end), moment.get(vma.vm_pgoff)
    torn = is_torn(vma, moment)
    toucher = moment.toucher(vma)
    extent = page_name(start) if end == start + 1 else f"{page_name(start)} to {page_name(end - 1)}"
    size = 9.5 if len(extent) < 15 else 8.5
    return Mark(
        name,
        panel,
        "rect",
        *box,
        text=(
            Text(f"VMA {vma}", box.x + 6, box.y + 13, 10.5, 700),
            Text(extent, box.x + 6, box.y + 26, size),
            Text(
                f"pgoff {pgoff}" + (" torn!" if torn else ""),
                box.x + 6,
                box.y + 37.5,
                9.5,
                700 if torn else 400,
                ink="bad" if torn else "muted",
            ),
        ),
        fill="well",
        stroke=toucher.colour if toucher else "bad" if torn else "muted",
        bold=toucher is not None or torn,
        dashed=torn,
        radius=5,
        face="torn" if torn else "whole",
        tip=f"VMA {vma}: virtual pages {start} to {end - 1}; the page at index i stands at i + {start - pgoff}",
        say=f"VMA {vma}: {extent}, vm_pgoff {pgoff}{', torn: start and offset disagree' if torn else ''}",
        layer=1,
    )


def is_torn(vma: Vma, moment: Moment) -> bool:
    """Whether vm_start and vm_pgoff are as in the middle of a change."""
    first = moment.run.first
    if vma.vm_start not in first:
        return False
    before = first[vma.vm_start] - first.get(vma.vm_pgoff, 0)
    return bool(moment.get(vma.vm_start) - moment.get(vma.vm_pgoff) != before)
