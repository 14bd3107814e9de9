"""Runs that the tests of vizlib look at; made once a session."""

from __future__ import annotations

from functools import cache
from typing import Any

from sim.machine import Event
from sim.ops import Op
from sim.trace import Trace
from vizlib.film import film
from vizlib.moments import Run
from vizlib.showcase import showcase
from vizlib.stills import Stage, Still, stills

#: One of each world, and one under each variant; the unsafe one is a counterexample.
NAMES = (
    ("one_page", "mutex_v37"),
    ("two_migrators", "rwsem_v38"),
    ("stack_grows", "mutex_v37"),
    ("stack_grows", "rwsem_v38"),
    ("stack_grows", "rfc_remap_unlocked"),
    ("fork_during_migration", "mutex_v37"),
    ("relative_exits", "rfc_remap_unlocked"),
    ("numa_only", "mutex_v37"),
    ("numa02", "rwsem_v38"),
    ("move_pages", "mutex_v37"),
    ("move_pages?pages=2,spinners=2,pinned=1", "mutex_v37"),
    ("move_pages?pages=2,spinners=1,stale_cpu=1", "v61"),
    ("split_huge_page", "rwsem_v38_rc1"),
    ("huge_page_moves", "thp_v414"),
)


@cache
def trace(world: str = "one_page", variant: str = "mutex_v37") -> Trace:
    """A run worth looking at."""
    return showcase(world, variant)


@cache
def shots(world: str = "one_page", variant: str = "mutex_v37") -> tuple[tuple[Still, ...], Stage]:
    """Every still of it.  Their moments share one memory, so do not ask those for values."""
    run = Run(trace(world, variant))
    stage = Stage(run)
    return tuple(stills(run, stage)), stage


@cache
def the_film(world: str = "one_page", variant: str = "mutex_v37") -> dict[str, Any]:
    """Its film."""
    return film(trace(world, variant))


def step_of(run: Trace, wanted: type[Op], nth: int = 1, **parts: Any) -> int:
    """The step of the *nth* event whose operation is *wanted* with these parts."""
    for event in run.events:
        if isinstance(event.op, wanted) and all(getattr(event.op, key) == it for key, it in parts.items()):
            nth -= 1
            if nth == 0:
                return event.step
    raise AssertionError(f"no such {wanted.__name__}")


def events_of(run: Trace, wanted: type[Op]) -> list[Event]:
    """The events whose operation is *wanted*."""
    return [event for event in run.events if isinstance(event.op, wanted)]
