"""A run under the clock, on a canvas in a real browser."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from sim.engines.timed import run
from vizlib.renderers import html
from vizlib.timeline import timeline

pytestmark = pytest.mark.browser


@cache
def _page() -> str:
    return html.page(timeline(run("numa02", "mutex_v37", record=True, threads=8, pages=64, nodes=4)))


@pytest.fixture
def lanes(offline_page: Page, tmp_path: Path) -> Page:
    """The lanes of a small run, opened as a file."""
    path = tmp_path / "lanes.html"
    path.write_text(_page(), encoding="utf-8")
    offline_page.goto(path.as_uri())
    offline_page.wait_for_selector(".rmw[data-near]")
    return offline_page


def test_it_is_drawn_zoomed_with_keys_and_read_under_the_mouse(lanes: Page) -> None:
    """Far away shares, near by every interval with its wake-ups; on a page of its own it need not be clicked first."""
    canvas = lanes.locator("canvas")
    drawn = "it => new Set(it.getContext('2d').getImageData(0, 30, it.width, 60).data).size"
    assert canvas.evaluate(drawn) > 5, "it is not empty"
    expect(lanes.locator(".rmw")).to_have_attribute("data-near", "false")
    for _ in range(8):
        lanes.keyboard.press("+")
    lanes.wait_for_selector(".rmw[data-near=true]")
    canvas.hover(position={"x": 300, "y": 60})
    expect(lanes.locator(".rmw-told")).to_contain_text("worker-2")
    lanes.keyboard.press("Home")
    lanes.wait_for_selector(".rmw[data-near=false]")


def test_the_keys_go_from_interval_to_interval_and_each_is_read_out(lanes: Page) -> None:
    """In order of their starts, and from thread to thread; what is out of sight is brought into sight."""
    told = lanes.locator(".rmw-told")
    expect(told).to_have_attribute("role", "status")
    lanes.keyboard.press("ArrowRight")
    expect(told).to_have_text(re.compile(r"^worker-1 .* ns.* \(1 of ([\d,]+)\)\.$"))
    first = told.inner_text()
    lanes.keyboard.press("ArrowRight")
    expect(told).to_contain_text("(2 of ")
    lanes.keyboard.press("ArrowLeft")
    expect(told).to_have_text(first)
    lanes.keyboard.press("ArrowDown")
    expect(told).to_contain_text("worker-2 ")
    expect(lanes.locator("[data-chosen]")).to_have_text("worker-2")
    lanes.keyboard.press("Enter")
    lanes.wait_for_selector(".rmw[data-near=true]")
    _, end = map(int, (lanes.locator(".rmw").get_attribute("data-shown") or "").split())
    for _ in range(9):
        lanes.keyboard.press("ArrowRight")
    lanes.wait_for_function(
        """end => {
            const told = document.querySelector('.rmw-told').textContent.replaceAll(',', '');
            const begun = Number(/(?:from|at) (\\d+)/.exec(told)[1]);
            const [from, to] = document.querySelector('.rmw').dataset.shown.split(' ').map(Number);
            return end < begun && from <= begun && begun <= to;
        }""",
        arg=end,
    )
    lanes.keyboard.press("Escape")
    expect(told).to_have_text("")


def test_a_wheel_scrolls_the_page_and_zooms_with_ctrl_only(lanes: Page) -> None:
    """The lanes do not hold whoever scrolls past them."""
    lanes.set_viewport_size({"width": 1280, "height": 300})
    lanes.wait_for_selector(".rmw[data-shown^='0 ']")
    whole = lanes.locator(".rmw").get_attribute("data-shown")
    lanes.locator("canvas").hover(position={"x": 300, "y": 60})
    down = lanes.evaluate("() => scrollY")
    lanes.mouse.wheel(0, 40)
    lanes.wait_for_function("down => scrollY > down", arg=down)
    expect(lanes.locator(".rmw")).to_have_attribute("data-shown", str(whole))
    lanes.keyboard.down("Control")
    lanes.mouse.wheel(0, -100)
    lanes.wait_for_function("whole => document.querySelector('.rmw').dataset.shown !== whole", arg=whole)
    lanes.keyboard.up("Control")


def test_its_numbers_are_a_table(lanes: Page) -> None:
    """The text twin: each thread with its shares and counts."""
    lanes.get_by_text("in numbers").click()
    rows = lanes.locator(".rmw-numbers tbody tr")
    expect(rows).to_have_count(8)
    expect(rows.first).to_contain_text("worker-1")
    expect(rows.first.locator("td").nth(2)).to_have_text("64")


def test_on_a_phone_nothing_scrolls_sideways(lanes: Page) -> None:
    """At 320 px the table fits as well."""
    lanes.set_viewport_size({"width": 320, "height": 640})
    lanes.get_by_text("in numbers").click()
    assert lanes.evaluate("() => document.documentElement.scrollWidth") <= 320
