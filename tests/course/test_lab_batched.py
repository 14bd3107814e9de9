"""Lesson 10 in a real JupyterLab, from its first question to its last exercise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.course.keyboard import answer

pytestmark = pytest.mark.browser


def test_lesson_10_is_gone_through_with_the_keyboard(open_lesson: Callable[[str], Any]) -> None:
    """Predict wrongly, read the table and why; step back from the deadlock; answer wrongly, then rightly."""
    nb = open_lesson("10_batching_the_flush.ipynb")
    nb.run_all(seconds=240)

    answer(nb, 1, 0)  # nobody pays for it
    expect(nb.cell(3)).to_contain_text("1536 interrupts")
    expect(nb.cell(3).locator("img")).to_be_visible()
    seen = answer(nb, 5, 3)
    expect(seen).to_contain_text("You saw something other than you had predicted.")

    expect(answer(nb, 7, 0)).to_contain_text("a deadlock needs two kinds of lock")
    player = nb.cell(8).locator(".rmw")
    player.get_by_text("of 260", exact=False).first.wait_for()
    player.focus()
    nb.page.keyboard.press("ArrowLeft")
    expect(nb.cell(8)).to_contain_text("None can ever go on.")
    expect(nb.cell(8).locator("img")).to_be_visible()
    expect(answer(nb, 10, 2)).to_contain_text("right (your answer)")
    expect(nb.cell(11)).to_contain_text("shown: the model has as many interrupts")

    assert "only who waits for a lock can be in a deadlock" in nb.kernel_eval("check('L10.2', {'D': 'may'})")
    assert "a larger batch is always better" in nb.kernel_eval("check('L10.3', 64)")
    assert "L10.3: right" in nb.kernel_eval("check('L10.3', 16)")
    assert not nb.errors()
