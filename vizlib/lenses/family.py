"""The whole family in a plane of its own: a row an anon_vma, a column a VMA, and an AVC wherever the two are linked.

So what a fork adds is a column and a row, and the triangle that it leaves shows who descends from whom.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from sim.structs import AnonVma, AnonVmaChain, Mm, Struct, Vma
from vizlib.layout import PLANE, Box
from vizlib.lenses import Lens, Part, anon_vma, avc, vma
from vizlib.lenses.kinship import descent, ever_above, ever_below, is_there, pointers, points_anew
from vizlib.moments import Moment, Run
from vizlib.names import origin
from vizlib.scene import Mark, Panel, Text

#: The most anon_vmas and VMAs that have a place.
MOST = 6
#: The sizes of the marks, and of a row and a column.
ANON_VMA, AVC, VMA = (104.0, 40.0), (52.0, 36.0), (106.0, 42.0)
ROW, COLUMN = 88.0, 118.0
_TOP, _EDGE, _INDENT, _ARC = 30.0, 10.0, 14.0, 30.0


class FamilyLens(Lens):
    """Every anon_vma that a VMA is ever linked to, from the roots down.

    Attributes:
        panel: the plane.
        boxes: a place for each mark, by its id.
    """

    def __init__(self, run: Run) -> None:
        links = [
            it for it in dict.fromkeys(it.ref for it in run.ever if it.base == "vma")
            if isinstance(it, AnonVmaChain) and ever_above(run, it) and ever_below(run, it)
        ]  # fmt: skip
        above = dict.fromkeys(one for it in links for one in ever_above(run, it))
        below = dict.fromkeys(one for it in links for one in ever_below(run, it))
        order = [it.ref for it in run.ever if it.base == "vm_end" and it.ref in below]
        family = dict(list(descent(run, list(above)).items())[:MOST])
        row = {it: at for at, it in enumerate(family)}
        column = {it: at for at, it in enumerate(order[:MOST])}
        self.boxes: dict[str, Box] = {}
        left = 2 * _EDGE + ANON_VMA[0] + _INDENT * max(family.values(), default=0)
        foot = _TOP + ROW * len(row) + 4
        for one, at in row.items():
            self._put(one, Box(_EDGE + _INDENT * family[one], _TOP + ROW * (at + 0.5) - ANON_VMA[1] / 2, *ANON_VMA))
        for vma_, at in column.items():
            self._put(vma_, Box(left + COLUMN * (at + 0.5) - VMA[0] / 2, foot, *VMA))
        taken: dict[tuple[int, int], int] = {}
        self.nodes: list[Struct] = [*row, *column]
        for it in links:
            cell = row.get(ever_above(run, it)[0]), column.get(ever_below(run, it)[0])
            if cell[0] is not None and cell[1] is not None:
                y, x = _TOP + ROW * (cell[0] + 0.5) - AVC[1] / 2, left + COLUMN * (cell[1] + 0.5) - AVC[0] / 2
                aside = taken[cell[0], cell[1]] = taken.get((cell[0], cell[1]), -1) + 1
                self._put(it, Box(x + 12 * aside, y + 6 * aside, *AVC))
                self.nodes.append(it)
        hidden = len(above) + len(below) - len(row) - len(column)
        note = f"{hidden} more not shown" if hidden else "a row an anon_vma, a column a VMA"
        width = max(left + COLUMN * len(column) + _EDGE, float(PLANE))
        self.panel = Panel("family", "Family", 0, 0, width, foot + VMA[1] + 37, note=note)

    def _put(self, node: Struct, box: Box) -> None:
        self.boxes[f"kin:{node}"] = box

    def parts(self) -> Iterator[Part]:
        """The objects that exist now, each with the arrows that leave it; a tree with the arrows within it."""
        for node in self.nodes:
            yield partial(self._of, node)

    def _of(self, node: Struct, moment: Moment) -> Iterator[Mark]:
        if not is_there(node, moment):
            return
        name = f"kin:{node}"
        box = self.boxes[name]
        match node:
            case AnonVma():
                yield anon_vma.mark(node, name, box, moment, "family")
            case AnonVmaChain():
                yield avc.mark(node, name, box, moment, "family")
            case Vma():
                yield vma.mark(node, name, box, moment, "family")
                yield self._owner(node, box, moment)
        for start, end in pointers((node,), moment):
            if f"kin:{start}" in self.boxes and f"kin:{end}" in self.boxes and is_there(end, moment):
                yield self._arrow(start, end, moment)

    def _owner(self, node: Vma, box: Box, moment: Moment) -> Mark:
        mm: Mm | None = moment.get(node.vm_mm)
        lines = [f"of {mm}", *filter(None, [origin(mm, moment.run)])]
        words = tuple(
            Text(line, box.middle, box.bottom + 15 + 13 * at, 10, anchor="middle", ink="muted")
            for at, line in enumerate(lines)
        )
        say = f"VMA {node} is one {', '.join(lines)}"
        return Mark(f"kin:{node}:mm", "family", "text", text=words, say=say)

    def _arrow(self, start: Struct, end: Struct, moment: Moment) -> Mark:
        one, other = self.boxes[f"kin:{start}"], self.boxes[f"kin:{end}"]
        fresh = points_anew(start, end, moment)
        points: tuple[tuple[float, float], ...] = ((one.middle, one.bottom), (other.middle, other.y))
        if isinstance(end, AnonVmaChain):  # within a tree: over what lies between
            points = ((one.middle, one.y), ((one.middle + other.middle) / 2, one.y - _ARC), (other.middle, other.y))
        word = " in the interval tree" if isinstance(end, AnonVmaChain) else ""
        return Mark(
            f"kin:{start}>kin:{end}",
            "family",
            "arrow",
            points=points,
            stroke=fresh.colour if fresh else "ink" if word else "muted",
            bold=fresh is not None,
            say=f"{start} → {end}{word}",
        )
