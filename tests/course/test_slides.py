"""A lesson as slides: one file, turned by keys, with the reasons covered and runs that play."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from course.kit import QUESTIONS
from course.progress import LESSONS
from course.slides import main


@pytest.fixture(scope="module")
def deck(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The slides of lesson 1."""
    path = tmp_path_factory.mktemp("slides") / "one.html"
    assert main(["1", "-o", str(path)]) == 0
    return path


@pytest.mark.browser
def test_keys_turn_the_slides(deck: Path, offline_page: Page) -> None:
    """One is seen at a time; the fragment of the address says which, and leads back to it."""
    offline_page.goto(deck.as_uri())
    seen = offline_page.locator("section:visible")
    expect(seen).to_have_count(1)
    expect(seen).to_contain_text("Moving a page under someone")
    offline_page.keyboard.press("ArrowRight")
    expect(seen).to_contain_text("Predict")
    assert offline_page.url.endswith("#2")
    offline_page.keyboard.press("PageUp")
    expect(seen).to_contain_text("Moving a page under someone")
    offline_page.keyboard.press("End")
    expect(seen).to_contain_text("What the model leaves out")


@pytest.mark.browser
def test_the_reasons_are_covered_until_asked_for(deck: Path, offline_page: Page) -> None:
    """The lecturer presses a."""
    question = QUESTIONS["L01.a"]
    offline_page.goto(f"{deck.as_uri()}#3")
    seen = offline_page.locator("section:visible")
    expect(seen).to_contain_text(question.options[0].text)
    expect(seen.get_by_text(question.options[0].why)).to_be_hidden()
    offline_page.keyboard.press("a")
    expect(seen.get_by_text(question.options[0].why)).to_be_visible()


@pytest.mark.browser
def test_a_run_plays_on_its_slide(deck: Path, offline_page: Page) -> None:
    """With no network."""
    offline_page.goto(f"{deck.as_uri()}#5")
    player = offline_page.frame_locator("section:visible iframe")
    before = player.locator(".rmw-sentence-text").inner_text()
    player.get_by_role("button", name="one step forward").click()
    expect(player.locator(".rmw-sentence-text")).not_to_have_text(before)


def test_there_is_one_sentence_for_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No such lesson; no such folder.  Nothing is written."""
    assert main(["99", "-o", str(tmp_path / "x.html")]) == 2
    assert "there is no lesson '99'; there are 01, " in capsys.readouterr().err
    assert main([LESSONS[0].stem[:2], "-o", str(tmp_path / "none" / "x.html")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
