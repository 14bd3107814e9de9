"""The lanes at the bottom of a still: what each thread held and waited for, and where we are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from vizlib import layout, theme
from vizlib.chrome.locks import actor_called
from vizlib.chrome.words import heading, shorten, width
from vizlib.moments import Run
from vizlib.scene import Json, Mark, Panel, Text
from vizlib.stills import Still

_LEFT = 118.0
_BAR = 19.0


def lanes(shot: Still, run: Run, panel: Panel, bars: Sequence[Json], sent: Sequence[Json]) -> Iterator[Mark]:
    """A row a thread."""
    actors = [it for it in run.actors if it.kind != "handler"][: layout.MOST_LANES]
    scale = (panel.w - _LEFT - 14) / max(run.length, 1)
    yield Mark("heading:lanes", panel.id, "text", text=(heading(panel.title),))
    rows: dict[str, float] = {
        actor.name: layout.TITLE + number * layout.LANE_HEIGHT for number, actor in enumerate(actors)
    }
    for actor in actors:
        y = rows[actor.name]
        words = shorten(actor.name, _LEFT - 12, 12)
        yield Mark(
            f"lane:{actor.name}", panel.id, "rect", _LEFT, y, panel.w - _LEFT, _BAR, fill="well", radius=3,
            text=(Text(words, _LEFT - 12, y + 14, 12, 700, anchor="end", ink=actor.colour),),
        )  # fmt: skip
    for number, bar in enumerate(bars):
        if bar["task"] in rows:
            yield _bar(number, bar, rows[bar["task"]], scale, panel)
    for number, arrow in enumerate(sent):
        if arrow["from"] in rows and arrow["to"] in rows:
            yield _interrupt(number, arrow, rows, scale, run, panel)
    x = _LEFT + shot.moment.step * scale
    bottom = layout.TITLE + len(actors) * layout.LANE_HEIGHT
    yield Mark("lanes:now", panel.id, "rect", x - 1, 10, 2, bottom - 10, fill="ink", radius=0, layer=9)
    yield Mark("lanes:knob", panel.id, "dot", x - 5, 4, 10, 10, fill="ink", layer=9)


def _interrupt(number: int, arrow: Json, rows: dict[str, float], scale: float, run: Run, panel: Panel) -> Mark:
    """An interrupt in the lanes: from when it was sent to when it was taken."""
    start, end = rows[arrow["from"]], rows[arrow["to"]]
    down = end > start
    taken = run.length if arrow["taken"] is None else arrow["taken"]
    colour = actor_called(run, arrow["from"]).colour
    return Mark(
        f"lanes:ipi:{number}",
        panel.id,
        "arrow",
        points=(
            (_LEFT + arrow["sent"] * scale, start + (_BAR if down else 0)),
            (_LEFT + taken * scale, end + (0 if down else _BAR)),
        ),
        stroke=colour,
        dashed=arrow["taken"] is None,
        bold=True,
        layer=8,
        say=f"interrupt from {arrow['from']} to the CPU of {arrow['to']}",
    )


def _bar(number: int, bar: Json, y: float, scale: float, panel: Panel) -> Mark:
    colour: str = bar["colour"]
    kind: str = bar["kind"]
    x = _LEFT + bar["from"] * scale
    w = max((bar["to"] - bar["from"]) * scale, 3)
    rank: int = bar["rank"]
    look: dict[str, Any] = {"fill": theme.soft(colour), "stroke": "none"}
    inset = 0.0
    if kind == "hold":
        inset = {10: 2.5, 20: 5.0, 40: 0.0}.get(rank, 7.0)
        look = {"fill": colour if rank >= 40 else theme.soft(colour), "stroke": colour}
    elif kind == "wait":
        look = {"fill": "card", "stroke": colour, "dashed": True}
    elif kind == "copy":
        look = {"fill": "good", "stroke": "good"}
    elif kind == "run":
        inset = 7.0
    words = bar["label"] if kind in ("hold", "wait", "copy") and inset == 0 else ""
    ink = "card" if look["fill"] == colour or kind == "copy" else "ink"
    fits = bool(words) and width(words, 9, bold=True) + 8 <= w
    if words and not fits and kind == "wait":
        words, fits = "waits", width("waits", 9, bold=True) + 4 <= w
    text = (Text(words, x + w / 2, y + 13, 9, 700, anchor="middle", ink=ink),) if fits else ()
    layer = {"run": 1, "hold": 2 + (rank >= 20) + (rank >= 40), "wait": 6, "copy": 7}[kind]
    told = f"{bar['task']}: {bar['label']}, step {bar['from']} to {bar['to']}" if bar["label"] else ""
    return Mark(
        f"bar:{number}", panel.id, "rect", x, y + inset, w, _BAR - 2 * inset, text=text, radius=3, layer=layer,
        say=told, **look,
    )  # fmt: skip
