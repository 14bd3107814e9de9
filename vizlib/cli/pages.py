"""Pages that are more than one run: two beside each other, and a goal."""

from __future__ import annotations

import argparse
from pathlib import Path

from sim.cli.base import Answer, Commands
from sim.errors import BadParameter
from sim.wording import times
from vizlib import saving


def add(commands: Commands) -> None:
    """The commands of this file."""
    pair = commands.add("beside", _compare, "write two runs beside each other as a page", aliases=["compare"])
    pair.add_argument("run", metavar="RUN", help="a run name, a world, or a file; a violation if OTHER is left away")
    pair.add_argument("other", metavar="OTHER", nargs="?", help="the other run; the nearest that passes if left away")
    about = "both on one clock (simulated): the same time in both, and not the same step"
    pair.add_argument("--clock", action="store_true", help=about)
    pair.add_argument("-o", "--output", required=True, metavar="FILE", help="where to; a suffix of .html")
    level = commands.add("level", _level, "write a goal level as a page; without a name, list them")
    level.add_argument("name", nargs="?", metavar="NAME", help="the level")
    level.add_argument("-o", "--output", metavar="FILE", help="where to; a suffix of .html")


def _compare(options: argparse.Namespace) -> Answer:
    from vizlib.compare import compare, counterexample
    from vizlib.renderers.html import page
    from vizlib.showcase import clocked, named

    target = Path(options.output)
    if target.suffix != ".html":
        raise BadParameter(f"two runs are written as a page: '{options.output}' needs a suffix of .html")
    if options.clock and options.other is None:
        raise BadParameter("--clock is for two runs: name OTHER too")
    if options.other is None:
        made = counterexample(named(options.run))
    elif options.clock:
        (one, here), (other, there) = clocked(options.run), clocked(options.other)
        made = compare(one, other, times=(here, there))
    else:
        made = compare(named(options.run, meeting=True), named(options.other, meeting=True))
    saving.write(target, lambda part: saving.text_file(part, page(made)))
    size = target.stat().st_size
    data = {
        "file": str(target),
        "bytes": size,
        "runs": [it["run_name"] for it in made["compare"]],
        "axis": made["note"],
    }
    return Answer(data, f"{target}: {size:,} bytes, {made['title']}")


def _level(options: argparse.Namespace) -> Answer:
    from vizlib.levels import LEVELS, level_film
    from vizlib.renderers.html import page

    if options.name is None:
        words = "\n".join(f"{it.name:<14}{it.title} ({it.world}, {it.variant})" for it in LEVELS.values())
        levels = {it.name: {"title": it.title, "world": it.world, "variant": it.variant} for it in LEVELS.values()}
        return Answer(levels, words)
    if options.output is None or not options.output.endswith(".html"):
        raise BadParameter("a level is written as a page: add -o FILE.html")
    film = level_film(options.name)
    target = Path(options.output)
    saving.write(target, lambda part: saving.text_file(part, page(film)))
    goal, size = film["goal"], target.stat().st_size
    data = {"file": str(target), "bytes": size, "level": options.name, "par": goal["par"], "states": goal["states"]}
    return Answer(
        data,
        f"{target}: {size:,} bytes, {goal['title']}: {times(goal['par'], 'preemption')}, {goal['states']:,} states",
    )
