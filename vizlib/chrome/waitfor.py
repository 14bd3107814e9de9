"""The wait-for graph as a scene: who waits stands left of what it waits for, and a deadlock is a ring.

The arrows of a ring are drawn bold and numbered, its boxes have a second outline, and the word stands above it.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from vizlib import layout
from vizlib.chrome.words import shorten, width
from vizlib.layout import Box
from vizlib.lenses.task import STATES, sleeps, thread
from vizlib.moments import Moment
from vizlib.scene import Mark, Panel, Scene, Text, scene
from vizlib.waitfor import Edge, WaitGraph, told, wait_graph

#: A box, and from one to the next.
NODE = Box(0, 0, 262, 54)
ACROSS, DOWN = 420.0, 74.0
_TOP = 74.0
#: Of more threads that wait for one thing, and that nobody waits for, only the first few have a box.
CROWD = 7


def waitfor(moment: Moment, title: str) -> tuple[Scene, float]:
    """The scene of who waits for whom at *moment*, and how wide it is."""
    graph = wait_graph(moment)
    shown, crowds = _thinned(graph)
    places = _places(graph, shown)
    across = max([it.right for it in places.values()] + [780.0]) + layout.MARGIN
    lines = textwrap.wrap(_verdict(graph), int((across - 2 * layout.MARGIN) / width("m", 15, bold=True)))
    drop = 24.0 * (len(lines) - 1)
    places = {name: Box(it.x, it.y + drop, it.w, it.h) for name, it in places.items()}
    bottom = max([it.bottom for it in places.values()] + [_TOP + drop]) + 40
    panel = Panel("waits", title, 0, 0, across, bottom)
    marks = [
        *_head(panel, title, lines, bad=bool(graph.circles)),
        *_arrows(graph, places),
        *_nodes(graph, moment, places, crowds),
        *_key(panel),
    ]
    return scene((panel,), marks), across


def _verdict(graph: WaitGraph) -> str:
    if not graph.edges:
        return "Nobody waits."
    deadlocks = [it for it in told(graph) if it.startswith("Deadlock")]
    return " ".join(deadlocks) or "No circle: whoever is waited for can go on."


# --- places --------------------------------------------------------------------------------------------------


def _thinned(graph: WaitGraph) -> tuple[list[str], dict[str, int]]:
    """The nodes that get a box, and how many more each of them stands for: of tasks in the same place only a few."""
    crowd: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for name in graph.tasks:
        to = tuple(it.target for it in graph.edges if it.source == name)
        crowd.setdefault((to, tuple(it.source for it in graph.edges if it.target == name)), []).append(name)
    left_out: set[str] = set()
    crowds: dict[str, int] = {}
    for names in crowd.values():
        if len(names) > CROWD:
            crowds[names[CROWD - 1]] = len(names) - CROWD
            left_out.update(names[CROWD:])
    return [it for it in graph.said if it not in left_out], crowds


def _places(graph: WaitGraph, shown: list[str]) -> dict[str, Box]:
    """A box for each node: rings and what waits for nothing at the right, then by how far they are from it."""
    level = _levels(graph, shown)
    far = max(level.values(), default=0)
    right = layout.MARGIN + far * ACROSS
    places: dict[str, Box] = {}
    y = 0.0
    for circle in graph.circles:
        places |= _ring(circle, right, y)
        y = max(it.bottom for it in places.values()) + DOWN - NODE.h
    for name in (it for it in shown if level[it] == 0 and it not in places):
        places[name] = Box(right, y, NODE.w, NODE.h)
        y += DOWN
    for column in range(1, far + 1):
        goals: dict[float, list[str]] = {}
        for name in (it for it in shown if level[it] == column):
            goal = _mean(places[edge.target].y for edge in graph.edges if _leads(edge, name, places))
            goals.setdefault(goal, []).append(name)
        y = min(goals, default=0.0) - DOWN * len(shown)
        for goal, names in sorted(goals.items()):
            y = max(y, goal - DOWN * (len(names) - 1) / 2)
            for name in names:
                places[name] = Box(right - column * ACROSS, y, NODE.w, NODE.h)
                y += DOWN
    drop = _TOP + 20 - min((it.y for it in places.values()), default=0.0)
    return {name: Box(it.x, it.y + drop, it.w, it.h) for name, it in places.items()}


def _leads(edge: Edge, source: str, places: Mapping[str, Box]) -> bool:
    return edge.source == source and edge.target in places


def _mean(its: Iterable[float]) -> float:
    found = list(its)
    return sum(found) / len(found)


def _levels(graph: WaitGraph, shown: list[str]) -> dict[str, int]:
    """How many arrows each node is away from a ring, or from what waits for nothing."""
    waiting = {it.source for it in graph.edges}
    ends = {name for circle in graph.circles for name in circle} | {it for it in shown if it not in waiting}
    level = dict.fromkeys(ends, 0)
    while more := [it.source for it in graph.edges if it.target in level and it.source not in level]:
        at = 1 + max(level.values())
        level.update(dict.fromkeys(more, at))
    return level


def _ring(circle: tuple[str, ...], x: float, y: float) -> dict[str, Box]:
    """Clockwise: the first half from left to right, the rest below from right to left."""
    above = (len(circle) + 1) // 2
    places = {}
    for at, name in enumerate(circle):
        column = at if at < above else 2 * above - 1 - at
        places[name] = Box(x + column * ACROSS, y + (0 if at < above else 1.7 * DOWN), NODE.w, NODE.h)
    return places


# --- marks ---------------------------------------------------------------------------------------------------


def _head(panel: Panel, title: str, lines: list[str], *, bad: bool) -> Iterator[Mark]:
    yield Mark("heading:waits", panel.id, "text", text=(Text(title, layout.MARGIN, 28, 11, ink="muted"),))
    ink = "bad" if bad else "ink"
    text = tuple(Text(line, layout.MARGIN, 54 + 24 * at, 15, 700, ink=ink) for at, line in enumerate(lines))
    yield Mark("waits:verdict", panel.id, "text", text=text, say=" ".join(lines))


def _nodes(graph: WaitGraph, moment: Moment, places: Mapping[str, Box], crowds: Mapping[str, int]) -> Iterator[Mark]:
    stuck = {name for circle in graph.circles for name in circle}
    for name, box in places.items():
        if name in stuck:
            around = box.inner(-5)
            yield Mark(f"stuck:{name}", "waits", "rect", *around, stroke="bad", bold=True, radius=14, layer=1)
        if name in graph.tasks:
            yield from _task(name, graph, moment, box, crowds.get(name, 0))
        else:
            yield from _lock(name, graph, box)


def _task(name: str, graph: WaitGraph, moment: Moment, box: Box, more: int) -> Iterator[Mark]:
    actor = graph.tasks[name]
    it = thread(actor, moment)
    waits = moment.waits_for(actor) is not None and actor.kind != "handler"
    stack = moment.run.stack_at(actor.task, moment.step)
    doing = ("sleeps" if sleeps(actor, moment) else "spins") if waits else STATES[it.state]
    state = f"{doing} in {stack[-1].function}" if stack else doing
    if more:
        yield Mark(f"crowd:{name}", "waits", "rect", box.x + 7, box.y + 7, box.w, box.h, fill="well", stroke="edge")
        state = f"and {more} more"
    room = box.w - 46
    yield Mark(
        name, "waits", "rect", *box, radius=12, layer=2, fill="card", stroke=actor.colour, bold=True,
        dashed=waits, face=it.state,
        say=f"{graph.said[name]}: {doing}",
        text=(
            Text(shorten(f"{graph.said[name]}", room, 14, bold=True), box.x + 36, box.y + 23, 14, 700),
            Text(shorten(state, room, 10.5), box.x + 36, box.y + 41, 10.5, ink="muted"),
        ),
    )  # fmt: skip
    yield Mark(f"{name}:dot", "waits", "dot", box.x + 13, box.y + 13, 12, 12, fill=actor.colour, layer=3)


def _lock(name: str, graph: WaitGraph, box: Box) -> Iterator[Mark]:
    it = graph.locks.get(name)
    title, kind = (it.title, it.kind) if it else (graph.said[name].removeprefix("the "), "")
    holder = next((edge.target for edge in graph.edges if edge.source == name), None)
    colour = graph.tasks[holder].colour if holder in graph.tasks else "muted"
    room = box.w - 46
    yield Mark(
        name, "waits", "rect", *box, radius=2, layer=2, fill="well", stroke="ink",
        say=f"{title} ({kind})" if kind else title,
        text=(
            Text(shorten(title, room, 12, bold=True), box.x + 38, box.y + 23, 12, 700),
            Text(shorten(kind, room, 10.5), box.x + 38, box.y + 41, 10.5, ink="muted"),
        ),
    )  # fmt: skip
    if it:
        yield Mark(
            f"{name}:glyph", "waits", "lock", box.x + 11, box.y + 14, 17, 21, layer=3,
            fill=colour, stroke=colour, face="held",
        )  # fmt: skip


def _arrows(graph: WaitGraph, places: Mapping[str, Box]) -> Iterator[Mark]:
    number: dict[tuple[str, str], int] = {}
    for circle in graph.circles:
        number |= {it: at for at, it in enumerate(zip(circle, (*circle[1:], circle[0]), strict=True), 1)}
    drawn = [it for it in graph.edges if it.source in places and it.target in places]
    pairs = {it[:2] for it in drawn}
    spoken = _spoken(drawn, places)
    for edge in drawn:
        aside = 34.0 if (edge.target, edge.source) in pairs else 0.0
        yield from _arrow(edge, graph, places, number.get((edge.source, edge.target)), aside, spoken)


def _spoken(edges: list[Edge], places: Mapping[str, Box]) -> set[Edge]:
    """The arrows that carry their words: of many that fan out from or into one box the one that is most level."""
    fans: dict[tuple[str, str], list[Edge]] = {}
    out = Counter((it.source, it.words) for it in edges)
    for it in edges:
        fans.setdefault((it.source if out[it.source, it.words] > 1 else it.target, it.words), []).append(it)
    return {min(its, key=lambda it: abs(places[it.source].y - places[it.target].y)) for its in fans.values()}


def _arrow(
    edge: Edge, graph: WaitGraph, places: Mapping[str, Box], number: int | None, aside: float, spoken: set[Edge]
) -> Iterator[Mark]:
    points = _line(places[edge.source], places[edge.target], aside, straight=number is not None)
    (x, y), (to_x, to_y) = points[0], points[-1]
    words = "" if edge not in spoken and number is None else edge.words if number is None else f"{number}  {edge.words}"
    level = abs(to_y - y) < 4
    middle = Text(
        words, (x + to_x) / 2 + (0 if level else 8), (y + to_y) / 2 - (7 if level else -4), 11, 700 if number else 400,
        anchor="middle" if level else "start", ink="bad" if number else "ink",
    )  # fmt: skip
    name = f"{edge.source}:{edge.target}"
    if words:
        yield Mark(f"words:{name}", "waits", "text", text=(middle,), layer=4)
    yield Mark(
        f"arrow:{name}", "waits", "arrow", points=points, layer=4,
        stroke="bad" if number else "ink", bold=number is not None, dashed=edge.source in graph.tasks,
        ends=(edge.source, edge.target), say=f"{graph.said[edge.source]} {edge.words} {graph.said[edge.target]}",
    )  # fmt: skip


def _line(source: Box, target: Box, aside: float, *, straight: bool) -> tuple[tuple[float, float], ...]:
    """From border to border; moved to its right by *aside* where another comes back."""
    gap = 8
    if abs(source.x - target.x) < 1 and not straight and abs(source.y - target.y) > DOWN * 1.5:
        x, out = source.x - gap / 2, source.x - 70
        return ((x, source.centre), (out, (source.centre + target.centre) / 2), (x, target.centre))
    if abs(source.x - target.x) < 1:
        down = target.y > source.y
        x = source.middle + (-aside if down else aside)
        return (
            ((x, source.bottom + gap), (x, target.y - gap)) if down else ((x, source.y - gap), (x, target.bottom + gap))
        )
    right = target.x > source.x
    start, end = (source.right + gap, target.x - gap) if right else (source.x - gap, target.right + gap)
    shift = 0.0 if aside == 0 else 12.0 if right else -12.0
    return ((start, source.centre + shift), (end, target.centre + shift))


def _key(panel: Panel) -> Iterator[Mark]:
    y = panel.h - 12
    x = float(layout.MARGIN)
    for dashed, words in ((True, "waits for"), (False, "is held by")):
        yield Mark(f"key:{words}", panel.id, "arrow", points=((x, y - 4), (x + 34, y - 4)), stroke="ink", dashed=dashed)
        yield Mark(f"key:{words}:text", panel.id, "text", text=(Text(words, x + 42, y, 11, ink="muted"),))
        x += 42 + width(words, 11) + 22
    words = "bold, numbered, boxed twice: a deadlock, arrow by arrow"
    yield Mark("key:deadlock", panel.id, "text", text=(Text(words, x, y, 11, ink="muted"),))
