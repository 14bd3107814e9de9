"""Goal levels: something to bring about by choosing who runs, and then something to mend.

The checker certifies each: that it can be reached at all, with how few preemptions, and what each proposed change
does to the world.  Nothing of that is written down here; a level names its world and what is wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

from sim.engines import search_preemptions
from sim.engines.checker import check, fewest_preemptions
from sim.engines.checker_tables import Slot
from sim.engines.narrowing import States, narrowed
from sim.engines.stepper import Stepper
from sim.errors import UnknownName
from sim.ops import UserWrite
from sim.schedule import run_name
from sim.variants import find as find_variant
from sim.worlds import find as find_world
from vizlib.film import film
from vizlib.learned import Learned, Watched, learn
from vizlib.lenses.cpu import is_stale
from vizlib.playable import Explored, explored
from vizlib.scene import Json


@dataclass(frozen=True)
class Fix:
    """A proposed change, or an answer.

    Attributes:
        variant: the variant that makes the change; the checker's verdict on it is what the reader is told.
        right: for an answer that is no variant, whether it is right; says: why.
    """

    label: str
    variant: str = ""
    right: bool = False
    says: str = ""


@dataclass(frozen=True)
class Level:
    """A level.

    Attributes:
        kind: the violation that is wanted; if empty, *goal* says of a state whether it is what is wanted.
        question: what is asked when the goal is reached.
    """

    name: str
    title: str
    task: str
    world: str
    variant: str
    params: tuple[tuple[str, int], ...]
    question: str
    fixes: tuple[Fix, ...]
    kind: str = ""
    goal: Callable[[Watched], bool] | None = None


def _both_have_it(moment: Watched) -> bool:
    """Whether two tasks have looked the page up (a reference each, beside its mapping) and nobody has taken it yet."""
    frame = moment.run.frames[0]
    return bool(moment.get(frame._count) == 3 and moment.get(frame.PG_lru))


def _about_to_write_stale(moment: Watched) -> bool:
    """Whether a thread stands before a write, and its TLB entry says what the page table no longer says."""
    for actor in moment.run.actors:
        op = moment.pending.get(actor.task)
        if isinstance(op, UserWrite):
            entry = moment.get(actor.cpu.tlb[actor.mm, op.vpn])
            if entry is not None and entry.dirty and is_stale(actor.mm, op.vpn, entry, moment):
                return True
    return False


LEVELS = {
    it.name: it
    for it in (
        Level(
            "stale_entry",
            "leave a migration entry behind",
            "A page moves in two walks over all who map it: the first puts a migration entry into each PTE, and the "
            "second, the remap walk, puts the page's new place there. Here the second runs without the lock of the "
            "reverse map, the anon_vma lock, as a patch of 2012 proposed. Let main and worker step so that it misses "
            "its entry: a PTE then names a page as migrating that nobody migrates any more.",
            "stack_grows",
            "rfc_remap_unlocked",
            (("passes", 2),),
            "Which change keeps every order safe?",
            (
                Fix("Leave it: both hold mmap_sem for reading", "rfc_remap_unlocked"),
                Fix("Take the anon_vma mutex in the remap walk again", "mutex_v37"),
                Fix("Make it a rwsem, and take it for reading in both walks", "rwsem_v38"),
            ),
            kind="stale migration entry",
        ),
        Level(
            "lost_write",
            "lose a write",
            "This kernel unmaps a batch, copies it, and only then has every CPU drop it from its TLB. The writer's CPU "
            "remembers p0 as writable. Let both step so that a write goes to the old frame after it has been copied: "
            "the page arrives on node 1 without it.",
            "write_during_copy",
            "batch_flush_after_copy",
            (("passes", 2),),
            "The page table said all the time that p0 is migrating. Which change keeps every order safe?",
            (
                Fix("Leave it: who writes to a migrating page faults and waits", "batch_flush_after_copy"),
                Fix(
                    "Hold the page lock while the page is copied",
                    says="It is held, from before the unmapping until after the mapping. A write through the TLB asks "
                    "for no lock and no page table.",
                ),
                Fix("Flush every TLB once for the batch, after the unmapping and before the copies", "batch_2mb"),
                Fix("Make no batches: flush after each PTE that is cleared", "mutex_v37"),
            ),
            kind="lost write",
        ),
        Level(
            "same_page",
            "make both migrate the same page",
            "Two threads want to move p0. Let them step so that both have looked it up before either has taken it: "
            "frame f0 then has three references, one for its mapping and one for each of them.",
            "two_migrators",
            "mutex_v37",
            (("pages", 1), ("passes", 2)),
            "Both have it in hand now, and yet only one of them will move it. What keeps the other off?",
            (
                Fix("The anon_vma lock", says="It is taken later, by the one that moves the page."),
                Fix("mmap_sem", says="Both hold it, for reading: it keeps neither off."),
                Fix(
                    "isolate_lru_page: only one takes the page off the LRU list",
                    right=True,
                    says="The second finds PG_lru cleared and gives the page back (-EBUSY). Let it go on, and see.",
                ),
            ),
            goal=_both_have_it,
        ),
        Level(
            "stale_write",
            "catch a write through a stale TLB entry",
            "To move p0, the migrator clears its PTE, the entry of the page table that says where p0 is. Let both "
            "step, and stop where the PTE is cleared and the worker is about to write p0 all the same, through what "
            "the TLB of its CPU remembers.",
            "one_page",
            "mutex_v37",
            (("rounds", 2), ("passes", 2)),
            "The write goes to the old frame, whatever the page table says. Why is it not lost?",
            (
                Fix(
                    "The migrator copies only after every CPU has answered the flush",
                    right=True,
                    says="Until then the old frame is still the page; whoever writes it writes what will be copied.",
                ),
                Fix("The write is repeated after the fault", says="There is no fault: the TLB has the translation."),
                Fix("The page lock stops the worker", says="User code takes no page lock."),
            ),
            goal=_about_to_write_stale,
        ),
    )
}


def find(name: str) -> Level:
    """The level called *name*.

    Raises:
        UnknownName: naming those that exist.
    """
    if name not in LEVELS:
        raise UnknownName("level", name, LEVELS)
    return LEVELS[name]


def level_film(name: str) -> Json:
    """The level as a film without steps, with its world and what the checker certifies.

    Raises:
        UnknownName: for a level that does not exist.
    """
    level = find(name)
    trace = Stepper(level.world, level.variant, "", **dict(level.params)).trace
    made = film(trace, f"Goal: {level.title}", hands=True)
    return {**made, "goal": _certified(level.name)}


@cache
def _certified(name: str) -> Json:
    """What the checker says of a level."""
    level = find(name)
    data: Json = {"title": level.title, "task": level.task, "question": level.question}
    whole = explored(level.world, level.variant, level.params)
    if level.kind:
        found = fewest_preemptions(level.world, level.variant, dict(level.params), kind=level.kind)
        assert found is not None, f"{name} cannot be reached"
        data |= {"kind": level.kind, "par": found.preemptions, "steps": found.steps, "run": found.run_name}
    else:
        data |= _reached(level, whole)
    return {**data, "states": len(whole.order), "fixes": [_judged(level, it) for it in level.fixes]}


def _reached(level: Level, whole: Explored) -> Json:
    """The goal as a function of the state, and the run that reaches it with the fewest preemptions."""
    assert level.goal is not None
    states = States(whole.tables)
    wanted = Learned(states, partial(_ask, level.goal, whole))
    learn([wanted], whole.order)
    slots, samples = wanted.samples()
    on, table = narrowed(slots, samples)
    turns = search_preemptions.reach(whole.tables, partial(_holds, level.goal, whole), 10**6)
    assert turns is not None, f"{level.name} cannot be reached"
    return {
        "on": on,
        "is": {",".join(map(str, row)): 1 for row, value in table.items() if value is True},
        "par": search_preemptions.count(whole.tables, turns),
        "steps": len(turns),
        "run": run_name(find_world(level.world), dict(level.params), level.variant, turns),
    }


def _ask(goal: Callable[[Watched], bool], whole: Explored, state: int, seen: set[Slot]) -> bool:
    return goal(Watched(whole.run, whole.tables, state, seen))


def _holds(goal: Callable[[Watched], bool], whole: Explored, state: int) -> bool:
    return _ask(goal, whole, state, set())


def _judged(level: Level, fix: Fix) -> Json:
    """A fix with its verdict: the checker's, if it is a variant."""
    if not fix.variant:
        return {"label": fix.label, "verdict": "right" if fix.right else "wrong", "says": fix.says}
    verdict = check(level.world, fix.variant, dict(level.params))
    title = find_variant(fix.variant).title
    if verdict.violations:
        found = verdict.violations[0]
        says = f"{title}. {found.kind.capitalize()} after {found.steps} steps: {found.sentence}."
        return {"label": fix.label, "verdict": "unsafe", "says": says, "run": found.run_name}
    says = f"{title}. The checker has tried every order: {verdict.states:,} states, and nothing breaks."
    return {"label": fix.label, "verdict": verdict.verdict, "says": says}
