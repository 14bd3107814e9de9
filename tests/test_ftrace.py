"""Traces of real kernels are read line by line, whatever stands in them."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.progress import COURSE
from sim.errors import BadTrace
from sim.ftrace import LONGEST, Record, Recording, lines_of

FILES = sorted((COURSE / "recorded").glob("*.txt"))
STEADY = settings(derandomize=True, deadline=None, max_examples=60)


def only(line: str | bytes) -> Record:
    """The record of a line that has one."""
    recording = Recording([line])
    (record,) = recording
    assert (recording.unknown, recording.lines) == (0, 1)
    return record


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (  # trace_pipe, the function tracer
            "             mig-3151    [000] ...1.    78.928422: rmap_walk_anon <-try_to_migrate",
            ("function", "rmap_walk_anon", "try_to_migrate", "", "mig", 3151, 0, 78_928_422_000),
        ),
        (  # a task whose name has a dash and a slash
            "     kworker/u8:1-events-18      [003] d..2.    78.483572: sched_switch: prev_comm=a ==> next_comm=b",
            ("event", "sched_switch", "", "prev_comm=a ==> next_comm=b", "kworker/u8:1-events", 18, 3, 78_483_572_000),
        ),
        (  # trace-cmd report, a tracepoint
            "             mig-3151  [002]  1078.930863: tlb_flush:            pages:1 reason:remote shootdown (1)",
            ("event", "tlb_flush", "", "pages:1 reason:remote shootdown (1)", "mig", 3151, 2, 1_078_930_863_000),
        ),
        (  # trace-cmd report, the function tracer
            "             mig-3151  [002]  1078.930863: function:             rmap_walk_anon <-- try_to_migrate",
            ("function", "rmap_walk_anon", "try_to_migrate", "", "mig", 3151, 2, 1_078_930_863_000),
        ),
        (  # with thread groups
            "             mig-3151 (   3150) [000] d..3.  78.928493000: flush_tlb_func <-smp_call_function_many_cond",
            ("function", "flush_tlb_func", "smp_call_function_many_cond", "", "mig", 3151, 0, 78_928_493_000),
        ),
        (  # perf script
            "mig  3151 [001]    78.930959:          1   tlb:tlb_flush: pages:-1 reason:local shootdown (2)",
            ("event", "tlb_flush", "", "pages:-1 reason:local shootdown (2)", "mig", 3151, 1, 78_930_959_000),
        ),
        (  # function_graph with time and task
            "   41.188449 |   0)    mig-1748    | + 10.575 us   |    folio_isolate_lru();",
            ("function", "folio_isolate_lru", "", "", "mig", 1748, 0, 41_188_449_000),
        ),
        (  # function_graph as it comes
            " 1)               |  do_pages_move() {",
            ("function", "do_pages_move", "", "", "", -1, 1, -1),
        ),
        (
            b"  m\xff-7 [000] .....  1.5: up_read <-b\n",
            ("function", "up_read", "b", "", "m\ufffd", 7, 0, 1_500_000_000),
        ),
    ],
)
def test_each_tracer_says_the_same_in_its_own_way(line: str | bytes, said: tuple[object, ...]) -> None:
    """Kind, name, caller, detail, task, number, CPU, and nanoseconds."""
    assert tuple(only(line))[:-1] == said


def test_function_graph_tells_the_caller_by_nesting() -> None:
    """A call within another is that one's; each CPU and task has a nesting of its own."""
    lines = [
        " 0)               |  try_to_migrate() {",
        " 1)               |  do_exit() {",
        " 0)   1.923 us    |    rmap_walk_anon();",
        " 0)               |    /* tlb_flush: pages:1 reason:remote ipi send (4) */",
        " 0)   6.670 us    |  }",
        " 0)   0.1 us      |  up_read();",
        " 0)   0.1 us      |  }",
    ]
    told = [(it.name, it.caller) for it in Recording(lines)]
    within = [("rmap_walk_anon", "try_to_migrate"), ("tlb_flush", "try_to_migrate")]
    assert told == [("try_to_migrate", ""), ("do_exit", ""), *within, ("up_read", "")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_recordings_of_the_course_are_read_whole(path: Path) -> None:
    """No line is unknown, and within a section no time runs backwards."""
    recording = Recording(lines_of(path))
    records = list(recording)
    assert (recording.unknown, recording.backwards, recording.lost) == (0, 0, 0)
    assert len(records) > recording.lines / 2
    assert {it.section[0] for it in records} == {"g" if "graph" in path.stem else "s"}


def test_what_is_odd_is_counted_and_not_fatal() -> None:
    """Lines of no known shape, times that run backwards, and what the tracer says that it lost."""
    recording = Recording(
        [
            "# Linux 6.12.1-arch1 x86_64",
            "CPU:2 [LOST 12 EVENTS]",
            "what is this",
            " a-1 [000] ..... 2.0: b <-c",
            " a-1 [000] ..... 1.0: b <-c",
            " a-1 [001] ..... 1.5: b <-c",
            "",
        ]
    )
    assert len(list(recording)) == 3
    assert (recording.lines, recording.unknown, recording.backwards, recording.lost) == (7, 1, 1, 12)
    assert recording.kernel == "6.12.1-arch1"


@STEADY
@given(lines=st.lists(st.one_of(st.text(), st.binary()), max_size=20))
def test_nothing_that_stands_in_a_file_is_fatal(lines: list[str | bytes]) -> None:
    """Whatever text, whatever bytes: each line is read, unknown, or silent."""
    recording = Recording(lines)
    assert len(list(recording)) + recording.unknown <= recording.lines == len(lines)


@STEADY
@given(number=st.integers(0, 10**6), cut=st.integers(0, 200), noise=st.text(max_size=5), file=st.sampled_from(FILES))
def test_a_line_that_was_cut_or_scribbled_on_is_not_fatal(number: int, cut: int, noise: str, file: Path) -> None:
    """A line of a real recording, cut somewhere, with something else in its place."""
    lines = file.read_text("utf-8").splitlines()
    line = lines[number % len(lines)]
    recording = Recording([line[:cut] + noise + line[cut + len(noise) :], line[:cut]])
    assert len(list(recording)) + recording.unknown <= 2


def test_memory_does_not_grow_with_the_recording() -> None:
    """Ten times the lines, and hardly more memory."""

    def lines(number: int) -> Iterator[str]:
        for it in range(number):
            yield f" mig-31 [000] ..... {it // 1000}.{it % 1000:03}000: rmap_walk_anon <-try_to_migrate"

    def peak(number: int) -> int:
        tracemalloc.start()
        for _ in Recording(lines(number)):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(20_000) < 2 * peak(2_000)


def test_a_file_without_line_ends_is_cut(tmp_path: Path) -> None:
    """So that a damaged file is not read at once; one that cannot be read says why."""
    path = tmp_path / "long.txt"
    path.write_bytes(b"x" * (3 * LONGEST + 1))
    assert [len(it) for it in lines_of(path)] == [LONGEST, LONGEST, LONGEST, 1]
    with pytest.raises(BadTrace, match="cannot be read: "):
        list(lines_of(tmp_path))
