"""Every kernel function says where the kernel defines it, and stands in the file of that name."""

from __future__ import annotations

import ast
import inspect
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import sim.kernel

KERNEL = Path(__file__).parent.parent / "sim" / "kernel"
PLACE = re.compile(r"\b((?:[\w.-]+/)+[\w.-]+\.[chS]):(\d+) \((v3\.[78])\)")
MESSAGE = re.compile(r"\b\d{8,}[\w.-]*(?:@[\w.-]+)? \((numa/core v1[78])\)")
#: A change whose tree is not at hand: its first digits, the version that has it, and no line.
LATER = re.compile(r"\b((?:[\w.-]+/)+[\w.-]+\.[chS]) \([0-9a-f]{12}, (v[4-6]\.\d+)\)$")
#: A modern kernel, whose tree is not at hand: the file under its tag, and no line.
TAGGED = re.compile(r"\b((?:[\w.-]+/)+[\w.-]+\.[ch]) \((v6\.(?:1|3|12))\)$")
#: What no kernel has; only in sim/kernel/batch.
OURS = re.compile(r"\b[Aa] construction of ours\b")
ROW = re.compile(r"^([\w/]+\.py) +(\S+\.[ch])(?: of \S.*?)?  +\S", re.MULTILINE)


class Function(NamedTuple):
    """A function of sim/kernel: its file, its name, its docstring, and whether it is a coroutine."""

    file: str
    name: str
    doc: str
    coroutine: bool

    @property
    def tree(self) -> str:
        """The folder: "" for 3.7."""
        return self.file.rpartition("/")[0]

    @property
    def is_part(self) -> bool:
        """Whether it is a piece of a kernel function that we cut off: one underscore, as in _serve."""
        return re.match(r"_[^_]", self.name) is not None

    def __str__(self) -> str:
        return f"{self.file}: {self.name}"


def yields(function: ast.FunctionDef) -> bool:
    """Whether a function is a generator function."""
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(function))


@cache
def functions() -> tuple[Function, ...]:
    """Every function of sim/kernel that is not inside another."""

    def found() -> Iterator[Function]:
        for path in sorted(KERNEL.rglob("*.py")):
            for node in ast.parse(path.read_text("utf-8")).body:
                if isinstance(node, ast.FunctionDef):
                    name = path.relative_to(KERNEL).as_posix()
                    yield Function(name, node.name, ast.get_docstring(node) or "", yields(node))

    return tuple(found())


def kernel_functions() -> list[Function]:
    return [it for it in functions() if not it.is_part]


def cited(doc: str) -> tuple[str, str] | None:
    """The kernel file and the tree that a docstring names first: ``("mm/rmap.c", "v3.7")``."""
    found = PLACE.search(doc)
    if found:
        return found[1], found[3]
    found = MESSAGE.search(doc)
    if found:
        return "", found[1]
    found = TAGGED.search(doc)
    if found:
        return found[1], found[2]
    found = LATER.search(doc)
    return (found[1], f"later: {found[2]}") if found else None


def is_ours(function: Function) -> bool:
    """Whether a function says that no kernel has it; then it stands among the batches."""
    return function.tree == "batch" and OURS.search(function.doc) is not None


def the_map() -> dict[str, str]:
    """Which kernel file each file says it is, in the table of the package's docstring."""
    return dict(ROW.findall(inspect.getdoc(sim.kernel) or ""))


def test_the_rules_below_can_fail() -> None:
    """A docstring without a place, without a tree, or with a path that is no file, is no citation."""
    assert cited("Takes the lock.  mm/rmap.c:1470 (v3.7)") == ("mm/rmap.c", "v3.7")
    assert cited("1354305521-11583-5 (numa/core v18)") == ("", "numa/core v18")
    assert cited("20121119022558.GA3186@gmail.com (numa/core v17)") == ("", "numa/core v17")
    assert cited("mm/rmap.c (72b252aed506, v4.3)") == ("mm/rmap.c", "later: v4.3")
    assert cited("Takes the lock.  mm/rmap.c (v6.12)") == ("mm/rmap.c", "v6.12")
    for doc in (
        *("mm/rmap.c (v4.3)", "mm/rmap.c (v6.2)", "mm/rmap.c (72b252aed506)"),
        *("mm/rmap.c (v6.1) and more", "mm/rmap.c (72b252aed506, v4.3) and more"),
    ):
        assert cited(doc) is None
    for doc in ("Takes the lock.", "mm/rmap.c (v3.7)", "mm/rmap.c:1470", "rmap.c:1470 (v3.7)", "see 3.7"):
        assert cited(doc) is None
    assert len(kernel_functions()) > 80


@pytest.mark.parametrize("function", kernel_functions(), ids=str)
def test_a_kernel_function_says_where_the_kernel_has_it(function: Function) -> None:
    """By file, line and version, or by the message id of the mail that it was posted in.

    A function of a later kernel whose tree is not at hand: by file, commit and version, or by file and tag.
    """
    cites = cited(function.doc) or is_ours(function)
    assert cites, f"{function} has no citation: end its docstring with mm/file.c:123 (v3.7)"


def test_a_part_of_a_kernel_function_says_what_it_is() -> None:
    """A helper of ours has a name with one underscore, and no place in the kernel, but a docstring all the same."""
    parts = [it for it in functions() if it.is_part]
    assert parts
    assert [str(it) for it in parts if not it.doc] == []


@pytest.mark.parametrize("function", kernel_functions(), ids=str)
def test_a_kernel_function_stands_in_the_file_of_the_kernel_s_name(function: Function) -> None:
    """What a header defines may stand beside its users, and what a .c file does that has no file of its own here."""
    path, version = cited(function.doc) or ("", "")
    owners = {file for file, its in the_map().items() if its == path and Path(file).parent == Path(function.tree)}
    if path.endswith(".c") and owners:
        assert {function.file} == owners
    if version.startswith("v") and function.tree:
        assert function.tree == version.replace(".", "")


def test_a_name_is_defined_once_in_each_tree() -> None:
    """Who looks for try_to_unmap finds one."""
    names = Counter((it.tree, it.name) for it in functions())
    assert [name for name, times in names.items() if times > 1] == []


def test_the_map_of_the_folder_names_every_file() -> None:
    """And no file that is not there; a file is called as the kernel's, with - as _."""
    files = {path.relative_to(KERNEL).as_posix() for path in KERNEL.rglob("*.py") if path.name != "__init__.py"}
    assert set(the_map()) == files
    for file, path in the_map().items():
        assert Path(file).stem == Path(path).stem.replace("-", "_")


def test_a_tree_of_its_own_holds_only_what_differs() -> None:
    """A function of v38 replaces one of the same name, or belongs to what came with 3.8: NUMA balancing."""
    below = {it.name for it in functions() if not it.tree or it.tree == "numacore"}
    new = {it.name for it in kernel_functions() if it.tree == "v38"} - below
    balancing = {"migrate_balanced_pgdat", "migrate_ratelimited", "numamigrate_isolate_page"}
    balancing |= {"numa_migrate_prep", "numamigrate_update_ratelimit", "reset_ptenuma_scan", "task_numa_work"}
    assert new == balancing


def test_every_kernel_function_that_touches_memory_takes_k_first() -> None:
    """``k`` says who is current; it is always called that."""
    for path in sorted(KERNEL.rglob("*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and yields(node) and not re.match(r"_[^_]", node.name):
                assert [it.arg for it in node.args.args][:1] == ["k"], f"{path.name}: {node.name}"


def test_a_loop_that_yields_is_a_while_loop() -> None:
    """A for loop keeps its position where the checker cannot see it."""
    for path in sorted(KERNEL.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.For | ast.ListComp | ast.GeneratorExp | ast.SetComp | ast.DictComp):
                inside = [it for it in ast.walk(node) if isinstance(it, ast.Yield | ast.YieldFrom)]
                assert not inside, f"{path.name}:{node.lineno}: a for loop that yields"


def is_plain(parent: ast.AST, node: ast.Yield | ast.YieldFrom) -> bool:
    """A statement, the whole right side of an assignment, or a whole condition."""
    if isinstance(parent, ast.Expr | ast.Assign | ast.AnnAssign | ast.Return):
        return True
    return isinstance(parent, ast.If | ast.While) and parent.test is node


def test_a_yield_stands_alone() -> None:
    """Inside an expression it would leave operands where the checker cannot see them."""
    for path in sorted(KERNEL.rglob("*.py")):
        for parent in ast.walk(ast.parse(path.read_text("utf-8"))):
            for node in ast.iter_child_nodes(parent):
                if isinstance(node, ast.Yield | ast.YieldFrom):
                    assert is_plain(parent, node), f"{path.name}:{node.lineno}: a yield inside an expression"
