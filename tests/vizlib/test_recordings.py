"""A recording of a real kernel is drawn and told like a run of the model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.progress import COURSE
from sim.engines.timed import run
from sim.errors import BadTrace, UnknownName
from sim.ftrace import Record, Recording, lines_of
from vizlib.__main__ import main
from vizlib.perfetto import perfetto
from vizlib.recordings import MOST, chosen, recorded_lanes, sentence
from vizlib.renderers.html import page
from vizlib.scene import Json
from vizlib.timeline import in_order, strips, timeline

RECORDED = COURSE / "recorded"


def lanes(kernel: str, section: str) -> Json:
    """A section as lanes."""
    recording = Recording(lines_of(RECORDED / f"trace-{kernel}.txt"))
    section, records = chosen(recording, section)
    return recorded_lanes(records, section, kernel=recording.kernel)


def letters(it: Json) -> list[str]:
    """Each lane in order of its events, without blanks."""
    rows = strips(in_order(it, ["anon_vma lock"])).splitlines()[:-1]
    return ["".join(row.split("  ", 1)[1].split()).replace(".", "") for row in rows]


@pytest.mark.parametrize(
    ("kernel", "section", "variant", "params"),
    [
        ("6.1", "s4single", "v61", {}),
        ("6.1", "s4idle", "v61", {"spinners": 3}),
        ("6.12", "s4single", "v612", {}),
        ("6.12", "s4idle", "v612", {"spinners": 3}),
        ("6.1-graph", "g4idle", "v61", {"spinners": 3}),
        ("6.12-graph", "g4idle", "v612", {"spinners": 3}),
    ],
)
def test_the_lanes_of_a_recording_are_those_of_the_model(
    kernel: str, section: str, variant: str, params: dict[str, int]
) -> None:
    """Thread by thread the same letters: holds of the anon_vma lock, flushes, interrupts, copies."""
    model = timeline(run("move_pages", variant, record=True, params={"pages": 4, **params}), everything=True)
    theirs, ours = (["".join(dict.fromkeys(row)) for row in letters(it)] for it in (lanes(kernel, section), model))
    assert theirs == ours
    counted = [
        [{kind: row.count(kind) for kind in "Cv^"} for row in letters(it)] for it in (lanes(kernel, section), model)
    ]
    assert counted[0] == counted[1]


def test_who_meets_a_migration_entry_waits_after_its_interrupt() -> None:
    """Under 6.12 each of the three writers goes on with its stale entry until it is interrupted."""
    assert [row[:2] for row in letters(lanes("6.12", "s4spin"))[1:]] == ["^~"] * 3


def test_a_recording_is_a_trace_for_the_player_and_for_perfetto() -> None:
    """The page has it; each hold, wait and interrupt is in Perfetto's file, which says that times are recorded."""
    made = lanes("6.12", "s4spin")
    assert "s4spin, recorded with Linux 6.12" in page(made)
    events = perfetto(made)["traceEvents"]
    assert next(it["args"]["name"] for it in events if it["name"] == "process_name").endswith("(recorded)")
    assert sum(it.get("cat") == "interrupt" for it in events) == 3
    assert sum(it.get("cat") == "wait" for it in events) == 5


def test_order_in_place_of_time_keeps_what_is_before_what() -> None:
    """Each interval keeps its neighbours; the axis ends where the events do."""
    made = in_order(lanes("6.1", "s4idle"), ["anon_vma lock"])
    assert strips(made).splitlines()[0] == "mig-3158  #v###.C#.#v###.C#.#v###.C#.#v###.C#.".ljust(
        10 + made["end"] + 1, "."
    )
    assert in_order(made)["lanes"] == made["lanes"]


def said(kind: str = "function", name: str = "f", caller: str = "", detail: str = "") -> str:
    """The sentence of a record."""
    return sentence(Record(kind, name, caller, detail, "mig", 3, 1, 0, ""))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (
            ("function", "rmap_walk_anon", "try_to_migrate"),
            "walks the reverse map of a page, to unmap it (rmap_walk_anon",
        ),
        (("function", "rmap_walk_anon", "migrate_folio_move"), "to map it again"),
        (("function", "down_read_trylock", "folio_lock_anon_vma_read"), "tries to take the anon_vma lock"),
        (("function", "up_read", "try_to_migrate"), "gives back the anon_vma lock"),
        (("function", "unheard_of", "by"), "makes a call (unheard_of, called by by)"),
        (("event", "tlb_flush", "", "pages:-1 reason:remote ipi send (4)"), "interrupts other CPUs"),
        (("event", "tlb_flush", "", "pages:1 reason:remote shootdown (1)"), "is interrupted"),
        (("event", "sched_switch", "", "prev_state=D ==> next_comm=b"), "sleeps; next runs b"),
        (("event", "sched_switch", "", "prev_state=R+ ==> next_comm=b"), "is preempted by b"),
        (("event", "mm_migrate_pages", "", "nr_succeeded=4 nr_failed=0"), "has moved 4 pages, 0 failed"),
        (("event", "page_fault_user", "", "address=0x7f ip=0x1"), "faults at 0x7f"),
        (("event", "contention_begin", "", "0xf (flags=READ)"), "waits for a lock that another has (0xf (flags=READ))"),
        (("event", "unheard_of"), "says unheard_of."),
    ],
)
def test_each_record_has_a_sentence(record: tuple[str, ...], words: str) -> None:
    """Who, where, what, and the kernel's own name."""
    assert said(*record).startswith("mig-3 (CPU 1) ")
    assert words in said(*record)


def test_a_contended_lock_is_a_wait() -> None:
    """From contention_begin to contention_end of the same thread."""
    lines = [
        " mig-3 [000] ..... 1.000001: contention_begin: 0xffff (flags=READ|RWSEM)",
        " mig-3 [000] ..... 1.000002: folio_copy <-x",
        " mig-3 [000] ..... 1.000005: contention_end: 0xffff (ret=0)",
    ]
    made = recorded_lanes(chosen(Recording(lines))[1])
    assert made["lanes"][0]["wait"] == [[0], [4000], [made["labels"].index("a lock that another has")]]


@settings(derandomize=True, deadline=None, max_examples=60)
@given(names=st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8), st.text(max_size=20)), max_size=8))
def test_hostile_names_are_names(names: list[tuple[str, str, str]]) -> None:
    """Whatever a thread or an event is called, there are sentences, lanes and a page."""
    copy = Record("function", "folio_copy", "", "", "a", 1, 0, 5, "")
    records = [Record("event", name, "", detail, task, at, 0, at, "") for at, (name, detail, task) in enumerate(names)]
    records.append(copy._replace(task=names[0][2] if names else "</script>"))
    assert all(map(sentence, records))
    assert "</script>-1" not in page(recorded_lanes(records))


def test_what_cannot_be_chosen_or_drawn_names_the_remedy() -> None:
    """No such section, several of them, none that can be drawn, too much of it."""
    call = Record("function", "f", "", "", "a", 1, 0, 5, "s")
    with pytest.raises(UnknownName, match="s1"):
        chosen([call], "s1")
    with pytest.raises(BadTrace, match="choose one with --section"):
        chosen([call, call._replace(section="t")])
    with pytest.raises(BadTrace, match="nothing to draw"):
        recorded_lanes([call])
    with pytest.raises(BadTrace, match="mark BEGIN and END"):
        chosen(call for _ in range(MOST + 1))


def test_the_command_draws_and_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lanes as text, sentences, a page, Perfetto's file; bad input is one line."""
    asked = ["recording", str(RECORDED / "trace-6.12.txt"), "--section", "s4idle"]
    assert main([*asked, "--said"]) == 0
    out = capsys.readouterr().out
    assert "\nmig-1739    #.##" in out
    assert "(CPU 0) flushes TLBs for a whole batch (arch_tlbbatch_flush, called by try_to_unmap_flush)." in out
    for name in ("a.html", "a.json", "a.svg"):
        assert main([*asked, "-o", str(tmp_path / name), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["bytes"] == (tmp_path / name).stat().st_size
    assert main([*asked[:2]]) == 2
    assert "several sections" in capsys.readouterr().err
    assert main(["recording", "none.txt"]) == 2
    assert "none.txt cannot be read" in capsys.readouterr().err
