"""The course as a static site: it opens from disk with the network off, its runs play, and its links lead somewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from course.cli import main
from course.cli.publishing import MARK
from course.progress import LESSONS
from course.site.links import faults
from tests.conftest import ROOT, lacking, served

DARK = "rgb(20, 24, 26)"  # the player's ground


def built(out: Path, *options: str) -> Path:
    """Build a site in a process of its own, as a reader does."""
    for needed in ("sphinx", "myst_nb", "furo"):
        if find_spec(needed) is None:
            lacking(f"{needed} is not here: python -m pip install -e '.[site]'")
    command = [sys.executable, "-m", "course", "site", str(out), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{out / 'index.html'}: ")
    return out


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with the first lesson."""
    return built(tmp_path_factory.mktemp("site") / "out", "--lessons", "01")


@contextmanager
def undisturbed(page: Page, *own: str) -> Iterator[None]:
    """An error on the page's console is a fault, and a request to an address that begins with none of *own*."""
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda it: said.append(it.text) if it.type == "error" else None)
    yield
    assert [url for url in asked if not url.startswith(own)] == []
    assert said == []


@pytest.fixture
def opened(offline_page: Page) -> Iterator[Page]:
    """A page with the network off, from disk."""
    with undisturbed(offline_page, "file:", "data:"):
        yield offline_page


def uncover(page: Page) -> None:
    """Open everything on a page that is covered."""
    for summary in page.locator("summary").all():
        summary.click()


# ---------------------------------------------------------------------------------------------------------------------
# From disk


@pytest.mark.browser
def test_a_run_plays_in_its_lesson(site: Path, opened: Page) -> None:
    """Under the cover of the question; it steps, and it becomes dark with the page around it."""
    opened.goto((site / "index.html").as_uri())
    opened.locator("main, article").get_by_role("link", name="Moving a page under").click()
    frame = opened.frame_locator("iframe")
    expect(opened.locator("iframe")).to_be_hidden()
    opened.get_by_text("Your answer to L01.a first").first.click()
    before = frame.locator(".rmw").get_attribute("data-step")
    frame.get_by_role("button", name="one step forward").click()
    expect(frame.locator(".rmw")).to_have_attribute("data-step", str(int(before or 0) + 1))
    expect(frame.locator(".rmw")).to_have_attribute("data-theme", "light")
    opened.evaluate("() => { document.body.dataset.theme = 'dark'; }")
    expect(frame.locator(".rmw")).to_have_attribute("data-theme", "dark")
    expect(frame.locator("html")).to_have_css("background-color", DARK)


@pytest.mark.browser
def test_what_is_searched_for_is_found(site: Path, opened: Page) -> None:
    """Without a server; also what stands only in an option of a question."""
    for asked, page in (("rwsem", "Glossary"), ("killed fetches", "Moving a page under")):
        opened.goto((site / "index.html").as_uri())
        box = opened.get_by_role("textbox", name="Search")
        box.fill(asked)
        box.press("Enter")
        expect(opened.locator(".search li").first).to_contain_text(page)


@pytest.mark.browser
def test_axe_finds_nothing_serious(site: Path, opened: Page, axe: str) -> None:
    """On the first page, a lesson, the glossary and a page of tables, light and dark; players have their own tests."""
    for name in ("index", "01_moving_a_page", "glossary", "published"):
        opened.goto((site / f"{name}.html").as_uri())
        uncover(opened)
        opened.evaluate(axe)
        for theme in ("light", "dark"):
            opened.evaluate("theme => { document.body.dataset.theme = theme; }", theme)
            found = opened.evaluate(
                "() => axe.run(document, {resultTypes: ['violations'], iframes: false, preload: false})"
            )
            grave = [it for it in found["violations"] if it["impact"] in ("serious", "critical")]
            assert [(name, theme, it["id"], it["nodes"][0]["html"][:200]) for it in grave] == []


@pytest.mark.browser
def test_no_page_is_wider_than_its_window(site: Path, opened: Page) -> None:
    """From a phone to a wide screen, with all uncovered."""
    opened.goto((site / "01_moving_a_page.html").as_uri())
    uncover(opened)
    for width in (420, 1000, 1250, 1440):
        opened.set_viewport_size({"width": width, "height": 900})
        assert opened.evaluate("() => document.scrollingElement.scrollWidth") == width


# ---------------------------------------------------------------------------------------------------------------------
# What stands in the pages


def test_where_python_is_needed_a_sentence_says_so(site: Path) -> None:
    """At each of the lesson's exercises, and at its sentence; there is no widget that would be dead."""
    page = (site / "01_moving_a_page.html").read_text("utf-8")
    assert page.count("your answer needs Python") == 3
    assert page.count("In JupyterLab a button keeps it") == 1
    assert "widget-view" not in page
    assert "require.js" not in page.lower()
    assert "mathjax" not in page.lower()


def test_every_link_leads_somewhere(site: Path) -> None:
    """The command looked too; a fault of each kind that is planted is found."""
    assert faults(site) == []


def test_planted_faults_are_found(tmp_path: Path) -> None:
    """A dead link, a missing anchor, a folder, a script and a font from outside; a link to outside is none."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "b.html").write_text("<h1 id='here'>B</h1>", "utf-8")
    (tmp_path / "a.html").write_text(
        "<a href='c.html'>1</a><a href='b.html#there'>2</a><a href='folder'>3</a><a href='#no'>4</a>"
        "<script src='https://example.org/x.js'></script><a href='https://example.org/'>5</a>"
        "<a href='b.html#here'>6</a><link rel='next' title='Next' href='b.html'>",
        "utf-8",
    )
    (tmp_path / "a.css").write_text("@import '//example.org/y.css'; a { background: url(x.png) }", "utf-8")
    assert faults(tmp_path) == [
        "a.html: fetches https://example.org/x.js",
        "a.html: c.html leads nowhere",
        "a.html: b.html#there: there is no such anchor",
        "a.html: folder is a folder, which opens from a web server only",
        "a.html: #no: there is no such anchor",
        "a.css: fetches //example.org/y.css",
    ]


# ---------------------------------------------------------------------------------------------------------------------
# The command


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It might be somebody's thesis."""
    (tmp_path / "thesis.tex").write_text("x", "utf-8")
    assert main(["site", str(tmp_path)]) == 2
    assert "is not ours, and not an empty folder: name a new one" in capsys.readouterr().err
    assert [it.name for it in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_lesson_that_is_none_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With those that there are."""
    assert main(["site", str(tmp_path / "out"), "--lessons", "01,77"]) == 2
    assert "there is no lesson '77'; there are 01, 02" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.site
@pytest.mark.browser
def test_the_whole_course_works_from_a_server(tmp_path: Path, browser: Browser) -> None:
    """All lessons; each page is opened with everything uncovered, and every run in it answers to a step."""
    site = built(tmp_path / "out")
    assert built(site, "--lessons", "01")  # one that stands there is replaced
    site = built(site)
    assert (site / MARK).exists()
    page = browser.new_page()
    with served(site) as at, undisturbed(page, at):
        for lesson in LESSONS:
            page.goto(f"{at}/{lesson.stem}.html")
            uncover(page)
            for number in range(page.locator("iframe").count()):
                page.locator("iframe").nth(number).scroll_into_view_if_needed()
                player = page.frame_locator("iframe").nth(number)
                expect(player.locator(".rmw, .rmw-compare").first).to_be_visible()
