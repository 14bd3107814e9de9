"""The command line of ``python -m course.site``."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from course.progress import LESSONS
from course.site.building import build
from course.site.links import faults
from course.site.writing import write
from sim.errors import UserError

#: Stands in every site that we built, so that a new one takes the place of no other folder.
MARK = ".rmapwalk-site"


def main(argv: Sequence[str] | None = None) -> int:
    """Build the site; return the exit code: 0, or 2 if it could not be built, or 130 if it was stopped."""
    numbers = [it.stem[:2] for it in LESSONS]
    parser = argparse.ArgumentParser(
        prog="python -m course.site",
        description="Build the whole course as a static site: it opens from disk (OUT/index.html) and from any web "
        "server, needs no network, and runs play in its pages.",
        epilog="Every lesson is run, which takes some minutes. Needs: pip install 'rmapwalk[site]'",
    )
    parser.add_argument("out", type=Path, help="the folder to write; a site that stands there is replaced")
    parser.add_argument("--lessons", help=f"only these, such as 01,03; there are {', '.join(numbers)}")
    parser.add_argument("--processes", type=int, default=min(4, os.cpu_count() or 1), help="lessons run at a time")
    options = parser.parse_args(argv)
    try:
        chosen = _chosen(options.lessons)
        _free(options.out)
        size = _built(options.out, chosen, max(1, options.processes))
    except UserError as error:
        print(f"site: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"site: {options.out} cannot be written: {error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("site: stopped, nothing was written", file=sys.stderr)
        return 130
    print(f"{options.out / 'index.html'}: {len(chosen)} lessons, {size / 1e6:.1f} MB; every link leads somewhere")
    return 0


def _chosen(asked: str | None) -> list[Path]:
    """The lessons whose numbers were asked for."""
    numbers = {it.stem[:2]: it for it in LESSONS}
    if asked is None:
        return list(LESSONS)
    wanted = [it.strip().zfill(2) for it in asked.split(",")]
    for number in wanted:
        if number not in numbers:
            raise UserError(f"there is no lesson '{number}'; there are {', '.join(numbers)}")
    return [path for number, path in numbers.items() if number in wanted]


def _free(out: Path) -> None:
    """Refuse to replace what is no site of ours."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: name a folder")
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).exists():
        raise UserError(f"{out} is not empty and holds no site of ours: name a new or an empty folder")
    out.parent.mkdir(parents=True, exist_ok=True)


def _built(out: Path, lessons: list[Path], processes: int) -> int:
    """Build beside *out*, look for dead links, and only then take its place; return the size in bytes."""
    with tempfile.TemporaryDirectory(prefix="rmapwalk-site-", dir=out.parent) as at:
        source, made = Path(at) / "source", Path(at) / "made"
        source.mkdir()
        beside = write(source, lessons, lambda it: print(it, file=sys.stderr, flush=True), processes)
        build(source, beside, made)
        wrong = faults(made)
        if wrong:
            raise RuntimeError("the site has faults:\n" + "\n".join(wrong))
        (made / MARK).touch()
        (made / ".nojekyll").touch()  # some web hosts leave out folders whose names begin with _
        if out.exists():
            shutil.rmtree(out)
        made.replace(out)
    return sum(it.stat().st_size for it in out.rglob("*") if it.is_file())
