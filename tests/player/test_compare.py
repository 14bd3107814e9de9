"""Two runs in one page: one control moves both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from sim.engines.stepper import replay
from tests.player.conftest import film_of
from vizlib.compare import compare, counterexample
from vizlib.showcase import showcase

pytestmark = pytest.mark.browser

OpenFilm = Callable[..., Page]


@pytest.fixture(scope="module")
def pair() -> dict[str, Any]:
    """The same schedule rule under the mutex and under the rwsem."""
    return compare(showcase("two_migrators", "mutex_v37"), showcase("two_migrators", "rwsem_v38"))


def test_one_step_moves_both_and_each_says_its_own_sentence(open_film: OpenFilm, pair: dict[str, Any]) -> None:
    """Both films stand at the place that the axis says."""
    page = open_film(pair, "step=70")
    page.keyboard.press("ArrowRight")
    places = pair["axis"]["places"][71]
    runs = page.locator(".rmw-run")
    for side in (0, 1):
        expect(runs.nth(side)).to_have_attribute("data-place", str(places[side]))
        said = pair["compare"][side]["steps"][places[side] - 1]["sentence"]
        expect(runs.nth(side).locator(".rmw-sentence-text")).to_have_text(said)
    expect(page.locator(".rmw-count")).to_have_text(f"step 71 of {len(pair['steps'])}")


def test_two_runs_are_a_lecture_too_and_an_address_cannot_ask_for_others(
    open_film: OpenFilm, pair: dict[str, Any]
) -> None:
    """A presenter's keys step both, in large type; what the address asks for in vain is said."""
    left, right = pair["compare"]
    pair = {**pair, "compare": [left | {"run_name": left["run_name"] + "ab" * 400}, right]}
    page = open_film(pair, "step=70&run=one_page%20mutex_v37%20a3")
    expect(page.locator(".rmw-notice")).to_have_text("This file holds two runs, and no address can ask for others.")
    page.set_viewport_size({"width": 1920, "height": 1080})
    widths = "(its) => its.map((it) => it.getBoundingClientRect().width)"
    assert len(set(page.locator(".rmw-run > :not([hidden])").evaluate_all(widths))) == 1, (
        "a long name makes nothing wider"
    )
    page.keyboard.press("f")
    page.keyboard.press("PageDown")
    expect(page.locator(".rmw")).to_have_attribute("data-step", "71")
    page.keyboard.press("PageUp")
    expect(page.locator(".rmw")).to_have_attribute("data-step", "70")
    expect(page.locator(".rmw")).to_have_attribute("data-lecture", "true")


def test_it_plays_and_scrubs_by_its_lanes(open_film: OpenFilm, pair: dict[str, Any]) -> None:
    """The lanes of both have one scale: a click into one moves both."""
    page = open_film(pair, "speed=16")
    page.keyboard.press(" ")
    page.wait_for_function("() => Number(document.querySelector('.rmw').dataset.step) > 2")
    page.keyboard.press(" ")
    expect(page.locator(".rmw")).to_have_attribute("data-playing", "false")
    field = page.locator(".rmw-field").nth(1)
    box = field.bounding_box()
    assert box is not None
    field.click(position={"x": box["width"] / 2, "y": 8})
    step = int(page.locator(".rmw").get_attribute("data-step") or 0)
    assert abs(step - len(pair["steps"]) / 2) <= 1


def test_the_graphs_of_both_stand_beside_each_other(open_film: OpenFilm) -> None:
    """After the same step the one is stuck in a ring and the other is not; with the machines back, neither is shown."""
    made = compare(showcase("batch_deadlock~B7", "batch_2mb"), showcase("batch_deadlock~B7", "batch_v63"))
    page = open_film(made, f"step={len(made['compare'][0]['steps'])}")
    page.keyboard.press("g")
    waits = [page.get_by_role("region", name=f"Who waits for whom, {it['label']}") for it in made["compare"]]
    expect(waits[0]).to_contain_text("Deadlock: mover waits for the page lock of f1, held by writeback")
    expect(waits[1]).to_contain_text("Nobody waits.")
    for it in made["compare"]:
        expect(page.get_by_role("region", name=f"Family, {it['label']}")).to_be_visible()
    expect(page.locator(".rmw-run > .rmw-stage").first).to_be_hidden()
    page.keyboard.press("g")
    expect(waits[0]).to_be_hidden()
    expect(page.locator(".rmw-run > .rmw-stage").first).to_be_visible()


def test_the_next_difference_is_where_they_part(open_film: OpenFilm) -> None:
    """Two schedules of one world that differ from the fourth step on."""
    made = compare(replay("one_page mutex_v37 a3b2"), replay("one_page mutex_v37 a4b1"))
    page = open_film(made)
    page.keyboard.press("n")
    assert page.locator(".rmw").get_attribute("data-step") == "4"


def test_a_counterexample_marks_what_is_at_fault_and_tells_the_swap(open_film: OpenFilm) -> None:
    """The left run ends in its violation, the right one passes; the swap is a button that goes there."""
    made = counterexample(showcase("stack_grows", "rfc_remap_unlocked"))
    page = open_film(made)
    expect(page.locator(".rmw-run").nth(0).locator(".rmw-badge")).to_have_text("stale migration entry")
    expect(page.locator(".rmw-run").nth(0).locator("[data-mark='page:f0'].rmw-culprit")).to_have_count(1)
    expect(page.locator(".rmw-run").nth(1).locator(".rmw-culprit")).to_have_count(0)
    swap = page.get_by_role("region", name="What made the difference").get_by_role("button").first
    expect(swap).to_contain_text("the other way round")
    swap.click()
    assert page.locator(".rmw").get_attribute("data-step") == str(made["why"]["swaps"][0]["place"])

    page.set_viewport_size({"width": 1280, "height": 800})  # a laptop: the smallest words are still to be read
    small = """svg => Math.min(...[...svg.querySelectorAll('text')].filter(it => it.textContent.trim())
        .map(it => parseFloat(getComputedStyle(it).fontSize))) * svg.getScreenCTM().a"""
    for side in (0, 1):
        assert page.locator(".rmw-run .rmw-machine").nth(side).evaluate(small) > 7.5


def test_one_film_alone_marks_what_is_at_fault_too(open_film: OpenFilm) -> None:
    """In the player of the counterexample itself."""
    film = film_of(showcase("stack_grows", "rfc_remap_unlocked").run_name)
    page = open_film(film)
    expect(page.locator(".rmw-culprit")).to_have_count(0)
    page.keyboard.press("End")
    expect(page.locator("[data-mark='page:f0'].rmw-culprit")).to_have_count(1)
