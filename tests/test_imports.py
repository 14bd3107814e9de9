"""Imports only go one way, so that each part can be read, and replaced, without the parts above it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("sim", "vizlib", "course")

# From the bottom up: a module imports its own line and the lines above it in this list, never one below.
# A new module gets its line here, and its place in the map in the docstring of its package.
ORDER = (
    *(
        "sim.errors",
        "sim.ops",
        "sim.locks",
        "sim.values",
        "sim.structs",
        "sim.wording",
        "sim.sync",
        "sim.ghosts",
        "sim.context",
        "sim.guard",
    ),
    *("sim.kernel", "sim.build", "sim.user", "sim.variants", "sim.rules", "sim.invariants"),
    *("sim.effects", "sim.lifetimes", "sim.hardware", "sim.interpreter"),
    *("sim.setup", "sim.worlds", "sim.schedule"),
    *(
        "sim.machine",
        "sim.trace",
        "sim.engines",
        "sim.ftrace",
        "sim.analysis",
        "sim.bench",
        "sim.citations",
        "sim.template",
    ),
    *("sim", "sim.cli", "sim.__main__"),
    *(
        "vizlib.scene",
        "vizlib.theme",
        "vizlib.layout",
        "vizlib.events",
        "vizlib.moments",
        "vizlib.kept",
        "vizlib.names",
        "vizlib.readings",
    ),
    *(
        "vizlib.explain",
        "vizlib.waiting",
        "vizlib.lenses",
        "vizlib.waitfor",
        "vizlib.lanes",
        "vizlib.sources",
        "vizlib.stills",
    ),
    *("vizlib.learned", "vizlib.playable", "vizlib.film"),
    *(
        "vizlib.chrome",
        "vizlib.player.bundle",
        "vizlib.player.films",
        "vizlib.renderers.html",  # the player as one page, which the widget leaves in an exported notebook
        "vizlib.player",
        "vizlib.renderers",
        "vizlib.charts",
        "vizlib.charting",
        "vizlib.showcase",
        "vizlib.levels",
        "vizlib.exporter",
        "vizlib.timeline",
        "vizlib.recordings",
        "vizlib.perfetto",
        "vizlib.saving",
        "vizlib.compare",
        "vizlib.foretold",
        "vizlib.controls",
    ),
    *("vizlib", "vizlib.cli", "vizlib.__main__"),
    *("course.misconceptions", "course.kit", "course", "course.cli", "course.__main__"),
)

# Nobody down here knows who schedules: no clock, no chance, no engine.
KNOWS_NO_SCHEDULER = (*ORDER[: ORDER.index("sim.setup")], "sim.machine")
CLOCKS_AND_CHANCE = ("asyncio", "datetime", "random", "secrets", "simpy", "threading", "time", "uuid")

# A browser (JupyterLite) has neither numpy nor matplotlib; only these draw with them.
HEAVY = ("numpy", "matplotlib", "pandas", "scipy")
MAY_LOAD_HEAVY = ("vizlib.renderers.mpl", "vizlib.renderers.movie", "vizlib.charts")


@dataclass(frozen=True)
class Import:
    """One imported name: ``from sim.structs import Page`` is ``sim.structs.Page``."""

    target: str
    line: int
    lazy: bool  # inside a function
    typing: bool  # under ``if TYPE_CHECKING``, so that it does not happen when the program runs


def within(name: str, *prefixes: str) -> bool:
    """Tell whether a dotted name is one of these modules or lies in one of them."""
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def imports_of(tree: ast.AST, *, lazy: bool = False, typing: bool = False) -> Iterator[Import]:
    """Yield every import in a parsed module, wherever it stands."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, lazy, typing)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            for alias in node.names:
                yield Import(f"{node.module}.{alias.name}", node.lineno, lazy, typing)
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from imports_of(ast.Module(node.body, []), lazy=lazy, typing=True)
            yield from imports_of(ast.Module(node.orelse, []), lazy=lazy, typing=typing)
        else:
            function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports_of(node, lazy=lazy or function, typing=typing)


def rank(name: str) -> int:
    """Return the place in ORDER of the longest entry that *name* lies in."""
    places = [place for place, entry in enumerate(ORDER) if within(name, entry)]
    return max(places, key=lambda place: len(ORDER[place]))


def faults_of(module: str, source: str) -> list[str]:
    """Return a sentence for each import of *module* that breaks a rule."""
    return [
        f"{module}:{found.line} imports {found.target}: {reason}"
        for found in imports_of(ast.parse(source))
        for reason in reasons_against(module, found)
    ]


def reasons_against(module: str, found: Import) -> Iterator[str]:
    """Yield each rule that this import of *module* breaks."""
    target = found.target
    if within(target, *PACKAGES):
        up = rank(target) > rank(module)
        other_package = target.split(".")[0] != module.split(".")[0]
        # Naming a type from further up, for the type checker only, is no dependency; across packages it would be.
        if up and (other_package or not found.typing):
            yield "imports only go down the list ORDER in tests/test_imports.py"
    if within(module, *KNOWS_NO_SCHEDULER) and within(target, *CLOCKS_AND_CHANCE, "sim.engines"):
        yield "nobody below the engines knows who schedules"
    if within(target, "simpy") and module not in ("sim.engines.clock", "sim.engines.timed", "sim.bench.measure"):
        yield "SimPy supplies the clock of the timed engine, clock.py and timed.py, and nothing else"
    if within(target, *HEAVY) and not within(module, *MAY_LOAD_HEAVY) and not (found.lazy or found.typing):
        yield "import it inside the function that needs it, so that lessons run where it is missing"
    if within(target, "sim.structs") and module.startswith("vizlib.") and not within(module, "vizlib.lenses"):
        yield "vizlib meets the kernel's structs in vizlib/lenses only"
    if module == "vizlib.scene" and within(target, "sim", "matplotlib"):
        yield "a scene is plain data"


def modules() -> dict[str, Path]:
    """Return every module of the three packages by its dotted name."""
    files = {path.relative_to(ROOT): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}
    return {".".join(name.with_suffix("").parts).removesuffix(".__init__"): path for name, path in files.items()}


def test_imports_only_go_down() -> None:
    """No module of the three packages has an import that breaks a rule of this file."""
    found = modules()
    for package in PACKAGES:
        assert package in found or not (ROOT / package / "__init__.py").exists()
    faults = [fault for module, path in found.items() for fault in faults_of(module, path.read_text("utf-8"))]
    assert not faults, "\n" + "\n".join(faults)


def test_every_module_has_its_place() -> None:
    """A new module is put into ORDER, and not taken for part of its package's face."""
    lost = [module for module in modules() if module not in PACKAGES and ORDER[rank(module)] in ("sim", "vizlib")]
    assert not lost, f"give {', '.join(lost)} a place in ORDER in {Path(__file__).name}"


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("sim.ops", "from sim import machine"),
        ("sim.ops", "import sim.trace"),
        ("sim.machine", "def late():\n    from sim.trace import Trace"),
        ("sim.trace", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from vizlib.film import Film"),
        ("sim.kernel.rmap", "from random import random"),
        ("sim.kernel.v38.rmap", "def f():\n    import time"),
        ("sim.kernel.rmap", "import typing as t\nif t.TYPE_CHECKING:\n    from sim.engines import timed"),
        ("sim.variants.mutex_v37", "import secrets"),
        ("sim.engines.checker", "import simpy"),
        ("sim.analysis.theory", "import numpy as np"),
        ("sim.analysis.theory", "class C:\n    import numpy.linalg"),
        ("vizlib.renderers.html", "from matplotlib import pyplot"),
        ("vizlib.film", "from sim.structs import Page"),
        ("vizlib.film", "from sim import structs"),
        ("vizlib.scene", "from sim.trace import Event"),
        ("vizlib.scene", "def f():\n    import matplotlib"),
        ("vizlib.lenses.lock", "from vizlib.film import Film"),
        ("vizlib.film", "from course.kit import predict"),
    ],
)
def test_the_rules_catch(module: str, source: str) -> None:
    """Each rule finds a planted fault; a rule that catches nothing would pass for ever."""
    assert faults_of(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("sim", "from sim.engines.timed import run"),
        ("sim.machine", "from sim.ops import Field\nfrom sim.locks import FREE"),
        ("sim.ops", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from sim.locks import LockKind"),
        ("sim.kernel.rmap", "from sim.kernel.migrate import migrate_pages"),
        ("sim.engines.timed", "import random\nimport simpy"),
        ("sim.analysis.theory", "def f():\n    import numpy"),
        ("vizlib.charts", "import matplotlib.pyplot"),
        ("vizlib.lenses.lock", "from sim.structs import AnonVma"),
        ("vizlib.film", "from sim import Trace\nfrom vizlib.lenses import lock"),
        ("course.kit", "from sim import run\nimport vizlib"),
    ],
)
def test_the_rules_allow(module: str, source: str) -> None:
    """The rules say no to nothing else."""
    assert not faults_of(module, source)


@pytest.mark.parametrize("package", ["sim", "vizlib", "course"])
def test_importing_the_packages_loads_nothing_heavy(package: str) -> None:
    """A notebook in the browser can import them, and the command line starts quickly."""
    if not (ROOT / package / "__init__.py").exists():
        pytest.skip(f"{package} has not been written")
    heavy = {*HEAVY, "networkx", "nbformat"} | ({"simpy"} if package != "course" else set())
    script = f"import sys, {package}; print(*sorted(set(sys.modules) & {heavy}))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [], f"import {package} loads {done.stdout}"


def test_a_film_without_generations_loads_no_networkx() -> None:
    """It takes longer to load than most films to build; one with a fork in it needs it."""
    film = "vizlib.film.film(vizlib.showcase.showcase('{}')); print('networkx' in sys.modules)"
    script = "; ".join(["import sys, vizlib.film, vizlib.showcase", *map(film.format, ("one_page", "relative_exits"))])
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"], done.stderr
