"""The benchmark: its peer does the same work, and its table says what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.analysis.demands import predict
from sim.bench import measure, spin
from sim.bench.measure import PAGES, THREADS, VARIANT, WORLD, ResourcePeer, table
from sim.engines.timed import run
from vizlib.moments import Run
from vizlib.showcase import showcase
from vizlib.stills import MOST_STEPS, Stage, stills

DATA = {
    "timed": {"workload": "a", "seconds": 1.0, "peer_seconds": 2.0, "ratio": 2.0},
    "checker": [
        {"world": "w", "variant": "v", "verdict": "safe", "states": 10, "seconds": 1.0, "states_per_second": 10.0}
    ],
}


def test_the_peer_makes_as_many_copies_and_moves_as_many_pages() -> None:
    """A peer that did less would be no peer: the same world ends in the same number of moved pages."""
    params = {"threads": 4, "pages": 4}
    peer = ResourcePeer(params)
    assert peer.run() == len(peer.events)
    assert peer.machine.done
    assert peer.machine.verdict() is None
    copies = sum(type(op).__name__ == "CopyPage" for _, _, op, _ in peer.events)
    assert copies == run(WORLD, VARIANT, params=params).counts["page_copies"] == 16


def test_the_workload_is_the_headline_lock() -> None:
    """The measured run is one in which many threads want one lock."""
    assert (WORLD, VARIANT) == ("numa02", "mutex_v37")
    assert THREADS * PAGES >= 512


def test_the_table_has_a_row_for_each_measurement_with_and_without_a_browser() -> None:
    """Nothing that was not measured looks measured."""
    without = table({**DATA, "player": {"why": "no Chromium"}})
    assert "not measured: no Chromium" in without
    assert "slider" not in without
    slider = [
        {"variant": "v", "first": 0.0511, "seconds": 0.1234, "again": 0.0987, "how": "extrapolated", "apart": -0.0321}
    ]
    whole = {"seconds": 21.25, "steps": 1234567, "taped": 2.75, "same": True}
    more = table({**DATA, "player": {"why": ""}, "slider": slider, "whole": whole})
    assert "first picture: theory | 51 ms | 200 ms" in more
    assert "simulated answer, extrapolated | 123 ms | theory was 3.2 % below it" in more
    assert "with other costs | 99 ms | 200 ms" in more
    assert "21.2 s for 1,234,567 steps | 3 s" in more
    assert "from a tape | 2.8 s, the same to the nanosecond | 3 s" in more
    player = {"steps": 9, "load_ms": 12.4, "p95_ms": 1.5, "seek_p95_ms": 2.5, "late_percent": 0.25}
    found = table({**DATA, "player": player})
    assert "1.50 ms" in found
    assert "a film of 9 steps opens | 12 ms | 1 s" in found
    assert "0.25 %" in found
    assert "2.00 |" in found


def test_a_slider_is_timed_from_theory_to_the_simulated_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are measured anew, and how far they lie apart is theirs."""
    monkeypatch.setattr(measure, "WHOLE", {"threads": 4, "pages": 24})
    found = measure._slider("mutex_v37")
    assert found["how"] == "extrapolated"
    assert found["first"] > 0
    assert found["seconds"] > 0
    assert found["again"] > 0
    said = predict("numa02", threads=4, pages=24)
    assert said is not None
    whole = run("numa02", threads=4, pages=24)
    assert found["apart"] == pytest.approx(said.pages_per_second / whole.pages_per_second - 1)


def test_the_whole_run_is_measured_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """From start to end and by a tape: the same numbers."""
    monkeypatch.setattr(measure, "WHOLE", {"threads": 3, "pages": 6})
    found = measure._whole()
    assert found["same"]
    assert found["steps"] == run("numa02", threads=3, pages=6).steps
    assert min(found["seconds"], found["taped"]) > 0


def test_the_film_is_as_long_and_as_full_as_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """2,000 steps of at least 64 marks, as README's target has it; of a shorter one the row says how short."""
    long = showcase(measure.FILM, VARIANT)
    assert len(long.events) == MOST_STEPS
    run = Run(long)
    assert len(next(stills(run, Stage(run), 0)).marks) >= 64
    monkeypatch.setattr(measure, "FILM", "one_page")
    found = measure._film()
    assert found["seconds"] > 0
    assert f"a film of {found['steps']} steps built, {found['marks']} marks" in table(
        {**DATA, "player": {"why": ""}, "film": found}
    )


# --- Spin ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("with_spin")
@pytest.mark.parametrize(("size", "states"), [((1, 1, 1), 619), ((2, 1, 2), 4_255)])
def test_spin_searches_the_same_graph(size: tuple[int, int, int], states: int) -> None:
    """As many states as the checker and TLC find, and the one before its init process has run."""
    race = spin.race(*size)
    assert (race.states, race.spin_states) == (states, states + 1)


@pytest.mark.usefixtures("with_spin")
def test_spin_finds_the_planted_error(tmp_path: Path) -> None:
    """The peer does look: with the flush after the copy a write is lost, and that is no success."""
    text = spin.promela(1, 1, 1)
    for right, wrong in (
        ("od; who = 0; pc = 8", "od; who = 0; pc = 11"),
        ("pte[at] = 3; pc = 7", "pte[at] = 3; pc = 8"),
        ("data = 0; pc = 11", "data = 0; pc = 7"),
    ):
        assert text.count(right) == 1
        text = text.replace(right, wrong)
    assert spin.spin(text, tmp_path).verdict == "assertion"


def test_without_spin_the_row_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.analysis.spin.shutil.which", lambda name: None if name == "spin" else name)
    assert measure._spin() == {"why": "spin not found"}
    said = table({**DATA, "player": {"why": ""}, "spin": measure._spin()})
    assert "| checker against Spin | not measured: spin not found |" in said


def test_with_spin_the_row_has_the_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "missing", lambda: "")
    monkeypatch.setattr(spin, "race", lambda *size: spin.Race(size, 1_000, 0.5, 1_001, 2.0))
    found = measure._spin()
    assert [it["ratio"] for it in found["sizes"]] == [4.0] * len(spin.SIZES)
    found["sizes"][-1]["states"] = 300_001
    said = table({**DATA, "player": {"why": ""}, "spin": found})
    assert (
        "1,000 states, process start to verdict | 0.50 s | Spin, gcc -O2 and search: 2.00 s | 4.00 (3 wanted)" in said
    )
    assert said.count("(3 wanted)") == len(spin.SIZES) - 1  # beyond 300,000 states nothing is promised
