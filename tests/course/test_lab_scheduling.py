"""Lesson 3 in a real JupyterLab, gone through with the keyboard: the level is played and broken."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.course.keyboard import answer

pytestmark = pytest.mark.browser


def test_lesson_3_is_gone_through_with_the_keyboard(open_lesson: Callable[[str], Any]) -> None:
    """Predict wrongly, break the level with the number keys, read why, and hand the schedule in."""
    nb = open_lesson("03_you_are_the_scheduler.ipynb")
    nb.run_all(seconds=240)

    answer(nb, 1, 0)  # a function runs as a whole
    cell = nb.cell(3)
    player = cell.locator(".rmw")
    player.get_by_text("step 0 of", exact=False).wait_for()
    expect(cell.locator(".rmw-goal")).to_contain_text("it can be done with 1 preemption and no fewer")
    player.focus()
    step = 0
    for key, times in (("1", 11), ("2", 11), ("1", 3), ("2", 4)):  # a11b11a3b4
        for _ in range(times):
            step += 1
            nb.page.keyboard.press(key)
            nb.page.wait_for_selector(f".rmw[data-step='{step}']")
    expect(player.locator(".rmw-badge")).to_have_text("kernel bug")
    expect(cell.locator(".rmw-goal")).to_contain_text("Reached in 29 steps with 3 preemptions. It can be done with 1.")
    expect(player.locator(".rmw-runname code")).to_have_text("two_migrators?pages=1,passes=2 torn a11b11a3b4")
    if "SHOT" in os.environ:
        cell.screenshot(path=os.environ["SHOT"])

    seen = answer(nb, 5, 2)
    expect(seen).to_contain_text("You saw something other than you had predicted.")
    expect(seen).to_contain_text("a statement, or a function, happens all at once")
    assert "It can be done with 1 preemption" in nb.kernel_eval("check('L03.3', 'a11b11a3b4')")
    assert "L03.3: right" in nb.kernel_eval("check('L03.3', 'a11b54a4')")
    expect(answer(nb, 8, 0)).to_contain_text("not so (your answer)")
    expect(nb.cell(9)).to_contain_text("shown: migrator-2 is blocked")
    expect(answer(nb, 12, 1)).to_contain_text("right (your answer)")
    expect(nb.cell(13)).to_contain_text("of 300 random runs failed")
    assert "M4" in nb.kernel_eval("check('L03.4', ['look', 'lock', 'take', 'unlock'])")
    assert "L03.4: right" in nb.kernel_eval("check('L03.4', ['lock', 'look', 'take', 'unlock'])")
    assert not nb.errors()
