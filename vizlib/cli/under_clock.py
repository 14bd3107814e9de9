"""Runs under the clock (simulated): a lane a thread, and series of runs as a chart."""

from __future__ import annotations

import argparse
from functools import partial

from sim.cli.base import Answer, Commands, Parser, answers
from sim.cli.running import run_options, timed_run
from vizlib import saving
from vizlib.charting import CHARTS
from vizlib.cli.writing import picture_file


def add(commands: Commands) -> None:
    """The commands of this file."""
    _add_charts(commands)
    lanes = commands.add("lanes", _lanes, "a run under the clock, a lane a thread: print it, or with -o draw it")
    run_options(lanes)
    lanes.add_argument("-o", "--output", metavar="FILE", help=saving.LANES_HELP)
    lanes.add_argument("--dark", action="store_true", help="a dark picture (.svg and .png)")


def _add_charts(commands: Commands) -> None:
    chart = commands.add("chart", _chart, "draw a series of runs under the clock (simulated)")
    chart.description = f"Draw a series of runs under the clock: {', '.join(CHARTS)}."
    kinds = chart.add_subparsers(metavar="KIND", parser_class=Parser, required=True)
    for kind, it in CHARTS.items():
        its = kinds.add_parser(kind, help=it.text, description=it.text)
        answers(its, _chart)
        its.set_defaults(kind=kind)
        its.add_argument("-o", "--output", required=True, metavar="FILE", help="where to; a suffix of .svg or .png")
        its.add_argument("--dark", action="store_true", help="a dark picture")
        it.options(its)


def _chart(options: argparse.Namespace) -> Answer:
    from vizlib.charts import save_chart

    target = picture_file(options.output, f"the chart '{options.kind}'")
    chart = CHARTS[options.kind]
    found = chart.measure(options)
    saving.write(target, lambda part: save_chart(chart.draw(found, "dark" if options.dark else "light"), part))
    return Answer(
        {"file": str(target), "bytes": target.stat().st_size, **found.to_json()}, f"{found}\n{target} is written"
    )


def _lanes(options: argparse.Namespace) -> Answer:
    from sim.engines import timed
    from vizlib.timeline import text, timeline

    target = None if options.output is None else saving.lanes_target(options.output)
    run = timed_run(options, partial(timed.run, record=True))
    made = timeline(run)
    data = {"world": run.world, "variant": run.variant, "params": run.params, "policy": options.policy}
    data |= {"seed": options.seed, "elapsed_ns": made["end"], "steps": made["events"]}
    heading = f"{run.world} under {run.variant}: {made['start']['sentence']}"
    if target is None:
        return Answer(data | {"text": text(made)}, f"{heading}\n\n{text(made)}")
    saving.write(target, lambda part: saving.lanes_file(made, heading, options.dark, part))
    size = target.stat().st_size
    return Answer({"file": str(target), "bytes": size, **data}, f"{target}: {size:,} bytes, {heading}")
