"""What real kernels did, beside the model: the recordings are the course's, with their provenance."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from course.progress import COURSE
from sim.analysis.recorded import Section, differences, in_short, modelled, sections
from sim.analysis.switches import switches
from sim.cli import main
from sim.engines.timed import run
from sim.ftrace import Recording, lines_of

RECORDED = COURSE / "recorded"


def recorded(name: str) -> dict[str, Section]:
    return sections(Recording(lines_of(RECORDED / f"{name}.txt")))


def test_linux_6_1_moves_one_page_after_the_other() -> None:
    """Unmap, flush, copy, remap, four times; with three threads that run each flush takes three interrupts."""
    found = recorded("trace-6.1")
    assert in_short(found["s4single"].order) == "4 times (unmap, copy, remap)"
    assert in_short(found["s4idle"].order) == "4 times (unmap, send, 3 times receipt, copy, remap)"


def test_linux_6_12_unmaps_all_and_flushes_once() -> None:
    """Four pages, one flush, three interrupts."""
    found = recorded("trace-6.12")
    assert in_short(found["s4idle"].order) == "4 times unmap, send, 3 times receipt, 4 times (copy, remap)"
    assert found["s4idle"].counts["tlb_flushes"] == 1
    assert found["s4single"].counts["tlb_flushes"] == 4  # one CPU: not batched


@pytest.mark.parametrize("kernel", ["6.1", "6.12"])
def test_two_tracers_tell_the_same(kernel: str) -> None:
    """The function tracer and function_graph, of two runs: the same counts, the same order."""
    one, other = recorded(f"trace-{kernel}")["s4idle"], recorded(f"trace-{kernel}-graph")["g4idle"]
    assert (one.counts, one.order) == (other.counts, other.order)


CASES = [
    ("trace-6.1", "s4single", "v61", {"pages": 4}),
    ("trace-6.1", "s4idle", "v61", {"pages": 4, "spinners": 3}),
    ("trace-6.12", "s4single", "v612", {"pages": 4}),
    ("trace-6.12", "s4idle", "v612", {"pages": 4, "spinners": 3}),
    ("perf-6.1", "s4idle", "v61", {"pages": 4, "spinners": 3}),
    ("perf-6.12", "s4idle", "v612", {"pages": 4, "spinners": 3}),
]


@pytest.mark.parametrize(("file", "section", "variant", "params"), CASES)
def test_the_model_does_what_the_kernel_did(file: str, section: str, variant: str, params: dict[str, int]) -> None:
    """Every count, and the order of unmaps, sends, receipts, copies and remaps."""
    model = modelled(run("move_pages", variant, record=True, params=params))
    assert differences(recorded(file)[section], model) == []
    other = modelled(run("move_pages", variant, record=True, params={**params, "pages": 3}))
    assert differences(recorded(file)[section], other) != []  # so that this test can fail


def test_kprobes_alone_tell_the_same_walks_and_order() -> None:
    """Without the function tracer, which names callers, a walk is that of whoever its thread has passed last."""
    lines = (RECORDED / "trace-6.12.txt").read_text("utf-8").splitlines()
    probes = sections(Recording(it for it in lines if " <-" not in it))["s4idle"]
    calls = recorded("trace-6.12")["s4idle"]
    unprobed = {"anon_vma_locks", "page_copies", "pte_visits_remap", "tlb_flushes"}  # some are, but not all
    assert {it: probes.counts[it] for it in calls.counts if it not in unprobed} == {
        it: calls.counts[it] for it in calls.counts if it not in unprobed
    }
    assert in_short([it for it in calls.order if it != "copy"]) == in_short(probes.order)


@pytest.mark.parametrize("kernel", ["6.1", "6.12"])
def test_perf_tells_the_same_by_kprobes_and_by_call_stacks(kernel: str) -> None:
    """By kprobes the same order as by calls, and the same counts but for locks; stacks tell whose walk each is."""
    found = recorded(f"perf-{kernel}")
    calls, probes, stacks = (found[f"s4idle{it}"] for it in ("", "_probes", "_stacks"))
    assert probes.order == calls.order
    assert probes.counts == {**calls.counts, "anon_vma_locks": 0}
    for it in ("unmap_walks", "remap_walks"):
        assert stacks.counts[it] == calls.counts[it] > 0
    walks = [it for it in Recording(lines_of(RECORDED / f"perf-{kernel}.txt")) if it.name == "rmap_walk_anon"]
    traced = [it for it in walks if it.stack]
    assert (len(walks), len(traced)) == (24, 8)
    assert all({"kernel_move_pages", "__x64_sys_move_pages", "do_syscall_64"} <= set(it.stack) for it in traced)


def test_where_threads_gave_up_their_cpus() -> None:
    """With call stacks the chain; without, the function that the thread was last seen in; who could go on is told."""
    lines = [
        " mig-3 [000] ..... 1.0: migration_entry_wait <-do_swap_page",
        " mig-3 [000] ..... 1.1: sched_switch: prev_comm=mig prev_state=D ==> next_comm=swapper/0",
        " mig-3 [000] ..... 1.2: sched_switch: prev_comm=mig prev_state=R+ ==> next_comm=kworker",
        " <idle>-0 [000] ..... 1.3: sched_switch: prev_comm=swapper/0 prev_state=R ==> next_comm=mig",
        " b-4 [001] ..... 1.4: sched_switch: prev_comm=b prev_state=S ==> next_comm=mig",
        " b-4 [001] ..... 1.4: <stack trace>",
        " => schedule",
        " => futex_wait",
    ]
    assert switches(Recording(lines)).folded().splitlines() == [
        "b;futex_wait;schedule;sched_switch 1",
        "mig;migration_entry_wait;sched_switch 1",
        "mig;migration_entry_wait;sched_switch;(preempted) 1",
    ]


def test_the_profile_of_a_recording_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Three writers slept five times for an entry; shares add up to all switches."""
    asked = ["recorded", str(RECORDED / "trace-6.12.txt"), "--section", "s4spin"]
    assert main([*asked, "--folded"]) == 0
    folded = capsys.readouterr().out
    assert "mig;migration_entry_wait_on_locked;sched_switch 5" in folded
    assert main([*asked, "--profile"]) == 0
    shares = re.findall(r"([\d.]+) %", capsys.readouterr().out)
    assert sum(map(float, shares)) == pytest.approx(100, abs=0.2)


def test_an_order_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that memory stays bounded; counts go on."""
    monkeypatch.setattr("sim.analysis.recorded.LONGEST_ORDER", 10)
    call = " a-1 [000] ..... 1.0: rmap_walk_anon <-try_to_migrate"
    found = sections(Recording([call] * 25))[""]
    assert (found.counts["unmap_walks"], len(found.order)) == (25, 10)


def test_what_depends_on_when_a_thread_writes_is_left_to_chance() -> None:
    """Three writers: the same flush and order under 6.12; how many of them met an entry differs from run to run."""
    model = modelled(run("move_pages", "v612", record=True, params={"pages": 4, "writers": 3}))
    found = differences(recorded("trace-6.12")["s4spin"], model)
    assert [it["what"] for it in found] == ["migration_entry_waits"]


def test_a_difference_names_what_differs_and_where() -> None:
    """Counts by name; of the order the first place."""
    theirs, ours = Section(order=["unmap", "send", "copy"]), Section(order=["unmap", "copy"])
    theirs.counts["tlb_flushes"] = 2
    assert differences(theirs, ours) == [
        {"what": "tlb_flushes", "recorded": 2, "model": 0},
        {"what": "order, event 2", "recorded": "send", "model": "copy"},
    ]
    assert differences(Section(order=["unmap"]), Section()) == [
        {"what": "order, event 1", "recorded": "unmap", "model": "nothing more"}
    ]


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ("", ""),
        ("a", "a"),
        ("aab", "2 times a, b"),
        ("abab", "2 times (a, b)"),
        ("abbcabbc", "2 times (a, 2 times b, c)"),
        ("aaab", "3 times a, b"),
    ],
)
def test_what_repeats_is_told_once(order: str, told: str) -> None:
    """The repetition that covers most."""
    assert in_short(list(order)) == told


def test_only_what_stands_between_the_marks_counts(tmp_path: Path) -> None:
    """Preparation before BEGIN and clearing up after END are somebody else's."""
    call = " a-1 [000] ..... 1.0: rmap_walk_anon <-try_to_migrate"
    mark = " a-1 [000] ..... 1.0: tracing_mark_write: "
    (tmp_path / "t").write_text("\n".join([call, f"{mark}BEGIN", call, call, f"{mark}END", call]))
    assert sections(Recording(lines_of(tmp_path / "t")))[""].counts["unmap_walks"] == 2


def test_compare_tells_both_and_where_they_part(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0 if they agree, 1 if not; the keys of its JSON."""
    asked = ["compare", str(RECORDED / "trace-6.1.txt"), "--section", "s4idle", "--variant", "v61", "--pages", "4"]
    assert main([*asked, "--spinners", "3"]) == 0
    assert capsys.readouterr().out.endswith("they agree\n")
    assert main([*asked, "--spinners", "2", "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert {"kernel", "sections", "differences", "lines_read", "lines_unknown"} <= set(data)
    assert data["kernel"] == "6.1.0-56-amd64"
    assert {"what": "ipis_received", "recorded": 12, "model": 8} in data["differences"]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["recorded", "none.txt"], "none.txt cannot be read: No such file"),
        (["recorded", str(COURSE / "__init__.py")], "tells nothing of a migration"),
        (["compare", str(RECORDED / "trace-6.1.txt"), "--variant", "v61"], "has 4 sections: add --section"),
        (["compare", str(RECORDED / "trace-6.1.txt"), "--variant", "v61", "--section", "s4"], "nearest: s4spin"),
        (["compare", str(RECORDED / "trace-6.1.txt"), "--variant", "v16"], "nearest: v61"),
    ],
)
def test_bad_input_names_the_remedy(argv: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, exit code 2."""
    assert main(argv) == 2
    assert says in capsys.readouterr().err
