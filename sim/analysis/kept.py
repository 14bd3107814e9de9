"""Answers that some notebook had before: kept in the user's cache folder, for as long as the model is as it was.

An answer is a function of the question and of the source of :mod:`sim`, so both are in its name, and nothing that is
kept can be stale.  A file that cannot be read is measured anew, and a folder that cannot be written does no harm.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from sim import trace, variants, worlds
from sim.analysis.sweep import Point, Row, key_of, measured

#: The variable that names another folder; empty: nothing is kept.
VARIABLE: Final = "RMAPWALK_CACHE"

_ROOT: Final = Path(__file__).resolve().parent.parent


def kept(point: Point) -> Row:
    """What :func:`sim.analysis.sweep.measured` says of *point*, from the cache if it is there.

    A world or variant that a reader has made is always measured: its name may come again with other functions.

    Raises:
        UserError: as :func:`sim.analysis.sweep.measured`.
    """
    place = _place(point)
    if place is None:
        return measured(point)
    with suppress(OSError, ValueError):
        row = json.loads(place.read_text("utf-8"))
        if isinstance(row, dict) and row.get("point") == point:
            return dict(row["result"])
    result = measured(point)
    with suppress(OSError):
        _open(place.parent)
        trace.write_whole(place, json.dumps({"point": point, "result": result}))
    return result


def folder() -> Path | None:
    """Where answers are kept; None if they are not to be."""
    if (named := os.environ.get(VARIABLE)) is not None:
        return Path(named) if named else None
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    else:
        base = "~/Library/Caches" if sys.platform == "darwin" else os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    with suppress(RuntimeError):  # a user without a home
        return Path(base).expanduser() / "rmapwalk"
    return None


def _place(point: Point) -> Path | None:
    """The file of a point's answer; None if it is not to be kept."""
    root, world = folder(), worlds.find(point["world"])
    made = (world.build, *world.patch.values())
    ours = all(getattr(it, "__module__", "").startswith("sim.") for it in made)
    if root is None or not ours or variants.find(point.get("variant", "mutex_v37")).guarded:
        return None
    return root / _model() / f"{key_of(point, measured)}.json"


@cache
def _model() -> str:
    """A name for the model as its source has it: another body of any function is another model."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(_ROOT.rglob("*.py")):
        digest.update(path.relative_to(_ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return f"model-{digest.hexdigest()}"


def _open(place: Path) -> None:
    """Make the folder of the present model, and remove those of others."""
    if not place.exists():
        place.mkdir(parents=True)
        for it in place.parent.glob("model-*"):
            if it != place:
                shutil.rmtree(it, ignore_errors=True)
