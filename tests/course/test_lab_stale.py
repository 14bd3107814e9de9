"""Lesson 9 in a real JupyterLab, from its first question to its last exercise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.course.keyboard import answer

pytestmark = pytest.mark.browser


def test_lesson_9_is_gone_through_with_the_keyboard(open_lesson: Callable[[str], Any]) -> None:
    """Predict wrongly, step from the lost write back to the copy, read why; count; answer wrongly, then rightly."""
    nb = open_lesson("09_stale_translations.ipynb")
    nb.run_all(seconds=240)

    answer(nb, 1, 0)  # every write faults
    player = nb.cell(3).locator(".rmw")
    player.get_by_text("of 124", exact=False).first.wait_for()
    player.focus()
    nb.page.keyboard.press("ArrowLeft")
    expect(nb.cell(3)).to_contain_text("Both touch the TLB of CPU 1, p0")
    seen = answer(nb, 5, 2)
    expect(seen).to_contain_text("You saw something other than you had predicted.")

    expect(answer(nb, 7, 0)).to_contain_text("the kernel knows what stands in a TLB")
    expect(nb.cell(8)).to_contain_text("120 interrupts")
    expect(nb.cell(8).locator("img")).to_be_visible()
    expect(answer(nb, 10, 1)).to_contain_text("right (your answer)")
    expect(nb.cell(11)).to_contain_text("shown: but a reader reads what was")

    assert "clearing the PTE stops every CPU at once" in nb.kernel_eval("check('L09.2', {'C': 'fault'})")
    wrong = "['unmap', 'copy', 'flush', 'remap', 'free']"
    assert "lost write" in nb.kernel_eval(f"check('L09.3', {wrong})")
    assert "L09.3: right" in nb.kernel_eval("check('L09.3', ['unmap', 'flush', 'copy', 'remap', 'free'])")
    assert not nb.errors()
