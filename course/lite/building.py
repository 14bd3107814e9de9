"""Puts the browser course together: JupyterLite, Pyodide beside it, our packages in it, and the lessons."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from course.lite import locking, parts
from course.progress import COURSE, INDEX, LESSONS
from sim.errors import UserError

#: The lessons that need nothing which a browser has not.
NUMBERS: Final = ("01", "02", "03", "06")

#: The kernel's part that lies in its JupyterLab extension.
KERNEL: Final = "@jupyterlite/pyodide-kernel-extension"


def build(work: Path, out: Path, told: Callable[[str], None]) -> None:
    """Build into *out*, in the empty folder *work*.

    Raises:
        UserError: if a part cannot be had; it says which.
    """
    for module in ("jupyterlite_core", "jupyterlite_pyodide_kernel"):
        if find_spec(module) is None:
            raise UserError(f"it needs {module}: python -m pip install 'rmapwalk[lite]'")
    told(f"Pyodide {parts.PYODIDE}")
    core = parts.core(work)
    told("the packages that a notebook needs")
    wheels = parts.wheels(core / "pyodide-lock.json")
    lite = work / "lite"
    _lessons(lite / "files")
    pyodide = lite / "static" / "pyodide"
    pyodide.mkdir(parents=True)
    for name in parts.CORE:
        shutil.copy(core / name, pyodide)
    mine = [parts.own_wheel(pyodide), *_kernels(pyodide), parts.empty_wheel(pyodide, "sqlite3")]
    for wheel in wheels:
        shutil.copy(wheel, pyodide)
    text = locking.lock(core / "pyodide-lock.json", [*wheels, *mine])
    (pyodide / "pyodide-lock.json").write_text(text, "utf-8")
    (lite / "jupyter-lite.json").write_text(json.dumps(_settings(list(json.loads(text)["packages"]))), "utf-8")
    told("JupyterLite")
    command = [sys.executable, "-m", "jupyterlite_core", "build", f"--lite-dir={lite}", f"--output-dir={out}"]
    command += [f"--contents={lite / 'files'}", "--apps=lab", "--no-sourcemaps"]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"JupyterLite could not be built:\n{done.stdout}{done.stderr}")


def _lessons(folder: Path) -> None:
    """The lessons, for the kernel that is there."""
    folder.mkdir(parents=True)
    for path in (INDEX, *(it for it in LESSONS if it.stem[:2] in NUMBERS)):
        lesson = json.loads(path.read_text("utf-8"))
        lesson["metadata"]["kernelspec"] = {"name": "python", "display_name": "Python (Pyodide)", "language": "python"}
        (folder / path.name).write_text(json.dumps(lesson, ensure_ascii=False, indent=1), "utf-8")
    shutil.copy(COURSE / "stage.png", folder)


def _kernels(into: Path) -> list[Path]:
    """The wheels that the kernel brings with it: itself, and what stands there for ipykernel."""
    at = Path(sys.prefix) / "share" / "jupyter" / "labextensions" / KERNEL / "static" / "pypi"
    found = [it for it in at.glob("*.whl") if it.name.startswith(("ipykernel", "piplite", "pyodide_kernel"))]
    return [Path(shutil.copy(it, into)) for it in found]


def _settings(packages: list[str]) -> dict[str, Any]:
    """What the page tells JupyterLite: where Pyodide is, what to load with it, and to ask nobody else."""
    options = {"lockFileURL": "./static/pyodide/pyodide-lock.json", "packages": packages}
    kernel = {
        "pyodideUrl": "./static/pyodide/pyodide.js",
        "disablePyPIFallback": True,
        "loadPyodideOptions": options,
    }
    settings = {f"{KERNEL}:kernel": kernel}
    return {
        "jupyter-lite-schema-version": 0,
        "jupyter-config-data": {
            "appName": "rmapwalk",
            "litePluginSettings": settings,
            "exposeAppInBrowser": True,
        },
    }
