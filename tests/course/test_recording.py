"""The recording kit: a program that moves its own pages, what records it, and an emulated machine with two nodes."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from course.cli import main
from course.progress import COURSE
from course.recording import two_nodes
from sim.analysis.recorded import CALLS, differences, modelled, sections
from sim.engines.timed import run
from sim.errors import UserError
from sim.ftrace import Recording
from tests.conftest import lacking

KIT = COURSE / "recording"
NODES = Path("/sys/devices/system/node")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built as its first lines say, with warnings as errors."""
    if platform.system() != "Linux":
        pytest.skip("move_pages(2) is Linux's")
    if shutil.which("gcc") is None:
        lacking("no gcc found: install it (Debian: apt-get install gcc libc6-dev)")
    built = tmp_path_factory.mktemp("kit") / "move_own_pages"
    command = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", built, KIT / "move_own_pages.c"]
    subprocess.run(command, check=True)
    return built


def asked(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command."""
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_it_says_where_its_pages_are(program: Path) -> None:
    """move_pages with no target nodes is answered on a machine with one node too."""
    said = asked(program, "--status", "--pages", "5")
    if said.returncode == 3:
        pytest.skip(said.stderr)
    assert said.returncode == 0
    where = re.fullmatch(r"now:((?: \d+ on node \d+)+)\n", said.stdout)
    assert where is not None
    assert sum(int(it) for it in re.findall(r"(\d+) on", where[1])) == 5


def test_it_moves_them_or_says_why_not(program: Path) -> None:
    """With two nodes all pages go and no write is lost; with one it says so, and what works instead."""
    said = asked(program, "--pages", "3", "--write", "1")
    if len(list(NODES.glob("node[0-9]*"))) > 1 and said.returncode != 3:
        assert said.returncode == 0
        assert "3 on node" in said.stdout
        assert "writes: 0 of 3 last ones lost" in said.stdout
    else:
        assert said.returncode == 3
        assert said.stdout == ""
        assert re.match(
            r"move_own_pages: (this machine has 1 NUMA node online|this kernel knows no NUMA|.* refused)", said.stderr
        )


def test_its_help_names_every_option(program: Path) -> None:
    """And that is all that it takes."""
    told = asked(program, "--help")
    assert told.returncode == 0
    known = set(re.findall(r'\{ "(\w+)", (?:required|no)_argument', (KIT / "move_own_pages.c").read_text("utf-8")))
    assert set(re.findall(r"^  --(\w+)", told.stdout, re.MULTILINE)) == known


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--pages", "0"], "--pages 0 is not allowed: a whole number, 1 to "),
        (["--pages", "4x"], "--pages 4x is not allowed"),
        (["--spin", "99999999999999999999"], "is not allowed"),
        (["--pages"], "--pages is not known, or lacks its value: see --help"),
        (["--bogus"], "--bogus is not known"),
        (["four"], "'four' is no option: see --help"),
        (["--write", "1", "--children", "1"], "leave one of them away"),
        (["--huge", "--pages", "5000"], "more than 2 GiB"),
    ],
)
def test_bad_input_of_the_program_is_one_line(program: Path, options: list[str], says: str) -> None:
    """Exit code 2, nothing on stdout."""
    said = asked(program, *options)
    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (2, "", 1)
    assert says in said.stderr


def test_the_script_records_all_that_is_counted() -> None:
    """Every function by which a recording is counted is among those that it asks for, and so is tlb:tlb_flush."""
    told = asked("sh", KIT / "record.sh", "--dry-run", "--section", "s", "--with", "tracefs", "--", "--pages", "4")
    assert told.returncode == 0
    named = set(told.stdout.split())
    assert {name for pair in CALLS for name in pair if name} <= named
    assert {"tlb:tlb_flush", "sched:sched_switch", "lock:contention_begin", "exceptions:page_fault_user"} <= named
    assert told.stdout.endswith("move_own_pages --mark --pages 4\n")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--with", "strace"], "--with strace: tracefs, graph, trace-cmd or bpftrace: see --help"),
        (["--section", "a b"], "letters, digits and _ only"),
        (["-o"], "-o lacks its value"),
        (["--pages"], "'--pages' is no option"),
    ],
)
def test_bad_input_of_the_script_is_one_line(options: list[str], says: str) -> None:
    """Exit code 2."""
    said = asked("sh", KIT / "record.sh", *options)
    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (2, "", 1)
    assert says in said.stderr


def test_an_archive_is_read_by_cpio(tmp_path: Path) -> None:
    """What a kernel unpacks as its first file system: folders, files with their modes, links."""
    if shutil.which("cpio") is None and shutil.which("busybox") is None:
        pytest.skip("no cpio found: install it (Debian: apt-get install cpio)")
    tool = ["cpio"] if shutil.which("cpio") else ["busybox", "cpio"]
    files = {"a": (0o40755, b""), "a/b": (0o100755, b"12345"), "a/c": (0o120777, b"b")}
    subprocess.run([*tool, "-i"], input=two_nodes.archive(files), cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "a" / "c").read_bytes() == b"12345"
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o755


def test_what_a_machine_says_is_told_and_its_recording_kept() -> None:
    """Between the marks it is the recording, before them progress; a machine that dies says its last words."""
    console = ["boots\r\n", "@said s: after: 4\r\n", "@begin\r\n", "# Linux 6\r\n", "line\r\n", "@end\r\n", "more"]
    assert two_nodes._recording(iter(console), None) == "# Linux 6\nline\n"
    with pytest.raises(UserError, match="its last words: boots / Kernel panic"):
        two_nodes._recording(iter(["boots\n", "Kernel panic\n"]), None)


def test_without_a_kernel_the_remedy_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Or without qemu; nothing is written then."""
    target = tmp_path / "out.txt"
    assert main(["two-nodes", "--kernel", str(tmp_path / "none"), "-o", str(target)]) == 2
    assert re.match(r"course: (this machine lacks .*apt-get install|.*none cannot be read)", capsys.readouterr().err)
    assert not target.exists()


@pytest.mark.emulated
def test_an_emulated_machine_does_what_the_model_does() -> None:
    """Debian's kernel with two nodes: the counts and the order of the model, with and without threads that spin."""
    if lacks := two_nodes.missing():
        pytest.skip(f"this machine lacks {', '.join(lacks)}")
    kernel = two_nodes.newest_kernel()
    assert kernel is not None
    asked_for = {name: two_nodes.SECTIONS[name] for name in ("s4single", "s4idle")}
    recording = Recording(two_nodes.boot(kernel, asked_for).splitlines())
    found = sections(recording)
    release = tuple(int(it) for it in recording.kernel.split(".")[:2])
    variant = "v612" if release >= (6, 3) else "v61"
    for name, params in (("s4single", {}), ("s4idle", {"spinners": 3})):
        model = modelled(run("move_pages", variant, record=True, params={"pages": 4, **params}))
        assert differences(found[name], model) == []
