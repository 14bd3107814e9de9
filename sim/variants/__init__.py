"""Variants of locking and TLB discipline: one file each.

Drop a file here and everything finds it.  A variant's first docstring line is its title in menus; ``BASE``
names the variant that it changes, ``VERDICTS`` states what it claims, world by world (of the worlds that it
leaves out it claims what its base does), and each function bears the name of a seam (:data:`sim.context.SEAMS`).
``PATCH`` names other kernel functions that it replaces (:mod:`sim.build`): where the tree of another version differs.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import FunctionType, MappingProxyType, ModuleType
from typing import Any

from sim import guard
from sim.build import Patch, checked
from sim.context import SEAMS
from sim.errors import BadVariant, UnknownName, UserError
from sim.ops import KernelFunction

VERDICTS = ("safe", "unsafe", "undecided")

#: The variants whose code our tests vouch for; that of all others is watched while it runs.
OURS = frozenset(
    {
        *("batch_2mb", "batch_clean_deferred", "batch_flush_after_copy", "mutex_v37"),
        *("batch_v63", "batch_v63_rc", "v61", "v612"),
        *("rwsem_v38", "rwsem_v38_rc1", "thp_v414"),
        *("rfc_as_posted", "rfc_remap_unlocked", "rfc_split_unlocked", "rfc_unmap_unlocked_all"),
    }
)


@dataclass(frozen=True, slots=True)
class Variant:
    """A way of locking and flushing.

    Attributes:
        name: how commands and run names call it.
        title: one line for menus.
        seams: the function for each name in :data:`sim.context.SEAMS`.
        verdicts: what it claims of each world: ``safe``, ``unsafe`` or ``undecided``.
        base: the variant that it changes, or "" for one that stands alone.
        guarded: whether it is a reader's own, so that its code is watched.
        patch: other kernel functions that it replaces, by dotted name (:mod:`sim.build`).
    """

    name: str
    title: str
    seams: Mapping[str, KernelFunction]
    verdicts: Mapping[str, str] = field(default_factory=dict)
    base: str = ""
    guarded: bool = False
    patch: Patch = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Variant({self.name})"

    def changed(self, name: str, title: str = "", **functions: Callable[..., Any]) -> Variant:
        """This variant with other functions: ``mutex_v37.changed("mine", rmap_walk_anon_lock=my_lock)``.

        Each is named like a seam, or like any function of the kernel: ``try_to_unmap_one=my_function``.

        Raises:
            BadVariant: if there is no such function, naming the nearest; or if *name* is no single word.
        """
        if not name.isidentifier():
            raise BadVariant(f"'{name}' cannot name a variant: use letters, digits and underscores")
        seams = {it: function for it, function in functions.items() if it in SEAMS}
        patch = checked({it: function for it, function in functions.items() if it not in SEAMS}, also=SEAMS)
        return Variant(
            name,
            title or name,
            {**self.seams, **seams},
            {},
            self.name,
            guarded=True,
            patch={**self.patch, **patch},
        )


def names() -> tuple[str, ...]:
    """The variants that come with the project, in the order of their files."""
    return tuple(sorted(it.name for it in pkgutil.iter_modules(__path__)))


@cache
def find(name: str) -> Variant:
    """The variant called *name*.

    Raises:
        UnknownName: naming the nearest ones.
        BadVariant: if its file is not as it must be, naming the remedy.
    """
    if name not in names():
        raise UnknownName("variant", name, names())
    try:
        return load(importlib.import_module(f"{__name__}.{name}"))
    except UserError:
        raise
    except RecursionError:
        raise BadVariant(f"variant {name} is built on itself: its BASE leads back to it") from None
    except Exception as error:
        _, file, line = guard.place_of(error)
        if isinstance(error, SyntaxError):
            file, line = guard.shorten(error.filename or name), error.lineno or 0
        raise BadVariant(f"{file}:{line}: variant {name} cannot be loaded, {type(error).__name__}: {error}") from error


def load(module: ModuleType) -> Variant:
    """The variant that *module* describes."""
    name = module.__name__.rpartition(".")[2]
    title = (module.__doc__ or "").partition("\n")[0].strip()
    if not title:
        raise BadVariant(f"variant {name} has no title: give its file a docstring")
    base = getattr(module, "BASE", "")
    seams = dict(find(base).seams) if base else {}
    verdicts = {**(find(base).verdicts if base else {}), **getattr(module, "VERDICTS", {})}
    patch = {**(find(base).patch if base else {}), **checked(getattr(module, "PATCH", {}), also=SEAMS)}
    functions = {it: f for it, f in vars(module).items() if isinstance(f, FunctionType) and not it.startswith("_")}
    seams.update((it, function) for it, function in functions.items() if it in SEAMS)
    for it, function in functions.items():
        if function.__module__ == module.__name__ and function not in seams.values():
            raise BadVariant(f"variant {name}: {UnknownName('seam', it, SEAMS)}")
    if missing := sorted(set(SEAMS) - set(seams)):
        raise BadVariant(f"variant {name} does not say what {missing[0]} is: define it, or name a BASE")
    frozen = [MappingProxyType[str, Any](it) for it in (seams, verdicts, patch)]
    return Variant(name, title, frozen[0], frozen[1], base, name not in OURS, frozen[2])
