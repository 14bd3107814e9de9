"""What the browser's Python is made of: Pyodide's core from npm, wheels from PyPI, and our own packages.

Pyodide's npm package holds the interpreter and the standard library, and no further package.  All that we need besides
is pure Python, and so on PyPI.  numpy and matplotlib are not: their builds for a browser are on neither registry.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from course.progress import COURSE
from sim.errors import UserError

#: The version for which jupyterlite-pyodide-kernel 0.7 is made.  It has Python 3.13, the newest that our state counts
#: have been compared on.
PYODIDE: Final = "0.29.3"

#: Pyodide's files that a browser needs.
CORE: Final = ("pyodide.js", "pyodide.mjs", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip")

#: What our packages need, in the versions that are installed here.
NEEDED: Final = ("anywidget", "comm", "ipywidgets", "networkx", "psygnal", "simpy", "typing-extensions")

#: What the kernel needs, in the versions that Pyodide's own list names: with a newer IPython it does not run a cell.
KERNELS: Final = (
    *("asttokens", "decorator", "executing", "ipython", "jedi", "matplotlib-inline", "micropip", "packaging", "parso"),
    *("prompt-toolkit", "pure-eval", "pygments", "six", "stack-data", "traitlets", "wcwidth"),
)

#: Asks pip for wheels of pure Python.
PURE: Final = ("--only-binary=:all:", "--platform=any", "--implementation=py", "--abi=none", "--python-version=3.13")

#: Ours, each with the files of it that do not run there.
OURS: Final = ("sim", "vizlib", "course")
LEFT_OUT: Final = ("course/recorded/trace-", "course/site/", "course/lite/", "__pycache__", ".ipynb")


def cache() -> Path:
    """Where downloads are kept from build to build."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "rmapwalk" / "lite"


def core(into: Path) -> Path:
    """Pyodide's npm package, unpacked in *into*; return its folder.

    Raises:
        UserError: if npm is missing, or has no way to its registry.
    """
    packed = cache() / f"pyodide-{PYODIDE}.tgz"
    if not packed.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise UserError("Pyodide comes from npm, and there is no npm here (Debian: apt install npm)")
        _into_cache([npm, "pack", "--silent", f"pyodide@{PYODIDE}"], f"pyodide {PYODIDE} from npm")
    with tarfile.open(packed) as tar:
        tar.extractall(into, filter="data")
    return into / "package"


def wheels(lock: Path) -> list[Path]:
    """The wheels from PyPI, downloaded once; *lock* is Pyodide's own list.

    Raises:
        UserError: if there is no way to PyPI.
    """
    listed = {
        it["name"].lower().replace("_", "-"): it["version"] for it in json.loads(lock.read_text())["packages"].values()
    }
    wanted = {name: _installed(name) for name in NEEDED} | {name: str(listed[name]) for name in KERNELS}
    found = []
    for name, asked in wanted.items():
        known = [it for it in cache().glob("*.whl") if _named(it) == (name.replace("-", "_"), asked)]
        if not known:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", ".", *PURE]
            _into_cache([*pip, f"{name}=={asked}"], f"{name} {asked} as pure Python, from PyPI,")
            known = [it for it in cache().glob("*.whl") if _named(it) == (name.replace("-", "_"), asked)]
        found.append(known[0])
    return found


def _named(wheel: Path) -> tuple[str, str]:
    """Name and version in a wheel's file name."""
    name, number, *_ = wheel.name.split("-")
    return name.lower().replace(".", "_"), number


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError as error:
        raise UserError(f"{name} is not installed here: python -m pip install 'rmapwalk[lite]'") from error


def _into_cache(command: list[str], what: str) -> None:
    """Run *command* in a folder of its own, and keep what it fetched: a download that was stopped leaves nothing."""
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache()) as at:
        done = subprocess.run(command, cwd=at, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip() or "it did not say why").splitlines()[-1]
            raise UserError(f"{what} could not be fetched: {said}")
        for path in Path(at).iterdir():
            path.replace(cache() / path.name)


def own_wheel(into: Path) -> Path:
    """Our three packages as a wheel, of the files that run here."""
    path = into / "rmapwalk-0-py3-none-any.whl"
    info = "rmapwalk-0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for package in OURS:
            for file in sorted((COURSE.parent / package).rglob("*")):
                name = file.relative_to(COURSE.parent).as_posix()
                if file.is_file() and not any(it in name for it in LEFT_OUT):
                    wheel.write(file, name)
        for lesson in sorted(COURSE.glob("*.ipynb")):  # progress() reads their titles
            wheel.write(lesson, f"course/{lesson.name}")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: rmapwalk\nVersion: 0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


def empty_wheel(into: Path, name: str) -> Path:
    """A wheel of that name with nothing in it."""
    path = into / f"{name}-0-py3-none-any.whl"
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as wheel:
        wheel.writestr(f"{name}-0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 0\n")
        wheel.writestr(f"{name}-0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{name}-0.dist-info/RECORD", "")
    path.write_bytes(made.getvalue())
    return path
