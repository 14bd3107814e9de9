"""The link of one VMA to one anon_vma: a node of the anon_vma's interval tree."""

from __future__ import annotations

from sim.structs import AnonVma, AnonVmaChain
from vizlib.layout import Box
from vizlib.moments import Moment
from vizlib.scene import Mark, Text


def mark(avc: AnonVmaChain, name: str, box: Box, moment: Moment, panel: str = "rmap") -> Mark:
    """*avc*: solid while a walk from the root finds it, dashed while it is out of the tree."""
    anon_vma = moment.get(avc.anon_vma)
    linked = isinstance(anon_vma, AnonVma) and avc in in_tree(anon_vma, moment)
    toucher = moment.toucher(avc)
    out = Text("not in tree", box.middle, box.bottom + 10, 9, 700, anchor="middle", ink="bad")
    return Mark(
        name,
        panel,
        "diamond",
        *box,
        text=(
            Text("AVC", box.middle, box.centre + 3.5, 10, 700, anchor="middle"),
            *(() if linked else (out,)),
        ),
        fill="wash" if linked else "card",
        stroke=toucher.colour if toucher else "wash-edge" if linked else "bad",
        bold=toucher is not None or not linked,
        dashed=not linked,
        face="linked" if linked else "out",
        tip=f"anon_vma_chain {avc} links VMA {moment.get(avc.vma)} to {anon_vma}"
        + ("" if linked else "; it is not in the interval tree now, so a walk does not find the VMA"),
        say=f"AVC {avc}: {'in the interval tree' if linked else 'not in the interval tree'} of {anon_vma}",
        layer=2,
    )


def in_tree(anon_vma: AnonVma, moment: Moment) -> dict[AnonVmaChain, AnonVmaChain | AnonVma]:
    """The AVCs that a walk from the top finds, each with what points to it."""
    found: dict[AnonVmaChain, AnonVmaChain | AnonVma] = {}
    todo: list[tuple[AnonVmaChain | None, AnonVmaChain | AnonVma]] = [(moment.get(anon_vma.rb_root), anon_vma)]
    while todo:
        avc, above = todo.pop()
        if avc is not None and avc not in found:
            found[avc] = above
            todo += [(moment.get(avc.rb_left), avc), (moment.get(avc.rb_right), avc)]
    return found
