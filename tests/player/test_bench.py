"""The benchmark of the player measures what it says."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from vizlib.player.bench import made_up_film, measure


def test_the_made_up_film_has_64_marks_and_something_moves_in_each_step() -> None:
    """The stage of the target in the README."""
    film = made_up_film(50)
    assert len(film["first"]) == 64
    assert all(any(name.startswith("token:") for name in step["marks"]) for step in film["steps"])


@pytest.mark.browser
def test_it_plays_the_film_to_its_end_and_reports_times(page: Page) -> None:
    """Every figure is there; how good they are is the benchmark's business, not the tests'."""
    found = measure(page, made_up_film(60), jumps=20)
    assert set(found) == {"steps", "frames", "p50_ms", "p95_ms", "late_percent", "seek_p95_ms", "load_ms", "film_bytes"}
    assert found["frames"] > 5
    assert 0 < found["p50_ms"] <= found["p95_ms"]
