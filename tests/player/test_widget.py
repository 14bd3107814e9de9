"""The player as a widget: in Python, and with real clicks in JupyterLab."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from sim.engines.stepper import replay
from tests.player.conftest import MOVE, film_of
from vizlib.film import film
from vizlib.player import live
from vizlib.player.bundle import modules, script
from vizlib.player.widget import Player
from vizlib.renderers import html

Film = dict[str, Any]

CELL = """
from sim.engines.stepper import replay
from vizlib.film import film
from vizlib.player.widget import Player

player = Player(film(replay("{name}")))
player
"""


def test_its_repr_is_the_same_in_every_run(move: Film) -> None:
    """Strict nbval compares the text of an output: no ids, no addresses."""
    first, second = Player(move), Player(move)
    assert repr(first) == f"Player({len(move['steps'])} steps)"
    assert first._repr_mimebundle_()[0]["text/plain"] == second._repr_mimebundle_()[0]["text/plain"] == repr(first)


def test_a_step_outside_the_film_is_its_nearest_end(move: Film) -> None:
    """As in the player itself."""
    player = Player(move, step=9999)
    assert player.step == len(move["steps"])
    player.step = -5
    assert player.step == 0


def test_a_reader_may_go_further_than_the_film(move: Film) -> None:
    """Whoever lets tasks step beyond its end stays where they are, and no further than they have gone."""
    player = Player({**move, "steps": []})
    mine = {"name": "the run", "run_name": f"{' '.join(move['run_name'].split()[:2])} a2b", "parent": None, "at": 0}
    player.set_state({"runs": [mine], "step": 3})
    assert player.step == 3
    player.step = 4
    assert player.step == 3


def test_what_is_no_film_is_refused_with_the_reason(move: Film) -> None:
    """In Python, before anything reaches a browser; the same for the offline file."""
    for make in (Player, html.page):
        with pytest.raises(ValueError, match="this is no film: make one"):
            make({})
        with pytest.raises(ValueError, match="has version 7; this player plays version 1"):
            make({**move, "version": 7})


def test_it_starts_paused_and_undecided(move: Film) -> None:
    """Where it opens is the player's to find."""
    player = Player(move)
    assert (player.step, player.playing, player.speed, player.theme) == (None, False, 1.0, "auto")


def test_importing_the_player_loads_neither_numpy_nor_matplotlib() -> None:
    """A browser's Python has neither."""
    modules = "vizlib, vizlib.player.widget, vizlib.renderers.html"
    code = f"import sys, {modules}; print({{'numpy', 'matplotlib'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_bundle_is_one_module_without_imports() -> None:
    """A widget is one string; each module stands in it once, after those that it needs."""
    text = script()
    assert "import {" not in text
    assert text.count("export ") == 2
    order = modules()
    assert order[-1] == "player.js"
    assert len(set(order)) == len(order)
    assert order.index("dom.js") < order.index("glyphs.js") < order.index("actor.js") < order.index("stage.js")


def shown(cell: Locator) -> Locator:
    """The player in the output of a cell."""
    return cell.locator(".rmw")


@pytest.mark.browser
def test_clicks_in_jupyterlab_play_step_and_scrub(
    jupyter_lab: Any, open_notebook: Callable[[str], Any], move: Film, move_name: str
) -> None:
    """The picture moves, and Python learns where the reader stopped; Python can move it too."""
    notebook = open_notebook(jupyter_lab.write("player.ipynb", CELL.format(name=move_name)))
    notebook.run_all()
    cell = notebook.cell(0)
    player = shown(cell)
    expect(player).to_have_attribute("data-step", "0")
    expect(player).to_have_attribute("data-playing", "false")

    cell.get_by_role("button", name="one step forward").click()
    cell.get_by_role("button", name="one step forward").click()
    cell.get_by_role("button", name="one step back").click()
    expect(player).to_have_attribute("data-step", "1")
    expect(cell.locator(".rmw-sentence-text")).to_have_text(move["steps"][0]["sentence"])
    wait_for_kernel(notebook, "player.step", "1")

    cell.get_by_role("slider").fill("54")
    expect(player).to_have_attribute("data-step", "54")
    wait_for_kernel(notebook, "player.step", "54")

    cell.get_by_label("Speed").select_option("8")
    cell.get_by_role("button", name="play").click()
    notebook.page.wait_for_function("() => Number(document.querySelector('.rmw').dataset.step) > 57")
    wait_for_kernel(notebook, "player.playing", "True")
    cell.get_by_role("button", name="pause").click()
    expect(player).to_have_attribute("data-playing", "false")
    wait_for_kernel(notebook, "player.playing", "False")
    wait_for_kernel(notebook, "player.step", str(player.get_attribute("data-step")))

    notebook.kernel_eval("setattr(player, 'step', 20)")
    expect(player).to_have_attribute("data-step", "20")
    notebook.kernel_eval("setattr(player, 'playing', True)")
    notebook.page.wait_for_function("() => Number(document.querySelector('.rmw').dataset.step) > 21")


@pytest.mark.browser
def test_keys_in_jupyterlab_reach_the_player_and_not_the_notebook(
    jupyter_lab: Any, open_notebook: Callable[[str], Any], move_name: str
) -> None:
    """In Lab's command mode D D deletes the cell, B adds one and the arrows leave it; over the player they do not."""
    notebook = open_notebook(jupyter_lab.write("keys.ipynb", CELL.format(name=move_name), "'a cell below'"))
    notebook.run_all()
    cell = notebook.cell(0)
    player = shown(cell)
    cell.locator(".rmw-title").first.click()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "d", "d", "b", "x", "ArrowRight"):
        notebook.page.keyboard.press(key)
    expect(player).to_have_attribute("data-step", "3")
    expect(cell.locator(".rmw-thread[aria-pressed=true]")).to_have_count(1)
    assert notebook.call("panel => panel.model.cells.length") == 2
    notebook.page.keyboard.press("Shift+Enter")
    assert notebook.call("panel => panel.content.activeCellIndex") == 1, "what is not ours is Lab's"


@pytest.mark.browser
def test_it_follows_the_theme_of_jupyterlab(
    page: Page, jupyter_lab: Any, open_notebook: Callable[[str], Any], move_name: str
) -> None:
    """A dark Lab has a dark player, at once, whatever the system prefers."""
    page.emulate_media(color_scheme="dark")
    notebook = open_notebook(jupyter_lab.write("theme.ipynb", CELL.format(name=move_name)))
    notebook.run_all()
    player = shown(notebook.cell(0))
    expect(player).to_have_attribute("data-theme", "light")
    # What Lab does when its theme changes; its own command throws in 4.6 when it takes the splash screen away.
    notebook.page.evaluate("() => { document.body.dataset.jpThemeLight = 'false'; }")
    expect(player).to_have_attribute("data-theme", "dark")


@pytest.mark.browser
def test_a_cell_that_is_run_again_leaves_nothing_behind(
    jupyter_lab: Any, open_notebook: Callable[[str], Any], move_name: str
) -> None:
    """The old view stops playing and asks for no more frames."""
    notebook = open_notebook(jupyter_lab.write("again.ipynb", CELL.format(name=move_name)))
    notebook.run_all()
    cell = notebook.cell(0)
    cell.get_by_role("button", name="play").click()
    expect(shown(cell)).to_have_attribute("data-playing", "true")
    old = shown(cell).element_handle()
    notebook.run_all()
    expect(shown(cell)).to_have_count(1)
    expect(shown(cell)).to_have_attribute("data-playing", "false")
    step = old.get_attribute("data-step")
    frames(notebook.page, 60)
    assert old.get_attribute("data-step") == step


def wait_for_kernel(notebook: Any, expression: str, value: str) -> None:
    """Wait until the kernel says so; what the browser sends arrives a little later."""
    for _ in range(100):
        if notebook.kernel_eval(expression) == value:
            return
        frames(notebook.page, 3)
    assert notebook.kernel_eval(expression) == value


def frames(page: Page, count: int) -> None:
    """Let the page draw *count* frames."""
    page.evaluate(
        "n => new Promise(done => { const tick = () => n-- > 0 ? requestAnimationFrame(tick) : done(); tick(); })",
        count,
    )


def test_the_kernel_makes_the_step_that_the_page_asks_for(move: Film) -> None:
    """The answer is the film of that schedule; a step that cannot be made is answered with the reason."""
    player = Player(move)
    answers: list[dict[str, Any]] = []
    player.send = answers.append  # type: ignore[method-assign]
    player._asked(None, {"kind": "step", "id": 7, "schedule": "b3a2", "task": "migrator", "choice": None}, [])
    player._asked(None, {"kind": "step", "id": 8, "schedule": "b3a2", "task": "ipi@cpu0", "choice": None}, [])
    assert [it["id"] for it in answers] == [7, 8]
    assert answers[0]["film"]["run_name"] == "one_page?rounds=3 mutex_v37 b3a3"
    assert (
        answers[0]["film"]["steps"][-1]["sentence"]
        == film(replay("one_page?rounds=3 mutex_v37 b3a3"))["steps"][-1]["sentence"]
    )
    assert "who could run: a = migrator, b = worker" in answers[1]["error"]


def test_the_places_do_not_change_while_the_reader_steps() -> None:
    """What a later step will show has its place from the start."""
    places = []
    for schedule in ("", "b3", "b3a40", "b3a46b5"):
        made = live.step(film_of(MOVE), None, schedule, "migrator", None)
        places.append([(it["id"], it["x"], it["y"], it["w"], it["h"]) for it in made["panels"]])
    assert places[0] == places[1] == places[2] == places[3]


@pytest.mark.browser
def test_take_over_in_jupyterlab(jupyter_lab: Any, open_notebook: Callable[[str], Any]) -> None:
    """A click on a task lets it step; the run branches off, in panels of its own, and Python knows the run tried."""
    begun = "one_page?rounds=3 mutex_v37 b3a2"
    notebook = open_notebook(jupyter_lab.write("take.ipynb", CELL.format(name=begun)))
    notebook.run_all()
    cell = notebook.cell(0)
    player = shown(cell)
    cell.get_by_role("slider").fill("5")
    expect(player).to_have_attribute("data-step", "5")
    cell.locator(".rmw-let[data-let='worker']").click()
    expect(player).to_have_attribute("data-step", "6")
    expect(player).to_have_attribute("data-steps", "6")
    cell.locator(".rmw-let[data-let='migrator']").click()
    expect(player).to_have_attribute("data-steps", "7")
    wait_for_kernel(notebook, "player.runs[-1]['run_name']", "'one_page?rounds=3 mutex_v37 b3a2ba'")
    films = film(replay(begun)), live.step(film_of(MOVE), None, "b3a2b", "migrator", None)
    heights = [it["stage"]["h"] for it in films]
    assert heights[0] < heights[1], "else the next line could not see that the branch has panels of its own"
    expect(cell.locator(".rmw-machine")).to_have_attribute("viewBox", f"-2 -2 564 {heights[1] + 4}")
    cell.locator("[data-action=branches]").click()
    expect(cell.locator(".rmw-branches li")).to_have_count(2)
