"""The file with which a variant of one's own begins."""

from __future__ import annotations

from sim.context import SEAMS


def template(name: str) -> str:
    """A variant file for *name*: the seams it may define, and one as an example."""
    seams = "\n".join(f"#   {seam}{text}" for seam, text in SEAMS.items())
    return f'''"""{name}: say in one line what it does differently"""

from __future__ import annotations

from sim.context import Context
from sim.ops import Kernel
from sim.structs import AnonVma
from sim.sync import mutex_lock, mutex_unlock

# What is not defined here is taken from this variant.
BASE = "mutex_v37"

# What you claim, world by world, where the BASE claims something else: "safe", "unsafe" or "undecided".
# A test checks it.
VERDICTS: dict[str, str] = {{}}

# The functions that you may define; k is the CPU and task that runs them:
{seams}


def rmap_walk_anon_lock(k: Context, anon_vma: AnonVma) -> Kernel:
    """Lock for the remap walk."""
    root = yield anon_vma.root
    yield from mutex_lock(root.mutex)


def rmap_walk_anon_unlock(k: Context, anon_vma: AnonVma) -> Kernel:
    """Give it back."""
    root = yield anon_vma.root
    yield from mutex_unlock(root.mutex)
'''
