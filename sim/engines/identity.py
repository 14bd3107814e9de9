"""What tells one world or variant from another, where answers are remembered by what was asked."""

from __future__ import annotations

from typing import Any

from sim.variants import Variant
from sim.worlds import WORLDS, World


def identity(it: World | Variant) -> Any:
    """A key for *it*: its name, or for one that a reader has made, the thing itself."""
    ours = WORLDS.get(it.name) is it if isinstance(it, World) else not it.guarded
    return it.name if ours else _Same(it)


class _Same:
    """A key for something that cannot be hashed: equal to itself alone."""

    def __init__(self, it: Any) -> None:
        self.it = it

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.it is self.it

    def __hash__(self) -> int:
        return id(self.it)
