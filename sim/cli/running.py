"""Runs under the clock: what they took, and who slept where."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from sim import trace, variants, worlds
from sim.cli.base import Answer, Commands, add_params, add_policy, done, given_params, progress, write_text
from sim.cli.tabular import flat, table_options, write_tables
from sim.errors import BadParameter, UnknownName

#: The forms in which a profile can be written.
FORMATS = ("text", "html", "folded", "speedscope")


def add(commands: Commands) -> None:
    """The commands of this file."""
    run = commands.add("run", _run, "run a world under the clock: counts, throughput (simulated)")
    run_options(run)
    about = "answer from shorter runs where those lie on a line; such an answer says how closely, and has no schedule"
    sooner = run.add_mutually_exclusive_group()
    sooner.add_argument("--quick", action="store_true", help=about)
    about = "replay the whole run from a tape of what each thread does, checked against a short run; no schedule"
    sooner.add_argument("--tape", action="store_true", help=about)
    about = "who slept where: context switches as perf report shows them (simulated)"
    profile = commands.add("profile", _profile, about)
    run_options(profile)
    profile.add_argument("--cpu", action="store_true", help="where CPU time goes instead: another question")
    profile.add_argument("--format", choices=FORMATS, default="text", help="what to write (default text)")
    profile.add_argument("-o", "--output", metavar="FILE", help="write it to a file")
    about = "what became of the locks, by class and by call site, as lock_stat tells it (simulated)"
    locks = commands.add("lockstat", _lockstat, about)
    run_options(locks)
    table_options(locks, "a line a class of locks")
    about = "how busy each resource is, which is the bottleneck, how soon pages are where they end (simulated)"
    run_options(commands.add("usage", _usage, about))
    about = "which share of the pages is where it is used, over time, and what is lost till then (simulated)"
    converging = commands.add("convergence", _convergence, about)
    run_options(converging)
    table_options(converging, "a line a tenth of the run")


def run_options(parser: argparse.ArgumentParser) -> None:
    """What every command here can be told."""
    parser.add_argument("world", help="the world; see 'worlds'")
    parser.add_argument("--variant", required=True, help="the variant; see 'variants'")
    add_policy(parser)
    parser.add_argument("--seed", type=int, default=0, help="for the small differences between threads")
    parser.add_argument("--costs", type=float, default=1.0, metavar="FACTOR", help="scale every cost (default 1)")
    add_params(parser)


def _run(options: argparse.Namespace) -> Answer:
    from sim.engines.quick import quick
    from sim.engines.replay import replay

    result = timed_run(options, quick if options.quick else replay if options.tape else None)
    data = {
        "world": result.world,
        "variant": result.variant,
        "params": result.params,
        "policy": result.policy,
        "pages_migrated": result.pages_migrated,
        "elapsed_ns": result.elapsed_ns,
        "pages_per_second": result.pages_per_second,
        "counts": result.counts,
        "seed": result.seed,
    }
    if options.quick:
        data["extrapolated"], data["within"] = result.extrapolated, result.within
    if result.taped:
        data["taped"] = result.taped
    if options.json and not (result.extrapolated or result.taped):  # these have no schedule
        data["run_name"] = result.run_name
    lines = [
        f"{result.world} under {result.variant} (simulated; locks by {result.policy}, seed {result.seed})",
        f"  {result.pages_migrated:,} pages of 4 KiB moved in {result.elapsed_ns / 1e6:,.3f} ms{_how(result)}",
        f"  {result.pages_per_second:,.0f} pages/s",
        *(f"  {name:22} {count:>12,}" for name, count in result.counts.items()),
    ]
    if result.violation is not None:
        data["violation"] = trace.violation_json(result.violation)
        lines.append(f"  ended by a violation: {result.violation}")
    return Answer(data, "\n".join(lines), 1 if result.violation is not None else 0)


def _how(result: Any) -> str:
    from sim.engines.timed_run import how_found

    return how_found(result.extrapolated, result.within, result.taped)


def timed_run(options: argparse.Namespace, run: Callable[..., Any] | None = None) -> Any:
    """What *run* says (by default the timed engine's) with the options that every command here takes."""
    from sim.engines import timed

    world = worlds.find(options.world)
    if options.policy not in timed.POLICIES:
        raise UnknownName("policy", options.policy, timed.POLICIES)
    if not options.costs > 0:
        raise BadParameter(f"--costs {options.costs} is not allowed: a factor above 0")
    variant = variants.find(options.variant)
    told = progress(options, f"{world.name} under {variant.name}")
    costs = timed.COSTS.scaled(options.costs)
    try:
        return (run or timed.run)(
            world.name,
            variant,
            policy=options.policy,
            seed=options.seed,
            costs=costs,
            **({} if run else {"schedule": options.json}),
            progress=told,
            params=given_params(options, world),
        )
    finally:
        done(told)


def _profile(options: argparse.Namespace) -> Answer:
    from sim.analysis import callgraph
    from sim.analysis.cputime import cputime
    from sim.analysis.profile import graph, profile

    if options.cpu:
        found, _ = timed_run(options, cputime)
        data, text = callgraph.to_json(found), found.report()
    else:
        run = timed_run(options)
        found, switches = graph(run), profile(run)
        data, text = switches.to_json(), str(switches)
    if options.format != "text":
        text = getattr(found, options.format)()
    if options.output:
        write_text(text, options.output)
        text = f"{options.output} is written: {found.weighs} of {found.title} (simulated)"
    return Answer(data, text)


def _lockstat(options: argparse.Namespace) -> Answer:
    from sim.analysis.lockstat import lockstat

    result = timed_run(options, lockstat)
    write_tables(options, map(_class_row, result.classes))
    return Answer(result.to_json(), str(result))


def _class_row(it: Any) -> dict[str, Any]:
    """A class of locks as a line of a table, without its call sites, threads and times."""
    sites = ("hold_sites", "wait_sites", "blocked_by", "threads", "waiters")
    return flat({name: value for name, value in it.to_json().items() if name not in sites})


def _usage(options: argparse.Namespace) -> Answer:
    from sim.analysis.usage import usage

    result = timed_run(options, usage)
    return Answer(result.to_json(), str(result))


def _convergence(options: argparse.Namespace) -> Answer:
    from sim.analysis.convergence import convergence

    result = timed_run(options, convergence)
    write_tables(options, result.rows())
    return Answer(result.to_json(), str(result))
