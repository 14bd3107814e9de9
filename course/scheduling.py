"""You are the scheduler (lesson 3): two threads that want the same page, and who may take it.

A page that is to be moved is taken off the LRU list first, so that nobody else moves it.  The kernel looks and takes
in one step; here the two are apart, as a reader would write it without a lock.  Whether two threads ever have a page in
hand at once is noted on the side, whatever the reader's function does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from errno import EBUSY
from functools import cache
from typing import Any, Final, NamedTuple

from course.looking import run_to
from sim import Stepper, Variant, check, variant
from sim.context import Context
from sim.engines.checker import fewest_preemptions
from sim.kernel.swap import get_page
from sim.kernel.vmscan import putback_lru_page
from sim.ops import Bug, Kernel
from sim.structs import Page, Struct, declare
from sim.trace import Trace

#: The world: both threads want page 0.
WORLD: Final = "two_migrators"
PARAMS: Final[Mapping[str, int]] = {"pages": 1, "passes": 2}
#: What goes wrong, and the name of the variant in which it does.
WRONG: Final = "kernel bug"
NAME: Final = "torn"


class Note(Struct):
    """Who has taken a page, noted for the check: the kernel has no such field."""

    short = "note"
    taken_by = declare(None, guard="ghost")


def look_then_take(k: Context, page: Page) -> Kernel:
    """Take *page* off the LRU list, in two steps and without a lock.  mm/vmscan.c:1155 (v3.7), less its lock."""
    on_the_list = yield page.PG_lru
    if not on_the_list:
        return -EBUSY
    yield page.PG_lru.set(False)
    yield from get_page(k, page)
    return 0


def isolating(name: str, function: Callable[..., Kernel], *, ours: bool = False) -> Variant:
    """Linux 3.7 with *function* in the place of ``isolate_lru_page``; two that have one page in hand are a bug."""

    def isolate_lru_page(k: Context, page: Page) -> Kernel:
        rc = yield from function(k, page)
        if rc == 0:
            other = yield Note(f"our note on {page}").taken_by.xchg(k.current)
            if other is not None:
                yield Bug(WRONG, f"{k.current} has taken {page}, and so has {other}", (page,))
        return rc

    def putback(k: Context, page: Page) -> Kernel:
        yield Note(f"our note on {page}").taken_by.set(None)
        yield from putback_lru_page(k, page)

    made = variant("mutex_v37").changed(
        name, "isolate_lru_page by hand", isolate_lru_page=isolate_lru_page, putback_lru_page=putback
    )
    return replace(made, guarded=not ours)


@cache
def torn() -> Variant:
    """Linux 3.7, but who isolates a page looks first and takes it then."""
    return isolating(NAME, look_then_take, ours=True)


# --- the level -----------------------------------------------------------------------------------------------------


class Certified(NamedTuple):
    """What the checker says of the level: how it can be brought about with the fewest preemptions."""

    preemptions: int
    steps: int
    run_name: str
    states: int


@cache
def certified() -> Certified:
    """The par: searched for over all states and the task that moved last."""
    found = fewest_preemptions(WORLD, torn(), dict(PARAMS), kind=WRONG)
    assert found is not None
    states = check(WORLD, torn(), dict(PARAMS), all_kinds=True).states
    return Certified(found.preemptions, found.steps, found.run_name, states)


def level() -> Any:
    """The player at step 0: the reader lets one thread or the other step, and goes back and branches off at will."""
    from vizlib.film import film
    from vizlib.player import live
    from vizlib.player.widget import Player

    par = certified()
    goal = {
        "title": "make both threads take the page",
        "task": "Two threads want to move p0. Each looks whether f0 is on the LRU list, and takes it off then. Let "
        "them step so that both take it.",
        "question": "",
        "fixes": [],
        "kind": WRONG,
        "par": par.preemptions,
        "steps": par.steps,
        "run": par.run_name,
        "states": par.states,
    }
    start = Stepper(WORLD, torn(), "", **PARAMS)
    made = film(start.trace, f"Goal: {goal['title']}", stage=live.stage(start))
    return Player({**made, "goal": goal}, variant=torn())


def followed(schedule: str) -> Trace:
    """The run of the level that a schedule (or a whole run name) says.

    Raises:
        BadSchedule: naming the step at which it cannot be followed.
    """
    return Stepper(WORLD, torn(), schedule.split()[-1] if schedule.strip() else "", **PARAMS).trace


def preemptions(trace: Trace) -> int:
    """How often a task was left that could have gone on."""
    turns = zip(trace.events, trace.events[1:], trace.runnable[1:], strict=False)
    return sum(one.task is not other.task and one.task.name in ready for one, other, ready in turns)


# --- who is what ---------------------------------------------------------------------------------------------------

STATES: Final = ("running", "runnable", "blocked", "finished")


def states(trace: Trace, step: int) -> dict[str, str]:
    """After *step* steps of a run: who makes the next step, who else could, who cannot, who has ended."""
    next_one = trace.events[step].task.name if step < len(trace.events) else ""
    later = {event.task.name for event in trace.events[step:]}
    found = {}
    for info in trace.tasks:
        name = info.task.name
        if not info.daemon:
            could = "runnable" if name in trace.runnable[step] else "blocked" if name in later else "finished"
            found[name] = "running" if name == next_one else could
    return found


def contended() -> tuple[Trace, dict[str, int]]:
    """Two threads, each with a page of its own, that need one anon_vma lock; and five moments of that run, by letter.

    A: the start.  B: migrator-1 has the lock and is stopped.  C: migrator-2 has come to the lock.  D: migrator-1 has
    given it back and goes on.  E: migrator-1 has ended.
    """
    stepper = run_to(Stepper(WORLD, "mutex_v37", "", pages=2, passes=2), "migrator-1", "try_to_unmap_one")
    held = len(stepper.events)
    stepper.run("migrator-2")
    come = len(stepper.events)
    while "migrator-2" not in {it.name for it in stepper.runnable}:
        ready = [it for it in stepper.runnable if it.name != "migrator-2"]
        stepper.step(ready[0])
    free = len(stepper.events)
    while stepper.machine.pending(stepper.task("migrator-1")) is not None:
        ready = [it for it in stepper.runnable if it.name != "migrator-2"]
        stepper.step(ready[0])
    ended = len(stepper.events)
    return stepper.finish().trace, {"A": 0, "B": held, "C": come, "D": free, "E": ended}


def told(moments: Mapping[str, int]) -> str:
    """The moments, each with its step."""
    return "\n".join(f"{letter}  after step {step}" for letter, step in moments.items())
