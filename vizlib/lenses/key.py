"""What the glyphs mean, in the corner of the machine."""

from __future__ import annotations

from collections.abc import Iterator

from vizlib.layout import PANEL_GAP, PLANE, Places
from vizlib.moments import Moment, Run
from vizlib.scene import Mark, Panel, Text

#: A glyph and its words.
GLYPHS = (
    ("token", {"shape": "token", "fill": "page", "stroke": "page-edge"}, "the user's page"),
    ("frame", {"fill": "well", "stroke": "muted"}, "a frame of memory"),
    ("migration", {"fill": "task3-soft", "stroke": "task3", "dashed": True}, "migration entry"),
    ("stale", {"fill": "card", "stroke": "bad", "dashed": True, "bold": True}, "stale TLB entry"),
    ("hint", {"fill": "task4-soft", "stroke": "task4", "dotted": True}, "NUMA hint, no access"),
)


class KeyLens:
    """Beside the reverse map; the same in every scene."""

    def __init__(self, run: Run, places: Places) -> None:
        beside = places.panels["rmap"]
        x = beside.w + PANEL_GAP
        hints = any(getattr(it, "kind", "") == "prot_none" for values in run.ever.values() for it in values)
        self.glyphs = GLYPHS if hints else GLYPHS[:-1]
        across = 2 if beside.h < 100 else 1
        height = max(beside.h, 26 + 17 * -(-len(self.glyphs) // across) + 6)
        places.panel(Panel("key", "Key", x, beside.y, PLANE - x, height, inside="machine", note="", frame=True))
        self.across = across

    def marks(self, moment: Moment) -> Iterator[Mark]:
        """One glyph and its words a line."""
        for number, (name, look, words) in enumerate(self.glyphs):
            x = 10 + (number % self.across) * 94
            y = 22 + (number // self.across) * (17 if self.across == 1 else 25)
            if self.across == 2:
                text = (Text(words, x, y + 22, 8.5, ink="muted"),)
            else:
                text = (Text(words, x + 34, y + 10.5, 10, ink="muted"),)
            yield Mark(f"key:{name}", "key", x=x, y=y, w=26, h=13, radius=4, text=text, **look)  # type: ignore[arg-type]  # see GLYPHS
