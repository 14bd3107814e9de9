"""A tape: what each thread of a world does, whoever else is there; only when it does so is left open.

In the workloads of this project a page costs a thread the same steps as the page before, and those steps do not depend
on the order in which threads come; that order decides their *times*, and at a trylock which of two ways is taken.  So a
few pages are run once, one thread after the other, and each thread's steps are noted: those that concern it alone by
the rows of the table of costs that they are charged for, the others (a lock that others take, an interrupt, a copy)
as operations.  A second recording, in which every trylock of such a lock fails, gives the other way.  Comparing it
with a recording of one page less shows what comes again with each page.

Nothing of this is taken on trust: whoever replays a tape (:mod:`sim.engines.replay`) first compares it with a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, repeat
from typing import Any, Final, NamedTuple

from sim.engines.counts import pages_migrated
from sim.engines.tape_recorder import Item, Private, Recorder, Shared
from sim.errors import Untaped
from sim.ops import TryAcquire
from sim.variants import Variant
from sim.worlds import World

#: Pages of each thread in the two recordings.
FEW, SOME = 2, 3

#: The longest that comes again with each page (steps), and how far ahead is looked to see that it does.
_LONGEST: Final = 600
_AHEAD: Final = 24


class Segment(NamedTuple):
    """Private steps up to the next one that is shared; None after the last."""

    private: tuple[Private, ...]
    shared: Shared | None


class Tape:
    """What the threads of *world* do under *variant*.

    Attributes:
        machine: one that has run :data:`FEW` pages, for its tasks and their CPUs.
        handlers: the interrupt handler that takes the requests of a queue.
        locks: by name, the locks that several threads take, and those of anon_vmas.
        copied, targets: as of :class:`sim.engines.tape_recorder.Noted`.
        migrated: how many pages have moved when :data:`FEW` were run.

    Raises:
        Untaped: if it depends on the order of the threads what they do, or not every page is as the one before.
    """

    def __init__(self, world: World, variant: Variant, values: Mapping[str, int]) -> None:
        make = Recorder(world, variant, values)
        few = make.record(FEW)
        self.machine, self.copied, self.targets = few.machine, few.copied, few.targets
        self.handlers, self.locks = make.handlers, make.locks
        self.migrated = pages_migrated(self.machine.setup.memory, self.machine.memory)
        alike: dict[tuple[Item, ...], list[int]] = {}
        for i, items in few.items.items():
            alike.setdefault(tuple(items), []).append(i)
        self._kinds = [(its, _Kind(list(items), make, its[0])) for items, its in alike.items()]

    def threads(self, pages: int) -> Iterator[tuple[list[int], list[tuple[list[Segment], int]]]]:
        """For each kind of thread their numbers, and what they do with *pages* pages: parts, and how often each."""
        for its, kind in self._kinds:
            yield its, kind.parts(pages)


class _Again(NamedTuple):
    """*block*, which ends before item *at* of the longer recording, comes once more with each page, or once less."""

    at: int
    block: list[Item]
    more: bool


class _Kind:
    """What all threads do whose recordings with few pages are alike."""

    def __init__(self, few: list[Item], make: Recorder, i: int) -> None:
        some = make.record(SOME, i).items[i]
        other = make.record(SOME, i, failing=True).items[i]
        self._items = _with_other_ways(some, other)
        found = _compare([_bare(it) for it in few], [_bare(it) for it in some], 0, 0)
        if found is None:
            raise Untaped("not every page is as the one before")
        self._again = [self._turned(it) for it in found]

    def _turned(self, it: _Again) -> _Again:
        """*it* with its block as it is on the tape, beginning after a shared step if there is one in it."""
        at, block = it.at, self._items[it.at - len(it.block) : it.at] if it.more else it.block
        if any(isinstance(item, Shared) for item in block):
            while not isinstance(block[-1], Shared):
                if self._items[at - 1] != block[-1]:
                    raise Untaped("not every page is as the one before")
                at, block = at - 1, [block[-1], *block[:-1]]
        return _Again(at, block, it.more)

    def parts(self, pages: int) -> list[tuple[list[Segment], int]]:
        """What is done with *pages* pages: parts, and how often each."""
        times, at = pages - SOME, 0
        parts: list[tuple[list[Segment], int]] = []
        private: list[Item] = []
        for again in self._again:
            if not again.more:
                end = again.at - len(again.block) * times
                if end < at or self._items[end : again.at] != again.block * times:
                    raise Untaped(f"there is no telling what {pages} pages are like")
                private += self._items[at:end]
            elif any(isinstance(item, Shared) for item in again.block):
                parts.append((_segments([*private, *self._items[at : again.at]]), 1))
                parts.append((_segments(again.block), times))
                private = []
            else:
                private += self._items[at : again.at] + again.block * times
            at = again.at
        parts.append((_segments([*private, *self._items[at:], None]), 1))
        return parts


def _bare(item: Item) -> Item:
    """*item* without what one recording has and the other has not."""
    return item._replace(stack=(), other=((), 0)) if isinstance(item, Shared) else item


def _segments(items: Sequence[Item | None]) -> list[Segment]:
    """*items* as segments; None among them is the end."""
    segments: list[Segment] = []
    private: list[Private] = []
    for item in items:
        if item is None or isinstance(item, Shared):
            segments.append(Segment(tuple(private), item))
            private = []
        else:
            private.append(item)
    return segments


def _compare(few: list[Item], some: list[Item], i: int, j: int) -> list[_Again] | None:
    """What *some* has more often, or less often, than *few*, from item *j* and item *i* on; None if there is more."""
    while i < len(few) and j < len(some) and few[i] == some[j]:
        i, j = i + 1, j + 1
    if i == len(few) and j == len(some):
        return []
    for length in range(1, _LONGEST):
        for more in (True, False):
            its, at = (some, j) if more else (few, i)
            if at >= length and its[at : at + length] == its[at - length : at]:
                further = (i, j + length) if more else (i + length, j)
                if _goes_on(few, some, *further):
                    rest = _compare(few, some, *further)
                    if rest is not None:
                        return [_Again(j, its[at - length : at], more), *rest]
    return None


def _goes_on(few: list[Item], some: list[Item], i: int, j: int) -> bool:
    """Whether both are the same for a while from here on."""
    ahead = min(_AHEAD, len(few) - i, len(some) - j)
    return few[i : i + ahead] == some[j : j + ahead] and (ahead > 0 or (i == len(few) and j == len(some)))


def _with_other_ways(some: list[Item], other: list[Item]) -> list[Item]:
    """*some* with what each trylock of it leads to if it fails, as *other* has it, in which they all have failed."""
    ways, others = _after_each_trylock(some), _after_each_trylock(other)
    if len(ways) != len(others):
        raise Untaped("after a trylock that fails there is another than after one that does not")
    found, items = iter(zip(ways, others, strict=True)), []
    for item in some:
        if isinstance(item, Shared) and item.kind is TryAcquire:
            way, instead = next(found)
            same = _meeting(way, instead)
            left_out = sum(isinstance(it, Shared) for it in way[: len(way) - same])
            item = item._replace(other=(tuple(_segments(instead[: len(instead) - same])), left_out))
        items.append(item)
    return items


def _meeting(way: list[Item], other: list[Item]) -> int:
    """How many items both ways have in common at their end, from after a shared one on."""
    same = 0
    while same < min(len(way), len(other)) and way[-1 - same] == other[-1 - same]:
        same += 1
    while same and not all(len(it) == same or isinstance(it[-1 - same], Shared) for it in (way, other)):
        same -= 1
    if not same and not (way and other and isinstance(way[-1], Shared) and isinstance(other[-1], Shared)):
        raise Untaped("after a trylock that fails nothing is as after one that does not")
    return same


def _after_each_trylock(items: list[Item]) -> list[list[Item]]:
    """What follows each trylock, up to the next and with it."""
    found: list[list[Item]] = []
    for item in items:
        if found:
            found[-1].append(item)
        if isinstance(item, Shared) and item.kind is TryAcquire:
            found.append([])
    return found


def played(parts: Sequence[tuple[list[Any], int]]) -> Iterator[Any]:
    """What stands on *parts*, in order, each as often as it says."""
    return chain.from_iterable(chain.from_iterable(repeat(its, times)) for its, times in parts)
