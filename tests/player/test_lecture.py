"""Lecture mode, and looking for steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

OpenFilm = Callable[..., Page]
Film = dict[str, Any]


def step_of(page: Page) -> int:
    """The step that the page says it shows."""
    return int(page.locator(".rmw").get_attribute("data-step") or -1)


def test_a_lecture_takes_the_screen_with_larger_type_and_gives_it_back(open_film: OpenFilm, move: Film) -> None:
    """At a projector's width everything is larger; escape ends it."""
    page = open_film(move, "step=20")
    page.set_viewport_size({"width": 1920, "height": 1080})
    small = page.locator(".rmw-sentence-text").evaluate("it => it.getBoundingClientRect().height")
    page.keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement?.classList.contains('rmw')")
    expect(page.locator(".rmw")).to_have_attribute("data-lecture", "true")
    assert page.locator(".rmw-sentence-text").evaluate("it => it.getBoundingClientRect().height") > 1.5 * small
    assert page.locator(".rmw-controls").evaluate("it => it.getBoundingClientRect().bottom") <= 1080
    page.keyboard.press("h")  # that there will be questions is said above the sentence
    machine, dock = (page.locator(it).bounding_box() or {} for it in (".rmw-machine", ".rmw-dock"))
    assert machine["y"] + machine["height"] <= dock["y"], "the whole picture is on the screen"
    page.keyboard.press("h")
    button = page.locator("[data-action=lecture]")
    expect(button).to_have_attribute("aria-pressed", "true")
    page.evaluate("() => document.exitFullscreen()")  # as escape does
    page.wait_for_selector(".rmw:not([data-lecture])")
    expect(button).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement")
    page.keyboard.press("f")
    page.wait_for_function("() => !document.fullscreenElement")
    assert page.locator(".rmw").get_attribute("data-lecture") is None


def test_a_presenters_keys_step_in_a_lecture_only(open_film: OpenFilm, move: Film) -> None:
    """Elsewhere PageDown scrolls the page."""
    page = open_film(move, "step=20")
    page.keyboard.press("PageDown")
    assert step_of(page) == 20
    page.keyboard.press("f")
    page.keyboard.press("PageDown")
    page.keyboard.press("PageDown")
    page.keyboard.press("PageUp")
    assert step_of(page) == 21


def test_the_answer_is_hidden_until_asked(open_film: OpenFilm, move: Film) -> None:
    """First the question, who goes next; then the step.  What each would do next is hidden too."""
    page = open_film(move, "step=20")
    page.keyboard.press("h")
    page.keyboard.press("ArrowRight")
    assert step_of(page) == 20
    expect(page.locator(".rmw-sentence-text")).to_have_text(
        f"{move['steps'][20]['task']} goes next. What will it do, and what will change?"
    )
    expect(page.locator(".rmw-can li").first).to_have_css("font-size", "0px")
    page.keyboard.press("ArrowRight")
    assert step_of(page) == 21
    expect(page.locator(".rmw-sentence-text")).to_have_text(move["steps"][20]["sentence"])
    expect(page.locator(".rmw-notice")).to_be_empty()
    page.keyboard.press("h")
    page.keyboard.press("ArrowRight")
    assert step_of(page) == 22


def test_words_are_found_and_enter_goes_from_one_to_the_next(open_film: OpenFilm, move: Film) -> None:
    """The list shows those steps only, and says how many there are."""
    page = open_film(move)
    page.keyboard.press("/")
    page.keyboard.type("Page Lock")
    wanted = [n for n, it in enumerate(move["steps"], 1) if "page lock" in it["sentence"].lower()]
    visible = page.locator(".rmw-transcript ol > li:visible")
    expect(page.locator(".rmw-search [role=status]")).to_contain_text(f"of {len(move['steps']) + 1} steps")
    assert visible.count() >= len(wanted) > 1
    page.keyboard.press("Enter")
    first = step_of(page)
    page.keyboard.press("Enter")
    assert 0 < first < step_of(page)
    page.keyboard.press("Escape")
    expect(visible).to_have_count(len(move["steps"]) + 1)


def test_steps_are_filtered_by_kind_and_by_task(open_film: OpenFilm, move: Film) -> None:
    """Lock events; the steps of one task."""
    page = open_film(move)
    page.keyboard.press("t")
    visible = page.locator(".rmw-transcript ol > li:visible")
    page.get_by_label("Which steps").select_option("lock")
    expect(visible).to_have_count(sum("lock" in it.get("flags", ()) for it in move["steps"]))
    page.get_by_label("Which steps").select_option(label="steps of worker")
    expect(visible).to_have_count(sum(it["task"] == "worker" for it in move["steps"]))
