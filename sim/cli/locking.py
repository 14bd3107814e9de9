"""Which lock protects which field."""

from __future__ import annotations

import argparse

from sim import variants, worlds
from sim.cli.base import Answer, Commands, done, progress
from sim.errors import BadParameter


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

    if options.limit < 1:
        raise BadParameter(f"--limit {options.limit} is not allowed: at least 1 state")
    variant = variants.find(options.variant)
    observed = []
    for world in [worlds.find(name) for name in dict.fromkeys(options.world)]:
        told = progress(options, f"{world.name} under {variant.name}: states, depth")
        try:
            observed.append(observe(world.setup(world.small()), variant, options.limit, told))
        finally:
            done(told)
    found = lockset(observed)
    return Answer(found.to_json(), str(found), 1 if found.broken else 0)
