"""What real kernels did, beside the model: the recordings are the course's, with their provenance."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from course.progress import COURSE
from sim.analysis.recorded import Section, differences, in_short, modelled, sections
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
]


@pytest.mark.parametrize(("file", "section", "variant", "params"), CASES)
def test_the_model_does_what_the_kernel_did(file: str, section: str, variant: str, params: dict[str, int]) -> None:
    """Every count, and the order of unmaps, sends, receipts, copies and remaps."""
    model = modelled(run("move_pages", variant, record=True, params=params))
    assert differences(recorded(file)[section], model) == []
    other = modelled(run("move_pages", variant, record=True, params={**params, "pages": 3}))
    assert differences(recorded(file)[section], other) != []  # so that this test can fail


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
