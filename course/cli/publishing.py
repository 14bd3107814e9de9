"""The course for those who install nothing: as pages, and as lessons that run in a browser alone."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from course.progress import LESSONS
from sim.cli.base import Answer, Commands
from sim.errors import BadParameter, CannotWrite, UserError

#: Stands in every folder that we wrote, so that a new one takes the place of no other.
MARK: Final = ".rmapwalk-published"


def add(commands: Commands) -> None:
    """The commands of this file."""
    site = commands.add("site", _site, "the course as pages in which runs play: from disk or any web server, offline")
    site.description = (
        "Build the whole course as a static site: it opens from disk (OUT/index.html) and from any web server, needs "
        "no network, and runs play in its pages. Every lesson is run, which takes some minutes. "
        "Needs: pip install 'rmapwalk[site]'"
    )
    site.add_argument("out", metavar="OUT", help="the folder to write; a site that stands there is replaced")
    site.add_argument("--lessons", metavar="NN,NN", help=f"only these; there are {', '.join(_numbers())}")
    site.add_argument("--processes", type=int, default=2, metavar="N", help="how many lessons are run at a time")
    lite = commands.add("lite", _lite, "the first lessons to be run in a browser alone, for any web server")
    lite.description = (
        "Some lessons for a browser alone: JupyterLab and Python run in the page, and nothing is fetched from outside. "
        "OUT is for a web server; from disk a browser does not start Python. To look at it here: python -m http.server "
        "--directory OUT --bind 127.0.0.1. Needs: pip install 'rmapwalk[lite]', and npm; what is fetched from PyPI "
        "and npm is kept for the next time."
    )
    lite.add_argument("out", metavar="OUT", help="the folder to write; what we wrote there before is replaced")


def _numbers() -> list[str]:
    return [it.stem[:2] for it in LESSONS]


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _site(options: argparse.Namespace) -> Answer:
    from course.site.building import build
    from course.site.writing import write

    lessons = _chosen(options.lessons)

    def make(work: Path, made: Path) -> None:
        source = work / "source"
        source.mkdir()
        build(source, write(source, lessons, _tell, max(1, options.processes)), made)

    size = _written(Path(options.out), make)
    index = Path(options.out) / "index.html"
    said = f"{index}: {len(lessons)} lesson{'s' * (len(lessons) != 1)}, {size / 1e6:.1f} MB; every link leads somewhere"
    return Answer({"folder": options.out, "lessons": [it.stem[:2] for it in lessons], "bytes": size}, said)


def _lite(options: argparse.Namespace) -> Answer:
    from course.lite.building import NUMBERS, build

    size = _written(Path(options.out), lambda work, made: build(work, made, _tell))
    said = f"{options.out}: lessons {', '.join(NUMBERS)}, {size / 1e6:.0f} MB, for a web server"
    return Answer({"folder": options.out, "lessons": list(NUMBERS), "bytes": size}, said)


def _chosen(asked: str | None) -> list[Path]:
    """The lessons whose numbers were asked for."""
    wanted = _numbers() if asked is None else [it.strip().zfill(2) for it in asked.split(",")]
    for number in wanted:
        if number not in _numbers():
            raise BadParameter(f"there is no lesson '{number}'; there are {', '.join(_numbers())}")
    return [it for it in LESSONS if it.stem[:2] in wanted]


def _written(out: Path, make: Callable[[Path, Path], None]) -> int:
    """Let *make* build in a folder beside *out*, which takes its place when it is whole; return its size in bytes.

    Raises:
        UserError: if something else stands there, or it cannot be written.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not (out / MARK).exists()):
        raise UserError(f"{out} is not ours, and not an empty folder: name a new one")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as at:
            work = Path(at).resolve()
            make(work, work / "made")
            (work / "made" / MARK).touch()
            if out.exists():
                shutil.rmtree(out)
            (work / "made").replace(out)
    except OSError as error:
        raise CannotWrite(out, error) from error
    return sum(it.stat().st_size for it in out.rglob("*") if it.is_file())
