"""``python -m sim``: the model from a terminal, for people and for scripts.

Every command takes ``--json`` and then prints one JSON object and nothing else.  Bad input is one line on
stderr and exit code 2.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from sim import citations, trace, variants, worlds
from sim.errors import BadParameter, BadVariant, UnknownName, UserError
from sim.template import template
from sim.worlds import WORLDS, World

EXIT = {"safe": 0, "unsafe": 1, "undecided": 3}

#: Parameters that have an option of their own, so that help texts name them.
_OPTIONS = sorted({name for world in WORLDS.values() for name in world.params})


@dataclass
class Answer:
    """What a command says: as JSON, as text, and by its exit code."""

    data: Any
    text: str
    code: int = 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(message)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        options = _parser().parse_args(args)
        if options.command is None:
            _parser().print_help()
            return 0
        answer: Answer = options.command(options)
    except UserError as error:
        print(f"sim: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("sim: stopped", file=sys.stderr)
        return 130
    try:
        print(json.dumps(answer.data, indent=2) if options.json else answer.text)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        sys.stderr.close()
    return answer.code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m sim", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.set_defaults(command=None, json=False)
    commands = parser.add_subparsers(metavar="COMMAND", parser_class=_Parser)

    def command(name: str, function: Callable[[argparse.Namespace], Answer], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=function)
        sub.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
        return sub

    command("worlds", _worlds, "list the scenarios, with their parameters")
    command("variants", _variants, "list the variants of locking and flushing")
    run = command("run", _run, "run a world under the clock: counts, throughput (simulated)")
    _run_options(run)
    check = command("check", _check, "try every order of steps; exit 0 safe, 1 unsafe, 3 undecided")
    check.add_argument("world", nargs="?", help="the world; see 'worlds'")
    check.add_argument("--variant", help="the variant; see 'variants'")
    check.add_argument("--all", action="store_true", help="check every world under every variant")
    check.add_argument("--limit", type=int, default=1_000_000, help="give up after this many states (default 1000000)")
    _world_options(check)
    profile = command("profile", _profile, "who slept where: context switches as perf report shows them (simulated)")
    _run_options(profile)
    replay = command("replay", _replay, "follow a run name: events, final memory, violations")
    replay.add_argument("run_name", help='such as "one_page mutex_v37 a3b2"; "check" and "run --json" print them')
    replay.add_argument("-o", "--output", metavar="FILE", help="also save the trace")
    luck = command("luck", _luck, "how often random orders find what the checker finds")
    luck.add_argument("world")
    luck.add_argument("--variant", required=True)
    luck.add_argument("--runs", type=int, default=2000, help="how many runs (default 2000)")
    luck.add_argument("--seed", type=int, default=0)
    luck.add_argument("--preempt", type=float, default=0.01, help="chance of a new draw after a step (default 0.01)")
    _world_options(luck)
    new = command("new-variant", _new_variant, "write a template for a variant of your own")
    new.add_argument("name", help="letters, digits and underscores")
    new.add_argument("-o", "--output", metavar="FILE", help="where to (default: sim/variants/NAME.py)")
    place = command("where", _where, "where a line of the kernel is here")
    place.add_argument("place", help="such as mm/rmap.c:1470")
    command("bench", _bench, "measure this machine: ratios against named peers, in one run")
    return parser


def _world_options(parser: argparse.ArgumentParser) -> None:
    for name in _OPTIONS:
        its = [f"{it.name} {it.params[name].low}-{it.params[name].high}" for it in WORLDS.values() if name in it.params]
        parser.add_argument(f"--{name}", type=int, metavar="N", help="; ".join(its))


def _run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("world", help="the world; see 'worlds'")
    parser.add_argument("--variant", required=True, help="the variant; see 'variants'")
    parser.add_argument("--policy", default="handoff", help="who gets a lock that is released: handoff or steal")
    parser.add_argument("--seed", type=int, default=0, help="for the small differences between threads")
    parser.add_argument("--costs", type=float, default=1.0, metavar="FACTOR", help="scale every cost (default 1)")
    _world_options(parser)


def _params(options: argparse.Namespace, world: World) -> dict[str, int]:
    given = {name: value for name in _OPTIONS if (value := getattr(options, name)) is not None}
    world.values(given)
    return given


def _progress(what: str) -> Callable[..., None] | None:
    """Writes progress to a terminal, and nothing to a file or pipe."""
    if not sys.stderr.isatty():
        return None

    def tell(*numbers: Any) -> None:
        said = ", ".join(f"{it:,}" if isinstance(it, int) else str(it) for it in numbers)
        print(f"\r\033[K{what}: {said}", end="", file=sys.stderr, flush=True)

    return tell


def _done(progress: Callable[..., None] | None) -> None:
    if progress is not None:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


# --- commands --------------------------------------------------------------------------------------------


def _worlds(_: argparse.Namespace) -> Answer:
    data = {
        it.name: {
            "title": it.title,
            "doc": it.doc,
            "params": {
                name: {"default": p.default, "low": p.low, "high": p.high, "text": p.text}
                for name, p in it.params.items()
            },
            "check": dict(it.check),
        }
        for it in WORLDS.values()
    }
    lines = []
    for it in WORLDS.values():
        lines.append(f"{it.name}: {it.title}")
        lines += [f"    {name}={p.default}  ({p.low} to {p.high})  {p.text}" for name, p in it.params.items()]
    return Answer(data, "\n".join(lines))


def _variants(_: argparse.Namespace) -> Answer:
    found = [variants.find(name) for name in variants.names()]
    data = {it.name: {"title": it.title, "base": it.base, "verdicts": dict(it.verdicts)} for it in found}
    width = max(len(it.name) for it in found)
    return Answer(data, "\n".join(f"{it.name:{width}}  {it.title}" for it in found))


def _run(options: argparse.Namespace) -> Answer:
    result = _timed(options)
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
        "run_name": result.run_name,
    }
    lines = [
        f"{result.world} under {result.variant} (simulated; locks by {result.policy}, seed {result.seed})",
        f"  {result.pages_migrated:,} pages of 4 KiB moved in {result.elapsed_ns / 1e6:,.3f} ms",
        f"  {result.pages_per_second:,.0f} pages/s",
        *(f"  {name:22} {count:>12,}" for name, count in result.counts.items()),
    ]
    if result.violation is not None:
        data["violation"] = trace.violation_json(result.violation)
        lines.append(f"  ended by a violation: {result.violation}")
    return Answer(data, "\n".join(lines), 1 if result.violation is not None else 0)


def _timed(options: argparse.Namespace) -> Any:
    from sim.engines import timed

    world = worlds.find(options.world)
    if options.policy not in timed.POLICIES:
        raise UnknownName("policy", options.policy, timed.POLICIES)
    if not options.costs > 0:
        raise BadParameter(f"--costs {options.costs} is not allowed: a factor above 0")
    variant = variants.find(options.variant)
    progress = _progress(f"{world.name} under {variant.name}")
    costs = timed.COSTS.scaled(options.costs)
    try:
        return timed.run(
            world.name,
            variant,
            policy=options.policy,
            seed=options.seed,
            costs=costs,
            progress=progress,
            params=_params(options, world),
        )
    finally:
        _done(progress)


def _check(options: argparse.Namespace) -> Answer:
    if options.limit < 1:
        raise BadParameter(f"--limit {options.limit} is not allowed: at least 1 state")
    if options.all:
        return _check_all(options)
    if not options.world or not options.variant:
        raise UserError("check takes a WORLD and --variant V, or --all")
    verdict = _verdict(options.world, options.variant, options)
    return Answer(_verdict_json(verdict), _verdict_text(verdict), EXIT[verdict.verdict])


def _verdict(world_name: str, variant_name: str, options: argparse.Namespace) -> Any:
    from sim.engines.checker import check

    world, variant = worlds.find(world_name), variants.find(variant_name)
    progress = _progress(f"{world.name} under {variant.name}: states, depth")
    try:
        return check(world, variant, _params(options, world), limit=options.limit, progress=progress)
    finally:
        _done(progress)


def _check_all(options: argparse.Namespace) -> Answer:
    found = [_verdict(world, variant, options) for world in WORLDS for variant in variants.names()]
    worst = max((it.verdict for it in found), key=lambda it: ("safe", "undecided", "unsafe").index(it))
    text = "\n".join(f"{it.world:14} {it.variant:20} {it.verdict:9} {it.states:>9,} states" for it in found)
    return Answer({"cells": [_verdict_json(it) for it in found]}, text, EXIT[worst])


def _verdict_json(it: Any) -> dict[str, Any]:
    return {
        "world": it.world,
        "variant": it.variant,
        "params": it.params,
        "verdict": it.verdict,
        "states": it.states,
        "transitions": it.transitions,
        "complete": it.complete,
        "violations": [
            {"kind": v.kind, "sentence": v.sentence, "run_name": v.run_name, "steps": v.steps} for v in it.violations
        ],
    }


def _verdict_text(it: Any) -> str:
    how = "complete search" if it.complete else "search not complete"
    lines = [
        f"{it.world} under {it.variant}: {it.verdict} ({how}, {it.states:,} states, {it.transitions:,} transitions)"
    ]
    if it.verdict == "safe":
        lines.append("  no violation in any schedule of this world (sequentially consistent memory)")
    for v in it.violations:
        lines += [
            f"  {v.kind} after {v.steps} steps: {v.sentence}",
            f'  replay with: python -m sim replay "{v.run_name}"',
        ]
    return "\n".join(lines)


def _profile(options: argparse.Namespace) -> Answer:
    from sim.analysis.profile import profile

    result = profile(_timed(options))
    return Answer(result.to_json(), str(result))


def _replay(options: argparse.Namespace) -> Answer:
    from sim.engines.stepper import replay

    run = replay(options.run_name)
    if options.output:
        _write(run.save, options.output)
    data = {
        "run_name": run.run_name,
        "events": [trace.event_json(event) for event in run.events],
        "final_memory_hash": run.final_memory_hash,
        "violations": [trace.violation_json(run.violation)] if run.violation is not None else [],
    }
    lines = [f"{event.step:5} {event.task!s:14} {event.outcome:8} {_op_text(event)}" for event in run.events]
    lines.append(f"final memory {run.final_memory_hash}; " + (str(run.violation) if run.violation else "no violation"))
    return Answer(data, "\n".join(lines))


def _op_text(event: Any) -> str:
    changes = ", ".join(f"{it.field}: {it.old} -> {it.new}" for it in event.changes)
    return type(event.op).__name__ + (f"  {event.op!r} = {event.answer}" if not changes else f"  {changes}")


def _write(write: Callable[[str], None], path: str) -> None:
    try:
        write(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error


def _luck(options: argparse.Namespace) -> Answer:
    from sim.analysis.luck import luck

    world = worlds.find(options.world)
    if options.runs < 1:
        raise BadParameter(f"--runs {options.runs} is not allowed: at least 1")
    if not 0 < options.preempt <= 1:
        raise BadParameter(f"--preempt {options.preempt} is not allowed: above 0, at most 1")
    progress = _progress(f"{world.name}: runs")
    params = world.small(_params(options, world))
    try:
        found = luck(
            world,
            variants.find(options.variant),
            params,
            runs=options.runs,
            seed=options.seed,
            preempt=options.preempt,
            progress=progress,
        )
    finally:
        _done(progress)
    return Answer(found.to_json(), str(found))


def _new_variant(options: argparse.Namespace) -> Answer:
    name = options.name
    if not name.isidentifier():
        raise BadVariant(f"'{name}' cannot name a variant: use letters, digits and underscores")
    path = Path(options.output) if options.output else Path(variants.__file__).with_name(f"{name}.py")
    if path.exists():
        raise UserError(f"{path} exists already; choose another name or -o FILE")
    _write(lambda to: trace.write_whole(to, template(name)), str(path))
    data = {"name": name, "path": str(path)}
    return Answer(data, f"{path} is written; try: python -m sim check stack_grows --variant {name}")


def _where(options: argparse.Namespace) -> Answer:
    found = citations.where(options.place)
    lines = [f"{it.file}:{it.line} ({it.version})  {it.function}  {it.ours}" for it in found]
    return Answer(
        {"places": [it._asdict() for it in found]}, "\n".join(lines) or "nothing begins before that line here"
    )


def _bench(_: argparse.Namespace) -> Answer:
    from sim.bench import bench, table

    progress = _progress("bench")
    try:
        data = bench(progress)
    finally:
        _done(progress)
    return Answer(data, table(data))


if __name__ == "__main__":
    sys.exit(main())
