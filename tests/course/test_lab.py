"""A lesson in a real JupyterLab: what a gate hides opens with a click, and its controls stay in sight."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from course.instructor import solutions_01
from tests.course.keyboard import answer, press, write

pytestmark = pytest.mark.browser


def test_lesson_1_is_gone_through_to_its_end(open_lesson: Callable[[str], Any]) -> None:
    """A click opens the player, paused; wrong answers get their reasons, a wrong order is played; right ones end it."""
    nb = open_lesson("01_moving_a_page.ipynb")
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

    hidden.locator(".rmw").focus()
    nb.page.keyboard.press("End")
    hidden.get_by_text(re.compile(r"step (\d+) of \1")).wait_for()
    expect(answer(nb, 6, 1)).to_contain_text("You saw something other than you had predicted.")
    expect(nb.cell(7)).to_contain_text("shown: the move ends without a violation")
    expect(answer(nb, 9, 0)).to_contain_text("clearing the PTE stops every CPU at once")
    expect(nb.cell(10)).to_contain_text("shown: no write is lost")
    expect(answer(nb, 12, 2)).to_contain_text("right (your answer)")
    expect(nb.cell(13)).to_contain_text("shown: it slept from before the copy")

    wrong, right = '["lock", "copy", "unmap", "flush", "remap", "unlock", "put"]', str(solutions_01.GOOD["L01.2"])
    write(nb, 17, f'report = check("L01.2", {wrong})\nreport', "copying first and unmapping then is as good")
    write(nb, 17, "report.play()", "").locator(".rmw").get_by_text("step 0 of", exact=False).wait_for()
    write(nb, 17, f'check("L01.2", {right})', "L01.2: right")
    nb.cell(21).get_by_role("textbox").last.fill("so that no write goes where nobody looks for it")
    press(nb.cell(21), "Keep it")
    expect(nb.cell(21)).to_contain_text("answers.json")

    nb.page.set_viewport_size({"width": 1366, "height": 768})  # a laptop; the stage is taller than that
    nb.cell(4).locator(".rmw").evaluate("player => player.scrollIntoView({block: 'start'})")
    expect(nb.cell(4).locator(".rmw-sentence")).to_be_in_viewport(ratio=1)
    expect(nb.cell(4).locator(".rmw-controls")).to_be_in_viewport(ratio=1)
    assert not nb.errors()


def test_lesson_6_is_gone_through_with_the_keyboard(open_lesson: Callable[[str], Any]) -> None:
    """Predict wrongly, see the run that goes wrong beside one that passes, go to the step that matters, read why."""
    nb = open_lesson("06_the_unlocked_walk.ipynb")
    nb.run_all(seconds=240)

    answer(nb, 1, 0)  # no VMA changes while the mmap_sem is held
    assert nb.kernel_eval("gate_a.choice") == "0"
    player = nb.cell(5).locator(".rmw")
    player.get_by_text("step 99 of", exact=False).wait_for()
    player.focus()
    nb.page.keyboard.press("Home")
    player.get_by_text("step 0 of", exact=False).wait_for()
    nb.page.keyboard.press("End")
    expect(nb.cell(5)).to_contain_text("Both touch the top of the interval tree of A_stack")

    seen = answer(nb, 7, 2)
    expect(seen).to_contain_text("You saw something other than you had predicted.")
    expect(seen).to_contain_text("while an rwsem is held for reading, nothing changes")
    expect(answer(nb, 9, 1)).to_contain_text("The window is a few steps wide")
    expect(nb.cell(10)).to_contain_text("shown: 300 runs can pass")
    expect(answer(nb, 12, 3)).to_contain_text("right (your answer)")
    expect(nb.cell(13)).to_contain_text("shown: the last leaves the tree alone")

    wrong = "{'worker': 'remove_migration_ptes', 'main': 'anon_vma_unlock'}"
    assert "back in the tree" in nb.kernel_eval(f"check('L06.3', {wrong})")
    right = wrong.replace("anon_vma_unlock", "anon_vma_interval_tree_post_update_vma")
    assert "L06.3: right" in nb.kernel_eval(f"check('L06.3', {right})")
    assert not nb.errors()


def test_lesson_5_fills_its_table_with_the_keyboard(open_lesson: Callable[[str], Any]) -> None:
    """Predict, add run after run, and see locks drop out that do not guard a PTE; a wrong table is told why."""
    nb = open_lesson("05_what_does_this_lock_protect.ipynb")
    nb.run_all(seconds=240)
    first = nb.cell(1).get_by_role("radio").nth(0)
    first.focus()
    nb.page.keyboard.press("Space")
    button = nb.cell(1).get_by_role("button", name="That is my answer")
    expect(button).to_be_enabled()
    button.focus()
    nb.page.keyboard.press("Enter")

    table = nb.cell(3).get_by_role("table")
    row = table.get_by_role("row").filter(has=nb.page.get_by_role("rowheader", name="PTE", exact=True))
    expect(row).to_have_text(re.compile(r"PTE\s*never\s*all 3\s*all 3\s*all 3"))
    more = nb.cell(3).get_by_role("button", name=re.compile("Add the next run"))
    more.focus()
    nb.page.keyboard.press("Enter")
    expect(row).to_contain_text("9 of 11, out")
    for _ in range(3):
        nb.page.keyboard.press("Enter")
    expect(nb.cell(3).get_by_role("button", name="All runs are in")).to_be_disabled()
    expect(row).to_contain_text("all 26")

    assert "freed outright" in nb.kernel_eval("check('L05.2', {'AVC': 'reference'})")
    assert "L05.3: right" in nb.kernel_eval(
        "check('L05.3', {'A': 'structure', 'B': 'lifetime', 'C': 'contents', 'D': 'lifetime'})"
    )
    assert not nb.errors()


def test_lesson_7_plays_a_cell_of_its_grid_with_the_keyboard(open_lesson: Callable[[str], Any]) -> None:
    """Predict, press a cell, get the run that goes wrong; press one that passes, and the run is gone."""
    nb = open_lesson("07_every_caller_holds_mmap_sem.ipynb")
    nb.run_all(seconds=240)
    for cell, option in ((1, 0), (9, 0)):
        nb.cell(cell).get_by_role("radio").nth(option).focus()
        nb.page.keyboard.press("Space")
        button = nb.cell(cell).get_by_role("button", name="That is my answer")
        expect(button).to_be_enabled()
        button.focus()
        nb.page.keyboard.press("Enter")
    expect(nb.cell(3)).to_contain_text("P not, C not")
    expect(nb.cell(9)).to_contain_text("mremap is one: it waits")

    cells = nb.cell(10)
    cells.get_by_title("compaction beside exit: ✗ 126").focus()
    nb.page.keyboard.press("Enter")
    expect(cells).to_contain_text("compaction beside exit: use after free")
    cells.get_by_text("step 0 of 126", exact=False).wait_for()
    cells.locator(".rmw").focus()
    nb.page.keyboard.press("End")
    cells.get_by_text("step 126 of 126", exact=False).wait_for()
    cells.get_by_title("compaction beside mremap: ✓").focus()
    nb.page.keyboard.press("Enter")
    expect(cells).to_contain_text("no violation in any schedule of world caller_and_disturber")
    expect(cells.locator(".rmw")).to_have_count(0)

    assert "It looks like M9" in nb.kernel_eval("check('L07.2', {'a': ('compaction', 'mremap')})")
    right = "{'a': ('compaction', 'exit'), 'b': ('compaction', 'mremap'), 'c': ('move_pages', 'stack growth')}"
    assert "L07.2: right" in nb.kernel_eval(f"check('L07.2', {right})")
    assert not nb.errors()
