"""The fixtures of conftest.py work: a widget appears in JupyterLab, is clicked, and the kernel hears of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

COUNTER = '''
import anywidget, traitlets

class Counter(anywidget.AnyWidget):
    _esm = """
    function render({ model, el }) {
        const button = document.createElement("button");
        const draw = () => { button.textContent = `count is ${model.get("count")}`; };
        button.onclick = () => { model.set("count", model.get("count") + 1); model.save_changes(); };
        model.on("change:count", draw);
        draw();
        el.append(button);
    }
    export default { render };
    """
    count = traitlets.Int(41).tag(sync=True)

counter = Counter()
counter
'''


@pytest.mark.browser
def test_a_click_on_a_widget_in_lab_reaches_the_kernel(jupyter_lab: Any, open_notebook: Callable[[str], Any]) -> None:
    """The whole chain: server, Lab, kernel, anywidget, a real click, and back to Python and to the picture."""
    notebook = open_notebook(jupyter_lab.write("counter.ipynb", COUNTER, "print('ran')"))
    notebook.run_all()
    button = notebook.cell(0).get_by_role("button", name="count is 41")
    button.click()
    expect(notebook.cell(0).get_by_role("button", name="count is 42")).to_be_visible()
    assert notebook.kernel_eval("counter.count") == "42"
    assert notebook.outputs(1)[0]["text"] == "ran\n"


@pytest.mark.browser
def test_run_all_reports_a_cell_that_raises(jupyter_lab: Any, open_notebook: Callable[[str], Any]) -> None:
    """A lesson that raises in Lab fails its test, with the traceback."""
    notebook = open_notebook(jupyter_lab.write("raises.ipynb", "1 / 0"))
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        notebook.run_all()


@pytest.mark.browser
def test_run_all_does_not_wait_for_ever(jupyter_lab: Any, open_notebook: Callable[[str], Any]) -> None:
    """A cell that never ends fails its test within the limit."""
    notebook = open_notebook(jupyter_lab.write("endless.ipynb", "while True: pass"))
    with pytest.raises(AssertionError, match="did not finish in 1 s"):
        notebook.run_all(seconds=1)


@pytest.mark.browser
def test_a_cell_far_below_the_window_can_be_reached(jupyter_lab: Any, open_notebook: Callable[[str], Any]) -> None:
    """Lab keeps what is off screen out of the DOM; ``cell`` brings it there."""
    cells = [f"print('\\n'.join(['line {number}'] * 40))" for number in range(30)]
    notebook = open_notebook(jupyter_lab.write("long.ipynb", *cells))
    notebook.run_all()
    expect(notebook.cell(29).get_by_text("line 29").first).to_be_visible()


@pytest.mark.browser
def test_the_offline_page_opens_a_file_and_reaches_no_server(
    offline_page: Page, jupyter_lab: Any, tmp_path: Path
) -> None:
    """What is proved with ``offline_page`` is proved without a network."""
    file = tmp_path / "page.html"
    file.write_text("<!doctype html><title>from disk</title>")
    offline_page.goto(file.as_uri())
    assert offline_page.title() == "from disk"
    reached = offline_page.evaluate(
        "url => fetch(url, {mode: 'no-cors'}).then(() => true, () => false)", jupyter_lab.url
    )
    assert not reached
