"""A kernel with some of its functions replaced.

Kernel functions call each other by name, as C does.  To try one function with another body (a rule taken away, a
defect mended, a reader's own version from a notebook cell) the kernel is linked anew: every function is bound again,
code untouched, to names among which the replaced ones mean the new functions.  The kernel that everybody else uses
stays as it is.

    patch = {"rmap.try_to_unmap_one": mine}
    link(patch)(sys_move_pages)      # the same function, in a kernel that has mine

A function that replaces another may still call the one it replaces: a name that means the original keeps that meaning,
also if the one that it replaces had replaced that.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from types import FunctionType, ModuleType
from typing import Any, Final

import sim.kernel
from sim.errors import BadVariant, UnknownName
from sim.ops import KernelFunction

#: Kernel functions by dotted name (``rmap.try_to_unmap_one``, ``v38.pgtable_generic.ptep_clear_flush``).
Patch = Mapping[str, KernelFunction]

#: Where functions are bound anew: kernel code, and all that calls it.
_LINKED: Final = ("sim.kernel", "sim.sync", "sim.user", "sim.variants", "sim.worlds")


@cache
def functions() -> Mapping[str, FunctionType]:
    """Every function of the kernel by dotted name."""
    found = {}
    for info in pkgutil.walk_packages(sim.kernel.__path__, "sim.kernel."):
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            if isinstance(value, FunctionType) and value.__module__ == info.name:
                found[f"{info.name.removeprefix('sim.kernel.')}.{name}"] = value
    return found


def _dotted(name: str, also: Iterable[str]) -> str:
    """The dotted name of the kernel function *name*, which may be dotted already.

    A bare name means the function of 3.7, if that has it: what other trees have under the name are other functions.
    """
    known = functions()
    if name in known:
        return name
    found = [it for it in known if it.rpartition(".")[2] == name]
    found = [it for it in found if it.count(".") == 1] or found
    if not found:
        names = {*known, *(it.rpartition(".")[2] for it in known), *also}
        raise BadVariant(str(UnknownName("seam or kernel function" if also else "kernel function", name, names)))
    if len(found) > 1:
        raise BadVariant(f"several trees have a function '{name}': say which, {', '.join(sorted(found))}")
    return found[0]


def checked(patch: Patch, *, also: Iterable[str] = ()) -> dict[str, KernelFunction]:
    """*patch* with dotted names.

    Raises:
        BadVariant: for a function that the kernel does not have, naming the nearest among its own and *also*; or if 3.7
            has none of that name and several later trees have one.
    """
    return {_dotted(name, also): function for name, function in patch.items()}


def link(patch: Patch, users: Iterable[Any] = ()) -> Callable[[Any], Any]:
    """What turns a function (or a partial, or a tuple of functions) into its counterpart in the kernel with *patch*.

    *users* are functions that call the kernel from elsewhere, such as the tasks of a world in a notebook: what stands
    in their modules is bound anew too.

    Raises:
        BadVariant: for a function that the kernel does not have.
    """
    if not patch:
        return _same
    named = tuple(sorted(checked(patch).items()))
    theirs = [it for user in users for it in _within(user)]
    homes = frozenset(it.__module__ for it in (*theirs, *(function for _, function in named)))
    ours = all(it.startswith("sim.") for it in homes)
    return _kept(named, homes) if ours else _Linker(dict(named), homes)  # what a notebook's names mean may change


def _within(it: Any) -> list[Any]:
    """The functions in a partial: the one that it calls, and those that it hands over."""
    if not isinstance(it, partial):
        return [it]
    handed = [value for value in (*it.args, *it.keywords.values()) if isinstance(value, FunctionType | partial)]
    return [found for part in (it.func, *handed) for found in _within(part)]


def _same(it: Any) -> Any:
    return it


@cache
def _kept(patch: tuple[tuple[str, KernelFunction], ...], homes: frozenset[str]) -> _Linker:
    return _Linker(dict(patch), homes)


#: The functions that keep their old body where the one that replaces them names them.
_Kept = frozenset[FunctionType]
_NOTHING: Final[_Kept] = frozenset()


class _Linker:
    """One kernel: the functions and namespaces that have been bound anew so far."""

    def __init__(self, patch: Patch, homes: frozenset[str]) -> None:
        self._new: dict[Any, Any] = {functions()[name]: function for name, function in patch.items()}
        self._kept: dict[Any, _Kept] = dict.fromkeys(self._new.values(), _NOTHING)
        for old, new in self._new.items():
            self._kept[new] |= self._replaced_by(old)
        self._homes = homes
        self._spaces: dict[tuple[int, _Kept], dict[str, Any]] = {}
        self._functions: dict[tuple[FunctionType, bool], FunctionType] = {}
        self._modules: dict[tuple[str, _Kept], ModuleType] = {}

    def _replaced_by(self, it: Any) -> _Kept:
        """*it*, and if it replaces a function itself, that one too."""
        return frozenset({it}).union(*(self._replaced_by(old) for old, new in self._new.items() if new is it))

    def __call__(self, it: Any, kept: _Kept = _NOTHING) -> Any:
        """*it* as it is in this kernel; the functions of *kept* stay what they were."""
        if isinstance(it, FunctionType):
            return self._function(it, kept)
        if isinstance(it, partial):
            parts = [self(value) for value in (it.func, *it.args)]
            return partial(parts[0], *parts[1:], **{name: self(value) for name, value in it.keywords.items()})
        if isinstance(it, tuple) and any(isinstance(value, FunctionType) for value in it):
            parts = [self(value) for value in it]
            return type(it)(*parts) if hasattr(it, "_fields") else tuple(parts)
        if isinstance(it, ModuleType) and it.__name__.startswith(_LINKED):
            return self._module(it, kept)
        return it

    def _function(self, it: Any, kept: _Kept) -> Any:
        if it in self._new and it not in kept:
            return self._function(self._new[it], _NOTHING)
        if not (it.__module__ or "").startswith(_LINKED) and it.__module__ not in self._homes:
            return it
        space = self._space(it.__globals__, self._kept.get(it, _NOTHING))
        key = (it, it in self._new)
        made = self._functions.get(key)
        if made is None:
            made = FunctionType(it.__code__, space, it.__name__, it.__defaults__, it.__closure__)
            made.__kwdefaults__, made.__module__, made.__doc__ = it.__kwdefaults__, it.__module__, it.__doc__
            self._functions[key] = made
        return made

    def _space(self, names: dict[str, Any], kept: _Kept) -> dict[str, Any]:
        """The namespace *names* in this kernel, for code in which the functions of *kept* stay what they were."""
        space = self._spaces.get((id(names), kept))
        if space is None:
            space = self._spaces[id(names), kept] = dict(names)  # known before it is filled: names go in circles
            for name, value in names.items():
                space[name] = self(value, kept)
        return space

    def _module(self, it: ModuleType, kept: _Kept) -> ModuleType:
        key = it.__name__, kept
        if key not in self._modules:
            self._modules[key] = _Module(it, self._space(vars(it), kept))
        return self._modules[key]


class _Module(ModuleType):
    """A module of this kernel; it looks its names up when asked, since its namespace may still be being filled."""

    def __init__(self, it: ModuleType, names: Mapping[str, Any]) -> None:
        super().__init__(it.__name__, it.__doc__)
        self._names = names

    def __getattr__(self, name: str) -> Any:
        try:
            return self._names[name]
        except KeyError:
            raise AttributeError(f"module {self.__name__} has no {name}") from None
