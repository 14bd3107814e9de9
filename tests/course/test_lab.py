"""A lesson in a real JupyterLab: what a gate hides opens with a click, and its controls stay in sight."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from course.refresh import COURSE

pytestmark = pytest.mark.browser


def test_a_click_opens_the_player(jupyter_lab: Any, open_notebook: Callable[[str], Any]) -> None:
    """All cells run without an answer showing; choosing and pressing the button brings the player, paused."""
    name = "01_moving_a_page.ipynb"
    shutil.copy(COURSE / name, jupyter_lab.root)
    nb = open_notebook(name)
    nb.cell(4).get_by_text("hidden until").wait_for()
    stored = nb.page.locator(".jp-NotebookPanel").inner_text()
    assert "hidden until L01.a is answered" in stored
    assert "migration entry -> f0" not in stored

    nb.run_all()
    gate, hidden = nb.cell(2), nb.cell(4)
    hidden.get_by_text("Answer L01.a above").wait_for()
    button = gate.get_by_role("button", name="That is my answer")
    button.wait_for()
    assert button.is_disabled()
    gate.get_by_role("radio").nth(0).check()
    button.click()
    hidden.get_by_text("step 0 of", exact=False).wait_for()
    assert "Answer L01.a above" not in hidden.inner_text()
    assert nb.kernel_eval("gate_a.choice") == "0"

    nb.page.set_viewport_size({"width": 1366, "height": 768})  # a laptop; the stage is taller than that
    nb.cell(4).locator(".rmw").evaluate("player => player.scrollIntoView({block: 'start'})")
    expect(nb.cell(4).locator(".rmw-sentence")).to_be_in_viewport(ratio=1)
    expect(nb.cell(4).locator(".rmw-controls")).to_be_in_viewport(ratio=1)
    assert not nb.errors()
