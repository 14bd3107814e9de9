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
from sim.ftrace import DEEPEST, LONGEST, Record, Recording, lines_of, switch_of

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
        (  # a kprobe, named by its user
            "     mig-1731    [000] ...1.    35.056531: k_ttm: (try_to_migrate+0x4/0x110) folio=0xffd4",
            ("probe", "try_to_migrate", "", "folio=0xffd4", "mig", 1731, 0, 35_056_531_000),
        ),
        (  # perf's
            "mig  3151 [001]    78.930959: probe:try_to_migrate: (ffffffff8129f2b0)",
            ("probe", "try_to_migrate", "", "", "mig", 3151, 1, 78_930_959_000),
        ),
        (  # one within a function, and one at a return, are no calls
            "     mig-1731    [000] ...1.    35.5: k_in: (try_to_migrate+0x40/0x110)",
            ("event", "k_in", "", "(try_to_migrate+0x40/0x110)", "mig", 1731, 0, 35_500_000_000),
        ),
        (  # trace-cmd report, function_graph
            "     mig-3151  [002]  1.5: funcgraph_entry:        1.2 us   |    folio_copy();",
            ("function", "folio_copy", "", "", "mig", 3151, 2, 1_500_000_000),
        ),
        (  # trace-cmd's name for trace_marker
            "  mig-239   [000]   134.5: print:                tracing_mark_write: BEGIN",
            ("event", "tracing_mark_write", "", "BEGIN", "mig", 239, 0, 134_500_000_000),
        ),
        (  # lock:contention_begin
            "     mig-3151  [002]  1.5: lock:contention_begin: 0xffff8880 (flags=READ|RWSEM)",
            ("event", "contention_begin", "", "0xffff8880 (flags=READ|RWSEM)", "mig", 3151, 2, 1_500_000_000),
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
    assert tuple(only(line))[:-2] == said


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


def test_trace_cmd_tells_the_nesting_of_function_graph_too() -> None:
    """Entry and exit are events there."""
    head = " mig-31 [002] 1.0: "
    lines = [
        f"{head}funcgraph_entry:                   |  try_to_migrate() {{",
        f"{head}funcgraph_entry:        0.150 us   |    rmap_walk_anon();",
        f"{head}funcgraph_exit:         2.310 us   |  }}",
        f"{head}funcgraph_entry:        0.150 us   |  up_read();",
    ]
    recording = Recording(lines)
    told = [(it.name, it.caller) for it in recording]
    assert told == [("try_to_migrate", ""), ("rmap_walk_anon", "try_to_migrate"), ("up_read", "")]
    assert recording.unknown == 0


def test_a_switch_is_read_in_each_of_its_forms() -> None:
    """The kernel's own, that of trace-cmd's plugin, that of record.sh with bpftrace; a name may hold anything."""
    kernel = "prev_comm=a b=c prev_pid=31 prev_prio=120 prev_state=R+ ==> next_comm=x y next_pid=18 next_prio=120"
    assert switch_of(kernel) == (31, True, "x y", 18)
    assert switch_of("mig:31 [120] D ==> swapper/0:0 [120]") == (31, False, "swapper/0", 0)
    assert switch_of("prev_comm=mig prev_state=S ==> next_comm=swapper/0 next_pid=0") == (-1, False, "swapper/0", 0)
    assert switch_of("prev_state=S ==> next_comm=b") == (-1, False, "b", -1)
    assert switch_of("nonsense") == (-1, False, "", -1)


FTRACE_STACK = [
    " mig-31 [002] d..2. 1.0: sched_switch: prev_comm=mig",
    " mig-31 [002] d..2. 1.0: <stack trace>",
    " => __schedule",
    " => down_read",
    " a-7 [000] ..... 1.5: b <-c",
]
TRACE_CMD_STACK = [
    " mig-31 [002] 1.0: sched_switch:  mig:31 [120] S ==> a:7 [120]",
    " mig-31 [002] 1.0: kernel_stack:         <stack trace >",
    "=> __schedule (ffffffff81c04a2d)",
    "=> down_read (ffffffff81c07a0d)",
    " a-7 [000] 1.5: function: b <-- c",
]
PERF_STACK = [
    "mig    31 [002]     1.0: sched:sched_switch: prev_comm=mig",
    "\tffffffff81c04a2d __schedule+0x2d ([kernel.kallsyms])",
    "\tffffffff81c07a0d down_read+0xd ([kernel.kallsyms])",
    "\t           9f189 [unknown] (/bin/perf)",  # of a program without names
    "\t               0 [unknown] ([unknown])",
    "",
    "a     7 [000]     1.5: ftrace:function: b <-c",
]


@pytest.mark.parametrize("lines", [FTRACE_STACK, TRACE_CMD_STACK, PERF_STACK], ids=["ftrace", "trace-cmd", "perf"])
def test_a_call_stack_belongs_to_the_record_before_it(lines: list[str]) -> None:
    """Innermost first; the next record has none."""
    recording = Recording(lines)
    told = [(it.name, it.stack) for it in recording]
    assert told == [("sched_switch", ("__schedule", "down_read")), ("b", ())]
    assert recording.unknown == 0


def test_a_stack_that_another_thread_got_in_before_is_not_given_to_it() -> None:
    """The line that announces a stack says whose it is."""
    swapped = [FTRACE_STACK[0], FTRACE_STACK[4], *FTRACE_STACK[1:4]]
    assert [it.stack for it in Recording(swapped)] == [(), ()]


def test_a_probe_with_a_stack_has_a_caller() -> None:
    """The frame below its own."""
    lines = ["mig 31 [002] 1.0: probe:rmap_walk_anon: (ffffffff81c04a2d)"]
    lines += ["\tffffffff81c04a2e rmap_walk_anon+0x1 ([k])", "\tffffffff81c07a0d try_to_migrate+0xd ([k])"]
    assert [(it.name, it.caller) for it in Recording(lines)] == [("rmap_walk_anon", "try_to_migrate")]


@pytest.mark.parametrize(
    "line",
    [
        f" a-{'1' * 5000} [000] ..... 1.0: b <-c",
        f" a-1 [{'0' * 5000}] ..... 1.0: b <-c",
        f" a-1 [000] ..... {'9' * 5000}.0: b <-c",
        f"CPU:1 [LOST {'9' * 3000} EVENTS]",
        f" {'1' * 4500}) |  b();",
        f" 1) |  /* {' ' * 9000}",
        " " * 9000,
    ],
)
def test_numbers_and_blanks_without_end_are_not_fatal(line: str) -> None:
    """Python refuses to read numbers of more than 4,300 digits, and a pattern may go back and forth for ever."""
    recording = Recording([line])
    assert list(recording) == []
    assert recording.unknown + recording.lost <= 10**9


def test_calls_that_never_end_are_forgotten() -> None:
    """A damaged function_graph opens calls and tasks without end; the nesting kept stays bounded."""
    recording = Recording(f" {cpu % 7}) t-{cpu} |  | f() {{" for cpu in range(25_000))
    for _ in recording:
        pass
    assert recording.unknown == 0
    assert len(recording._open) <= 10_000
    deep = Recording(" 0)               |  f() {" for _ in range(1000))
    assert len(list(deep)) == 1000
    assert [len(it) for it in deep._open.values()] == [DEEPEST]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_recordings_of_the_course_are_read_whole(path: Path) -> None:
    """No line is unknown, and within a section no time runs backwards."""
    recording = Recording(lines_of(path))
    records = list(recording)
    assert (recording.unknown, recording.backwards, recording.lost) == (0, 0, 0)
    assert len(records) + sum(len(it.stack) for it in records) > recording.lines / 2
    assert {it.section[0] for it in records} == {"p" if path.stem == "puzzle" else "g" if "graph" in path.stem else "s"}


def test_perf_names_the_kernel_in_its_header() -> None:
    """With --header, among much else."""
    recording = Recording(["# captured on    : Sat Nov 28 14:17:24 2026", "# os release : 6.18.44-amd64", "# ========"])
    assert list(recording) == []
    assert (recording.kernel, recording.unknown) == ("6.18.44-amd64", 0)


def test_what_is_odd_is_counted_and_not_fatal() -> None:
    """Lines of no known shape, times that run backwards, and what the tracer says that it lost."""
    recording = Recording(
        [
            "# Linux 6.12.1-arch1 x86_64",
            "CPU:2 [LOST 12 EVENTS]",
            "Lost 5 events",
            "what is this",
            " a-1 [000] ..... 2.0: b <-c",
            " a-1 [000] ..... 1.0: b <-c",
            " a-1 [001] ..... 1.5: b <-c",
            "",
        ]
    )
    assert len(list(recording)) == 3
    assert (recording.lines, recording.unknown, recording.backwards, recording.lost) == (8, 1, 1, 17)
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
