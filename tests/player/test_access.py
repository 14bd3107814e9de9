"""The player is for everybody: by keys, by ear, in the dark, on a phone, without motion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from vizlib.film import film as film_of
from vizlib.showcase import showcase

pytestmark = pytest.mark.browser

OpenFilm = Callable[..., Page]
Film = dict[str, Any]

TOKEN = "[data-mark='token:P:0']"


def step_of(page: Page) -> int:
    """The step that the page says it shows."""
    return int(page.locator(".rmw").get_attribute("data-step") or -1)


def at_rest(page: Page) -> None:
    """Wait until nothing moves."""
    page.wait_for_selector(".rmw[data-moving=false]")


def sentence(page: Page) -> str:
    """The sentence on show."""
    return page.locator(".rmw-sentence-text").inner_text()


def step_saying(film: Film, words: str) -> int:
    """The first step whose sentence holds *words*."""
    return next(number for number, step in enumerate(film["steps"], 1) if words in step["sentence"])


@pytest.mark.parametrize("width", [1440, 1000, 700, 390])
def test_only_what_the_step_moves_moves(open_film: OpenFilm, move: Film, width: int) -> None:
    """The picture, the locks, the sentence and the controls stand at one place through the whole film."""
    page = open_film(move)
    page.set_viewport_size({"width": width, "height": 4000})
    places = page.evaluate(
        """async steps => {
            const parts = ['.rmw-machine', '.rmw-locks', '.rmw-code', '.rmw-sentence', '.rmw-controls', '.rmw-lanes'];
            const slider = document.querySelector('.rmw-slider');
            const seen = new Set();
            const frame = () => new Promise(resolve => requestAnimationFrame(resolve));
            await frame();  // in which the player notices its new width
            await frame();
            for (let step = 0; step <= steps; step++) {
                slider.value = step;
                slider.dispatchEvent(new Event('input'));
                seen.add(parts.map(part => {
                    const {x, y, width, height} = document.querySelector(part).getBoundingClientRect();
                    return [part, x, y, width, height].join(' ');
                }).join('\\n'));
            }
            return [...seen];
        }""",
        len(move["steps"]),
    )
    assert len(places) == 1, "\n\n".join(places[:3])


def test_keys(open_film: OpenFilm, move: Film) -> None:
    """Each key does what the help says, without a click before it."""
    page = open_film(move)
    last = len(move["steps"])
    press = page.keyboard.press
    seen = []
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "End", "Home"):
        press(key)
        seen.append(step_of(page))
    assert seen == [1, 2, 1, last, 0]
    press("l")
    assert "lock" in move["steps"][step_of(page) - 1]["flags"]
    press("p")
    assert "preempt" in move["steps"][step_of(page) - 1]["flags"]
    press("n")
    assert "decision" in move["steps"][step_of(page) - 1]["flags"]
    press("c")
    named = {it.get("mark") for it in move["steps"][step_of(page) - 1].get("changed", ())}
    assert named & set(move["focus"]) or set(move["steps"][step_of(page) - 1]["marks"]) & set(move["focus"])
    press("ArrowDown")
    expect(page.locator(".rmw-thread[aria-pressed=true]")).to_have_attribute("data-task", move["tasks"][0]["id"])
    press("ArrowDown")
    expect(page.locator(".rmw-thread[aria-pressed=true]")).to_have_attribute("data-task", move["tasks"][1]["id"])
    press("Escape")
    expect(page.locator(".rmw-thread[aria-pressed=true]")).to_have_count(0)
    press("+")
    assert page.locator(".rmw-speed").input_value() == "2"
    press("?")
    expect(page.get_by_role("region", name="Help")).to_be_visible()
    press("Escape")
    expect(page.get_by_role("region", name="Help")).to_be_hidden()
    press("g")
    expect(page.get_by_role("region", name="Who waits for whom")).to_be_visible()
    expect(page.get_by_role("region", name="Family")).to_be_visible()
    expect(page.locator(".rmw-stage").first).to_be_hidden()
    press("Escape")
    expect(page.get_by_role("region", name="Family")).to_be_hidden()
    expect(page.locator(".rmw-stage").first).to_be_visible()
    press(" ")
    expect(page.locator(".rmw")).to_have_attribute("data-playing", "true")
    press(" ")
    expect(page.locator(".rmw")).to_have_attribute("data-playing", "false")


def test_a_button_that_has_the_focus_keeps_its_space_key(open_film: OpenFilm, move: Film) -> None:
    """Space on 'step' steps; it does not play as well."""
    page = open_film(move)
    page.get_by_role("button", name="one step forward").focus()
    page.keyboard.press(" ")
    assert step_of(page) == 1
    expect(page.locator(".rmw")).to_have_attribute("data-playing", "false")


def test_the_whole_run_in_words(open_film: OpenFilm, move: Film) -> None:
    """Every step's sentence is there, the current one is marked, and a step can be gone to."""
    page = open_film(move, "step=5")
    page.set_viewport_size({"width": 1280, "height": 500})
    page.keyboard.press("t")
    expect(page.get_by_role("heading", name="The run in words")).to_be_in_viewport()
    page.keyboard.press("t")
    page.evaluate("() => scrollTo(0, 0)")
    page.keyboard.press("g")
    assert page.evaluate("() => scrollY") == 0, "what is in view stays where it is"
    page.keyboard.press("g")
    page.keyboard.press("t")
    words = page.get_by_role("region", name="The run in words")
    items = words.get_by_role("listitem")
    expect(items).to_have_count(len(move["steps"]) + 1)
    for number in (1, 5, len(move["steps"])):
        expect(items.nth(number)).to_contain_text(move["steps"][number - 1]["sentence"])
    expect(words.locator("[aria-current=step]")).to_contain_text(move["steps"][4]["sentence"])
    expect(words.locator("dd").first).to_contain_text("CPU 0")
    words.get_by_role("button", name="9", exact=True).click()
    assert step_of(page) == 9
    expect(words.locator("[aria-current=step]")).to_contain_text(move["steps"][8]["sentence"])


def test_dark_mode_follows_the_system_and_the_key(open_film: OpenFilm, move: Film) -> None:
    """Both paint the page; the key wins."""
    page = open_film(move)
    ground = "() => getComputedStyle(document.querySelector('.rmw')).backgroundColor"
    light = page.evaluate(ground)
    page.emulate_media(color_scheme="dark")
    expect(page.locator(".rmw")).to_have_attribute("data-theme", "dark")
    assert page.evaluate(ground) != light
    page.keyboard.press("d")
    expect(page.locator(".rmw")).to_have_attribute("data-theme", "light")
    assert page.evaluate(ground) == light


CONTRAST = """() => {
    const channel = value => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    const parse = text => (text.match(/[\\d.]+/g) ?? []).map(Number);
    const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const ground = el => {
        for (; el; el = el.parentElement) {
            const [r, g, b, a = 1] = parse(getComputedStyle(el).backgroundColor);
            if (a === 1 && r !== undefined) return [r, g, b];
        }
        return [255, 255, 255];
    };
    const faint = [];
    for (const el of document.querySelectorAll('.rmw *')) {
        if (el.closest('svg, [aria-disabled=true], kbd, [data-absent]')) continue;
        if (![...el.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
        if (el.getClientRects().length === 0) continue;
        const [a, b] = [luminance(parse(getComputedStyle(el).color)), luminance(ground(el))].sort((a, b) => b - a);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${el.className} ${el.textContent.slice(0, 30)}`);
    }
    return faint;
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_contrast(open_film: OpenFilm, move: Film, theme: str) -> None:
    """At least 4.5 to 1 for all text that is not switched off, with everything open (WCAG 2.1 AA)."""
    page = open_film(move, f"theme={theme}&step={step_saying(move, 'puts a migration entry')}")
    for key in "tg?":
        page.keyboard.press(key)
    assert page.evaluate(CONTRAST) == []


def test_the_picture_and_the_controls_have_names(open_film: OpenFilm, move: Film) -> None:
    """What a screen reader needs: language, title, main, one first heading, names, a live sentence."""
    page = open_film(move, "step=3")
    assert page.evaluate("() => document.documentElement.lang") == "en"
    assert page.title() == move["title"]
    expect(page.locator("main h1")).to_have_text(move["title"])
    image = page.locator("svg[role=img]")
    assert (image.get_attribute("aria-label") or "").startswith("The machine after step 3")
    expect(page.locator("[aria-live=polite]")).to_have_text(move["steps"][2]["sentence"])
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('.rmw :is(button, select, input, a, [tabindex])')]
            .filter(el => !(el.getAttribute('aria-label') || el.textContent.trim())).map(el => el.outerHTML)"""
    )
    assert nameless == []


def test_every_control_can_be_reached_and_its_focus_seen(open_film: OpenFilm, move: Film) -> None:
    """Tab visits each button; the one it is on has an outline."""
    page = open_film(move, "step=3")
    wanted = page.evaluate(
        """() => [...document.querySelectorAll('.rmw [data-action], .rmw [data-stop]')]
            .filter(el => el.offsetParent !== null).length"""  # what is not shown cannot be reached
    )
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            """() => {
                const el = document.activeElement;
                const {outlineStyle, outlineWidth} = getComputedStyle(el);
                return [el.dataset?.action ?? el.dataset?.stop ?? '', [outlineStyle, parseFloat(outlineWidth)]];
            }"""
        )
        if name:
            assert outline[0] == "solid", name
            assert outline[1] >= 2, name
            reached.add(name)
    assert len(reached) == wanted


def test_while_it_plays_the_sentence_is_not_read_out(open_film: OpenFilm, move: Film) -> None:
    """Eight sentences a second would pile up in a screen reader."""
    page = open_film(move, "speed=8")
    page.keyboard.press(" ")
    expect(page.locator(".rmw-sentence-text")).to_have_attribute("aria-live", "off")
    page.keyboard.press(" ")
    expect(page.locator(".rmw-sentence-text")).to_have_attribute("aria-live", "polite")


def test_with_reduced_motion_nothing_moves(open_film: OpenFilm, move: Film) -> None:
    """The next state is there at once."""
    copies = step_saying(move, "copies the 4 KiB")
    page = open_film(move, f"step={copies - 1}")
    page.emulate_media(reduced_motion="reduce")
    moving = page.evaluate(
        """() => {
            document.querySelector('[data-action=forward]').click();
            const {moving} = document.querySelector('.rmw').dataset;
            const token = document.querySelector("[data-mark='token:P:0']");
            return [moving, token.dataset.panel, token.getAttribute('transform')];
        }"""
    )
    assert moving[:2] == ["false", "node:1"]
    at_rest(page)
    assert page.locator(TOKEN).get_attribute("transform") == moving[2]


@pytest.mark.parametrize("width", [320, 640])
def test_a_narrow_page_stacks_and_keeps_the_controls_in_view(open_film: OpenFilm, move: Film, width: int) -> None:
    """No sideways scrolling; the sentence and the play button stay in the window wherever one scrolls.

    640 px is a window of 1280 at 200 % zoom: there the title has the line to itself, and the buttons the next.
    """
    page = open_film(move)
    page.set_viewport_size({"width": width, "height": 800})
    page.wait_for_selector(".rmw[data-layout=narrow]" if width < 560 else ".rmw[data-layout=middle]")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    top = {it: (page.locator(it).bounding_box() or {})["y"] for it in (".rmw-machine", ".rmw-locks", ".rmw-threads")}
    play, speed, title, tools = (
        page.locator(it).bounding_box() or {}
        for it in (".rmw-play", ".rmw-speed", ".rmw-head > :first-child", ".rmw-tools")
    )
    assert speed["y"] == play["y"], "the speeds stand beside the buttons"
    assert tools["y"] >= title["y"] + title["height"]
    if width < 560:
        assert top[".rmw-machine"] < top[".rmw-locks"] < top[".rmw-threads"]
    for where in (0, 400, 900, 5000):
        page.evaluate("y => window.scrollTo(0, y)", where)
        expect(page.locator(".rmw-sentence")).to_be_in_viewport(ratio=1)
        expect(page.get_by_role("button", name="play")).to_be_in_viewport(ratio=1)


def test_on_a_phone_a_long_sentence_is_folded_and_read_whole(open_film: OpenFilm) -> None:
    """Four lines of a deadlock and a button that has the rest; the words are all there for who listens."""
    film = film_of(showcase("batch_deadlock~B7", "batch_2mb"))
    page = open_film(film, f"step={len(film['steps'])}")
    text, more = page.get_by_role("status"), page.locator(".rmw-more")
    expect(more).to_be_hidden()
    page.set_viewport_size({"width": 320, "height": 640})
    page.wait_for_selector(".rmw[data-layout=narrow]")
    expect(more).to_be_visible()
    expect(text).to_contain_text(film["violation"]["sentence"])
    folded = page.evaluate("() => document.querySelector('.rmw-sentence-text').clientHeight")
    assert (page.locator(".rmw-sentence").bounding_box() or {})["height"] < 640 / 4
    more.focus()
    page.keyboard.press("Enter")
    expect(more).to_have_attribute("aria-expanded", "true")
    whole = page.evaluate("() => document.querySelector('.rmw-sentence-text').clientHeight")
    assert whole > folded
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.querySelector('.rmw-sentence-text').clientHeight") == folded
    page.keyboard.press("Home")
    expect(more).to_be_hidden()


def test_on_a_phone_no_mark_leaves_the_picture(open_film: OpenFilm, move: Film) -> None:
    """Panels flow, and the arrows go with them."""
    page = open_film(move, f"step={step_saying(move, 'sends an interrupt')}")
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_selector(".rmw[data-layout=narrow]")
    outside = page.evaluate(
        """() => { const frame = document.querySelector('.rmw-machine').getBoundingClientRect();
            return [...document.querySelectorAll('.rmw-mark:not([opacity="0"])')].filter(mark => {
                const box = mark.getBoundingClientRect();
                return box.left < frame.left - 4 || box.right > frame.right + 4 || box.bottom > frame.bottom + 4;
            }).map(mark => mark.dataset.mark); }"""
    )
    assert outside == []
