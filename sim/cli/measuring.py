"""How fast this machine is."""

from __future__ import annotations

import argparse

from sim.cli.base import Answer, Commands, done, progress


def add(commands: Commands) -> None:
    """The commands of this file."""
    commands.add("bench", _bench, "measure this machine: ratios against named peers, in one run")


def _bench(options: argparse.Namespace) -> Answer:
    from sim.bench.measure import bench, table

    told = progress(options, "bench")
    try:
        data = bench(told)
    finally:
        done(told)
    return Answer(data, table(data))
