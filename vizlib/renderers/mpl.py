"""A still of one step, with matplotlib: the same scene as everywhere, drawn and not thought about.

Deterministic: the same trace and step give the same bytes, whatever the date and the process.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib import patheffects
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Ellipse, FancyArrowPatch, FancyBboxPatch, Polygon
from matplotlib.path import Path as Curve

from vizlib import layout, theme
from vizlib.chrome import whole
from vizlib.chrome.family import family
from vizlib.chrome.waitfor import waitfor
from vizlib.lenses.family import FamilyLens
from vizlib.lenses.kinship import walks_at
from vizlib.moments import Run
from vizlib.scene import Mark, Scene, Text
from vizlib.stills import Stage, stills

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.trace import Trace

DPI = 100
#: What makes an SVG or a PNG differ from run to run, switched off.
METADATA: dict[str, dict[str, Any]] = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
SETTINGS: Any = {"svg.hashsalt": "rmapwalk", "svg.fonttype": "none", "font.family": ["DejaVu Sans"]}


class Picture(Figure):
    """A figure that shows itself in a notebook, also where nobody has imported pyplot."""

    def _repr_png_(self) -> bytes:
        return printed(self, "png")


def scene_at(trace: Trace, step: int | None = None, title: str = "") -> Scene:
    """The whole scene after *step*; after the last step if none is given."""
    run = Run(trace)
    stage = Stage(run)
    at = run.length if step is None else step
    if not 0 <= at <= run.length:
        raise IndexError(f"step {at} is not between 0 and {run.length}")
    shot = next(it for it in stills(run, stage, at) if it.moment.step == at)
    return whole(shot, stage, title or _title(trace))


def _title(trace: Trace) -> str:
    from sim.worlds import WORLDS

    world = WORLDS.get(trace.world)
    return world.title.rstrip(".") if world else trace.world


def render(trace: Trace, step: int | None = None, mode: theme.Mode = "light", title: str = "") -> Picture:
    """A figure of *trace* after *step*."""
    return draw(scene_at(trace, step, title), mode)


def render_waits(trace: Trace, step: int | None = None, mode: theme.Mode = "light") -> Picture:
    """A figure of who waits for whom after *step* (the last one if none is given)."""
    run = Run(trace)
    at = run.length if step is None else step
    it, width = waitfor(
        run.moment(at), f"Who waits for whom · {trace.world} · {trace.variant} · step {at} of {run.length}"
    )
    return draw(it, mode, width)


def render_family(trace: Trace, step: int | None = None, mode: theme.Mode = "light") -> Picture:
    """A figure of the family of anon_vmas and the walks in it after *step* (the last one if none is given)."""
    run = Run(trace)
    at = run.length if step is None else step
    title = f"The family · {trace.world} · {trace.variant} · step {at} of {run.length}"
    it, width = family(FamilyLens(run), walks_at(run, at), run.moment(at), title)
    return draw(it, mode, width)


def save(figure: Figure, path: Path) -> None:
    """Write *figure* as SVG or PNG, by the suffix of *path*."""
    path.write_bytes(printed(figure, path.suffix.removeprefix(".")))


def printed(figure: Figure, kind: str) -> bytes:
    """*figure* as ``svg`` or ``png``, the same bytes every time."""
    out = BytesIO()
    with mpl.rc_context(SETTINGS):
        figure.savefig(out, format=kind, dpi=DPI, metadata=dict(METADATA[kind]), facecolor=figure.get_facecolor())
    return out.getvalue()


def draw(it: Scene, mode: theme.Mode = "light", width: float = layout.WIDTH) -> Picture:
    """A figure of a scene, *width* pixels wide."""
    height = layout.height(panel for panel in it.panels if not panel.inside)
    with mpl.rc_context(SETTINGS):
        figure = Picture(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=theme.colour("paper", mode))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
        axes.set_axis_off()
        origins = _origins(it)
        for mark in sorted(it.marks.values(), key=lambda mark: _depth(mark)):
            _Pen(axes, *origins[mark.panel], mode).draw(mark)
    return figure


def _depth(mark: Mark) -> float:
    """In which order marks are drawn: what crosses panels last."""
    return mark.layer + (10 if mark.ends else 0)


def _origins(it: Scene) -> dict[str, tuple[float, float]]:
    """Where each panel's top left corner is on the page."""
    places = {panel.id: panel for panel in it.panels}
    return {
        panel.id: (panel.x + outer.x, panel.y + outer.y) if (outer := places.get(panel.inside)) else (panel.x, panel.y)
        for panel in it.panels
    }


def _behind(mark: Mark) -> str:
    """The colour around the words of *mark*, so that they can be read on a line: an arrow, or one over a panel."""
    return "paper" if mark.shape == "arrow" else mark.fill if mark.layer < 0 else ""


class _Pen:
    """Draws the marks of one panel."""

    def __init__(self, axes: Axes, x: float, y: float, mode: theme.Mode) -> None:
        self.axes = axes
        self.x = x
        self.y = y
        self.mode = mode

    def draw(self, mark: Mark) -> None:
        """Draw *mark* and its words."""
        shapes: dict[str, Callable[[Mark, dict[str, Any]], None]] = {
            "rect": self._rect,
            "pill": self._pill,
            "token": self._rect,
            "ellipse": self._ellipse,
            "dot": self._ellipse,
            "diamond": self._diamond,
            "lock": self._lock,
            "arrow": self._arrow,
        }
        before = len(self.axes.patches)
        if mark.shape in shapes:
            shapes[mark.shape](mark, self._style(mark))
        for patch in self.axes.patches[before : before + 1]:
            patch.set_gid(mark.id)  # an SVG has it as the id of its group
        for line in mark.text:
            self._text(line, halo=_behind(mark))

    def _style(self, mark: Mark) -> dict[str, Any]:
        return {
            "facecolor": theme.colour(mark.fill, self.mode),
            "edgecolor": theme.colour(mark.stroke, self.mode),
            "linewidth": 1.5 if mark.bold else 0.8,
            "linestyle": (0, (3.5, 2)) if mark.dashed else (0, (1, 1.6)) if mark.dotted else "solid",
        }

    def _rect(self, mark: Mark, style: dict[str, Any], radius: float | None = None) -> None:
        size = min(mark.radius if radius is None else radius, mark.w / 2, mark.h / 2)
        boxstyle = f"round,pad=0,rounding_size={size}" if size else "square,pad=0"
        patch = FancyBboxPatch((self.x + mark.x, self.y + mark.y), mark.w, mark.h, boxstyle=boxstyle, **style)
        self.axes.add_patch(patch)

    def _pill(self, mark: Mark, style: dict[str, Any]) -> None:
        self._rect(mark, style, mark.h / 2)

    def _ellipse(self, mark: Mark, style: dict[str, Any]) -> None:
        centre = (self.x + mark.x + mark.w / 2, self.y + mark.y + mark.h / 2)
        self.axes.add_patch(Ellipse(centre, mark.w, mark.h, **style))

    def _diamond(self, mark: Mark, style: dict[str, Any]) -> None:
        x, y = self.x + mark.x, self.y + mark.y
        corners = [(x + mark.w / 2, y), (x + mark.w, y + mark.h / 2), (x + mark.w / 2, y + mark.h), (x, y + mark.h / 2)]
        self.axes.add_patch(Polygon(corners, closed=True, **style))

    def _lock(self, mark: Mark, style: dict[str, Any]) -> None:
        """A padlock: shut while the lock is held, its bow lifted while it is free."""
        held = mark.face == "held"
        x, y = self.x + mark.x, self.y + mark.y
        body = mark.h * 0.58
        bow = (x + mark.w / 2 + (0 if held else mark.w * 0.3), y + mark.h - body + (0 if held else -1.5))
        line = {"color": style["edgecolor"], "linewidth": 1.8}
        self.axes.add_patch(Arc(bow, mark.w * 0.62, mark.h * 0.72, theta1=180, theta2=360, **line))
        solid = Mark(mark.id, x=mark.x, y=mark.y + mark.h - body, w=mark.w, h=body, radius=3)
        self._rect(solid, {**style, "linestyle": "solid", "linewidth": 1.2})

    def _arrow(self, mark: Mark, style: dict[str, Any]) -> None:
        points = [(self.x + x, self.y + y) for x, y in mark.points]
        bend = {2: Curve.LINETO, 3: Curve.CURVE3, 4: Curve.CURVE4}[len(points)]
        path = Curve(points, [Curve.MOVETO, *[bend] * (len(points) - 1)])
        width = 1.6 if mark.bold else 0.9
        patch = FancyArrowPatch(
            path=path,
            arrowstyle="-|>,head_width=3,head_length=6" if mark.bold else "-|>,head_width=2.2,head_length=4.5",
            color=style["edgecolor"],
            linewidth=width,
            linestyle=style["linestyle"],
            shrinkA=0,
            shrinkB=0,
        )
        self.axes.add_patch(patch)

    def _text(self, line: Text, *, halo: str) -> None:
        words = line.s.replace("$", r"\$")
        drawn = self.axes.text(
            self.x + line.x,
            self.y + line.y,
            words,
            fontsize=line.size * 72 / DPI,
            fontweight="bold" if line.weight >= 600 else "normal",
            fontstyle=line.style,
            fontfamily="DejaVu Sans Mono" if line.mono else "DejaVu Sans",
            color=theme.colour(line.ink, self.mode),
            ha={"start": "left", "middle": "center", "end": "right"}[line.anchor],
            va="baseline",
        )
        if halo:
            drawn.set_path_effects([patheffects.withStroke(linewidth=3, foreground=theme.colour(halo, self.mode))])
