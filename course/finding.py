"""What a walk would find at each moment of a world, and whether that is enough (lesson 5, exercise 05.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

from course.kit import Finding, Report, exercise
from course.misconceptions import named
from sim import Stepper
from sim.engines.checker import Search, Tables
from sim.invariants import Memory, get, nodes_of, slots_in
from sim.locks import holders
from sim.structs import AnonVma, Mm, Page, PageTable, Vma
from sim.trace import Trace
from sim.variants import find as find_variant
from sim.worlds import find as find_world

#: Where the moments come from: a child that unmaps, a stack that grows, a child that forks.
WORLDS: Final = ("page_table_freed", "stack_grows", "fork_during_migration")


def known() -> None:
    """Importing this module has made its exercise known."""


@dataclass(frozen=True)
class Moment:
    """A page at one moment.

    Attributes:
        ptes: for each place at which the page may be mapped, such as ``C:1`` (page 1 of process C), what stands there:
            ``present``, ``migration entry`` or ``none``.
        walk: the places that a walk comes to, if it is made now.
    """

    ptes: Mapping[str, str]
    walk: tuple[str, ...]

    @property
    def missed(self) -> tuple[str, ...]:
        """The places of PTEs that the walk would not find."""
        return tuple(it for it, what in self.ptes.items() if what != "none" and it not in self.walk)

    def __str__(self) -> str:
        stands = ", ".join(f"{it} {what}" for it, what in self.ptes.items())
        return f"{stands}; the walk comes to {', '.join(self.walk) or 'nothing'}"


@dataclass(frozen=True)
class Watch:
    """The page that moves in a world: its old frame, what it hangs on, and where it was mapped at the start."""

    page: Page
    anon_vma: AnonVma
    index: int
    places: frozenset[tuple[Mm, int]]

    @classmethod
    def of(cls, memory: Memory) -> Watch:
        """Watch the page in the frame f0."""
        page = Page("f0")
        bare = cls(page, get(memory, page.mapping), get(memory, page.index), frozenset())
        return cls(page, bare.anon_vma, bare.index, frozenset(bare.entries(memory)))

    def moment(self, memory: Memory) -> Moment:
        """What there is of the page in *memory*."""
        found = self.entries(memory)
        walk = [(get(memory, vma.vm_mm), get(memory, vma.vm_start) + self.index - get(memory, vma.vm_pgoff))
                for vma in self._vmas(memory)]  # fmt: skip
        all_places = sorted({*found, *self.places, *walk}, key=lambda it: (it[0].name != "P", it[0].name, it[1]))
        return Moment({_spell(it): found.get(it, "none") for it in all_places}, tuple(map(_spell, walk)))

    def entries(self, memory: Memory) -> dict[tuple[Mm, int], str]:
        """The PTEs of the page, wherever they stand: of its old frame, or of one that has taken over."""
        found = {}
        slots = slots_in(memory)
        for field, table in memory.items():
            if isinstance(field.ref, Mm) and field.base == "pmd" and isinstance(table, PageTable):
                for pte in slots.get((table, "pte"), ()):
                    value = memory[pte]
                    if value is not None and self._is_of(memory, value.page):
                        place = (field.ref, field.key * 512 + pte.key)  # type: ignore[operator]  # keys are numbers
                        found[place] = "migration entry" if value.kind == "migration" else "present"
        return found

    def _is_of(self, memory: Memory, page: Page) -> bool:
        return page is self.page or (
            get(memory, page.mapping) is self.anon_vma and get(memory, page.index) == self.index
        )

    def _vmas(self, memory: Memory) -> Iterator[Vma]:
        for node in nodes_of(memory, self.anon_vma):
            vma = get(memory, node.vma)
            first = get(memory, vma.vm_pgoff)
            if first <= self.index < first + get(memory, vma.vm_end) - get(memory, vma.vm_start):
                yield vma


def _spell(place: tuple[Mm, int]) -> str:
    return f"{place[0]}:{place[1]}"


class Met(NamedTuple):
    """A moment that is met: whether the anon_vma lock was free then, and the shortest run that leads to it."""

    moment: Moment
    free: bool
    world: str
    turns: tuple[tuple[int, int | None], ...]

    def trace(self) -> Trace:
        """The run."""
        stepper = Stepper(self.world, "mutex_v37")
        tasks = [it.task for it in stepper.machine.tasks]
        for task, choice in self.turns:
            stepper.step(tasks[task], choice or 0)
        return stepper.trace


class Moments(NamedTuple):
    """Every moment of :data:`WORLDS` under Linux 3.7, each kind once, and in how many states the lock was free."""

    met: tuple[Met, ...]
    states: int


@cache
def moments() -> Moments:
    """Search the worlds completely."""
    met: dict[tuple[str, bool], Met] = {}
    states = 0
    for name in WORLDS:
        world = find_world(name)
        search = Search(Tables(world.setup(world.small({})), find_variant("mutex_v37")))
        search.run()
        assert search.complete
        watch = Watch.of(search.tables.memory(search.tables.start))
        for state in search.seen:
            memory = search.tables.memory(state)
            now, free = watch.moment(memory), not holders(get(memory, get(memory, watch.anon_vma.root).mutex))
            states += free
            if (str(now), free) not in met:
                met[str(now), free] = Met(now, free, name, search.way_to(state))
    return Moments(tuple(met.values()), states)


@exercise("L05.4")
def every_pte_found_or_none(function: Callable[[Moment], Any]) -> Report:
    """A reader's invariant: true in every state in which the anon_vma lock is free, false where a walk would miss."""
    met, states = moments()
    said = [function(it.moment) for it in met]
    if set(said) == {None}:
        return Report("L05.4")
    if None in said:
        told = f"it returns nothing of this moment: {met[said.index(None)].moment}. Every way out needs a return."
        return Report("L05.4", (Finding(False, told),))
    pairs = list(zip(met, map(bool, said), strict=True))
    for it, true in pairs:
        if it.moment.missed and true:
            told = f"{it.world}: true of this moment: {it.moment}. It would miss {', '.join(it.moment.missed)}."
            return _no(told, _blind(pairs), it)
    for it, true in pairs:
        if it.free and not true:
            told = f"{it.world}: false of this moment, although nothing is missed: {it.moment}."
            return _no(told, _wolf(it.moment), it)
    missing = len({str(it.moment) for it in met if it.moment.missed})
    return Report(
        "L05.4",
        (
            Finding(True, f"true in each of the {states:,} states of {', '.join(WORLDS)} with the anon_vma lock free."),
            Finding(True, f"false at the {missing} kinds of moments at which a walk would miss a PTE, under the lock."),
        ),
    )


def _no(told: str, tag: str, it: Met) -> Report:
    return Report("L05.4", (Finding(False, f"{told} {named(tag)}", tag),), it.trace() if it.turns else None)


def _wolf(now: Moment) -> str:
    """What an invariant looks like that is false where nothing is missed."""
    empty = [place for place, what in now.ptes.items() if what == "none"]
    if not empty:
        return "M13"
    return "M12" if set(empty) - set(now.walk) else "M29"  # gone from there; or in the tree without ever having it


def _blind(pairs: Sequence[tuple[Met, bool]]) -> str:
    """What an invariant looks like that is true where a PTE is missed."""
    missed = [(it.moment, true) for it, true in pairs if it.moment.missed]
    if all(true for _, true in missed):
        return "M1"  # as if a tree changed all at once
    if all(true == all(it.ptes[place] == "migration entry" for place in it.missed) for it, true in missed):
        return "M17"  # only present PTEs count
    return "M13"
