"""What the anonymous pages of a family of VMAs point to, and whose root lock every walk takes."""

from __future__ import annotations

from sim.locks import holders
from sim.structs import AnonVma
from vizlib.layout import Box
from vizlib.moments import Moment
from vizlib.names import listed
from vizlib.scene import Mark, Text


def mark(anon_vma: AnonVma, name: str, box: Box, moment: Moment, panel: str = "rmap") -> Mark:
    """*anon_vma* with its reference count; its outline has the colour of who holds the lock."""
    held = (*holders(moment.get(anon_vma.mutex)), *holders(moment.get(anon_vma.rwsem)))
    root = moment.get(anon_vma.root)
    toucher = moment.toucher(anon_vma)
    holder = moment.run.actor.get(held[0]) if held else None
    stroke = toucher.colour if toucher else holder.colour if holder else "muted"
    short = anon_vma.name if len(anon_vma.name) < 11 else "…" + anon_vma.name[-9:]
    return Mark(
        name,
        panel,
        "ellipse",
        *box,
        text=(
            Text(short, box.middle, box.centre - 1, 10.5, 700, anchor="middle"),
            Text(
                "locked" if held else f"refs {moment.get(anon_vma.refcount)}",
                box.middle,
                box.centre + 11,
                9,
                700 if held else 400,
                anchor="middle",
                ink=holder.colour if holder else "muted",
            ),
        ),
        fill="well",
        stroke=stroke,
        bold=toucher is not None or bool(held),
        face="locked" if held else "free",
        tip=f"anon_vma {anon_vma}, {'root of its family' if root is anon_vma else f'of the family of {root}'}, "
        f"refcount {moment.get(anon_vma.refcount)}",
        say=f"anon_vma {anon_vma}, refcount {moment.get(anon_vma.refcount)}"
        + (f", locked by {listed(held)}" if held else ""),
        layer=1,
    )
