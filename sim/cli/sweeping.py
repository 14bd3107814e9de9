"""Many runs under the clock: a grid of them, and which of them look like the mail's profile."""

from __future__ import annotations

import argparse
from typing import Any

from sim import variants, worlds
from sim.cli.base import Answer, Commands, done, runs_bar
from sim.cli.tabular import table_options, write_tables
from sim.errors import BadParameter, UnknownName

#: Columns of the table unless others are asked for, after those that vary.
COLUMNS = ("pages_per_second", "anon_vma_lock_waits", "context_switches", "ipis_received", "lock_percent")


def add(commands: Commands) -> None:
    """The commands of this file."""
    sweep = commands.add("sweep", _sweep, "many runs under the clock, in a process a CPU (simulated)")
    sweep.add_argument("world", help="the world; see 'worlds'")
    axis = "such as variant=mutex_v37,rwsem_v38 threads=1,2,4,8 policy=handoff,steal; parameters of the world, variant,"
    sweep.add_argument("axes", nargs="+", metavar="NAME=VALUE,...", help=f"{axis} policy, seed")
    _shared(sweep)
    splits = commands.add("splits", _splits, "which lock policies and costs give a profile like the mail's (simulated)")
    splits.add_argument("--threads", type=int, default=32, help="threads of numa02 (default 32)")
    splits.add_argument("--pages", type=int, default=16, help="pages of each (default 16)")
    splits.add_argument("--seeds", type=int, default=3, help="seeds for each line (default 3)")
    _shared(splits)


def _shared(parser: argparse.ArgumentParser) -> None:
    about = "add results to FILE as JSON Lines, and go on from those that it has"
    parser.add_argument("-o", "--output", "--keep", metavar="FILE", help=about)
    table_options(parser, "a line a result")


def _sweep(options: argparse.Namespace) -> Answer:
    from sim.analysis.sweep import grid, sweep

    axes = _axes(options)
    points = grid(world=options.world, **axes)
    told = runs_bar(options, options.world)
    try:
        table = sweep(points, path=options.output, progress=told)
    finally:
        done(told)
    write_tables(options, list(table))
    return Answer({"rows": list(table)}, table.text(*axes, *COLUMNS) + "\n(simulated)")


def _axes(options: argparse.Namespace) -> dict[str, list[Any]]:
    """The axes of the grid, each value checked.

    Raises:
        UserError: for anything that no run takes.
    """
    from sim.engines.timed import POLICIES

    world = worlds.find(options.world)
    axes: dict[str, list[Any]] = {}
    for text in options.axes:
        name, equals, values = text.partition("=")
        if not equals or not values:
            raise BadParameter(f"'{text}' is no axis of a sweep: write NAME=VALUE,VALUE,...")
        axes[name] = values.split(",")
        if name == "variant":
            _known("variant", axes[name], variants.names())
        elif name == "policy":
            _known("policy", axes[name], POLICIES)
        else:
            axes[name] = [_number(name, it) for it in axes[name]]
            if name != "seed":
                for it in axes[name]:
                    world.values({name: it})
    return axes


def _known(what: str, values: list[str], known: Any) -> None:
    for it in values:
        if it not in known:
            raise UnknownName(what, it, known)


def _number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise BadParameter(f"{name}={text} is no whole number") from None


def _splits(options: argparse.Namespace) -> Answer:
    from sim.analysis.splits import MAIL, splits, text

    for name in ("threads", "pages", "seeds"):
        if getattr(options, name) < 1:
            raise BadParameter(f"--{name} {getattr(options, name)} is not allowed: at least 1")
    worlds.find("numa02").values({"threads": options.threads, "pages": options.pages})
    told = runs_bar(options, "splits")
    try:
        found = splits(options.threads, options.pages, options.seeds, path=options.output, progress=told)
    finally:
        done(told)
    head = f"numa02, {options.threads} threads with {options.pages} pages each, {options.seeds} seeds (simulated)."
    mail = f"The mail: {MAIL['lock']} % on the lock, {MAIL['rmap_walk']} % of those below rmap_walk."
    rows = [{**vars(it), "like_the_mail": it.like_the_mail} for it in found]
    write_tables(options, rows)
    return Answer({"mail": MAIL, "rows": rows}, f"{head}\n{mail}\n\n{text(found)}")
