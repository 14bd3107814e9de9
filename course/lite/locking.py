"""The list by which Pyodide finds a package's file (``pyodide-lock.json``), with our wheels only."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def entry(wheel: Path) -> dict[str, Any]:
    """What the list says of one wheel."""
    name, version, *_ = wheel.name.split("-")
    return {
        "name": name.lower().replace("_", "-"),
        "version": version,
        "file_name": wheel.name,
        "install_dir": "site",
        "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "package_type": "package",
        "imports": sorted(_imports(wheel)),
        "depends": [],  # all are loaded when Python starts
        "unvendored_tests": False,
    }


def _imports(wheel: Path) -> set[str]:
    """The modules and packages at the top of a wheel."""
    with zipfile.ZipFile(wheel) as it:
        tops = {name.partition("/")[0] for name in it.namelist() if name.endswith(".py")}
    return {top.removesuffix(".py") for top in tops if not top.endswith((".dist-info", ".data"))}


def lock(original: Path, wheels: Iterable[Path]) -> str:
    """The list, for the Pyodide whose own list is *original*."""
    info = json.loads(original.read_text("utf-8"))["info"]
    packages = {it["name"]: it for it in map(entry, wheels)}
    return json.dumps({"info": info, "packages": packages}, indent=1) + "\n"
