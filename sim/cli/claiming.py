"""What the mail of 1 December 2012 says, held against the model."""

from __future__ import annotations

import argparse
from typing import Any

from sim.cli.base import Answer, Commands, bar, done, limit_of
from sim.errors import UnknownName


def add(commands: Commands) -> None:
    """The commands of this file."""
    text = "do all callers of migration hold the mmap_sem, and is the walk safe without its lock if they do?"
    claims = commands.add("claims", _claims, text)
    claims.add_argument("--callers", nargs="+", default=[], metavar="CALLER", help="only these rows")
    claims.add_argument("--disturbers", nargs="+", default=[], metavar="DISTURBER", help="only these columns")
    claims.add_argument("--limit", type=int, default=200_000, help="states at most of each cell (default 200000)")


def _claims(options: argparse.Namespace) -> Answer:
    from sim.analysis.claims import claims
    from sim.worlds.callers import CALLERS
    from sim.worlds.disturbers import DISTURBERS

    limit = limit_of(options)
    _check("caller", options.callers, CALLERS)
    _check("disturber", options.disturbers, DISTURBERS)
    told = bar(options, "cells")
    try:
        found = claims(tuple(options.callers), tuple(options.disturbers), limit=limit, progress=told)
    finally:
        done(told)
    return Answer(found.to_json(), found.text())


def _check(what: str, names: list[str], known: Any) -> None:
    for name in names:
        if name not in known:
            raise UnknownName(what, name, known)
