"""What stops which kernel, and what a batch is good for: series of runs under the clock."""

from __future__ import annotations

import argparse
from typing import Any, Final

from sim import variants, worlds
from sim.cli.base import Answer, Commands, add_params, add_policy, done, given_params, runs_bar
from sim.cli.tabular import flat, table_options, write_tables
from sim.errors import BadParameter, UnknownName

_KEEP: Final = "add results to FILE as JSON Lines, and go on from those that it has"


def add(commands: Commands) -> None:
    """The commands of this file."""
    about = "pages a second against threads, kernel after kernel, and which resource stops each (simulated)"
    staircase = commands.add("staircase", _staircase, about)
    staircase_options(staircase)
    table_options(staircase, "a line a number of threads of a rung")
    about = "batch size against interrupts, pages a second, and how long a faulting thread waits (simulated)"
    batches = commands.add("batches", _batches, about)
    batches_options(batches)
    table_options(batches, "a line a size")
    about = "pages a second against threads, beside what queueing theory and the scalability law say (simulated)"
    scaling = commands.add("scaling", _scaling, about)
    scaling_options(scaling)
    table_options(scaling, "a line a number of threads")


def staircase_options(parser: argparse.ArgumentParser) -> None:
    """What a staircase can be told."""
    parser.add_argument("--threads", type=int, nargs="+", metavar="N", help="numbers of threads (default 1 to 32)")
    parser.add_argument("--rungs", nargs="+", metavar="VARIANT", help="only the rungs of these variants")
    add_policy(parser)
    _numbers(parser, "movers", pages=64)


def batches_options(parser: argparse.ArgumentParser) -> None:
    """What a batch lab can be told."""
    parser.add_argument("--sizes", type=int, nargs="+", metavar="N", help="pages in a batch (default 1 to 512)")
    parser.add_argument("--variant", default="batch_v63", help="the variant whose batches they are (default batch_v63)")
    _numbers(parser, "busy_region")


def scaling_options(parser: argparse.ArgumentParser) -> None:
    """What a run against threads can be told."""
    parser.add_argument("world", help="the world, one that has threads, such as numa02 or movers")
    parser.add_argument("--variant", default="mutex_v37", help="the variant (default mutex_v37)")
    about = "numbers of threads (default 1 to 16)"
    parser.add_argument("--threads", dest="numbers", type=int, nargs="+", metavar="N", help=about)
    add_policy(parser)
    parser.add_argument("--keep", metavar="FILE", help=_KEEP)
    add_params(parser, but=("threads",))


def _numbers(parser: argparse.ArgumentParser, world: str, **defaults: int) -> None:
    parser.set_defaults(params=(world, defaults))
    for name, it in worlds.find(world).params.items():
        if name not in ("threads", "passes"):
            usual = defaults.get(name, it.default)
            parser.add_argument(f"--{name}", type=int, metavar="N", help=f"{it.text} (default {usual})")
    parser.add_argument("--keep", metavar="FILE", help=_KEEP)


def _given(options: argparse.Namespace) -> dict[str, Any]:
    world, defaults = options.params
    names = [it for it in worlds.find(world).params if it not in ("threads", "passes")]
    given = {it: value for it in names if (value := getattr(options, it)) is not None}
    worlds.find(world).values(given)
    return {**defaults, **given}


def made_staircase(options: argparse.Namespace) -> Any:
    """The staircase that *options* ask for.

    Raises:
        UserError: for anything that no run takes.
    """
    from sim.analysis.staircase import RUNGS, THREADS, staircase
    from sim.engines.timed import POLICIES

    rungs = {it.variant: it for it in RUNGS}
    for name in options.rungs or ():
        if name not in rungs:
            raise UnknownName("rung", name, rungs)
    if options.policy not in POLICIES:
        raise UnknownName("policy", options.policy, POLICIES)
    threads = options.threads or list(THREADS)
    for number in threads:
        worlds.find("movers").values({"threads": number})
    its = [rungs[it] for it in options.rungs or rungs]
    params = _given(options)
    told = runs_bar(options, "staircase")
    try:
        return staircase(its, threads, policy=options.policy, path=options.keep, progress=told, **params)
    finally:
        done(told)


def made_batches(options: argparse.Namespace) -> Any:
    """The batch lab that *options* ask for.

    Raises:
        UserError: for anything that no run takes.
    """
    from sim.analysis.batches import SIZES, batches

    params = _given(options)
    variants.find(options.variant)
    sizes = options.sizes or [it for it in SIZES if it <= params.get("pages", max(SIZES))]
    for size in sizes:
        if size < 1:
            raise BadParameter(f"--sizes {size} is not allowed: 1 page or more")
    told = runs_bar(options, "batches")
    try:
        return batches(sizes, options.variant, path=options.keep, progress=told, **params)
    finally:
        done(told)


def made_scaling(options: argparse.Namespace) -> Any:
    """The runs against threads that *options* ask for.

    Raises:
        UserError: for anything that no run takes.
    """
    from sim.analysis.scaling import THREADS, scaling
    from sim.engines.timed import POLICIES

    world = worlds.find(options.world)
    if options.policy not in POLICIES:
        raise UnknownName("policy", options.policy, POLICIES)
    if "threads" not in world.params:
        raise BadParameter(f"{world.name} has no threads to add: numa02 and movers have")
    params: dict[str, Any] = given_params(options, world)
    threads = options.numbers or [it for it in THREADS if it <= world.params["threads"].high]
    for number in threads:
        world.values({**params, "threads": number})
    variant, told = variants.find(options.variant).name, runs_bar(options, "scaling")
    try:
        return scaling(world.name, variant, threads, policy=options.policy, path=options.keep, progress=told, **params)
    finally:
        done(told)


def _scaling(options: argparse.Namespace) -> Answer:
    found = made_scaling(options)
    data = found.to_json()
    write_tables(options, data["rows"])
    return Answer(data, str(found))


def _staircase(options: argparse.Namespace) -> Answer:
    found = made_staircase(options)
    data = found.to_json()
    write_tables(options, (flat({**it, "saturated": ", ".join(it["saturated"])}) for it in data["steps"]))
    return Answer(data, str(found))


def _batches(options: argparse.Namespace) -> Answer:
    found = made_batches(options)
    data = found.to_json()
    write_tables(options, data["batches"])
    return Answer(data, str(found))
