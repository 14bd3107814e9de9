"""What there is: worlds, variants, and where a line of the kernel stands here."""

from __future__ import annotations

import argparse

from sim import citations, variants
from sim.cli.base import Answer, Commands
from sim.cli.tabular import table_options, write_tables
from sim.worlds import WORLDS


def add(commands: Commands) -> None:
    """The commands of this file."""
    commands.add("worlds", _worlds, "list the scenarios, with their parameters")
    commands.add("variants", _variants, "list the variants of locking and flushing")
    about = "list what everything costs under the clock, each with its range, its source and how sure that is"
    table_options(commands.add("costs", _costs, about), "a line a cost")
    place = commands.add("where", _where, "where a line of the kernel is here")
    place.add_argument("place", help="such as mm/rmap.c:1470")


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


def _costs(options: argparse.Namespace) -> Answer:
    from dataclasses import asdict

    from sim.engines.costs import DEFAULT

    rows = [asdict(it) for it in DEFAULT]
    write_tables(options, rows)
    lines = ["# nanoseconds; [range]; A: from a source that was read, B: from one indirectly, C: as engineers quote it"]
    for it in DEFAULT:
        within = f"[{it.low:,g} to {it.high:,g}]" if it.high else ""
        lines.append(f"{it.name:20}{it.ns:>9,g}  {within:20}{it.confidence}  {it.what}  ({it.source})")
    return Answer(rows, "\n".join(lines))


def _where(options: argparse.Namespace) -> Answer:
    found = citations.where(options.place)
    lines = [f"{it.file}:{it.line} ({it.version})  {it.function}  {it.ours}" for it in found]
    return Answer(
        {"places": [it._asdict() for it in found]}, "\n".join(lines) or "nothing begins before that line here"
    )
