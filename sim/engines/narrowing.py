"""States as rows of small numbers, and a function of them as a table with as few slots as still decide it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from sim.engines.checker_tables import Tables

#: A state, or some slots of it, as a row of small numbers, one a slot.
Row = tuple[int, ...]

_Value = TypeVar("_Value", bound=Hashable)


class States:
    """The states of a world as rows of numbers: the tasks' local states first, then the fields that ever change."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.slots = tables.slots
        self.number = {id(it): at for at, it in enumerate(self.slots)}
        self._codes = [{code: at for at, code in enumerate(it.codes.values())} for it in self.slots]

    def row(self, state: int) -> Row:
        """*state* as a row."""
        return tuple(codes[state & slot.mask] for codes, slot in zip(self._codes, self.slots, strict=True))

    def part(self, state: int, slots: Sequence[int]) -> Row:
        """What *state* says at *slots*."""
        return tuple(self._codes[at][state & self.slots[at].mask] for at in slots)


def narrowed(slots: Sequence[int], samples: Mapping[Row, _Value]) -> tuple[list[int], dict[Row, _Value]]:
    """The same function with fewer slots: one after the other is left out, as long as the rest still decides."""
    rest = list(slots)
    table = dict(samples)
    for slot in slots:
        at = rest.index(slot)
        fewer: dict[Row, _Value] = {}
        for row, value in table.items():
            if fewer.setdefault((*row[:at], *row[at + 1 :]), value) != value:
                break
        else:
            rest.pop(at)
            table = fewer
    return rest, table
