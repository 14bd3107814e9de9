"""Our widgets in JupyterLab: axe-core finds nothing, keys reach them, hostile names are text, narrow they fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.player.conftest import MOVE
from tests.player.test_axe import EVIL
from tests.player.test_widget import frames, wait_for_kernel

pytestmark = pytest.mark.browser

OpenNotebook = Callable[[str], Any]

PLAY = f"""
import vizlib
from sim.engines.stepper import replay

player = vizlib.play(replay("{MOVE}"))
player
"""
WHY = """
import vizlib
from vizlib.showcase import showcase

both = vizlib.why(showcase("stack_grows", "rfc_remap_unlocked"))
both
"""
TIMED = """
import vizlib
from sim.engines.timed import run

vizlib.over_time(run("numa02", "mutex_v37", record=True, threads=2, pages=2))
"""
TUNE = """
import vizlib

it = vizlib.tune(threads=(1, 4), pages=2)
it
"""
HELD_UP = """
import threading
import vizlib
from vizlib import controls

go, kept = threading.Event(), controls.kept
controls.kept = lambda point: kept(point) if point["threads"] == 1 or go.wait(60) else None
it = vizlib.tune(threads=(1, 4), pages=2)
it
"""
HOSTILE = f"""
import json
import vizlib
from sim import trace
from vizlib.renderers.text import waits
from vizlib.showcase import showcase

data = json.dumps(showcase("batch_deadlock~B7", "batch_2mb").to_json())
run = trace.from_json(json.loads(data.replace('"mover"', json.dumps({EVIL!r}))))
vizlib.play(run)
"""


def faults(page: Page, axe: str, inside: str) -> list[str]:
    """What axe-core finds in a part of the page, in a line each."""
    page.evaluate(axe)
    found = page.evaluate("inside => axe.run(inside, {resultTypes: ['violations']})", inside)
    return [
        f"{it['id']}: {node['html'][:160]} {node['failureSummary']}"
        for it in found["violations"]
        for node in it["nodes"]
    ]


@pytest.fixture
def run_cell(jupyter_lab: Any, open_notebook: OpenNotebook) -> Callable[[str, str], tuple[Any, Locator]]:
    """Run one cell in JupyterLab; give the notebook and the cell."""

    def run(name: str, source: str) -> tuple[Any, Locator]:
        notebook = open_notebook(jupyter_lab.write(name, source, "'a cell below'"))
        notebook.run_all()
        return notebook, notebook.cell(0)

    return run


@pytest.mark.parametrize(("name", "source", "inside"), [
    ("play.ipynb", PLAY, ".rmw"),
    ("why.ipynb", WHY, ".rmw"),
    ("timed.ipynb", TIMED, ".rmapwalk"),
    ("tune.ipynb", TUNE, ".rmwalk-controls"),
])  # fmt: skip
def test_axe_finds_nothing_in_a_widget(
    run_cell: Callable[..., Any], page: Page, axe: str, name: str, source: str, inside: str
) -> None:
    """Whatever Lab itself is like: in what we put into the cell there is no fault."""
    _, cell = run_cell(f"axe-{name}", source)
    expect(cell.locator(inside).first).to_be_visible()
    frames(page, 10)
    assert faults(page, axe, inside) == []


def test_two_runs_beside_each_other_step_together(run_cell: Callable[..., Any], page: Page) -> None:
    """Both move with one click; Python learns the place; what both say stands there; a key does the same."""
    notebook, cell = run_cell("compare.ipynb", WHY)
    pair = cell.locator(".rmw").first
    start = int(pair.get_attribute("data-step") or 0)
    cell.get_by_role("button", name="one step back").click()
    expect(pair).to_have_attribute("data-step", str(start - 1))
    wait_for_kernel(notebook, "both.step", str(start - 1))
    cell.locator(".rmw-title").first.click()
    page.keyboard.press("ArrowLeft")
    expect(pair).to_have_attribute("data-step", str(start - 2))
    expect(cell.locator(".rmw-machine")).to_have_count(2)
    notebook.kernel_eval("setattr(both, 'step', 3)")
    expect(pair).to_have_attribute("data-step", "3")
    assert notebook.call("panel => panel.content.activeCellIndex") == 0


def test_the_controls_are_turned_with_keys_alone(run_cell: Callable[..., Any], page: Page) -> None:
    """On the slider's handle an arrow measures the next point, in a list it chooses; Lab takes none of them."""
    notebook, cell = run_cell("keys.ipynb", TUNE)
    handle = cell.get_by_role("slider", name="threads")
    handle.focus()
    page.keyboard.press("ArrowRight")
    wait_for_kernel(notebook, "it.table.column('threads')", "[1, 2]")
    expect(cell.locator("[role=status]")).to_contain_text("2 threads, mutex_v37, handoff")
    page.keyboard.press("ArrowUp")
    wait_for_kernel(notebook, "it.table.column('threads')", "[1, 2, 3]")
    policy = cell.get_by_label("policy")
    policy.focus()
    page.keyboard.press("ArrowDown")
    wait_for_kernel(notebook, "it.table.column('policy')", "['handoff', 'handoff', 'handoff', 'steal']")
    for _ in range(4):
        page.keyboard.press("Shift+Tab")
    assert notebook.call("panel => panel.content.activeCellIndex") == 0
    assert notebook.call("panel => panel.model.cells.length") == 2
    button = cell.get_by_role("button", name="whole curve")
    button.focus()
    page.keyboard.press("Space")
    wait_for_kernel(notebook, "len(it.table)", "7")
    expect(cell.locator("img")).to_have_attribute(
        "alt", "numa02: pages per second against threads; the numbers stand below"
    )


def test_theory_answers_at_once_and_the_kernel_is_free_while_the_simulation_runs(
    run_cell: Callable[..., Any], page: Page, axe: str
) -> None:
    """A simulation that is held up: the theory stands there and is accessible, and Python can let it go on."""
    notebook, cell = run_cell("beside.ipynb", HELD_UP)
    cell.get_by_role("slider", name="threads").focus()
    page.keyboard.press("ArrowRight")
    status = cell.locator("[role=status]")
    expect(status).to_contain_text("says theory")
    expect(cell.get_by_role("img", name="theory:")).to_be_visible()
    assert faults(page, axe, ".rmwalk-controls") == []
    wait_for_kernel(notebook, "len(it.table)", "1")
    notebook.kernel_eval("go.set()")
    expect(status).to_contain_text("simulated: 2 threads, mutex_v37, handoff")
    expect(cell.get_by_role("img", name="theory:")).to_have_count(0)
    wait_for_kernel(notebook, "it.table.column('threads')", "[1, 2]")


def test_a_hostile_name_is_text_in_lab(run_cell: Callable[..., Any], page: Page) -> None:
    """From a saved trace into the widget, its cards, its lanes and its words; and in who waits for whom."""
    notebook, cell = run_cell("hostile.ipynb", HOSTILE)
    expect(cell.locator(".rmw-name").first).to_have_text(EVIL)
    cell.locator(".rmw-title").first.click()
    for key in ("t", "End"):
        page.keyboard.press(key)
    frames(page, 10)
    assert page.evaluate("() => window.broken") is None
    assert cell.locator(".rmw img").count() == 0
    assert EVIL in notebook.kernel_eval("waits(run)")


@pytest.mark.parametrize(("name", "source", "inside"), [
    ("play.ipynb", PLAY, ".rmw"),
    ("tune.ipynb", TUNE, ".rmwalk-controls"),
])  # fmt: skip
def test_in_a_narrow_dock_nothing_is_cut_off(
    run_cell: Callable[..., Any], page: Page, name: str, source: str, inside: str
) -> None:
    """An output 320 pixels wide with its number, as in a column beside a file: nothing has to be scrolled sideways."""
    _, cell = run_cell(f"narrow-{name}", source)
    it = cell.locator(inside).first
    expect(it).to_be_visible()
    it.evaluate("it => { it.closest('.jp-OutputArea-child').style.width = '320px'; }")
    page.wait_for_function("inside => document.querySelector(inside).getBoundingClientRect().width <= 320", arg=inside)
    if inside == ".rmw":
        expect(it).to_have_attribute("data-layout", "narrow")
    frames(page, 10)
    wide = it.evaluate(
        """it => {
          const edge = it.getBoundingClientRect().right + 1;
          const within = (one) => one === it ? [] : [one, ...within(one.parentElement)];
          // What scrolls in itself, or ends in dots, is there all the same.
          const kept = (one) => {
            const how = getComputedStyle(one);
            return ["auto", "scroll"].includes(how.overflowX) || how.textOverflow === "ellipsis";
          };
          return [...it.querySelectorAll("*")].filter((one) => {
            const box = one.getBoundingClientRect();
            return box.width > 0 && box.right > edge && !within(one.parentElement).some(kept) && !one.closest("svg");
          }).map((one) => `${one.tagName}.${one.getAttribute("class")} ${one.textContent.slice(0, 30)}`);
        }"""
    )
    assert wide == []
