"""The scenarios: starting memories and tasks, one function each, one file a group.

A world states what happens in it, which parameters it takes and within which bounds, and what it leaves out.
Virtual pages are numbered from the start of the first mapped region.  ``check`` gives the smaller parameters
that the checker uses unless told otherwise.  Drop a file here and everything finds the worlds in it.

A world from which one rule of the kernel has been taken away on purpose, or in which a historic defect has been
mended, is named with a tilde: ``exec_stack~no_skip``.  It is the same world on a kernel with a few functions replaced
(:mod:`sim.build`); :meth:`World.variation` makes one.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sim.build import Patch, checked
from sim.errors import BadParameter, UnknownName
from sim.ops import KernelFunction
from sim.setup import Builder, Setup, TaskInfo

__all__ = ["WORLDS", "Param", "Setup", "TaskInfo", "World", "find", "world"]


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a world: its default, its bounds (both allowed), and what it means.

    Up to *even* (0: up to *high*) each further one adds as much as the one before, once a run has settled; beyond that
    something happens that short runs do not have, such as a second page table or a second chunk of a call.
    """

    default: int
    low: int
    high: int
    text: str
    even: int = 0


@dataclass(frozen=True, slots=True)
class World:
    """A scenario.

    Attributes:
        name: how commands and run names call it.
        title: one sentence.
        doc: what happens in it, and what it leaves out.
        params: its parameters by name.
        check: the parameters that the checker uses unless told otherwise.
        build: makes the builder, given every parameter.
        patch: the kernel functions that a tilde form replaces, by dotted name.
        base: the world that a tilde form varies, or "".
    """

    name: str
    title: str
    doc: str
    params: Mapping[str, Param]
    check: Mapping[str, int]
    build: Callable[..., Builder]
    patch: Patch = field(default_factory=dict)
    base: str = ""

    def setup(self, params: Mapping[str, int] | None = None) -> Setup:
        """Where a run starts.

        Raises:
            UnknownName: for a parameter that the world does not have.
            BadParameter: for a value outside its bounds.
        """
        values = self.values(params or {})
        ours = self.build.__module__.startswith("sim.")
        return self.build(**values).finish(self.name, values, patch=self.patch, guarded=not ours)

    def values(self, params: Mapping[str, int]) -> dict[str, int]:
        """*params* with the defaults filled in, checked."""
        for name, value in params.items():
            if name not in self.params:
                raise UnknownName(f"parameter of world {self.name}", name, self.params)
            _check(self, name, value)
        return {name: params.get(name, it.default) for name, it in self.params.items()}

    def small(self, params: Mapping[str, int] | None = None) -> dict[str, int]:
        """The checker's parameters, with *params* over them."""
        return self.values({**self.check, **(params or {})})

    def variation(self, name: str, title: str, patch: Mapping[str, KernelFunction]) -> World:
        """Register this world again as ``world~name``, on a kernel with the functions of *patch* in place of its own.

        *title* is one sentence: which rule is gone, or which defect is mended.  *patch* names functions as
        ``rmap.try_to_unmap_one``.

        Raises:
            BadVariant: for a function that the kernel does not have.
        """
        full = f"{self.name}~{name}"
        doc = f"{title}\n\nOtherwise as {self.name}: {self.doc}"
        it = replace(self, name=full, title=title, doc=doc, patch={**self.patch, **checked(patch)}, base=self.name)
        WORLDS[full] = it
        return it


def _check(it: World, name: str, value: Any) -> None:
    param = it.params[name]
    if not isinstance(value, int) or isinstance(value, bool) or not param.low <= value <= param.high:
        raise BadParameter(f"{name}={value!r} is not allowed in {it.name}: {param.low} to {param.high} ({param.text})")


#: Every world by name.
WORLDS: dict[str, World] = {}


def world(
    check: Mapping[str, int] | None = None, *, patch: Patch | None = None, **params: Param
) -> Callable[[Callable[..., Builder]], World]:
    """Make a function of a builder's parameters a world.  Its docstring's first line is the title.

    *patch*: kernel functions that have another body in this world, such as an allocator that may find nothing.
    """

    def make(build: Callable[..., Builder]) -> World:
        doc = inspect.cleandoc(build.__doc__ or "")
        it = World(build.__name__, doc.partition("\n")[0], doc, params, dict(check or {}), build, checked(patch or {}))
        WORLDS[it.name] = it
        return it

    return make


def find(name: str) -> World:
    """The world called *name*.

    Raises:
        UnknownName: naming the nearest ones.
    """
    if name not in WORLDS:
        raise UnknownName("world", name, WORLDS)
    return WORLDS[name]


for _module in sorted(it.name for it in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_module}")
