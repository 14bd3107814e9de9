"""Which locals are live at each yield; and where that cannot be said, that it is not said."""

from __future__ import annotations

import ast
import inspect
import linecache
import pkgutil
from collections.abc import Callable
from importlib import import_module
from types import CodeType
from typing import Any

import pytest

import sim.kernel
from sim import sync, user, variants, worlds
from sim.engines.liveness import analyse, site, why_not


def live(function: Callable[..., Any]) -> list[str]:
    """The live locals at each yield, in order of the source, each as ``a b``."""
    sites = sorted(analyse(function.__code__).values(), key=lambda it: it.number)
    assert [it.number for it in sites] == list(range(len(sites)))
    return [" ".join(it.live) for it in sites]


def from_text(text: str, name: str = "f") -> Any:
    """The function *name* of a source text that linecache knows, as it knows a notebook's cells."""
    file = f"<text {abs(hash(text))}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    names: dict[str, Any] = {}
    exec(compile(text, file, "exec"), names)
    return names[name]


# --- what is live ----------------------------------------------------------------------------------------


def test_a_local_is_live_until_its_last_use() -> None:
    def f(a, b):
        yield a
        yield b
        yield 1

    assert live(f) == ["b", "", ""]


def test_what_is_assigned_before_it_is_read_is_dead() -> None:
    def f(a):
        a = yield 1
        b = yield a
        yield b

    assert live(f) == ["", "", ""]


def test_what_either_branch_reads_is_live() -> None:
    def f(a, b, c):
        yield 1
        if c:
            yield a
        else:
            yield b

    assert live(f) == ["a b c", "", ""]


def test_a_loop_keeps_alive_what_its_next_round_reads() -> None:
    def f(a, n):
        while n:
            yield a
            n -= 1
        yield 1

    assert live(f) == ["a n", ""]


def test_the_next_round_but_one_counts_too() -> None:
    """What reaches c only through b and the round after next: the loop is gone through until nothing changes."""

    def f(a, b, c):
        while True:
            yield c
            c = b
            b = a

    assert live(f) == ["a b"]


def test_an_endless_loop_is_left_by_break_only() -> None:
    def f(a, b):
        while True:
            x = yield a
            if x:
                break
            if a:
                continue
            yield 2
        yield b

    assert live(f) == ["a b", "a b", ""]


def test_the_else_of_a_loop_counts_but_not_after_a_break() -> None:
    def f(a, b):
        while (yield 1):
            yield 2
            break
        else:
            yield a
        yield b

    assert live(f) == ["a b", "b", "b", ""]


def test_a_yield_alone_in_a_condition() -> None:
    def f(a, b, c):
        if not (yield a):
            yield b
        if (yield 1) is c:
            return

    assert live(f) == ["b c", "c", "c"]


def test_a_returned_yield_leaves_nothing_behind() -> None:
    def f(a):
        yield 1
        return (yield a)

    assert live(f) == ["a", ""]


def test_a_call_keeps_what_its_caller_still_needs_and_not_its_arguments() -> None:
    def f(a, b):
        x, *rest = yield from g(a)
        yield x
        yield from g(b)
        return rest

    assert live(f) == ["b", "b rest", "rest"]


def g(a):
    yield a


def test_what_the_target_of_an_assignment_reads_is_live() -> None:
    def f(a, b, c):
        a[b] = yield 1
        c += a
        yield c

    assert live(f) == ["a b c", ""]


def test_an_addition_in_place_reads_both() -> None:
    def f(a, b):
        yield 1
        a += b
        yield a

    assert live(f) == ["a b", ""]


def test_a_match_may_go_any_way() -> None:
    def f(a, b, c, d):
        match (yield a):
            case 1:
                yield b
            case it if c:
                yield it
        yield d

    assert live(f) == ["b c d", "d", "d", ""]


def test_statements_without_a_yield_read_all_that_they_name() -> None:
    """For, with, try: taken as a whole; they may leave the loop around them.  A loop's own variable is assigned."""

    def f(a, b, c, d, e):
        while e:
            yield 1
            for x in a:
                b = x
                if b:
                    return
            try:
                c = 1
            finally:
                d = c
        yield d

    assert live(f) == ["a b c d e", ""]


def test_a_variable_of_the_function_around_is_live_where_it_is_read() -> None:
    outer = 1

    def f(a):
        yield a
        yield outer

    assert live(f) == ["outer", ""]


def test_comprehensions_read_what_they_name() -> None:
    def f(a, b):
        yield 1
        yield [x for x in a if x in b]

    assert [set(it.split()) - {"x"} for it in live(f)] == [{"a", "b"}, set()]


# --- where it cannot be said -----------------------------------------------------------------------------


def loop(a):
    for x in a:
        yield [x]


def opened(a):
    with a:
        yield 1


def tried(a):
    try:
        yield a
    except ValueError:
        yield 2


def operand(a):
    return a + (yield 1)


def argument(a):
    yield max(a, (yield 1))


def augmented(a):
    a += yield 1
    yield a


def reflects(a):
    yield 1
    yield eval("a")


def assigns_outside(a):
    global _counter
    yield a
    _counter = a


def captured(a):
    yield 1
    yield lambda: a


UNCLEAR = [loop, opened, tried, operand, argument, augmented, reflects, assigns_outside, captured]


@pytest.mark.parametrize("function", UNCLEAR, ids=lambda it: it.__name__)
def test_what_hides_state_is_refused(function) -> None:
    """What stands on the value stack, in an open block or in a closure is not seen in the locals."""
    assert why_not(function.__code__) is not None
    coroutine = function([[1, 2]])
    if function is not opened:
        next(coroutine)
        assert site(coroutine.gi_frame) is None


def test_an_assignment_to_the_variable_of_a_function_around_is_refused() -> None:
    count = 0

    def f():
        nonlocal count
        yield count
        count += 1

    assert "outside" in str(why_not(f.__code__))


def test_source_that_is_not_to_be_had_is_refused() -> None:
    names: dict[str, Any] = {}
    exec("def f(a):\n    yield a\n", names)
    assert "no source" in str(why_not(names["f"].__code__))


def test_source_that_has_changed_since_is_refused() -> None:
    """Somebody edits the file while the old code runs."""
    f = from_text("def f(a, b):\n    yield 1\n    yield a\n")
    assert why_not(f.__code__) is None
    changed = ["def f(a, b):\n", "    yield 1\n", "    yield b\n"]
    linecache.cache[f.__code__.co_filename] = (1, None, changed, f.__code__.co_filename)
    assert "not what is running" in str(why_not(f.__code__))


def test_a_name_that_a_class_has_made_private_is_refused() -> None:
    """In a class ``__x`` is another name than the one that is written."""
    f = from_text("class C:\n    def f(self, __x):\n        yield 1\n        yield __x\n", "C").f
    assert why_not(f.__code__) is not None


# --- finding the place -----------------------------------------------------------------------------------


def test_a_suspended_frame_is_found_at_its_yield() -> None:
    f = from_text("def f(a):\n    b = yield 1\n    yield b; yield a\n")
    coroutine = f(5)
    numbers = []
    answer = None
    for _ in range(3):
        coroutine.send(answer)
        answer = 7
        found = site(coroutine.gi_frame)
        assert found is not None
        numbers.append((found.number, found.live))
    assert numbers == [(0, ("a",)), (1, ("a",)), (2, ())]


def test_decorators_and_umlauts_before_a_yield_do_not_lead_astray() -> None:
    """Columns count bytes, and a function begins at its first decorator."""
    f = from_text("def deco(it):\n    return it\n\n@deco\ndef f(a):\n    b = 'äöü', (yield 1)\n", "f")
    assert why_not(f.__code__) is not None  # the tuple is half built
    f = from_text(
        "def deco(it):\n    return it\n\n@deco\ndef f(a):\n    'äöü'; b = yield 1; c = yield a\n    yield b\n"
    )
    coroutine = f(5)
    next(coroutine)
    coroutine.send(1)
    found = site(coroutine.gi_frame)
    assert found is not None
    assert (found.number, found.live) == (1, ("b",))


def kernel_functions() -> list[CodeType]:
    """Every coroutine function of the kernel, of the variants, and of user code."""
    names = [it.name for it in pkgutil.walk_packages(sim.kernel.__path__, "sim.kernel.")]
    names += [f"sim.variants.{it}" for it in variants.names()]
    modules = [import_module(it) for it in names] + [sync, user, worlds]
    functions = [it for module in modules for it in vars(module).values() if inspect.isgeneratorfunction(it)]
    return list(dict.fromkeys(it.__code__ for it in functions))


def test_every_kernel_function_is_clear() -> None:
    """None falls back to the key of all answers, which would only cost states; but then the counts would tell."""
    functions = kernel_functions()
    assert len(functions) > 100
    assert {it.co_qualname: why for it in functions if (why := why_not(it))} == {}


def test_every_yield_of_the_kernel_is_found_by_its_place_in_the_bytecode() -> None:
    """Each yield in the source is a suspension point in the code, on this version of Python too."""
    for code in kernel_functions():
        positions = {(line, column) for line, _, column, _ in code.co_positions()}
        assert analyse(code).keys() <= positions


def test_the_numbers_of_yields_are_those_of_the_source() -> None:
    """Not of the bytecode, which a version may double or reorder."""
    for code in kernel_functions():
        lines, first = inspect.getsourcelines(code)
        tree = ast.parse("if 1:\n" + "".join(lines) if lines[0].startswith(" ") else "".join(lines))
        number = sum(isinstance(it, ast.Yield | ast.YieldFrom) for it in ast.walk(tree))
        assert first == code.co_firstlineno
        assert [it.number for it in analyse(code).values()] == list(range(number))
