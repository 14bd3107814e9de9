"""Lesson 2 in a real JupyterLab, gone through with the keyboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.course.keyboard import answer, press

pytestmark = pytest.mark.browser


def test_lesson_2_is_gone_through_with_the_keyboard(open_lesson: Callable[[str], Any]) -> None:
    """Predict wrongly, watch the walk in the player, read why, grow a family on the bench, and walk in it."""
    nb = open_lesson("02_who_maps_this_page.ipynb")
    nb.run_all(seconds=240)

    answer(nb, 1, 0)  # a page has one PTE
    player = nb.cell(3).locator(".rmw")
    player.get_by_text("step 0 of", exact=False).wait_for()
    player.focus()
    nb.page.keyboard.press("End")
    player.get_by_text("step 355 of", exact=False).wait_for()
    expect(nb.cell(3)).to_contain_text("shown: of the hook's nine VMAs a walk visits three")
    seen = answer(nb, 5, 3)
    expect(seen).to_contain_text("You saw something other than you had predicted.")
    expect(seen).to_contain_text("a page has one PTE")
    expect(answer(nb, 7, 1)).to_contain_text("one lock guards them all")
    expect(nb.cell(8)).to_contain_text("A_C   its root is A_P; in its tree: vC vG")
    expect(answer(nb, 9, 2)).to_contain_text("right (your answer)")
    expect(nb.cell(10)).to_contain_text("shown: the walk for C's copy visits vC and vG")

    bench = nb.cell(16)
    press(bench, "touch")
    expect(bench).to_contain_text("P: touch 0")
    press(bench, "fork")
    expect(bench).to_contain_text("in its tree: vP vC")
    press(bench, "Next stop")
    expect(bench).to_contain_text("Stop 1: vP, its PTE of page 0 names f0.")
    press(bench, "Next stop")
    expect(bench).to_contain_text("That was the last one.")
    press(bench, "C")
    press(bench, "exit")
    expect(bench).not_to_contain_text("vC")
    assert nb.kernel_eval("bench.family.done") == "(('touch', 'P', 0), ('fork', 'P', 'C'), ('exit', 'C'))"
    press(bench, "Undo")
    expect(bench).to_contain_text("in its tree: vP vC")

    shared = "[('touch', 'P'), ('fork', 'P', 'C'), ('fork', 'P', 'D'), ('fork', 'P', 'E')]"
    assert "M28" in nb.kernel_eval(f"check('L02.4', {shared})")
    assert "L02.4: right" in nb.kernel_eval(f"check('L02.4', {shared[:-1]}, ('touch', 'P', 1)])")
    assert not nb.errors()
