"""Be the scheduler: in the offline file, with the network off and no kernel."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from sim.engines.stepper import replay
from tests.player.conftest import hands_of
from vizlib.levels import level_film

pytestmark = pytest.mark.browser

OpenFilm = Callable[..., Page]
Film = dict[str, Any]


@pytest.fixture
def safe() -> Film:
    """A run of a small world under a variant that is safe, with the world."""
    return hands_of("stack_grows", "mutex_v37")


@pytest.fixture
def unsafe() -> Film:
    """The counterexample of one that is not."""
    return hands_of("stack_grows", "rfc_remap_unlocked")


def shown(page: Page) -> str:
    """The run name that the page shows."""
    return page.locator(".rmw-runname code").inner_text()


def step_of(page: Page) -> int:
    """The step that the page says it shows."""
    return int(page.locator(".rmw").get_attribute("data-step") or -1)


def let(page: Page, task: str) -> None:
    """Click a task under "could run next", and wait for the step."""
    before = step_of(page)
    page.locator(f".rmw-let[data-let='{task}']").click()
    page.wait_for_selector(f".rmw[data-step='{before + 1}']")


def test_a_click_on_a_task_steps_it_and_the_run_is_the_machines(open_film: OpenFilm, safe: Film) -> None:
    """Main and worker take turns as clicked; the name, replayed by the machine, tells the same sentence."""
    page = open_film(safe, "step=4")
    for task in ("worker", "main", "main", "worker", "main"):
        let(page, task)
    name = shown(page)
    assert name.endswith("ba2ba")
    trace = replay(name)
    assert len(trace.events) == step_of(page) == 9
    from vizlib.film import film

    assert page.locator(".rmw-sentence-text").inner_text() == film(trace)["steps"][-1]["sentence"]


def test_following_the_run_makes_no_branch_and_leaving_it_makes_one(open_film: OpenFilm, safe: Film) -> None:
    """The task that goes next anyway moves on in the film; another begins a run that is kept."""
    page = open_film(safe, "step=6")
    follows = safe["steps"][6]["task"]
    other = next(it for it in ("main", "worker") if it != follows)
    let(page, follows)
    page.keyboard.press("b")
    rows = page.locator(".rmw-branches li")
    expect(rows).to_have_count(1)
    page.keyboard.press("ArrowLeft")
    let(page, other)
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text("7 steps, left “the run” after step 6")
    expect(page.locator(".rmw")).to_have_attribute("data-steps", "7")
    rows.nth(0).get_by_role("button").click()
    expect(page.locator(".rmw")).to_have_attribute("data-steps", str(len(safe["steps"])))


def test_branches_are_kept_named_and_branch_again(open_film: OpenFilm, safe: Film) -> None:
    """A branch of a branch stands below it, under the name the reader gave."""
    page = open_film(safe, "step=0")
    page.keyboard.press("b")
    let(page, "main")
    page.get_by_label("Name of try 1").fill("main first")
    page.get_by_label("Name of try 1").press("Enter")
    let(page, "main")
    page.locator(".rmw").focus()
    page.keyboard.press("ArrowLeft")
    let(page, "worker")
    rows = page.locator(".rmw-branches li")
    expect(rows).to_have_count(3)
    expect(rows.nth(2)).to_contain_text("left “main first” after step 1")
    expect(rows.nth(2)).to_have_attribute("aria-current", "true")


def test_keys_alone_lose_a_migration_entry(open_film: OpenFilm, unsafe: Film) -> None:
    """The counterexample can be walked into with the number keys; the badge says what happened."""
    page = open_film(unsafe, "step=0")
    expect(page.locator(".rmw-can kbd")).to_have_text(["1", "2"])
    letters = {task["id"]: number for number, task in enumerate(unsafe["tasks"], 1)}
    for number, step in enumerate(unsafe["steps"], 1):
        page.keyboard.press(str(letters[step["task"]]))
        page.wait_for_selector(f".rmw[data-step='{number}']")
    expect(page.locator(".rmw-badge")).to_have_text("stale migration entry")
    page.keyboard.press("1")
    expect(page.locator(".rmw-notice")).to_have_text("main cannot step now.")


def test_who_is_asked_to_step_and_cannot_says_why(open_film: OpenFilm, unsafe: Film) -> None:
    """Main wants the anon_vma lock, which worker has."""
    blocked = next(number for number, it in enumerate(unsafe["steps"], 1) if it.get("blocked", {}).get("main"))
    page = open_film(unsafe, f"step={blocked}")
    page.keyboard.press("1")
    words = "main cannot step now: it waits for the anon_vma lock of A_stack, held by worker."
    expect(page.locator(".rmw-notice")).to_have_text(words)


def test_the_violation_found_by_hand_is_the_checkers(open_film: OpenFilm, unsafe: Film) -> None:
    """From the last decision before it, a branch that does the same ends in the same violation."""
    last = len(unsafe["steps"])
    page = open_film({**unsafe, "steps": unsafe["steps"][: last - 3], "violation": None}, f"step={last - 3}")
    for step in unsafe["steps"][last - 3 :]:
        let(page, step["task"])
    expect(page.locator(".rmw-badge")).to_have_text(unsafe["violation"]["kind"])
    assert unsafe["violation"]["sentence"] in page.locator(".rmw-sentence-text").inner_text()
    assert shown(page) == unsafe["run_name"]
    expect(page.locator(".rmw-can li")).to_have_text("nobody: the violation ends the run")


def test_run_on_stops_where_others_can_see_it(open_film: OpenFilm, safe: Film) -> None:
    """One click instead of many: the task goes on until a lock, a PTE or an interrupt."""
    page = open_film(safe, "step=0")
    page.locator(".rmw-leton[data-let='worker »']").click()
    page.wait_for_function("() => Number(document.querySelector('.rmw').dataset.step) > 0")
    assert set(shown(page).split()[-1]) <= set("b0123456789")
    expect(page.locator("[data-changed=true], .rmw-lock[data-changed], .rmw-changes b").first).to_be_visible()


def test_an_address_with_another_schedule_is_played_in_the_files_own_world(open_film: OpenFilm, safe: Film) -> None:
    """The run is not in the file, its world is."""
    start = " ".join(safe["run_name"].split()[:2])
    page = open_film(safe, f"run={start} ab2a3".replace(" ", "%20"))
    assert step_of(page) == 6
    assert shown(page) == f"{start} ab2a3"


def test_a_schedule_that_cannot_be_followed_is_told_with_its_step(open_film: OpenFilm, safe: Film) -> None:
    """Nobody can run for ever: the file opens with its own run and says how far the other went."""
    start = " ".join(safe["run_name"].split()[:2])
    page = open_film(safe, f"run={start} a900".replace(" ", "%20"))
    expect(page.locator(".rmw-notice")).to_contain_text("cannot be followed beyond step")


def test_a_write_is_lost_by_keys_alone_and_then_mended(open_film: OpenFilm) -> None:
    """The certified run, walked with the number keys in the offline file: the goal is reached with its par; the fixes
    are then offered, and each says what the checker says.
    """
    made = level_film("lost_write")
    page = open_film(made)
    expect(page.locator(".rmw-goal")).to_contain_text("it can be done without a preemption")
    letters = {task["letter"]: number for number, task in enumerate(made["tasks"], 1)}
    turns = re.findall(r"([a-z])(\d*)", made["goal"]["run"].split()[-1])
    for letter, count in turns:
        for _ in range(int(count or 1)):
            page.keyboard.press(str(letters[letter]))
    expect(page.locator(".rmw")).to_have_attribute("data-step", str(made["goal"]["steps"]))
    expect(page.locator(".rmw-badge")).to_have_text("lost write")
    expect(page.locator(".rmw-goal")).to_contain_text("with no preemptions. Nobody has to be interrupted.")
    for button in page.locator(".rmw-fix button").all():
        button.click()
    verdicts = page.locator(".rmw-fix [data-verdict]").evaluate_all("its => its.map(it => it.dataset.verdict)")
    assert verdicts == ["unsafe", "wrong", "safe", "safe"]
