"""The course in a folder of its reader's: copied there once, brought up to date where untouched, opened in JupyterLab.

What a reader has changed is never written over.  ``.rmapwalk.json`` in the folder tells what stood there when it was
copied: a lesson that still is as it was copied is brought up to date, any other file is left alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from course.progress import COURSE, INDEX
from sim import trace
from sim.cli.base import Answer, Commands
from sim.errors import UserError

#: Where the course goes if no folder is named.
FOLDER: Final = "rmapwalk-course"
#: Of the folder ``recording``, what is not a module of ours.
KIT: Final = ("README.md", "move_own_pages.c", "record.sh")
#: What tells how each file was when it was copied.
COPIED: Final = ".rmapwalk.json"


def add(commands: Commands) -> None:
    """The commands of this file."""
    lab = commands.add("lab", _lab, "copy the course to a folder of yours, and open it in JupyterLab")
    lab.description = "Copy the course to a folder of yours, and open it in JupyterLab; Ctrl-C stops that."
    about = f"where to; {FOLDER}, in the folder you are in, if not given.  What you changed there is kept"
    lab.add_argument("folder", nargs="?", default=FOLDER, metavar="FOLDER", help=about)
    lab.add_argument("--no-open", action="store_true", help="copy only, and say how to open it; so does --json")
    lab.add_argument("--no-browser", action="store_true", help="start JupyterLab, and print its address")
    about = "hand an option on to JupyterLab, such as --jupyter=--port=9000; may be given several times"
    lab.add_argument("--jupyter", action="append", default=[], metavar="OPTION", help=about)


class Copied(NamedTuple):
    """What became of each file, by name.

    Attributes:
        new: it was not there.
        updated: it stood there as an earlier version of the course had put it.
        same: it stood there as it is.
        kept: it is the reader's, and was left alone.
    """

    new: list[str]
    updated: list[str]
    same: list[str]
    kept: list[str]


def files() -> Iterator[Path]:
    """What is copied: the lessons, and what lesson 12 records a kernel with."""
    yield from sorted(COURSE.glob("[0-9][0-9]_*.ipynb"))
    yield from (COURSE / "recording" / it for it in KIT)


def copy(folder: Path) -> Copied:
    """Copy the course to *folder*, and write over nothing that its reader has changed.

    Raises:
        UserError: if it cannot be written there, or if *folder* is the course itself.
    """
    if folder.resolve() == COURSE.resolve():
        raise UserError(f"{folder} is the course itself: name another folder for your copy")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _copy(folder)
    except OSError as error:
        raise UserError(f"the course cannot be copied to {folder}: {error.strerror or error}") from error


def _copy(folder: Path) -> Copied:
    made = Copied([], [], [], [])
    before = _before(folder / COPIED)
    for source in files():
        name, text = source.relative_to(COURSE).as_posix(), source.read_bytes()
        target = folder / name
        if not target.exists():
            found = made.new
        elif (stands := target.read_bytes()) == text:
            found = made.same
        else:
            found = made.updated if _mark(stands) == before.get(name) else made.kept
        found.append(name)
        if found is made.new or found is made.updated:
            target.parent.mkdir(exist_ok=True)
            trace.write_whole(target, text)
        if found is not made.kept:
            before[name] = _mark(text)
    (folder / COPIED).write_text(json.dumps(before, indent=1) + "\n", "utf-8")
    return made


def _mark(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _before(path: Path) -> dict[str, str]:
    """How each file was when it was copied; nothing, if that is not known: then every file there is the reader's."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def free_name(folder: Path) -> Path:
    """The first folder beside *folder*, ``course-2`` beside ``course``, that is not there yet."""
    number = 2
    while (found := folder.with_name(f"{folder.name}-{number}")).exists():
        number += 1
    return found


def told(folder: Path, copied: Copied) -> str:
    """What was done, in words."""
    parts = [f"{len(copied.new)} files copied to {folder}"] if copied.new else [f"the course stands in {folder}"]
    if copied.updated:
        parts.append(f"brought up to date, since you had not changed them: {', '.join(copied.updated)}")
    if copied.kept:
        parts.append(f"kept as you left them: {', '.join(copied.kept)}")
        parts.append(f"a fresh copy beside it: rmapwalk lab {free_name(folder)}")
    return "\n".join(parts)


def _lab(options: argparse.Namespace) -> Answer:
    folder = Path(options.folder)
    copied = copy(folder)
    text, first = told(folder, copied), folder / INDEX.name
    if options.no_open or options.json:
        data = {"folder": str(folder), **copied._asdict()}
        return Answer(data, f"{text}\nopen it with: jupyter lab {first}")
    print(text, file=sys.stderr)
    code = _open(first, options)
    ended = f"ended with code {code}" if code else "stopped"
    return Answer(None, f"JupyterLab has {ended}; your lessons are in {folder}", code)


def _open(first: Path, options: argparse.Namespace) -> int:
    """Run JupyterLab until it is stopped, by Ctrl-C for one; return its exit code."""
    from jupyterlab.labapp import LabApp

    argv = [str(first), "--ServerApp.answer_yes=True"]  # Ctrl-C stops it, without a question that waits for an answer
    argv += [*(["--no-browser"] if options.no_browser else []), *options.jupyter]
    try:
        LabApp.launch_instance(argv)
    except SystemExit as stopped:
        return stopped.code if isinstance(stopped.code, int) else 1 if stopped.code else 0
    except KeyboardInterrupt:  # before it was ready to be stopped
        return 0
    return 0
