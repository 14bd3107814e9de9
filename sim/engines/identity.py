"""Answers that are remembered by what was asked, and what tells one world or variant from another there."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

from sim.variants import Variant
from sim.worlds import WORLDS, World

_Answer = TypeVar("_Answer")


def remembered(
    answers: OrderedDict[tuple[Any, ...], _Answer], key: tuple[Any, ...], most: int, make: Callable[[], _Answer]
) -> _Answer:
    """The answer to *key*, made now or before; of *answers* the *most* are kept that were asked for last."""
    if key not in answers:
        answers[key] = make()
    answers.move_to_end(key)
    while len(answers) > most:
        answers.popitem(last=False)
    return answers[key]


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
