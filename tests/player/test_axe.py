"""axe-core finds nothing, and hostile names stay text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from sim import trace as traces
from sim.engines.stepper import replay
from tests.player.conftest import hands_of
from vizlib.compare import counterexample
from vizlib.film import film
from vizlib.levels import level_film
from vizlib.renderers import html
from vizlib.showcase import showcase

pytestmark = pytest.mark.browser

OpenFilm = Callable[..., Page]
Film = dict[str, Any]

EVIL = "<img src=x onerror=window.broken=1>"


def faults(page: Page, axe: str) -> list[str]:
    """What axe-core finds, in a line each."""
    page.evaluate(axe)
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{it['id']}: {node['html'][:160]} {node['failureSummary']}"
        for it in found["violations"]
        for node in it["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_a_lessons_page(open_film: OpenFilm, move: Film, axe: str, theme: str) -> None:
    """With everything open that can be opened: help, the run in words, the graphs and what they say."""
    page = open_film(move, f"step=54&theme={theme}")
    page.keyboard.press("g")
    page.get_by_text("in words", exact=True).nth(1).click()
    page.keyboard.press("t")
    page.keyboard.press("?")
    assert faults(page, axe) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_where_the_reader_is_the_scheduler(open_film: OpenFilm, axe: str, theme: str) -> None:
    """The undo tree, the buttons of those who can step, a goal with its fixes."""
    made = level_film("stale_entry")
    page = open_film(made, f"theme={theme}&run={made['goal']['run']}".replace(" ", "%20"))
    page.keyboard.press("b")
    for button in page.locator(".rmw-fix button").all():
        button.click()
    assert faults(page, axe) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_two_runs(open_film: OpenFilm, axe: str, theme: str) -> None:
    """A counterexample beside the run that passes; and with the graphs of both."""
    page = open_film(counterexample(showcase("stack_grows", "rfc_remap_unlocked")), f"theme={theme}")
    assert faults(page, axe) == []
    page.keyboard.press("g")
    assert faults(page, axe) == []


def evil(film: Film) -> Film:
    """The same film with a task, a lock and a title that are markup."""
    task = film["tasks"][0]["id"]
    text = json.dumps(film).replace(json.dumps(task)[1:-1], EVIL)
    return {**json.loads(text), "title": EVIL}


def test_a_task_whose_name_is_markup_runs_nothing(open_film: OpenFilm) -> None:
    """In every place that shows it: cards, chips, lanes, words, buttons, the tree; it is shown as it is."""
    page = open_film(evil(hands_of("stack_grows", "rfc_remap_unlocked")), "step=30")
    for key in ("g", "t", "b", "ArrowRight", "n", "1", "2", "End"):
        page.keyboard.press(key)
    page.get_by_label("Name of the run").fill(EVIL)
    page.get_by_label("Name of the run").press("Enter")
    assert page.evaluate("() => window.broken") is None
    assert page.locator(".rmw img, main img").count() == 0
    expect(page.locator(".rmw-name").first).to_have_text(EVIL)
    expect(page.locator("h1")).to_have_text(EVIL)


def test_two_runs_with_names_of_markup_run_nothing(open_film: OpenFilm) -> None:
    """Labels and sentences too."""
    made = counterexample(showcase("stack_grows", "rfc_remap_unlocked"))
    runs = [evil(it) | {"label": EVIL} for it in made["compare"]]
    why = {"sentence": EVIL, "note": EVIL, "swaps": [{"words": EVIL, "place": 3}]}
    page = open_film({**made, "compare": runs, "why": why})
    page.keyboard.press("t")
    assert page.evaluate("() => window.broken") is None
    assert page.locator("main img").count() == 0


def test_a_trace_file_with_a_hostile_task_is_drawn_as_text(open_film: OpenFilm, tmp_path: Path) -> None:
    """From the saved file on: load, film, page."""
    trace = replay("one_page mutex_v37 b3a5")
    data = json.loads(json.dumps(trace.to_json()).replace('"migrator"', json.dumps(EVIL)))
    made = film(traces.from_json(data))
    page = open_film(made, "step=5")
    expect(page.locator(".rmw-name").first).to_have_text(EVIL)
    assert page.evaluate("() => window.broken") is None


def test_the_page_forbids_every_request(offline_page: Page, move: Film) -> None:
    """Its content security policy lets no script fetch, load or send anything."""
    refused: list[str] = []
    offline_page.on("console", lambda message: refused.append(message.text))
    offline_page.set_content(html.page(move))
    offline_page.wait_for_selector(".rmw[data-step]")
    offline_page.evaluate("() => fetch('https://example.org/').catch(() => {})")
    offline_page.evaluate("() => { new Image().src = 'https://example.org/x.png'; }")
    offline_page.wait_for_function("() => true")
    assert sum("Content Security Policy" in text for text in refused) >= 2


def test_it_plays_in_an_iframe_that_a_page_embeds(browser: Browser, move: Film, tmp_path: Path) -> None:
    """With its address, so that a lesson can show step 54 of this run."""
    (tmp_path / "film.html").write_text(html.page(move), encoding="utf-8")
    host = tmp_path / "host.html"
    host.write_text("<iframe src='film.html#step=54&theme=dark' width='1000' height='800'></iframe>", encoding="utf-8")
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(host.as_uri())
    frame = page.frame_locator("iframe")
    expect(frame.locator(".rmw")).to_have_attribute("data-step", "54")
    expect(frame.locator(".rmw")).to_have_attribute("data-theme", "dark")
    context.close()


@pytest.mark.parametrize("world", ["one_page", "move_pages", "stack_grows"])
def test_a_lessons_page_is_small(world: str) -> None:
    """At most 300 KB, with the world in it at most 350."""
    assert len(html.page(film(showcase(world))).encode()) <= 300_000
    if world != "one_page":
        assert len(html.page(film(showcase(world), hands=True)).encode()) <= 300_000
