"""The folder from which Sphinx builds the site: pages as Markdown, lessons as notebooks that need not be run."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import metadata
from multiprocessing import active_children, get_context
from pathlib import Path
from string import Template
from typing import Final

import nbformat

from course.glossary import WORDS
from course.misconceptions import BANK
from course.progress import COURSE, INDEX, title
from course.site import cells

PAGES: Final = Path(__file__).parent / "pages"
STATIC: Final = Path(__file__).parent / "static"

#: Not there where the package is installed.
DOCS: Final = COURSE.parent / "docs"

#: Pages on how far our own numbers and verdicts can be trusted, and what they are called in the address.
TRUST: Final = {
    "published": COURSE / "instructor" / "published.md",
    "hazards": COURSE / "instructor" / "hazards.md",
    "the_split": COURSE / "instructor" / "the_split.md",
    "claims": COURSE / "instructor" / "claims.md",
    "spin": DOCS / "spin.md",
    "recordings": COURSE / "recorded" / "README.md",
}

MAINTAINERS: Final = DOCS / "maintainers.md"

#: The toctree of the page for maintainers, where there is one.
_MORE: Final = "```{toctree}\n:caption: For maintainers\n\nmaintainers\n```"


def write(folder: Path, lessons: Sequence[Path], told: Callable[[str], None], processes: int = 2) -> Path:
    """Fill *folder* with the sources of the site; return the folder of files that go beside its pages.

    Args:
        folder: an empty folder.
        lessons: which lessons; the others are not in the site.
        told: is told of each lesson that is done.
        processes: how many lessons are run at a time.

    Raises:
        Exception: what a cell of a lesson raises.
    """
    beside = folder.parent / "beside"
    (beside / "shown").mkdir(parents=True)
    readme = _readme()
    pages = [INDEX, *lessons]
    _write_lessons(folder, beside / "shown", pages, told, processes)
    trust = {name: path for name, path in TRUST.items() if path.exists()}
    maintainers = {"maintainers": MAINTAINERS} if MAINTAINERS.exists() else {}
    made = {
        "index": _filled(
            "index",
            intro=readme.split("\n\n")[1],
            lessons="\n".join(it.stem for it in pages),
            trust="\n".join(trust),
            more=_MORE if maintainers else "",
        ),
        "running": _filled("running", command=_command(readme)),
        "glossary": _glossary(),
        "readme": readme.replace("# rmapwalk", "# The project's README", 1).replace("(course/stage", "(stage"),
        **{name: path.read_text("utf-8") for name, path in (trust | maintainers).items()},
    }
    for name, text in made.items():
        (folder / f"{name}.md").write_text(text, "utf-8")
    shutil.copy(COURSE / "stage.png", folder)
    return beside


def _filled(name: str, **words: str) -> str:
    """One of the pages that stand in pages/, with its words put in."""
    return Template((PAGES / f"{name}.md").read_text("utf-8")).substitute(words)


def _write_lessons(
    folder: Path, shown: Path, pages: Sequence[Path], told: Callable[[str], None], processes: int
) -> None:
    """Each lesson is run in a process of its own: one may change what all others see."""
    with ProcessPoolExecutor(processes, get_context("spawn"), _quietly_stopped, max_tasks_per_child=1) as pool:
        running = {pool.submit(cells.written, path, pages[1:]): path for path in pages}
        try:
            for number, done in enumerate(as_completed(running), 1):
                path, made = running[done], done.result()
                nbformat.write(made.notebook, folder / path.name)  # type: ignore[no-untyped-call]
                for name, content in made.files.items():
                    (shown / name).write_bytes(content)
                told(f"{number} of {len(pages)}: {title(path)}")
        except BaseException:  # Ctrl-C, or a lesson that fails: the others are not waited for
            pool.shutdown(cancel_futures=True, wait=False)
            for child in active_children():
                child.terminate()
            raise


def _quietly_stopped() -> None:
    """A process that runs a lesson ends at Ctrl-C, and says nothing: the command does."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _readme() -> str:
    """README.md, which an installed package has among its metadata."""
    path = COURSE.parent / "README.md"
    return path.read_text("utf-8") if path.exists() else str(metadata("rmapwalk").get_payload())  # type: ignore[attr-defined]


def _command(readme: str) -> str:
    """The command that opens the lessons: it stands in the README, and nowhere else."""
    found = re.search(r"<!-- lab-command -->\s*```sh\n(.*?)\n```", readme, re.DOTALL)
    assert found is not None, "README.md has no code block after <!-- lab-command -->"
    return found[1]


def _glossary() -> str:
    words = "\n".join(
        f"{word}\n    {it.meaning[0].upper()}{it.meaning[1:]}. *People often think {it.often}.*\n"
        for word, it in sorted(WORDS.items(), key=lambda word: word[0].lower())
    )
    mistakes = "\n".join(f"| {number} | {sentence} |" for number, sentence in BANK.items())
    return (
        "# Glossary\n\n```{glossary}\n" + words + "```\n\n## What people often think\n\n"
        "None of these is so. Questions and checks of the lessons name them by their number.\n\n"
        f"| number | often thought |\n| --- | --- |\n{mistakes}\n"
    )
