"""One run: as a file, in the browser, as text, who waits for whom in it, and where a walk stands."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sim.cli.base import Answer, Commands, add_params, params_in
from sim.errors import BadParameter
from vizlib import saving
from vizlib.cli.writing import WRITERS, html, html_with_hands, picture_file

if TYPE_CHECKING:
    from sim.trace import Trace


def add(commands: Commands) -> None:
    """The commands of this file."""
    export = commands.add("export", _export, f"write a run to a file: {', '.join(WRITERS)}")
    _run_options(export)
    export.add_argument("-o", "--output", required=True, metavar="FILE", help="where to; its suffix says what")
    export.add_argument("--dark", action="store_true", help="a dark picture (.svg and .png)")
    export.add_argument("--hands", action="store_true", help="the reader can be the scheduler (.html)")
    _run_options(commands.add("open", _open, "show a run in the browser"))
    _run_options(commands.add("text", _text, "print one step of a run as text"))
    for name, function, text in (
        ("waits", _waits, "who waits for whom, a deadlock marked"),
        ("family", _family, "a family of anon_vmas, and the walks in it"),
    ):
        graph = commands.add(name, function, f"{text}: print it, or with -o draw it")
        _run_options(graph)
        graph.add_argument("-o", "--output", metavar="FILE", help="draw it; a suffix of .svg or .png")
        graph.add_argument("--dark", action="store_true", help="a dark picture")


def _run_options(parser: argparse.ArgumentParser) -> None:
    about = 'a run name such as "one_page mutex_v37 a3b2", a world with its parameters (pages=4), or a file'
    parser.add_argument("run", metavar="RUN", help=about)
    add_params(parser, hidden=True)
    parser.add_argument("--variant", help="the variant, if RUN is a world")
    parser.add_argument("--step", type=int, metavar="N", help="the step to show; 0 is the start")


def _load(options: argparse.Namespace) -> Trace:
    from vizlib.showcase import named

    given = ",".join(f"{name}={value}" for name, value in params_in(options).items())
    if given and (set("? ") & set(options.run.strip()) or options.run.endswith(".json")):
        raise BadParameter(f"'{options.run}' says its parameters itself; leave {given} away, or write it in there")
    trace = named(f"{options.run}?{given}" if given else options.run, options.variant)
    if options.step is not None and not 0 <= options.step <= len(trace.events):
        raise BadParameter(f"--step {options.step} is not allowed: this run has the steps 0 to {len(trace.events)}")
    return trace


def _export(options: argparse.Namespace) -> Answer:
    target = Path(options.output)
    if target.suffix not in WRITERS:
        raise BadParameter(f"'{options.output}' has no suffix that can be written; there are: {', '.join(WRITERS)}")
    trace = _load(options)
    if options.hands and target.suffix != ".html":
        raise BadParameter(f"--hands is for a page, and '{options.output}' is none: take a suffix of .html")
    writer = html_with_hands if options.hands else WRITERS[target.suffix]
    saving.write(target, lambda part: writer(trace, options.step, options.dark, part))
    step = len(trace.events) if options.step is None else options.step
    size = target.stat().st_size
    data = {"file": str(target), "bytes": size, "run_name": trace.run_name, "steps": len(trace.events), "step": step}
    return Answer(data, f"{target}: {size:,} bytes, {trace.run_name}")


def _open(options: argparse.Namespace) -> Answer:
    import tempfile
    import webbrowser

    trace = _load(options)
    target = Path(tempfile.mkdtemp(prefix="rmapwalk-")) / "run.html"
    saving.write(target, lambda part: html(trace, options.step, False, part))
    address = target.as_uri() + ("" if options.step is None else f"#step={options.step}")
    shown = webbrowser.open(address)
    if not shown and not options.json:
        return Answer(None, f"no browser was found; open {address}")
    data = {"file": str(target), "address": address, "run_name": trace.run_name, "opened": shown}
    return Answer(data, f"{address}: {trace.run_name}")


def _text(options: argparse.Namespace) -> Answer:
    from vizlib.renderers.text import render

    trace = _load(options)
    words = render(trace, options.step)
    return Answer({"run_name": trace.run_name, "step": options.step, "text": words}, words.rstrip("\n"))


def _waits(options: argparse.Namespace) -> Answer:
    from vizlib.moments import Run
    from vizlib.renderers.text import waits
    from vizlib.waitfor import wait_graph

    target = None if options.output is None else picture_file(options.output, "who waits for whom")
    trace = _load(options)
    words = waits(trace, options.step).rstrip("\n")
    step = len(trace.events) if options.step is None else options.step
    graph = wait_graph(Run(trace).moment(step))
    data = {
        "run_name": trace.run_name,
        "step": step,
        "edges": [
            {"from": graph.said[it.source], "words": it.words, "to": graph.said[it.target]} for it in graph.edges
        ],
        "deadlocks": [[graph.said[it] for it in circle] for circle in graph.circles],
    }
    if target is None:
        return Answer(data, words)
    saving.write(target, lambda part: _waits_picture(trace, options.step, options.dark, part))
    return Answer({"file": str(target), "bytes": target.stat().st_size, **data}, f"{target}: {words}")


def _waits_picture(trace: Trace, step: int | None, dark: bool, part: Path) -> None:
    from vizlib.renderers.mpl import render_waits, save

    save(render_waits(trace, step, "dark" if dark else "light"), part)


def _family(options: argparse.Namespace) -> Answer:
    from vizlib.renderers.mpl import render_family, save
    from vizlib.renderers.text import family

    target = None if options.output is None else picture_file(options.output, "a family")
    trace = _load(options)
    words = family(trace, options.step).rstrip("\n")
    step = len(trace.events) if options.step is None else options.step
    data = {"run_name": trace.run_name, "step": step, "text": words}
    if target is None:
        return Answer(data, words)
    figure = render_family(trace, options.step, "dark" if options.dark else "light")
    saving.write(target, lambda part: save(figure, part))
    return Answer({"file": str(target), "bytes": target.stat().st_size, **data}, f"{target}: {words}")
