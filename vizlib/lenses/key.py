"""What the glyphs mean, in the corner of the machine."""

from __future__ import annotations

from collections.abc import Iterator

from sim.structs import Pmd, Pte
from vizlib.layout import PANEL_GAP, PLANE, Places
from vizlib.lenses import Lens, Part
from vizlib.moments import Moment, Run
from vizlib.scene import Mark, Panel, Text

#: A glyph and its words.
GLYPHS = (
    ("token", {"shape": "token", "fill": "page", "stroke": "page-edge"}, "user's page"),
    ("frame", {"fill": "well", "stroke": "muted"}, "frame"),
    ("migration", {"fill": "task3-soft", "stroke": "task3", "dashed": True}, "migration entry"),
    ("stale", {"fill": "card", "stroke": "bad", "dashed": True, "bold": True}, "stale TLB entry"),
    ("hint", {"fill": "task4-soft", "stroke": "task4", "dotted": True}, "NUMA hint"),
)


#: What the letters in the corner of a PTE mean.
RIGHTS = "w writable, r read-only, d dirty"


class KeyLens(Lens):
    """Beside the reverse map; the same in every scene."""

    def __init__(self, run: Run, places: Places) -> None:
        beside = places.panels["rmap"]
        x = beside.w + PANEL_GAP
        hints = any(
            isinstance(it, (Pte, Pmd)) and it.kind == "prot_none" for values in run.ever.values() for it in values
        )
        self.glyphs = GLYPHS if hints else GLYPHS[:-1]
        if x < PLANE:
            self.across = 2 if beside.h < 100 else 1
            height = max(beside.h, 28 + 19 * (1 - -len(self.glyphs) // self.across) + 6)
            y = beside.y
        else:  # the reverse map has all the room: below it, in one line
            self.across, height, x, y = len(self.glyphs), 65, 0, places.bottom + PANEL_GAP
        self.pitch = (PLANE - x - 20) / self.across if self.across > 2 else 94
        places.panel(Panel("key", "Key", x, y, PLANE - x, height, inside="machine", note="", frame=True))

    def parts(self) -> Iterator[Part]:
        """One glyph and its words a line."""
        yield self._glyphs

    def _glyphs(self, _: Moment) -> Iterator[Mark]:
        below = 24 + 19 * -(-len(self.glyphs) // self.across) + 10
        rights = (Text("wd", 13, below, 9, ink="muted", mono=True), Text(RIGHTS, 34, below, 8.5, ink="muted"))
        yield Mark("key:rights", "key", "text", text=rights)
        for number, (name, look, words) in enumerate(self.glyphs):
            x = 10 + (number % self.across) * self.pitch
            y = 24 + (number // self.across) * 19
            size = 10 if self.across == 1 else 8.5
            text = (Text(words, x + 24, y + 10, size, ink="muted"),)
            yield Mark(f"key:{name}", "key", x=x, y=y, w=19, h=13, radius=4, text=text, **look)  # type: ignore[arg-type]  # see GLYPHS
