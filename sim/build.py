"""A kernel with some of its functions replaced.

Kernel functions call each other by name, as C does.  To try one function with another body (a rule taken away, a
defect mended, a reader's own version from a notebook cell) the kernel is linked anew: every function is bound again,
code untouched, to names among which the replaced ones mean the new functions.  The kernel that everybody else uses
stays as it is.

    patch = {"rmap.try_to_unmap_one": mine}
    link(patch)(sys_move_pages)      # the same function, in a kernel that has mine

A function that replaces another may still call the one it replaces: a name that means the original keeps that meaning.
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
    """The dotted name of the kernel function *name*, which may be dotted already."""
    known = functions()
    if name in known:
        return name
    found = [it for it in known if it.rpartition(".")[2] == name]
    if not found:
        names = {*known, *(it.rpartition(".")[2] for it in known), *also}
        raise BadVariant(str(UnknownName("seam or kernel function" if also else "kernel function", name, names)))
    if len(found) > 1:
        raise BadVariant(f"several trees have a function '{name}': say which, {', '.join(sorted(found))}")
    return found[0]


def checked(patch: Patch, *, also: Iterable[str] = ()) -> dict[str, KernelFunction]:
    """*patch* with dotted names.

    Raises:
        BadVariant: for a function that the kernel does not have, naming the nearest among its own and *also*; or if
            several trees have one of that name.
    """
    return {_dotted(name, also): function for name, function in patch.items()}


def link(patch: Patch) -> Callable[[Any], Any]:
    """What turns a function (or a partial, or a tuple of functions) into its counterpart in the kernel with *patch*.

    Raises:
        BadVariant: for a function that the kernel does not have.
    """
    return _linker(tuple(sorted(checked(patch).items())))


def _linker(patch: tuple[tuple[str, KernelFunction], ...]) -> Callable[[Any], Any]:
    if not patch:
        return _same
    ours = all(function.__module__.startswith("sim.") for _, function in patch)
    return _kept(patch) if ours else _Linker(dict(patch))  # what a notebook's names mean may change


def _same(it: Any) -> Any:
    return it


@cache
def _kept(patch: tuple[tuple[str, KernelFunction], ...]) -> _Linker:
    return _Linker(dict(patch))


class _Linker:
    """One kernel: the functions and namespaces that have been bound anew so far."""

    def __init__(self, patch: Patch) -> None:
        self._new = {functions()[name]: function for name, function in patch.items()}
        self._replacements = set(self._new.values())
        self._homes = {function.__module__ for function in self._replacements}
        self._spaces: dict[tuple[int, bool], dict[str, Any]] = {}
        self._functions: dict[tuple[FunctionType, bool], FunctionType] = {}
        self._modules: dict[tuple[str, bool], ModuleType] = {}

    def __call__(self, it: Any, original: bool = False) -> Any:
        """*it* as it is in this kernel; with *original*, functions that were replaced stay what they were."""
        if isinstance(it, FunctionType):
            return self._function(it, original)
        if isinstance(it, partial):
            parts = [self(value) for value in (it.func, *it.args)]
            return partial(parts[0], *parts[1:], **{name: self(value) for name, value in it.keywords.items()})
        if isinstance(it, tuple) and any(isinstance(value, FunctionType) for value in it):
            parts = [self(value) for value in it]
            return type(it)(*parts) if hasattr(it, "_fields") else tuple(parts)
        if isinstance(it, ModuleType) and it.__name__.startswith(_LINKED):
            return self._module(it, original)
        return it

    def _function(self, it: Any, original: bool) -> Any:
        if it in self._new and not original:
            return self._function(self._new[it], False)
        if not (it.__module__ or "").startswith(_LINKED) and it.__module__ not in self._homes:
            return it
        space = self._space(it.__globals__, it in self._replacements)
        key = (it, it in self._new)
        made = self._functions.get(key)
        if made is None:
            made = FunctionType(it.__code__, space, it.__name__, it.__defaults__, it.__closure__)
            made.__kwdefaults__, made.__module__, made.__doc__ = it.__kwdefaults__, it.__module__, it.__doc__
            self._functions[key] = made
        return made

    def _space(self, names: dict[str, Any], original: bool) -> dict[str, Any]:
        """The namespace *names* in this kernel, with *original* for a function that replaces one."""
        space = self._spaces.get((id(names), original))
        if space is None:
            space = self._spaces[id(names), original] = dict(names)  # known before it is filled: names go in circles
            for name, value in names.items():
                space[name] = self(value, original)
        return space

    def _module(self, it: ModuleType, original: bool) -> ModuleType:
        key = it.__name__, original
        if key not in self._modules:
            made = self._modules[key] = ModuleType(it.__name__, it.__doc__)
            made.__dict__.update(self._space(vars(it), original))
        return self._modules[key]
