"""What holds everywhere: every world under every variant."""

from __future__ import annotations

import argparse
import shutil

from sim.cli.base import Answer, Commands, bar, done, limit_of
from sim.errors import BadParameter


def add(commands: Commands) -> None:
    """The commands of this file."""
    text = "check every world under every variant; exit 0 if all is as the variants state, 1 if not"
    matrix = commands.add("matrix", _matrix, text)
    matrix.add_argument("--worlds", nargs="+", default=[], metavar="WORLD", help="only these, with their tilde forms")
    matrix.add_argument("--variants", nargs="+", default=[], metavar="VARIANT", help="only these")
    matrix.add_argument("--limit", type=int, default=200_000, help="states at most of each cell (default 200000)")
    matrix.add_argument("--jobs", type=int, default=0, metavar="N", help="processes at once (default: one a CPU)")


def _matrix(options: argparse.Namespace) -> Answer:
    from sim.analysis.matrix import matrix

    limit = limit_of(options)
    if options.jobs < 0:
        raise BadParameter(f"--jobs {options.jobs} is not allowed: at least 1, or 0 for one a CPU")
    told = bar(options, "cells")
    try:
        found = matrix(options.worlds, options.variants, limit=limit, jobs=options.jobs or None, progress=told)
    finally:
        done(told)
    return Answer(found.to_json(), found.text(shutil.get_terminal_size((120, 24)).columns), 0 if found.agrees else 1)
