"""Lesson 12 in a real JupyterLab, from its first question to its last exercise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.course.keyboard import answer

pytestmark = pytest.mark.browser


def test_lesson_12_is_gone_through_with_the_keyboard(open_lesson: Callable[[str], Any]) -> None:
    """Predict wrongly, read the tables and why; see the lanes; answer wrongly, then rightly."""
    nb = open_lesson("12_from_model_to_machine.ipynb")
    nb.run_all(seconds=240)

    answer(nb, 2, 2)  # the times too
    expect(nb.cell(4)).to_contain_text("shown: every count and the order of events agree, for both kernels")
    expect(answer(nb, 6, 1)).to_contain_text("You saw something other than you had predicted.")

    expect(answer(nb, 8, 0)).to_contain_text("clearing the PTE stops every CPU at once")
    expect(nb.cell(9).locator("img")).to_have_count(2)
    expect(answer(nb, 11, 2)).to_contain_text("right (your answer)")
    expect(nb.cell(12)).to_contain_text("shown: once elsewhere: 1 flush, recorded and in the model")

    assert "one recording says how it always is" in nb.kernel_eval("check('L12.2', {'B': 'same'})")
    assert "L12.3: right" in nb.kernel_eval("check('L12.3', {'variant': 'v612', 'pages': 6, 'spinners': 2})")
    assert not nb.errors()
