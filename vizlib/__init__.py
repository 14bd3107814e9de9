"""Pictures of a trace.

=================  ========================================================================================
scene.py           one still picture as data: panels, and marks with stable ids
theme.py           colours by name, colour-blind safe, light and dark
layout.py          where everything stands
events.py          what one event is about
moments.py         a trace, one moment after another; kept.py: asking of each only what has changed
names.py           what things are called; readings.py what it means to read or write a field
explain.py         one English sentence an event; waiting.py who could run, and why the others cannot
waitfor.py         who waits for whom, as a graph; the circle in it that is a deadlock
lenses/            from memory to marks, one file a struct
lanes.py           what each thread held and waited for, over the whole run
sources.py         source lines of our coroutines, each function once
timeline.py        a run under the clock as lanes; recordings.py: a recording of a real kernel as lanes and sentences
perfetto.py        either of them for Perfetto and Chrome's about:tracing
saving.py          files: all or nothing
film.py            a trace becomes a film: scenes, sentences, lanes, source lines
chrome/            what a still shows around the machine; a player has text of its own for it
renderers/         text (terminal), mpl (PNG, SVG), movie (GIF, MP4), html (one offline file)
player/            the moving picture, in JavaScript
controls.py        sliders and lists for a notebook: a curve that grows with each point tried
cli/               python -m vizlib: one file a group of commands
showcase.py        a run to look at, for whoever names no schedule
charts/            curves, profile bars and lanes with matplotlib; charting.py: series of runs drawn with them
=================  ========================================================================================

A notebook needs :func:`play`, :func:`beside`, :func:`why`, :func:`over_time`, :func:`tune`, :func:`still`,
:func:`waits`, :func:`family`, :func:`text` and :func:`film_of`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sim.engines.timed_run import TimedRun
    from sim.trace import Trace

__all__ = ["beside", "family", "film_of", "over_time", "play", "still", "text", "tune", "waits", "why"]


def film_of(trace: Trace, title: str = "") -> dict[str, Any]:
    """The film of *trace* as JSON values."""
    from vizlib.film import film as make

    return make(trace, title)


def text(trace: Trace, step: int | None = None) -> str:
    """A picture of *trace* after *step* (its last one if none is given) as plain text."""
    from vizlib.renderers.text import render

    return render(trace, step)


def still(trace: Trace, step: int | None = None, mode: str = "light") -> Figure:
    """A picture of *trace* after *step* (its last one if none is given) as a matplotlib figure."""
    from vizlib.renderers.mpl import render

    return render(trace, step, "dark" if mode == "dark" else "light")


def waits(trace: Trace, step: int | None = None, mode: str = "light") -> Figure:
    """Who waits for whom after *step* (the last one if none is given), a deadlock marked, as a matplotlib figure.

    Its text twin is :func:`vizlib.renderers.text.waits`.
    """
    from vizlib.renderers.mpl import render_waits

    return render_waits(trace, step, "dark" if mode == "dark" else "light")


def family(trace: Trace, step: int | None = None, mode: str = "light") -> Figure:
    """The family of anon_vmas after *step* (the last one if none is given) and the walks in it, as a figure.

    Its text twin is :func:`vizlib.renderers.text.family`.
    """
    from vizlib.renderers.mpl import render_family

    return render_family(trace, step, "dark" if mode == "dark" else "light")


def play(trace: Trace, **options: Any) -> Any:
    """The player of *trace* as a widget for JupyterLab; there the reader may take over at any step."""
    from vizlib.player.widget import Player

    return Player(film_of(trace), **options)


def beside(one: Trace, other: Trace, **options: Any) -> Any:
    """Two runs beside each other as a widget: see :func:`vizlib.compare.compare`."""
    from vizlib.compare import compare as make
    from vizlib.player.widget import Player

    return Player(make(one, other, **options))


def why(trace: Trace) -> Any:
    """A run that goes wrong beside the nearest that passes, as a widget."""
    from vizlib.compare import counterexample
    from vizlib.player.widget import Player

    return Player(counterexample(trace))


def over_time(run: TimedRun, title: str = "") -> Any:
    """A recorded run under the clock as lanes that can be zoomed, as a widget."""
    from vizlib.player.widget import Player
    from vizlib.timeline import timeline

    return Player(timeline(run, title))


def tune(world: str = "numa02", variant: str = "mutex_v37", **options: Any) -> Any:
    """Controls that change a run under the clock, as a widget: see :func:`vizlib.controls.tune`."""
    from vizlib.controls import tune as make

    return make(world, variant, **options)
