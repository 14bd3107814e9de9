"""A lesson with the keyboard alone: answering a gate, pressing a button, choosing from a list, writing in a cell."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import expect


def answer(nb: Any, cell: int, option: int) -> Any:
    """Answer the gate in *cell* with *option*, counted from 0: choose, go past the other options, press the button."""
    at = nb.cell(cell)
    options = at.get_by_role("radio")
    options.nth(option).focus()
    nb.page.keyboard.press("Space")
    button = at.get_by_role("button", name=re.compile("That is"))
    expect(button).to_be_enabled()
    for _ in range(options.count() - option):
        nb.page.keyboard.press("Tab")
    expect(button).to_be_focused()
    nb.page.keyboard.press("Enter")
    return at


def press(at: Any, name: str) -> None:
    """Press the button called *name* with Enter."""
    button = at.get_by_role("button", name=name, exact=True)
    button.focus()
    expect(button).to_be_focused()
    button.press("Enter")


def write(nb: Any, cell: int, source: str, shows: str) -> Any:
    """Write *source* into *cell* in place of what stands there and run it, as a reader does, until it shows that."""
    at = nb.cell(cell)
    at.locator(".cm-content").focus()
    nb.page.keyboard.press("ControlOrMeta+a")
    nb.page.keyboard.insert_text(source)
    nb.page.keyboard.press("Shift+Enter")
    expect(nb.cell(cell).locator(".jp-OutputArea").first).to_contain_text(shows, timeout=120_000)
    return nb.cell(cell)
