"""Where each mark stands.  Renderers do not think about it, and lenses only fill the boxes they get.

Places are fixed before the first step is drawn: nothing moves between steps but what the step moves.  Three
columns (threads, machine, locks), the sentence across, the lanes at the bottom; all numbers are pixels of a stage
1,440 wide.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from vizlib.scene import Panel

WIDTH = 1440
MARGIN = 24
LEFT_WIDTH = 410
RIGHT_WIDTH = 362
GUTTER = 30
#: How wide the machine is drawn, everywhere; half of it fits a phone.
PLANE = 560
HALF = 274
PANEL_GAP = 12
#: Room for a title above a column, and inside a panel.
TITLE = 20
#: The first line of the columns.
TOP = 84
NEXT_HEIGHT = 104
CHANGED_HEIGHT = 118
COUNTS_HEIGHT = 68
SENTENCE_HEIGHT = 64
LANE_HEIGHT = 27
GAP = 14

Node = TypeVar("Node", bound=Hashable)


class Box(NamedTuple):
    """A place: its top left corner and its size."""

    x: float
    y: float
    w: float
    h: float

    @property
    def middle(self) -> float:
        """Half way across."""
        return self.x + self.w / 2

    @property
    def centre(self) -> float:
        """Half way down."""
        return self.y + self.h / 2

    @property
    def right(self) -> float:
        """The right edge."""
        return self.x + self.w

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.y + self.h

    def inner(self, by: float) -> Box:
        """The same, smaller by *by* on every side."""
        return Box(self.x + by, self.y + by, self.w - 2 * by, self.h - 2 * by)


def columns(box: Box, number: int, gap: float, width: float | None = None) -> list[Box]:
    """*number* boxes beside each other, as wide as they fit or *width* at most."""
    fits = (box.w - gap * (number - 1)) / max(number, 1)
    each = fits if width is None else min(width, fits)
    return [Box(round(box.x + i * (each + gap), 1), box.y, round(each, 1), box.h) for i in range(number)]


def grid(box: Box, number: int, across: int, height: float, gap: float) -> list[Box]:
    """*number* boxes in rows of *across*, each *height* high."""
    across = max(across, 1)
    row = columns(Box(box.x, box.y, box.w, height), across, gap)
    return [row[i % across]._replace(y=box.y + (i // across) * (height + gap)) for i in range(number)]


def rows(number: int, across: int) -> int:
    """How many rows of *across* hold *number* boxes."""
    return -(-number // max(across, 1))


def generations(edges: Iterable[tuple[Node, Node]], nodes: Iterable[Node]) -> list[list[Node]]:
    """The reverse map in columns: each object stands right of all that point to it.

    Objects of one generation keep the order in which *nodes* names them.
    """
    import networkx as nx  # only few pictures need it, and it takes longer to load than they to draw

    order = {node: at for at, node in enumerate(nodes)}
    graph: nx.DiGraph[Node] = nx.DiGraph()
    graph.add_nodes_from(order)
    graph.add_edges_from(edges)
    return [sorted(it, key=order.__getitem__) for it in nx.topological_generations(graph)]


def ranks(generations: Sequence[Sequence[Node]], box: Box, width: float, height: float) -> dict[Node, Box]:
    """A place for each object: one column a generation, centred in its column."""
    places: dict[Node, Box] = {}
    step = (box.w - width) / max(len(generations) - 1, 1)
    for column, nodes in enumerate(generations):
        pitch = box.h / max(len(nodes), 1)
        for row, node in enumerate(nodes):
            y = box.y + pitch * (row + 0.5) - height / 2
            places[node] = Box(round(box.x + column * step, 1), round(y, 1), width, height)
    return places


class Places:
    """Where the machine's panels and marks stand; the lenses fill it from top to bottom before the first step.

    The machine is a plane :data:`PLANE` wide; a panel's place is counted from the plane, a mark's from its panel.
    """

    def __init__(self) -> None:
        self.panels: dict[str, Panel] = {}
        self.boxes: dict[str, Box] = {}
        self.panel_of: dict[str, str] = {}
        self.bottom: float = 0

    def row(self, ids: Sequence[str], titles: Sequence[str], notes: Sequence[str], height: float, gap: float) -> None:
        """Panels beside each other, below everything so far; *gap* is left above them."""
        y = self.bottom + (gap if self.panels else 0)
        width = HALF if len(ids) <= 2 else None
        for it, title, note, box in zip(
            ids, titles, notes, columns(Box(0, y, PLANE, height), len(ids), PANEL_GAP, width), strict=True
        ):
            self.panels[it] = Panel(it, title, *box, inside="machine", note=note, frame=True)
        self.bottom = y + height

    def panel(self, panel: Panel) -> None:
        """A panel whose place the caller knows."""
        self.panels[panel.id] = panel
        self.bottom = max(self.bottom, panel.y + panel.h)

    def put(self, mark: str, panel: str, box: Box) -> Box:
        """Keep a place for *mark*."""
        self.boxes[mark] = box
        self.panel_of[mark] = panel
        return box

    def on_plane(self, mark: str) -> Box | None:
        """The place of *mark* counted from the plane, or None if it has none."""
        if mark not in self.boxes:
            return None
        panel = self.panels[self.panel_of[mark]]
        box = self.boxes[mark]
        return box._replace(x=box.x + panel.x, y=box.y + panel.y)


def stage(threads: float, plane: float, locks: float, lanes: int) -> tuple[Panel, ...]:
    """The panels of a still whose columns need these heights, with so many *lanes*.

    A page with text of its own (the player) lays the panels out anew and takes from here the machine alone.
    """
    middle_x = MARGIN + LEFT_WIDTH + GUTTER
    right_x = middle_x + PLANE + GUTTER
    column = max(threads + GAP + NEXT_HEIGHT, plane + TITLE, locks + GAP + CHANGED_HEIGHT + GAP + COUNTS_HEIGHT)
    sentence_y = TOP + column + GAP
    lanes_y = sentence_y + SENTENCE_HEIGHT + GAP
    counts_y = TOP + column - COUNTS_HEIGHT
    changed_y = TOP + locks + GAP
    return (
        Panel("head", "", MARGIN, 14, WIDTH - 2 * MARGIN, 56),
        Panel("threads", "Threads", MARGIN, TOP, LEFT_WIDTH, column - NEXT_HEIGHT - GAP),
        Panel("next", "Who could run next", MARGIN, TOP + column - NEXT_HEIGHT, LEFT_WIDTH, NEXT_HEIGHT),
        Panel("machine", "Machine", middle_x, TOP + TITLE, PLANE, column - TITLE),
        Panel("locks", "Locks, outer to inner", right_x, TOP, RIGHT_WIDTH, locks),
        Panel("changed", "Changed in this step", right_x, changed_y, RIGHT_WIDTH, counts_y - GAP - changed_y),
        Panel("counts", "Counts so far", right_x, counts_y, RIGHT_WIDTH, COUNTS_HEIGHT),
        Panel("sentence", "", MARGIN, sentence_y, WIDTH - 2 * MARGIN, SENTENCE_HEIGHT),
        Panel("lanes", "Lanes", MARGIN, lanes_y, WIDTH - 2 * MARGIN, 30 + lanes * LANE_HEIGHT),
    )


def height(panels: Iterable[Panel]) -> float:
    """How high the stage is."""
    return max(panel.y + panel.h for panel in panels) + GAP


def spread(values: Mapping[Node, float], room: int) -> list[Node]:
    """The *room* first of *values* by their number: what is shown where not everything fits."""
    return sorted(values, key=lambda it: (values[it], str(it)))[:room]


#: A still's thread cards: up to three are shown with their stack, more with less, eight at most.
FULL_CARDS, MOST_CARDS, MOST_LANES = 3, 8, 8
FULL_CARD, SMALL_CARD, CARD_GAP = 176, 74, 8
LOCK_CARD, LOCK_GAP = 56, 8


def threads_height(number: int) -> float:
    """How high the thread cards of a still are together."""
    card = FULL_CARD if number <= FULL_CARDS else SMALL_CARD
    return TITLE + min(number, MOST_CARDS) * (card + CARD_GAP)


def locks_height(number: int) -> float:
    """How high the lock cards of a still are together."""
    return TITLE + max(number, 1) * (LOCK_CARD + LOCK_GAP)
