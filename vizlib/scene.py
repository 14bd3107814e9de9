"""One still picture as data: panels, and marks with stable ids.

Knows neither the model nor matplotlib.  A lens makes marks, :mod:`vizlib.layout` says where they stand, a renderer
draws them, the player joins two scenes on the ids and moves what moved.  Everything here is a value: it compares,
it turns into JSON and back without loss, and the difference of two scenes is again plain JSON.

In JSON a key that has its default is left out, so that a film of a thousand steps stays small.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal

Shape = Literal["rect", "ellipse", "diamond", "pill", "text", "arrow", "lock", "dot", "token"]
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text inside a mark.

    Attributes:
        s: the words.
        x: where it starts (or its middle, or its end: see *anchor*), from the left edge of the panel.
        y: its base line, from the top edge of the panel.
        ink: the name of a colour in :mod:`vizlib.theme`.
        mono: whether it is source code.
    """

    s: str
    x: float
    y: float
    size: float = 12
    weight: int = 400
    style: Literal["normal", "italic"] = "normal"
    anchor: Literal["start", "middle", "end"] = "start"
    ink: str = "ink"
    mono: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing in the picture.  The same thing has the same id in every scene of a film.

    Attributes:
        id: a name such as ``pte:P:5`` or ``lock:A.mutex``.
        panel: the panel it stands in; its place is counted from the panel's top left corner.
        shape: what to draw; an ``arrow`` follows *points* (two are a straight line, three a quadratic curve, four a
            cubic one), a ``token`` is the user's page, everything else fills x, y, w, h.
        ends: for an arrow that leaves its panel, the marks from which and to which it goes.
        face: a word for the state it shows; when it changes, the player turns the mark like a card.
        fill: the name of a colour, or ``none``.
        stroke: the same for the outline.
        tip: a sentence for the reader who points at it.
        say: what a screen reader says, and what the text renderer prints.  Empty for ornaments.
        layer: higher ones are drawn later.
    """

    id: str
    panel: str = "machine"
    shape: Shape = "rect"
    x: float = 0
    y: float = 0
    w: float = 0
    h: float = 0
    points: tuple[tuple[float, float], ...] = ()
    text: tuple[Text, ...] = ()
    fill: str = "none"
    stroke: str = "none"
    dashed: bool = False
    dotted: bool = False
    bold: bool = False
    radius: float = 8
    tip: str = ""
    say: str = ""
    layer: int = 0
    face: str = ""
    ends: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """A region with a title.  A wide page places panels as given here; a narrow one stacks them.

    Attributes:
        inside: the panel in which this one lies, and from which its place is counted; empty for the stage itself.
        note: what stands at the right of its title.
        frame: whether it has an outline.
    """

    id: str
    title: str
    x: float
    y: float
    w: float
    h: float
    inside: str = ""
    note: str = ""
    frame: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """A whole picture: where the panels are and what stands in them."""

    panels: tuple[Panel, ...] = ()
    marks: Mapping[str, Mark] = field(default_factory=dict)


def scene(panels: Iterable[Panel], marks: Iterable[Mark]) -> Scene:
    """A scene of *marks*; two marks with one id are refused, because a renderer could not tell them apart."""
    its = list(marks)
    found = {mark.id: mark for mark in its}
    if len(found) < len(its):
        twice = next(mark.id for mark in its if found[mark.id] is not mark)
        raise ValueError(f"two marks are called '{twice}'")
    return Scene(tuple(panels), found)


def difference(old: Mapping[str, Mark], new: Mapping[str, Mark]) -> dict[str, Json | None]:
    """What turns *old* into *new*: per id the changed keys, ``{"new": True, …}`` for a new mark, None for one gone."""
    changes: dict[str, Json | None] = {}
    for name, mark in new.items():
        before = old.get(name)
        if before is mark:
            continue
        if before is None:
            changes[name] = {"new": True, **mark_to_json(mark)}
        elif before != mark:
            changes[name] = {it: _plain(getattr(mark, it)) for it in _MARK if getattr(before, it) != getattr(mark, it)}
    for name in old:
        if name not in new:
            changes[name] = None
    return changes


def apply(old: Mapping[str, Mark], changes: Mapping[str, Json | None]) -> dict[str, Mark]:
    """*old* after *changes*; the inverse of :func:`difference`."""
    new = dict(old)
    for name, change in changes.items():
        if change is None:
            del new[name]
        elif change.get("new"):
            new[name] = mark_from_json(name, {key: it for key, it in change.items() if key != "new"})
        else:
            new[name] = mark_from_json(name, {**mark_to_json(old[name]), **change})
    return new


def mark_to_json(mark: Mark) -> Json:
    """*mark* without its id, defaults left out."""
    return {it: _plain(getattr(mark, it)) for it in _MARK if getattr(mark, it) != _MARK[it]}


def mark_from_json(name: str, data: Mapping[str, Any]) -> Mark:
    """The mark that :func:`mark_to_json` wrote."""
    known = dict(data)
    known["points"] = tuple((x, y) for x, y in known.get("points", ()))
    known["text"] = tuple(Text(**line) for line in known.get("text", ()))
    known["ends"] = tuple(known.get("ends", ()))
    return Mark(name, **known)


def scene_to_json(it: Scene) -> Json:
    """*it* as JSON."""
    return {
        "panels": [panel_to_json(panel) for panel in it.panels],
        "marks": {name: mark_to_json(mark) for name, mark in it.marks.items()},
    }


def scene_from_json(data: Mapping[str, Any]) -> Scene:
    """The scene that :func:`scene_to_json` wrote."""
    return Scene(
        tuple(_panel(panel) for panel in data["panels"]),
        {name: mark_from_json(name, mark) for name, mark in data["marks"].items()},
    )


def panel_to_json(panel: Panel) -> Json:
    """*panel* as JSON, whole: there are few.  The panel it lies in is called ``in``."""
    return {"in" if it.name == "inside" else it.name: getattr(panel, it.name) for it in fields(panel)}


def _panel(data: Mapping[str, Any]) -> Panel:
    return Panel(**{"inside" if key == "in" else key: it for key, it in data.items()})


def text_to_json(text: Text) -> Json:
    """*text* as JSON, defaults left out."""
    return {it: getattr(text, it) for it, default in _TEXT.items() if getattr(text, it) != default}


def _plain(value: Any) -> Any:
    """*value* as JSON knows it."""
    if isinstance(value, tuple):
        return [text_to_json(it) if isinstance(it, Text) else it if isinstance(it, str) else list(it) for it in value]
    return value


_MARK = {it.name: it.default for it in fields(Mark) if it.name != "id"}
_TEXT = {it.name: None if it.default is MISSING else it.default for it in fields(Text)}
