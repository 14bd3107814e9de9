"""Every order of steps, a random one, or a given one."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from sim import trace, variants, worlds
from sim.cli.base import Answer, Commands, add_params, done, given_params, limit_of, progress, write
from sim.cli.tabular import table_options, write_tables
from sim.errors import BadParameter

#: Exit codes.
EXIT = {"safe": 0, "unsafe": 1, "undecided": 3}


def add(commands: Commands) -> None:
    """The commands of this file."""
    check = commands.add("check", _check, "try every order of steps; exit 0 safe, 1 unsafe, 3 undecided")
    check.add_argument("world", help="the world; see 'worlds'; for every world under every variant there is 'matrix'")
    check.add_argument("--variant", required=True, help="the variant; see 'variants'")
    check.add_argument("--limit", type=int, default=1_000_000, help="give up after this many states (default 1000000)")
    check.add_argument(
        "--fewest-preemptions", action="store_true", help="also a run to the violation that interrupts least"
    )
    check.add_argument(
        "--nearest", action="store_true", help="also the nearest run that passes, and what sets it apart"
    )
    check.add_argument("--seconds", type=float, default=60, help="give up these two after as long as that (default 60)")
    add_params(check)
    replay = commands.add("replay", _replay, "follow a run name: events, final memory, violations")
    replay.add_argument("run_name", help='such as "one_page mutex_v37 a3b2"; "check" and "run --json" print them')
    replay.add_argument("-o", "--output", metavar="FILE", help="also save the trace")
    table_options(replay, "a line a step")
    luck = commands.add("luck", _luck, "how often random orders find what the checker finds")
    luck.add_argument("world")
    luck.add_argument("--variant", required=True, help="the variant; see 'variants'")
    luck.add_argument("--runs", type=int, default=2000, help="how many runs (default 2000)")
    luck.add_argument("--seed", type=int, default=0)
    luck.add_argument("--preempt", type=float, default=0.01, help="chance of a new draw after a step (default 0.01)")
    add_params(luck)


def _check(options: argparse.Namespace) -> Answer:
    limit = limit_of(options)
    if not options.seconds > 0:
        raise BadParameter(f"--seconds {options.seconds:g} is not allowed: more than 0")
    verdict = _verdict(options, limit)
    data, text = _verdict_json(verdict), _verdict_text(verdict)
    for told, found in _aids(verdict, options):
        data |= found
        text += "\n" + told
    return Answer(data, text, EXIT[verdict.verdict])


def _aids(verdict: Any, options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """What helps to understand the first violation, as text and as JSON."""
    from sim.cli import aids

    asked = {
        "the run with the fewest preemptions": options.fewest_preemptions and aids.fewest_preemptions,
        "the nearest run that passes": options.nearest and aids.nearest,
    }
    for what, search in asked.items():
        if verdict.violations and search:
            told = progress(options, f"looking for {what}, seconds at most")
            if told is not None:
                told(options.seconds)
            try:
                yield search(verdict, options)
            finally:
                done(told)


def _verdict(options: argparse.Namespace, limit: int) -> Any:
    from sim.engines.checker import check

    world, variant = worlds.find(options.world), variants.find(options.variant)
    told = progress(options, f"{world.name} under {variant.name}: states, depth")
    try:
        return check(world, variant, given_params(options, world), limit=limit, progress=told)
    finally:
        done(told)


def _verdict_json(it: Any) -> dict[str, Any]:
    return {
        "world": it.world,
        "variant": it.variant,
        "params": it.params,
        "verdict": it.verdict,
        "states": it.states,
        "transitions": it.transitions,
        "complete": it.complete,
        "depth": it.depth,
        "bound": it.bound,
        "violations": [
            {
                "kind": v.kind,
                "sentence": v.sentence,
                "rule": v.rule,
                "where": v.where,
                "run_name": v.run_name,
                "steps": v.steps,
            }
            for v in it.violations
        ],
    }


def _verdict_text(it: Any) -> str:
    how = "complete search" if it.complete else "search not complete"
    lines = [
        f"{it.world} under {it.variant}: {it.verdict} ({how}, {it.states:,} states, {it.transitions:,} transitions)"
    ]
    if it.verdict == "safe":
        lines.append("  no violation in any schedule of this world (sequentially consistent memory)")
    if it.verdict == "undecided":
        lines.append(f"  {it.bound}")
    for v in it.violations:
        lines += [
            f"  {v.kind} after {v.steps} steps: {v.sentence}",
            *([f"  at {v.where}"] if v.where else []),
            f"  the rule that was broken: {v.rule}",
            f'  replay with: python -m sim replay "{v.run_name}"',
        ]
    return "\n".join(lines)


def _replay(options: argparse.Namespace) -> Answer:
    from sim.engines.stepper import replay

    run = replay(options.run_name)
    if options.output:
        write(run.save, options.output)
    write_tables(options, map(_step_row, run.events))
    data = {
        "run_name": run.run_name,
        "events": [trace.event_json(event) for event in run.events],
        "final_memory_hash": run.final_memory_hash,
        "violations": [trace.violation_json(run.violation)] if run.violation is not None else [],
    }
    lines = [f"{event.step:5} {event.task!s:14} {event.outcome:8} {_op_text(event)}" for event in run.events]
    lines.append(f"final memory {run.final_memory_hash}; " + (str(run.violation) if run.violation else "no violation"))
    if run.violation is not None:
        lines.append(f"the rule that was broken: {run.violation.rule}")
    return Answer(data, "\n".join(lines))


def _step_row(event: Any) -> dict[str, Any]:
    """A step as a line of a table: what is no number is text."""
    return {
        "step": event.step,
        "task": str(event.task),
        "operation": type(event.op).__name__,
        "on": repr(event.op),
        "choice": event.choice,
        "answer": None if event.answer is None else str(event.answer),
        "outcome": event.outcome,
        "changes": "; ".join(f"{it.field}: {it.old} -> {it.new}" for it in event.changes),
        "points": " ".join(event.points),
        "violation": event.violation.kind if event.violation else None,
    }


def _op_text(event: Any) -> str:
    changes = ", ".join(f"{it.field}: {it.old} -> {it.new}" for it in event.changes)
    return type(event.op).__name__ + (f"  {event.op!r} = {event.answer}" if not changes else f"  {changes}")


def _luck(options: argparse.Namespace) -> Answer:
    from sim.analysis.luck import luck

    world = worlds.find(options.world)
    if options.runs < 1:
        raise BadParameter(f"--runs {options.runs} is not allowed: at least 1")
    if not 0 < options.preempt <= 1:
        raise BadParameter(f"--preempt {options.preempt} is not allowed: above 0, at most 1")
    told = progress(options, f"{world.name}: runs")
    params = world.small(given_params(options, world))
    try:
        found = luck(
            world,
            variants.find(options.variant),
            params,
            runs=options.runs,
            seed=options.seed,
            preempt=options.preempt,
            progress=told,
        )
    finally:
        done(told)
    return Answer(found.to_json(), str(found))
