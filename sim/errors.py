"""What a user did that cannot be: one sentence each, which names the fault and the remedy."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from typing import Any


class UserError(Exception):
    """Bad input.  ``str()`` of it is one line for the user; commands exit with 2 and print it."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: that line, and no traceback through the model."""
        return [f"{type(self).__name__}: {self}"]


class UnknownName(UserError):
    """A world, variant, parameter or task that does not exist."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
        hint = f"nearest: {', '.join(near)}" if near else f"there are: {_listed(names)}"
        super().__init__(f"no {what} is called '{name}'; {hint}")


def _listed(names: list[str], most: int = 12) -> str:
    """*names*, or where there are too many for one line the first of them and how many there are."""
    return ", ".join(names if len(names) <= most else [*names[:most], f"... ({len(names)} in all)"])


class BadParameter(UserError):
    """A parameter outside what its world allows."""


class BadSchedule(UserError):
    """A schedule or run name that cannot be followed."""


class BadTrace(UserError):
    """A trace file that is damaged, foreign, or of another version."""


class CannotWrite(UserError):
    """A file or folder that cannot be written."""

    def __init__(self, path: str | os.PathLike[str], error: OSError) -> None:
        super().__init__(f"{path} cannot be written: {error.strerror or error}")


class BadVariant(UserError):
    """A variant that cannot be used: an unknown function, no title, no base."""


class NotAnOperation(UserError):
    """A kernel coroutine that yields something that is no operation, or nothing at all."""

    def __init__(self, where: Any, what: str) -> None:
        super().__init__(f"{where.file}:{where.line}: {where.function} {what}")


class Untaped(UserError):
    """A run of which no tape can be made, or whose tape does not do what the run does."""
