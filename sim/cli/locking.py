"""Which lock protects which field."""

from __future__ import annotations

import argparse

from sim import variants, worlds
from sim.cli.base import Answer, Commands, done, limit_of, progress


def add(commands: Commands) -> None:
    """The commands of this file."""
    text = "which locks are held at every access of every field, over all executions; exit 1 if not as declared"
    lockset = commands.add("lockset", _lockset, text)
    lockset.add_argument("world", nargs="+", help="worlds, whose executions are taken together; see 'worlds'")
    lockset.add_argument("--variant", required=True, help="the variant; see 'variants'")
    lockset.add_argument("--limit", type=int, default=200_000, help="states at most of each world (default 200000)")


def _lockset(options: argparse.Namespace) -> Answer:
    from sim.analysis.accesses import observe
    from sim.analysis.lockset import lockset

    limit = limit_of(options)
    variant = variants.find(options.variant)
    observed = []
    for world in [worlds.find(name) for name in dict.fromkeys(options.world)]:
        told = progress(options, f"{world.name} under {variant.name}: states, depth")
        try:
            observed.append(observe(world.setup(world.small()), variant, limit, told))
        finally:
            done(told)
    found = lockset(observed)
    return Answer(found.to_json(), str(found), 1 if found.broken else 0)
