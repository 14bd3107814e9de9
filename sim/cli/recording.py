"""Recordings of real kernels: what is in them, and where the model parts from them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim import variants, worlds
from sim.cli.base import Answer, Commands, add_params, done, given_params, progress
from sim.cli.tabular import table_options, write_tables
from sim.errors import BadTrace, UnknownName

if TYPE_CHECKING:
    from sim.analysis.recorded import Section
    from sim.ftrace import Recording


def add(commands: Commands) -> None:
    """The commands of this file."""
    about = "counts and order of events in a recording (ftrace, trace-cmd report, perf script), section by section"
    recorded = commands.add("recorded", _recorded, about)
    recorded.add_argument("trace", metavar="TRACE", help="the text that the tracer printed")
    about = "where its threads gave up their CPUs instead, by call chain; shares of context switches, not of time"
    recorded.add_argument("--profile", action="store_true", help=about)
    recorded.add_argument("--section", metavar="NAME", help="of which section --profile is (all of them if left away)")
    recorded.add_argument("--folded", action="store_true", help="--profile as flame graphs are made of")
    table_options(recorded, "a line a section, or with --profile a line a call chain,")
    about = "a recording beside move_pages in the model: counts, order, and where they part; exit 1 if they do"
    compare = commands.add("compare", _compare, about)
    compare.add_argument("trace", metavar="TRACE", help="the text that the tracer printed")
    compare.add_argument("--variant", required=True, help="the variant; see 'variants'")
    compare.add_argument("--section", help="which section of the file (not needed if it has one)")
    compare.add_argument("--seed", type=int, default=0, help="for the small differences between threads")
    add_params(compare)


@contextmanager
def reading(options: argparse.Namespace) -> Iterator[Recording]:
    """The recording that was asked for, to be gone through within this: how far that is, is told meanwhile."""
    from sim.ftrace import Recording, lines_of, watched

    told = progress(options, f"{options.trace}: lines")
    try:
        yield Recording(watched(lines_of(Path(options.trace)), told))
    finally:
        done(told)


def _read(options: argparse.Namespace) -> tuple[Recording, dict[str, Section]]:
    from sim.analysis.recorded import sections

    with reading(options) as recording:
        found = sections(recording)
    if not found:
        raise BadTrace(
            f"{options.trace} tells nothing of a migration in {recording.lines:,} lines, of which"
            f" {recording.unknown:,} are unknown: record the functions of mm/rmap.c and mm/migrate.c, and tlb:tlb_flush"
        )
    return recording, found


def _about(recording: Recording) -> dict[str, Any]:
    return {
        "kernel": recording.kernel,
        "lines_read": recording.lines,
        "lines_unknown": recording.unknown,
        "times_backwards": recording.backwards,
        "events_lost": recording.lost,
    }


def _profile(options: argparse.Namespace) -> Answer:
    from sim.analysis.switches import switches

    with reading(options) as recording:
        graph = switches(it for it in recording if options.section in (None, it.section))
    if not graph.total:
        raise BadTrace(f"{options.trace} has no context switches there: record sched:sched_switch")
    data = _about(recording) | {"context_switches": graph.total, "folded": graph.folded().splitlines()}
    chains = sorted(graph.chains.items(), key=lambda it: (-it[1], it[0]))
    write_tables(options, ({"chain": ";".join(chain), "context_switches": count} for chain, count in chains))
    if options.folded:
        return Answer(data, graph.folded())
    lines = [_headline(recording), f"{graph.total:,} context switches: shares of events, not of time", ""]
    lines += [f"{100 * count / graph.total:6.2f} %  {' > '.join(chain)}" for chain, count in chains]
    return Answer(data, "\n".join(lines))


def _recorded(options: argparse.Namespace) -> Answer:
    from sim.analysis.recorded import in_short

    if options.profile or options.folded:
        return _profile(options)

    recording, found = _read(options)
    data = _about(recording) | {"sections": {name: it.counts | {"order": it.order} for name, it in found.items()}}
    write_tables(options, ({"section": name, **it.counts, "order": in_short(it.order)} for name, it in found.items()))
    lines = [_headline(recording)]
    for name, it in found.items():
        lines += ["", f"{name or 'the whole recording'}: {in_short(it.order)}"]
        lines += [f"  {what:24}{number:>12,}" for what, number in it.counts.items()]
    return Answer(data, "\n".join(lines))


def _headline(recording: Recording) -> str:
    kernel = f"Linux {recording.kernel}: " if recording.kernel else ""
    odd = [
        (recording.unknown, "of unknown shape"),
        (recording.backwards, "with a time before the one before"),
        (recording.lost, "events lost by the tracer"),
    ]
    return f"{kernel}{recording.lines:,} lines" + "".join(f", {number:,} {what}" for number, what in odd if number)


def _compare(options: argparse.Namespace) -> Answer:
    from sim.analysis.recorded import differences, in_short, modelled
    from sim.engines.timed import run

    variant, world = variants.find(options.variant), worlds.find("move_pages")
    params = given_params(options, world)
    recording, found = _read(options)
    name = options.section if options.section is not None else next(iter(found))
    if name not in found:
        raise UnknownName("section", name, tuple(found))
    if options.section is None and len(found) > 1:
        raise BadTrace(f"{options.trace} has {len(found)} sections: add --section, one of {', '.join(found)}")
    theirs, ours = found[name], modelled(run(world, variant, seed=options.seed, record=True, params=params))
    parts = differences(theirs, ours)
    data = _about(recording) | {
        "section": name,
        "variant": variant.name,
        "params": params,
        "sections": {name: theirs.counts},
        "model": ours.counts,
        "differences": parts,
    }
    lines = [_headline(recording), f"  {'':24}{'recorded':>12}{'model':>12}"]
    lines += [f"  {what:24}{number:>12,}{ours.counts[what]:>12,}" for what, number in theirs.counts.items()]
    lines += [f"  recorded: {in_short(theirs.order)}", f"  model:    {in_short(ours.order)}"]
    lines += [f"  they part at {it['what']}: {it['recorded']} recorded, {it['model']} in the model" for it in parts]
    return Answer(data, "\n".join(lines if parts else [*lines, "  they agree"]), int(bool(parts)))
