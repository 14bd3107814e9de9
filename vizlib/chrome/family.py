"""The family graph as a scene: the family, and on it where each walk has been and where it stands."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import replace

from vizlib import layout
from vizlib.chrome.words import width
from vizlib.lenses.family import FamilyLens
from vizlib.lenses.kinship import Walk, told
from vizlib.moments import Moment
from vizlib.scene import Mark, Panel, Scene, Text, scene

_TOP = 74.0
_PILL = 16.0


def family(lens: FamilyLens, walks: Mapping[str, Walk], moment: Moment, title: str) -> tuple[Scene, float]:
    """The scene of the family at *moment*, and how wide it is."""
    across = max(lens.panel.w, 560.0) + 2 * layout.MARGIN
    fits = int((across - 2 * layout.MARGIN) / width("m", 13, bold=True))
    words = list(told(walks, moment)) or ["Nobody walks."]
    lines = [line for it in words for line in textwrap.wrap(it, fits)]
    drop = 20.0 * (len(lines) - 1)
    panel = Panel("page", title, 0, 0, across, _TOP + drop + lens.panel.h)
    inner = replace(lens.panel, x=layout.MARGIN, y=_TOP + drop, inside="page")
    text = tuple(Text(line, layout.MARGIN, 54 + 20 * at, 13, 700) for at, line in enumerate(lines))
    marks = [
        Mark("heading:family", "page", "text", text=(Text(title, layout.MARGIN, 28, 11, ink="muted"),)),
        Mark("family:walks", "page", "text", text=text, say=". ".join(words)),
        *lens.marks(moment),
        *walk_marks(lens, walks, moment),
    ]
    return scene((panel, inner), marks), across


def walk_marks(lens: FamilyLens, walks: Mapping[str, Walk], moment: Moment) -> Iterator[Mark]:
    """A number at each stop, and the walker's name where it stands."""
    for number, actor in enumerate(it for it in moment.run.actors if it.name in walks):
        walk = walks[actor.name]
        for at, stop in enumerate(walk.stops, 1):
            box = lens.boxes.get(f"kin:{stop}")
            if box is not None:
                words = Text(str(at), box.right + 1 + 9 * number, box.y + 9, 11, 700, ink=actor.colour)
                name = f"stop:{actor.name}:{at}"
                yield Mark(name, "family", "text", text=(words,), layer=4, say=f"{stop}: stop {at} of {actor.name}")
        place = walk.stops[-1] if walk.stops else walk.anon_vma
        box = lens.boxes.get(f"kin:{place}")
        if box is not None:
            across = width(actor.name, 10, bold=True) + 12
            x, y = box.middle - across / 2 + 8 * number, box.bottom - 3 + 7 * number
            yield Mark(
                f"walk:{actor.name}", "family", "pill", x, y, across, _PILL, layer=5, fill="card", stroke=actor.colour,
                bold=True, say=f"{actor.name} stands at {place}",
                text=(Text(actor.name, x + across / 2, y + 11.5, 10, 700, anchor="middle", ink=actor.colour),),
            )  # fmt: skip
