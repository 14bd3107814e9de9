"""Lesson 8 in a real JupyterLab, from its first question to its last exercise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.course.keyboard import answer

pytestmark = pytest.mark.browser


def test_lesson_8_is_gone_through_with_the_keyboard(open_lesson: Callable[[str], Any]) -> None:
    """Predict wrongly, see the two columns and the bars, see what reclaim steps on, answer wrongly, then rightly."""
    nb = open_lesson("08_half_a_fix.ipynb")
    nb.run_all(seconds=240)
    expect(nb.cell(7)).not_to_contain_text("both, shared")

    answer(nb, 1, 0)  # half of the sleeps, half of the time
    expect(nb.cell(3)).to_contain_text("shown: but not a tenth of the held time to the remap walk")
    expect(nb.cell(7).locator("img")).to_be_visible()
    expect(nb.cell(7)).to_contain_text("both, shared")
    seen = answer(nb, 5, 1)
    expect(seen).to_contain_text("You saw something other than you had predicted.")

    expect(answer(nb, 9, 0)).to_contain_text("what all callers hold is what those hold whom I know")
    player = nb.cell(10).locator(".rmw")
    player.get_by_text("step 55 of", exact=False).wait_for()
    player.focus()
    nb.page.keyboard.press("ArrowLeft")
    player.get_by_text("step 54 of", exact=False).wait_for()
    expect(nb.cell(10)).to_contain_text("Both touch the anon_vma A_heap")

    expect(answer(nb, 14, 2)).to_contain_text("right (your answer)")
    expect(nb.cell(15)).to_contain_text("stops")
    expect(nb.cell(15)).to_contain_text("shown: shared walks are right in all three worlds")

    assert "what all callers hold" in nb.kernel_eval("check('L08.2', {'reclaim': holds['move_pages']})")
    assert "L08.3: right" in nb.kernel_eval("check('L08.3', {'the unmap walk': 1e9 / unmap_ns})")
    assert not nb.errors()
