"""The player as a widget: a film in JupyterLab, played in the browser.

The film crosses to the browser once; from then on only the step does, when the reader stops.  What each mark means,
when things move and how they look stands in the modules beside this file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from html import escape
from typing import Any

import anywidget
import traitlets

from sim.errors import UserError
from sim.schedule import parse_schedule
from sim.variants import Variant
from vizlib import theme
from vizlib.player import bundle, live
from vizlib.player.films import OFFLINE, checked


class Player(anywidget.AnyWidget):
    """Plays a film.

    Attributes:
        film: what :func:`vizlib.film.film` made of a trace.
        step: the step that is shown; 0 is the state after set-up.  None, the default, opens at the first decision and
            turns into its number.  It follows the reader when they step or pause, not while the film plays; setting
            it moves the picture.
        playing: whether it plays; it opens paused.
        speed: how fast it plays at first; 1 leaves time to read each sentence.
        theme: ``auto`` follows JupyterLab; ``light`` or ``dark`` do not.
        prediction: what the reader predicted; it stands beside what changed.
        runs: the runs that the reader tried by letting tasks step: for each its ``name`` and ``run_name``, the number
            of its ``parent`` and the last step ``at`` which it is still the same.

    The reader may take over at any step: a click on a task lets it step, and the run branches off there.  Without a
    world in the film (``hands``) the kernel makes that step; *variant* is then needed if it is the reader's own.

    Raises:
        ValueError: if *film* is none, or of another version.
    """

    _esm = bundle.script()
    _css = theme.css() + bundle.style()

    film = traitlets.Dict().tag(sync=True)
    step = traitlets.Int(None, allow_none=True).tag(sync=True)
    playing = traitlets.Bool(False).tag(sync=True)
    speed = traitlets.Float(1.0).tag(sync=True)
    theme = traitlets.Enum(("auto", "light", "dark"), "auto").tag(sync=True)
    prediction = traitlets.Unicode("").tag(sync=True)

    runs: Any = traitlets.List().tag(sync=True)

    def __init__(self, film: Mapping[str, Any], *, variant: Variant | None = None, **traits: Any) -> None:
        super().__init__(film=checked(film), **traits)
        self._variant = variant
        self.on_msg(self._asked)

    def _asked(self, _: Any, message: Mapping[str, Any], buffers: Any) -> None:
        """The page asks for a step: answer with the film that has it at its end, or with what is wrong."""
        if message.get("kind") != "step":
            return
        try:
            film = live.step(
                self.film, self._variant, str(message["schedule"]), str(message["task"]), message.get("choice")
            )
            self.send({"id": message["id"], "film": film})
        except UserError as error:
            self.send({"id": message["id"], "error": str(error)})

    @property
    def steps(self) -> int:
        """How many steps the film has."""
        return len(self.film["steps"])

    @traitlets.validate("step")
    def _inside(self, proposal: Mapping[str, Any]) -> int | None:
        step = proposal["value"]
        return step if step is None else max(0, min(self._most, step))

    @property
    def _most(self) -> int:
        """How far one can go: in the film, and in the runs that the reader made."""
        schedules = ("".join(str(it["run_name"]).split()[2:]) for it in self.runs)
        return max(self.steps, *(len(parse_schedule(it)) for it in schedules), 0)

    def __repr__(self) -> str:
        return f"Player({self.steps} steps)"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """What a notebook stores: the widget, and a text that is the same in every run."""
        if os.environ.get(OFFLINE):
            return {"text/plain": repr(self), "text/html": self.frame()}
        found = super()._repr_mimebundle_(**options)
        data = found[0] if isinstance(found, tuple) else found
        if data is not None:
            data["text/plain"] = repr(self)
        return found

    def frame(self) -> str:
        """The film as an offline page in a frame that may run scripts and nothing else."""
        from vizlib.renderers.html import page

        film = dict(self.film) if self.step is None else {**self.film, "open_at": self.step}
        return (
            f'<iframe title="{escape(repr(self))}" sandbox="allow-scripts" '
            f'style="width: 100%; height: 900px; border: 0" srcdoc="{escape(page(film))}"></iframe>'
        )
