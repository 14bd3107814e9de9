"""A function of a state as a table, with as few slots as still decide it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

#: A state, or some slots of it, as a row of small numbers, one a slot.
Row = tuple[int, ...]


def narrowed(slots: Sequence[int], samples: Mapping[Row, Hashable]) -> tuple[list[int], dict[Row, Hashable]]:
    """The same function with fewer slots: one after the other is left out, as long as the rest still decides."""
    rest = list(slots)
    table = dict(samples)
    for slot in slots:
        at = rest.index(slot)
        fewer: dict[Row, Hashable] = {}
        for row, value in table.items():
            if fewer.setdefault((*row[:at], *row[at + 1 :]), value) != value:
                break
        else:
            rest.pop(at)
            table = fewer
    return rest, table
