"""The guards that :mod:`sim.structs` declares, read as what they say."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

#: Guards that are a word; see :class:`sim.structs.declare`.
WORDS = frozenset({"const", "set once", "atomic", "flag", "cpu", "task", "itself", "TLB", "ghost"})


class Term(NamedTuple):
    """One lock of a guard: its role, and whether it must be held alone (sharing is not enough)."""

    role: str
    alone: bool


@cache
def locks_of(guard: str) -> tuple[frozenset[Term], ...]:
    """The sets of locks each of which is enough; none if the guard is a word.

    Raises:
        ValueError: if it is neither.
    """
    if guard in WORDS:
        return ()
    return tuple(frozenset(_term(it) for it in part.split(" + ")) for part in guard.split(" | "))


def _term(text: str) -> Term:
    role = text.removesuffix(" read")
    if not role or not all(part.isidentifier() for part in re.sub(r"\[(\w+)\]", r"\1", role).split(".")):
        raise ValueError(
            f"'{text}' is no part of a guard: a path to a lock such as anon_vma.root.lock, or one of WORDS"
        )
    return Term(role, role == text)
