"""Rules for the project as a whole: what the tools say, what may not leak, how long a file is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.conftest import ROOT, project_files

PACKAGES = ("sim", "vizlib", "course")


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command in the root of the project."""
    return subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True)


def texts() -> dict[Path, str]:
    """Return what the text files among them contain."""
    contents = {}
    for path in project_files():
        try:
            contents[path] = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            continue  # a picture
    return contents


def lines_matching(pattern: re.Pattern[str], contents: dict[Path, str]) -> list[str]:
    """Return ``file:line: what`` for each match."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {match.group()}"
        for path, text in contents.items()
        for number, line in enumerate(text.splitlines(), 1)
        for match in pattern.finditer(line)
    ]


# ---------------------------------------------------------------------------------------------------------------------
# Tools


def test_ruff_finds_nothing() -> None:
    """`ruff check` is content with every Python file and notebook."""
    done = run(sys.executable, "-m", "ruff", "check", "--quiet", "--output-format=concise", ".")
    assert done.returncode == 0, f"ruff check --fix mends some of these:\n{done.stdout}{done.stderr}"


def test_everything_is_formatted() -> None:
    """`ruff format` would change nothing."""
    done = run(sys.executable, "-m", "ruff", "format", "--check", ".")
    assert done.returncode == 0, f"run `ruff format`:\n{done.stdout}{done.stderr}"


def test_mypy_strict_finds_nothing() -> None:
    """The three packages are fully annotated and the annotations hold."""
    written = [package for package in PACKAGES if (ROOT / package / "__init__.py").exists()]
    if not written:
        pytest.skip("no package has been written")
    options = [option for package in written for option in ("-p", package)]
    done = run(sys.executable, "-m", "mypy", "--no-error-summary", *options)
    assert done.returncode == 0, f"mypy:\n{done.stdout}{done.stderr}"


# ---------------------------------------------------------------------------------------------------------------------
# What must not be in the repository

# Where this was developed, as an absolute path; a longer name (/workers) or a relative one (a/tmp/b) is none.
MACHINE_PATH = re.compile(r"(?<![\w.~/-])/(?:work|root|tmp)\b")
REGISTRY = re.compile(
    r"pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|deb\.debian\.org|registry\.[a-z]+\.|"
    r"(?:extra-)?index[-]url|find[-]links|trusted[-]host"
)
ADDRESS = re.compile(r"\w+[:]//\S+")


@pytest.mark.parametrize("path", ["/" + "work/main/sim", "'/" + "tmp/x'", "(/" + "root/.pyenv)", "see /" + "tmp"])
def test_a_path_of_this_machine_is_recognised(path: str) -> None:
    """The rule below can fail."""
    assert MACHINE_PATH.search(path)


@pytest.mark.parametrize("text", ["anon_vma/root", "mm/workingset.c", "/workers", "https://example.org/work"])
def test_other_slashes_are_no_path_of_this_machine(text: str) -> None:
    """The rule below does not cry wolf."""
    assert not MACHINE_PATH.search(text)


def test_no_path_of_the_machine_it_was_written_on() -> None:
    """Nothing, a notebook's output included, names a folder that only existed where it was made."""
    assert lines_matching(MACHINE_PATH, texts()) == []


def test_no_registry_is_named() -> None:
    """Where packages come from is the business of the machine that installs them."""
    assert REGISTRY.search("--index" + "-url x")
    assert REGISTRY.search("files.python" + "hosted.org")
    assert lines_matching(REGISTRY, texts()) == []


def test_what_installs_names_no_address() -> None:
    """constraints.txt, pyproject.toml and .ci/run contain no address at all, and there is no uv.lock, which would."""
    installs = {ROOT / name: (ROOT / name).read_text() for name in ("constraints.txt", "pyproject.toml", ".ci/run")}
    assert ADDRESS.search("x @ https:" + "//host/x.whl")
    assert lines_matching(ADDRESS, installs) == []
    assert not [path for path in project_files() if path.name in ("uv.lock", "poetry.lock", "package-lock.json")]


def test_constraints_are_plain_versions() -> None:
    """Each line is ``name==version``, with a marker where Python versions differ; every dependency of ours is there."""
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [
        line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[\w.]+( ; python_version \S+ \"3\.\d+\")?", line)
    ] == []
    pinned = {line.split("==")[0] for line in lines}
    wanted = set(re.findall(r'^    "([a-z-]+)>=', (ROOT / "pyproject.toml").read_text(), re.MULTILINE))
    assert {"simpy", "anywidget", "pytest"} <= wanted
    assert wanted <= pinned


# ---------------------------------------------------------------------------------------------------------------------
# Size and words

MOST_LINES = 400
MOST_LINES_OF_A_KERNEL_FILE = 900  # it is cut where the kernel cut it: mm/rmap.c has 1,800 lines, mm/memory.c 4,000


def most_lines(path: Path) -> int:
    """How long a file may be."""
    return MOST_LINES_OF_A_KERNEL_FILE if path.is_relative_to(ROOT / "sim/kernel") else MOST_LINES


def test_no_file_got_away() -> None:
    """Every code base has one module that got away; a size budget does not keep itself."""
    sources = {path: text for path, text in texts().items() if path.suffix in (".py", ".js", ".mjs", ".css")}
    assert sources
    long = {
        str(path.relative_to(ROOT)): text.count("\n")
        for path, text in sources.items()
        if text.count("\n") > most_lines(path)
    }
    assert not long, (
        f"{long}: a file has one subject and at most {MOST_LINES} lines; find its two subjects and part them"
    )


BANNED = re.compile(r"\b(?:simply|just|obviously)\b", re.IGNORECASE)
CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)


def prose() -> dict[Path, str]:
    """Return what is read as English: README and the markdown cells of the lessons, without the code in them."""
    readable = {ROOT / "README.md": (ROOT / "README.md").read_text("utf-8")}
    for path in project_files():
        if path.suffix == ".ipynb" and path.is_relative_to(ROOT / "course"):
            cells = nbformat.read(path, as_version=4).cells
            readable[path] = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return {path: CODE.sub("", text) for path, text in readable.items()}


def test_prose_does_not_belittle_the_reader() -> None:
    """What is simple to the writer is not to the reader; these words say otherwise and explain nothing."""
    assert BANNED.search("It is, Obviously, so.")
    assert not BANNED.search("adjust the justification")
    assert lines_matching(BANNED, prose()) == []


# ---------------------------------------------------------------------------------------------------------------------
# Installing and running


def command_in_readme(marker: str) -> list[str]:
    """Return the lines of the first code block after the marker."""
    text = (ROOT / "README.md").read_text("utf-8")
    match = re.search(rf"<!-- {marker} -->.*?```\w*\n(.*?)```", text, re.DOTALL)
    assert match, f"README.md has no code block after <!-- {marker} -->"
    return match.group(1).splitlines()


def test_readme_gives_one_line_for_each_purpose() -> None:
    """One command opens the course, one runs every test; both start from a bare Python."""
    (lab,), (test,) = command_in_readme("lab-command"), command_in_readme("test-command")
    bare = "python3 -m venv .venv && .venv/bin/python -m pip install -e "
    assert lab == bare + ". && .venv/bin/jupyter lab course/00_start_here.ipynb"
    assert test == bare + '".[test]" && .venv/bin/python -m pytest -n 2 --dist loadfile'


def run_ci(folder: Path, readme: str) -> subprocess.CompletedProcess[str]:
    """Run .ci/run in a folder with this README, on a machine that seems to lack nothing."""
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", folder / ".ci")
    (folder / "README.md").write_text(readme)
    (folder / "bin").mkdir()
    for name in ("chromium", "node", "apt-get"):
        (folder / "bin" / name).write_text("#!/bin/sh\n")
        (folder / "bin" / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run([folder / ".ci/run"], env=environment, capture_output=True, text=True)


def test_ci_runs_the_line_that_readme_gives(tmp_path: Path) -> None:
    """CI takes the command from README, under tested versions, and its failure is CI's failure."""
    other = "```sh\necho no\n```\n"
    block = "<!-- test-command -->\n\n```sh\necho $RMAPWALK_CI $PIP_CONSTRAINT && exit 7\n```\n"
    done = run_ci(tmp_path, other + block + other)
    assert done.stdout.splitlines()[-1] == f"1 {tmp_path / 'constraints.txt'}"
    assert done.returncode == 7


def test_ci_says_so_when_readme_gives_no_line(tmp_path: Path) -> None:
    """A README without the marker fails CI with a sentence, instead of passing for want of a command."""
    done = run_ci(tmp_path, "```sh\necho no\n```\n")
    assert done.returncode == 1
    assert "README.md has no code block after the line '<!-- test-command -->'" in done.stderr
