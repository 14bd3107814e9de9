"""A notebook exported by nbconvert plays, with the network off."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page, expect

from vizlib.exporter import OfflineExporter

pytestmark = pytest.mark.browser

CELL = """
from sim.engines.stepper import replay
from vizlib import play
play(replay("one_page mutex_v37 b3a5"), step=4)
"""


def test_an_exported_notebook_plays_offline(offline_page: Page, tmp_path: Path) -> None:
    """The stored output is the widget's text; the page has a player, open at the step of the cell."""
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL), nbformat.v4.new_code_cell("6 * 7")])
    nb.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    html, _ = OfflineExporter().from_notebook_node(nb, {"metadata": {"path": str(tmp_path)}})
    assert "42" in html
    page = tmp_path / "lesson.html"
    page.write_text(html, encoding="utf-8")
    offline_page.goto(page.as_uri())
    frame = offline_page.frame_locator("iframe")
    expect(frame.locator(".rmw")).to_have_attribute("data-step", "4")
    frame.get_by_role("button", name="one step forward").click()
    expect(frame.locator(".rmw")).to_have_attribute("data-step", "5")


def test_nbconvert_knows_the_exporter() -> None:
    """By its entry point: ``jupyter nbconvert --to rmapwalk``."""
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    assert 'rmapwalk = "vizlib.exporter:OfflineExporter"' in text
