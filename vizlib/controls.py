"""Controls for a notebook: turn a parameter, choose a variant and a lock policy, and see the curve grow point by point.

Built of ipywidgets, with two things that those lack in JupyterLab: a key pressed in a control stays there, where Lab
would take it for a command (an arrow would leave the cell), and the handle of a slider has a name for a screen reader.
What the controls do can be done from a cell, too (:meth:`Tuning.set`), and what they show is there as text.

A control that is turned is answered at once: first with what theory says (:mod:`sim.analysis.demands`), drawn onto the
picture that is there, then with the simulation, which takes its place.  In a notebook that runs beside, so that other
controls and cells can be used meanwhile; where there are no threads, as in a browser, it is waited for.  What was
simulated once is kept (:mod:`sim.analysis.kept`), for the next lecture too.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Final

import anywidget
import ipywidgets as widgets

from sim.analysis.demands import Prediction, predict
from sim.analysis.kept import kept
from sim.analysis.sweep import KEYS, Point, Row, Table
from sim.engines.timed import POLICIES
from sim.engines.timed_run import how_found
from sim.errors import BadParameter, UnknownName, UserError
from sim.variants import find as find_variant
from sim.variants import names as variant_names
from sim.worlds import World
from sim.worlds import find as find_world
from vizlib.foretold import Picture, foretold

#: What of a run is printed, and how its column is called.
SHOWN: Final = {
    "pages_per_second": "pages/s",
    "elapsed_ns": "ns",
    "anon_vma_locks": "anon_vma locks",
    "tlb_flushes": "flushes",
    "ipis_received": "interrupts",
    "lock_percent": "% of switches at the lock",
}

_VIEW: Final = "application/vnd.jupyter.widget-view+json"
_LABELS: Final = {"style": {"description_width": "80px"}, "layout": {"width": "420px", "max_width": "calc(100% - 4px)"}}


class _Keys(anywidget.AnyWidget):
    """Keeps the keys that are pressed in the controls around it, and names what has no name."""

    _esm = """
    function render({ el }) {
      const find = () => {
        const box = el.closest(".rmwalk-controls");
        if (!box) return requestAnimationFrame(find);
        const command = (it) => it.ctrlKey || it.metaKey || it.altKey || (it.shiftKey && it.key === "Enter");
        box.addEventListener("keydown", (event) => command(event) || event.stopPropagation());
        const label = (handle) => handle.closest(".widget-slider")?.querySelector(".widget-label")?.textContent;
        const name = () => {
          for (const it of box.querySelectorAll("[role=slider]:not([aria-label])")) {
            it.setAttribute("aria-label", label(it) || "value");
          }
        };
        new MutationObserver(name).observe(box, { childList: true, subtree: true });
        name();
      };
      find();
    }
    export default { render };
    """


class Tuning:
    """A world under the clock with a control for each parameter that has a range.

    Attributes:
        box: the controls, as a widget; table: the points measured so far, in their order.
    """

    def __init__(
        self, world: World, ranges: Mapping[str, tuple[int, int]], fixed: Mapping[str, int], start: Point
    ) -> None:
        self.world = world
        self._ranges = dict(ranges)
        self._fixed = dict(fixed)
        self._across = next(iter(ranges))
        self._points: list[Point] = []
        self._results: list[Row] = []
        self._controls: dict[str, Any] = {
            "variant": widgets.Dropdown(
                description="variant", options=variant_names(), value=start["variant"], **_LABELS
            ),
            "policy": widgets.Dropdown(description="policy", options=list(POLICIES), value=start["policy"], **_LABELS),
        }
        for name, (low, high) in ranges.items():
            self._controls[name] = widgets.IntSlider(
                description=name, min=low, max=high, value=start[name], continuous_update=False, **_LABELS
            )
        for it in self._controls.values():
            it.observe(lambda _: self._turned(), "value")
        whole = widgets.Button(
            description="whole curve",
            tooltip=f"measure {_listed(self._steps())} {self._across}",
            layout={"width": "auto", "align_self": "flex-start"},
        )
        whole.on_click(lambda _: self._answer(self._whole()))
        self._said, self._shown = widgets.HTML(), widgets.HTML()
        self._picture: Picture | None = None
        self._asked = 0
        self._following: set[asyncio.Task[None]] = set()
        self.box = widgets.VBox([_Keys(), *self._controls.values(), whole, self._said, self._shown])
        self.box.add_class("rmwalk-controls")
        self._measure([start])

    @property
    def table(self) -> Table:
        """The points measured so far with what came out."""
        return Table(list(self._points), list(self._results))

    def set(self, **values: Any) -> Tuning:
        """Do what the controls do: measure another point.

        Raises:
            UserError: for a control that there is not, or a value that it does not take.
        """
        self.show(**values)
        self._measure([self._point()])
        return self

    def show(self, **values: Any) -> None:
        """Turn controls without measuring anything.

        Raises:
            UserError: as :meth:`set`.
        """
        point = self._point()
        for name, value in values.items():
            if name not in self._controls:
                raise UnknownName("control", name, self._controls)
            point[name] = _allowed(self.world, self._ranges, name, value)
        self._quiet = True
        try:
            for name, it in self._controls.items():
                it.value = point[name]
        finally:
            self._quiet = False

    def curve(self) -> Tuning:
        """Measure the whole curve: the parameter that lies across, doubled from its least to its greatest value."""
        self._measure(self._whole())
        return self

    def foretell(self) -> Prediction | None:
        """Show what theory says of the controls as they stand, and return it; None where there is no theory."""
        point = self._point()
        params = {name: value for name, value in point.items() if name not in KEYS}
        said = predict(self.world, point["variant"], policy=point["policy"], params=params)
        called = escape(_called(point, self._ranges))
        if said is None:
            self._said.value = f"<p role='status'>measuring {called} …</p>"
            return None
        held_up = f"held up by {escape(said.limit)}" if said.limit else ""
        within = "" if said.range_only else f"{said.at_least:,.0f} to {said.at_most:,.0f}"
        more = ", ".join(filter(None, (within, held_up)))
        self._said.value = (
            f"<p role='status'><b>{'' if said.range_only else 'about '}{said} pages/s</b> says theory"
            f"{f' ({more})' if more else ''}; the simulation follows: {called}</p>"
        )
        if self._picture is not None:
            self._shown.value = self._image(foretold(self._picture, point[self._across], said))
        return said

    def _whole(self) -> list[Point]:
        return [{**self._point(), self._across: it} for it in self._steps()]

    def _steps(self) -> list[int]:
        low, high = self._ranges[self._across]
        steps = [low]
        while steps[-1] * 2 <= high:
            steps.append(steps[-1] * 2)
        return steps if steps[-1] == high else [*steps, high]

    def _point(self) -> Point:
        return {"world": self.world.name, **self._fixed, **{name: it.value for name, it in self._controls.items()}}

    _quiet = False

    def _turned(self) -> None:
        if not self._quiet:
            self._answer([self._point()])

    def _answer(self, points: list[Point]) -> None:
        """Let *points* be measured: beside, if there is an event loop, as in a notebook."""
        self._asked += 1
        self._try(lambda: self.foretell() if points[-1] not in self._points else None)
        try:
            task = asyncio.get_running_loop().create_task(self._follow(points, self._asked))
        except RuntimeError:  # there is none
            self._try(lambda: self._measure(points))
            return
        self._following.add(task)
        task.add_done_callback(self._following.discard)

    async def _follow(self, points: list[Point], asked: int) -> None:
        """Measure *points* one after the other, unless something else is asked for meanwhile."""
        for point in points:
            if point not in self._points:
                try:
                    row = await asyncio.to_thread(kept, point)
                except UserError as fault:
                    self._said.value = f"<p role='status'><b>{escape(str(fault))}.</b></p>"
                    return
                except RuntimeError:  # no threads here
                    row = kept(point)
                self._keep(point, row)
            if asked != self._asked:
                return
            self._draw()

    def _keep(self, point: Point, row: Row) -> None:
        if point not in self._points:
            self._results.append(row)
            self._points.append(point)

    def _try(self, what: Any) -> None:
        """Do *what*; what goes wrong is said, and nothing measured is lost."""
        try:
            what()
        except UserError as fault:
            self._said.value = f"<p role='status'><b>{escape(str(fault))}.</b></p>"
        except KeyboardInterrupt:
            self._said.value = "<p role='status'>Stopped; what was measured before is kept.</p>"

    def _measure(self, points: Iterable[Point]) -> None:
        for point in points:
            if point not in self._points:
                self._said.value = f"<p role='status'>measuring {escape(_called(point, self._ranges))} …</p>"
                self._keep(point, kept(point))
        self._draw()

    def _draw(self) -> None:
        row = self._results[self._points.index(self._point())] if self._point() in self._points else self._results[-1]
        self._said.value = (
            f"<p role='status'><b>{row['pages_per_second']:,.0f} pages/s</b>, simulated: "
            f"{escape(_called(self._point(), self._ranges))}"
            f"{how_found(row['extrapolated'], row['within'], row['taped'])}</p>"
        )
        self._picture = self._drawn()
        self._shown.value = self._image()

    def _image(self, over: str = "") -> str:
        """The picture that was drawn last, with something *over* it, and the numbers."""
        assert self._picture is not None
        png = base64.b64encode(self._picture.png).decode()
        return (
            "<div style='position: relative; max-width: 760px'>"
            f"<img style='width: 100%; display: block' alt='{escape(self._title())}; the numbers stand below' "
            f"src='data:image/png;base64,{png}'>{over}</div>"
            f"<details><summary>in numbers</summary><pre tabindex='0'>{escape(self._numbers())}</pre></details>"
        )

    def _drawn(self) -> Picture:
        from vizlib.charts import curves
        from vizlib.renderers.mpl import printed

        figure = curves(self.series(), x=self._across, title=self._title())
        return Picture.of(printed(figure, "png"), figure)

    def _title(self) -> str:
        return f"{self.world.name}: pages per second against {self._across}"

    def series(self) -> dict[str, dict[float, float]]:
        """The points measured as curves: for each choice of everything else, the parameter across to pages a second."""
        found: dict[str, dict[float, float]] = {}
        for point, row in zip(self._points, self._results, strict=True):
            others = [f"{name}={point[name]}" for name in self._ranges if name != self._across]
            name = " ".join([point["variant"], point["policy"], *others])
            found.setdefault(name, {})[point[self._across]] = row["pages_per_second"]
        return found

    def _numbers(self) -> str:
        names = ["variant", "policy", *self._ranges]
        rows = [
            {**{it: point[it] for it in names}, **{told: _whole(row[it]) for it, told in SHOWN.items()}}
            for point, row in zip(self._points, self._results, strict=True)
        ]
        return Table([{} for _ in rows], rows).text()

    def text(self) -> str:
        """The text twin: the controls with their values, and the points measured."""
        at = self._point()
        controls = ", ".join(f"{name} {at[name]}" for name in self._controls)
        return f"{self._title()} (simulated)\ncontrols: {controls}\n\n{self._numbers()}"

    def __repr__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, **_: Any) -> Mapping[str, Any]:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        return {"text/plain": self.text(), _VIEW: view}


def tune(
    world: str = "numa02", variant: str = "mutex_v37", *, policy: str = "handoff", **params: int | tuple[int, ...]
) -> Tuning:
    """Controls for *world*: a parameter given as ``threads=(1, 16)`` gets a slider, a number stays as it is.

    The first range lies across the curve; ``threads=(1, 16)`` and ``pages=16`` if none is given.

    Raises:
        UserError: for what there is not, or what is out of bounds.
    """
    it = find_world(world)
    given = params or {"threads": (1, 16), "pages": 16}
    if policy not in POLICIES:
        raise UnknownName("policy", policy, POLICIES)
    fixed = {name: value for name, value in given.items() if not isinstance(value, tuple)}
    ranges = {name: _range(name, value) for name, value in given.items() if isinstance(value, tuple)}
    if not ranges:
        raise BadParameter("nothing can be turned: give a parameter a range, as in threads=(1, 16)")
    for end in (0, 1):
        it.values({**fixed, **{name: ends[end] for name, ends in ranges.items()}})
    start = {name: ends[0] for name, ends in ranges.items()}
    return Tuning(it, ranges, fixed, _start(it, variant, policy, fixed, start))


def _range(name: str, ends: tuple[int, ...]) -> tuple[int, int]:
    if len(ends) != 2 or ends[0] >= ends[1]:
        raise BadParameter(f"{name}={ends} is no range: give the least and the greatest value, as in (1, 16)")
    return ends[0], ends[1]


def _start(world: World, variant: str, policy: str, fixed: Mapping[str, int], at: Mapping[str, int]) -> Point:
    return {"world": world.name, **fixed, "variant": find_variant(variant).name, "policy": policy, **at}


def _allowed(world: World, ranges: Mapping[str, tuple[int, int]], name: str, value: Any) -> Any:
    if name == "variant":
        return find_variant(value).name
    if name == "policy":
        if value not in POLICIES:
            raise UnknownName("policy", value, POLICIES)
        return value
    low, high = ranges[name]
    if value not in range(low, high + 1):
        raise BadParameter(f"{name}={value} is not allowed: {low} to {high} ({world.params[name].text})")
    return value


def _called(point: Point, ranges: Mapping[str, Any]) -> str:
    ones = {name: re.sub(r"(?<=ss)es$|s$", "", name) for name in ranges if point[name] == 1}
    counts = [f"{point[name]} {ones.get(name, name)}" for name in ranges]
    return ", ".join([*counts, point["variant"], point["policy"]])


def _whole(value: Any) -> Any:
    return round(value) if isinstance(value, float) else value


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
