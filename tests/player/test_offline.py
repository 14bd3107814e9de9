"""The offline file, opened from disk in a real Chromium with the network off, played with real clicks and keys."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from sim.engines.checker import check
from sim.engines.stepper import replay
from vizlib.film import film as film_of
from vizlib.renderers import html

pytestmark = pytest.mark.browser

OpenFilm = Callable[..., Page]
Film = dict[str, Any]

PTE = "[data-mark='pte:P:0']"
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


def test_it_opens_paused_at_the_first_decision(open_film: OpenFilm, move: Film) -> None:
    """Nothing plays until somebody asks for it."""
    page = open_film(move)
    expect(page.locator(".rmw")).to_have_attribute("data-playing", "false")
    assert "decision" in move["start"]["flags"]
    assert step_of(page) == 0
    assert sentence(page) == move["start"]["sentence"]


def test_a_click_on_step_and_back_moves_one_step(open_film: OpenFilm, move: Film) -> None:
    """The sentence, the slider and the count follow."""
    page = open_film(move)
    page.get_by_role("button", name="one step forward").click()
    page.get_by_role("button", name="one step forward").click()
    assert step_of(page) == 2
    assert sentence(page) == move["steps"][1]["sentence"]
    assert page.get_by_role("slider").input_value() == "2"
    assert page.locator(".rmw-count").inner_text() == f"step 2 of {len(move['steps'])}"
    page.get_by_role("button", name="one step back").click()
    assert step_of(page) == 1
    assert sentence(page) == move["steps"][0]["sentence"]


def test_play_goes_on_by_itself_and_pause_stops_it(open_film: OpenFilm, move: Film) -> None:
    """Two real clicks; afterwards it stands still."""
    page = open_film(move, "speed=16")
    page.get_by_role("button", name="play").click()
    expect(page.locator(".rmw")).to_have_attribute("data-playing", "true")
    page.wait_for_function("() => Number(document.querySelector('.rmw').dataset.step) > 3")
    page.get_by_role("button", name="pause").click()
    expect(page.locator(".rmw")).to_have_attribute("data-playing", "false")
    stopped = step_of(page)
    frames = "n => new Promise(done => { const tick = () => n-- > 0 ? requestAnimationFrame(tick) : done(); tick(); })"
    page.evaluate(frames, 30)
    assert step_of(page) == stopped


def test_it_plays_to_the_end_and_then_again_from_the_start(open_film: OpenFilm, move: Film) -> None:
    """At the end it pauses; play begins anew."""
    last = len(move["steps"])
    page = open_film(move, f"speed=16&step={last - 3}")
    page.get_by_role("button", name="play").click()
    page.wait_for_selector(f".rmw[data-step='{last}'][data-playing=false]")
    page.evaluate(  # every step that is shown is kept: at this speed the first is gone within a few frames
        """() => {
            const player = document.querySelector('.rmw');
            window.shown = [];
            new MutationObserver(() => window.shown.push(Number(player.dataset.step)))
                .observe(player, {attributes: true, attributeFilter: ['data-step']});
        }"""
    )
    page.get_by_role("button", name="play").click()
    page.wait_for_function("() => window.shown.length > 0")
    assert page.evaluate("() => window.shown[0]") in (0, 1)


def test_a_frame_older_than_the_click_does_not_stop_play(offline_page: Page, open_film: OpenFilm, move: Film) -> None:
    """Browsers pass a frame the time at which it began, which may lie before the click that asked for it."""
    offline_page.add_init_script(
        """const real = window.requestAnimationFrame.bind(window);
        let early = true;
        window.requestAnimationFrame = callback => real(now => {
            callback(early ? now - 500 : now);
            early = !early;
        });"""
    )
    page = open_film(move, "speed=16")
    page.get_by_role("button", name="play").click()
    page.wait_for_function("() => Number(document.querySelector('.rmw').dataset.step) > 2")


def test_scrubbing_with_the_mouse_lands_where_the_slider_is(open_film: OpenFilm, move: Film) -> None:
    """The state is that of the step, whichever way it was reached."""
    page = open_film(move)
    slider = page.get_by_role("slider")
    box = slider.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 8, box["y"] + box["height"] / 2)
    page.mouse.down()
    for share in (0.2, 0.9, 0.5):
        page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2)
    page.mouse.up()
    step = step_of(page)
    assert abs(step - len(move["steps"]) / 2) < 5
    assert slider.input_value() == str(step)
    assert sentence(page) == move["steps"][step - 1]["sentence"]


def test_a_click_into_the_lanes_goes_there(open_film: OpenFilm, move: Film) -> None:
    """The lanes are a map of the run."""
    page = open_film(move)
    field = page.locator(".rmw-field")
    box = field.bounding_box()
    assert box is not None
    field.click(position={"x": box["width"] * 0.75, "y": 10})
    assert abs(step_of(page) - 0.75 * len(move["steps"])) <= 1


def test_the_pte_turns_into_a_migration_entry_and_back(open_film: OpenFilm, move: Film) -> None:
    """The same mark says so in words, and in its face."""
    becomes, back = step_saying(move, "puts a migration entry"), step_saying(move, "replaces the migration entry")
    page = open_film(move, f"step={becomes - 1}")
    expect(page.locator(PTE)).not_to_contain_text("migration")
    page.evaluate(
        """selector => {
            const pte = document.querySelector(selector);
            window.turned = false;
            new MutationObserver(() => { window.turned ||= /scale\\(0/.test(pte.getAttribute('transform')); })
                .observe(pte, {attributes: true, attributeFilter: ['transform']});
        }""",
        PTE,
    )
    page.keyboard.press("ArrowRight")
    at_rest(page)
    assert page.evaluate("() => window.turned"), "it turns like a card"
    expect(page.locator(PTE)).to_contain_text("migration")
    expect(page.locator(PTE)).to_have_attribute("data-face", "migration")
    film = page.url.partition("#")[0]
    page.goto("about:blank")  # from one fragment to another would be no new start
    page.goto(f"{film}#step={back}")
    expect(page.locator(PTE)).not_to_contain_text("migration")
    expect(page.locator(PTE)).to_have_attribute("data-face", "present")
    page.keyboard.press("ArrowLeft")
    at_rest(page)
    expect(page.locator(PTE)).to_contain_text("migration")


def test_the_page_travels_from_node_to_node(open_film: OpenFilm, move: Film) -> None:
    """One element moves: it is seen on the way, not gone here and new there."""
    copies = step_saying(move, "copies the 4 KiB")
    page = open_film(move, f"step={copies - 1}")
    expect(page.locator(TOKEN)).to_have_attribute("data-panel", "node:0")
    page.evaluate(
        """selector => {
            const player = document.querySelector('.rmw'), token = document.querySelector(selector);
            const places = [token.getBoundingClientRect().x];
            const look = () => {
                places.push(token.getBoundingClientRect().x);
                if (player.dataset.moving === 'true') requestAnimationFrame(look);
                else window.seen = {places, same: token === document.querySelector(selector)};
            };
            new MutationObserver(look).observe(player, {attributes: true, attributeFilter: ['data-step']});
        }""",
        TOKEN,
    )
    page.get_by_role("button", name="one step forward").click()
    page.wait_for_function("() => window.seen")
    seen = page.evaluate("() => window.seen")
    assert seen["same"], "the element was made anew"
    expect(page.locator(TOKEN)).to_have_attribute("data-panel", "node:1")
    places = seen["places"]
    assert places[-1] > places[0] + 200
    # However slow the machine, a frame moves things by a quarter of a second at most.
    assert len({place for place in places if places[0] + 20 < place < places[-1] - 20}) >= 2, f"seen at {places}"


def test_what_changed_is_marked_and_named(open_film: OpenFilm, move: Film) -> None:
    """The mark gets a ring; field, old and new value stand apart."""
    step = step_saying(move, "puts a migration entry")
    page = open_film(move, f"step={step}")
    expect(page.locator(".rmw-mark.rmw-changed")).to_have_count(1)
    expect(page.locator(f"{PTE}.rmw-changed")).to_have_count(1)
    expect(page.locator(".rmw-changes li")).to_have_text(["PTE of p0none → migration entry → f0"])


def test_locks_show_holders_and_waiters(open_film: OpenFilm, move: Film) -> None:
    """Solid for those who hold, dashed for those who wait; a name too long for its row says whose lock it is."""
    step = next(
        n for n, s in enumerate(move["steps"], 1) if any(it.get("waiters") for it in s.get("locks", {}).values() if it)
    )
    name, lock = next((name, it) for name, it in move["steps"][step - 1]["locks"].items() if it.get("waiters"))
    parts = ["the one page-table lock of all page-table locks", " of a-page-table-of-somebody"]
    film = deepcopy(move)
    film["start"]["locks"][name]["title"] = "".join(parts)
    page = open_film(film, f"step={step}")
    row = page.locator(f"[data-lock='{name}']")
    expect(row.locator("b")).to_have_text("".join(parts))
    cut = "(its) => its.map((it) => it.scrollWidth > it.clientWidth)"
    assert row.locator("b span").evaluate_all(cut) == [True, False]
    expect(row).to_have_attribute("data-held", "true")
    expect(row.locator(".rmw-chip.rmw-waits")).to_have_text([it["task"] for it in lock["waiters"]])
    expect(row.locator(".rmw-chip:not(.rmw-waits)").first).to_have_css("border-top-style", "solid")
    expect(row.locator(".rmw-waits").first).to_have_css("border-top-style", "dashed")


def test_the_current_source_line_of_the_kernel_function_is_marked(open_film: OpenFilm, move: Film) -> None:
    """The line is the model's own, and its address in the kernel stands below."""
    step = step_saying(move, "puts a migration entry")
    page = open_film(move, f"step={step}")
    expect(page.locator(".rmw-stack li").last).to_contain_text("try_to_unmap_one")
    expect(page.locator(".rmw-current")).to_contain_text("yield pte.set(entry)")
    expect(page.locator(".rmw-cite a")).to_have_attribute(
        "href", "https://elixir.bootlin.com/linux/v3.7/source/mm/rmap.c#L1194"
    )


def test_who_could_run_next_and_why_the_others_cannot(open_film: OpenFilm, move: Film) -> None:
    """While the sender of an IPI spins, the handler and the user thread can go on."""
    step = step_saying(move, "sends an interrupt")
    page = open_film(move, f"step={step}")
    expect(page.locator(".rmw-can li")).to_contain_text(["worker", "ipi@cpu1"])
    expect(page.locator(".rmw-cannot li")).to_contain_text(["migrator spins until CPU 1 answers"])


def test_a_chosen_mark_becomes_what_next_change_looks_for(open_film: OpenFilm, move: Film) -> None:
    """A click on a TLB slot of CPU 1, and 'next change' stops where that changes."""
    filled = next(n for n, s in enumerate(move["steps"], 1) if "tlb:cpu1:P:0" in s.get("marks", {}))
    page = open_film(move, f"step={filled}")
    page.locator("[data-mark='tlb:cpu1:P:0']").click()
    button = page.locator("[data-stop=change]")
    expect(button).to_contain_text("TLB of CPU 1")
    button.click()
    assert step_of(page) == step_saying(move, "clears the PTE"), "the entry becomes stale"
    button.click()
    assert step_of(page) == step_saying(move, "takes the interrupt"), "the entry is dropped"


def test_what_next_change_looks_for_is_chosen_with_keys_too(open_film: OpenFilm, move: Film) -> None:
    """One thing after the other; its name is said, and stands on the button."""
    filled = next(n for n, s in enumerate(move["steps"], 1) if "tlb:cpu1:P:0" in s.get("marks", {}))
    page = open_film(move, f"step={filled}")
    met = []
    while not met or met[-1] not in met[:-1]:
        page.keyboard.press("C")
        met.append(page.locator("[data-stop=change] > :first-child").inner_text())
        expect(page.locator(".rmw-notice")).to_contain_text(met[-1].removeprefix("change of "))
    assert "change of TLB of CPU 1" in " ".join(met)
    assert len(met) > 3


def test_the_run_name_at_this_step_can_be_copied(open_film: OpenFilm, move: Film, move_name: str) -> None:
    """At the end it is the run's own name; before, its beginning, which replays to this step."""
    page = open_film(move, f"step={len(move['steps'])}")
    expect(page.locator(".rmw-runname code")).to_have_text(move_name)
    page.keyboard.press("Home")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    expect(page.locator(".rmw-runname code")).to_have_text("one_page?rounds=3 mutex_v37 b3a2")
    page.locator("[data-action=copy]").click()
    expect(page.locator("[data-action=copy]")).to_have_text("copied")


def test_a_counterexample_ends_in_its_violation(open_film: OpenFilm) -> None:
    """The checker's own run, the last step of which breaks an invariant: badge, sentence, lanes and run name say so."""
    name = check("stack_grows", "rfc_remap_unlocked").violations[0].run_name
    film = film_of(replay(name))
    page = open_film(film)
    expect(page.locator("[data-bug]")).to_have_count(0)
    page.keyboard.press("End")
    expect(page.locator(".rmw-sentence")).to_have_attribute("data-bug", "true")
    expect(page.locator(".rmw-badge")).to_have_text("stale migration entry")
    assert film["violation"]["sentence"] in sentence(page)
    expect(page.locator(".rmw-buglane")).to_have_count(1)
    expect(page.locator(".rmw-can li")).to_have_text("nobody: the violation ends the run")
    expect(page.locator(".rmw-cannot li")).to_have_text("the run is over for everyone")
    expect(page.locator(".rmw-runname code")).to_have_text(name)
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".rmw-badge")).to_be_hidden()


def test_no_text_of_a_film_can_become_script(open_film: OpenFilm, move: Film) -> None:
    """A title that closes the script element stays a title."""
    title = "</script><script>window.broken = true</script><!-- <b>&amp;"
    page = open_film({**move, "title": title})
    expect(page.locator("h1")).to_have_text(title)
    assert page.title() == title
    assert page.evaluate("() => window.broken") is None


def test_a_page_with_a_film_of_another_version_says_so(offline_page: Page, move: Film) -> None:
    """A page whose film and script do not fit gives the reason instead of an empty page."""
    offline_page.set_content(html.page(move).replace(html.packed(move), html.packed({**move, "version": 7})))
    expect(offline_page.get_by_role("alert")).to_have_text(
        "This cannot be played: this film has version 7; this player plays version 1."
    )


def test_it_plays_in_a_sandboxed_frame(offline_page: Page, move: Film) -> None:
    """As the srcdoc of a frame that may run scripts and nothing else: how an output survives nbconvert."""
    offline_page.set_content("<!doctype html><iframe sandbox='allow-scripts' width='1000' height='900'></iframe>")
    offline_page.evaluate("text => { document.querySelector('iframe').srcdoc = text; }", html.page(move))
    frame = offline_page.frame_locator("iframe")
    frame.get_by_role("button", name="one step forward").click()
    expect(frame.locator(".rmw")).to_have_attribute("data-step", "1")
    expect(frame.locator(".rmw-sentence-text")).to_have_text(move["steps"][0]["sentence"])


def test_without_scripts_it_is_a_list_of_sentences(browser: Browser, move: Film) -> None:
    """Where scripts are stripped the run can still be read."""
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.set_content(html.page(move))
    expect(page.locator("noscript li")).to_have_count(len(move["steps"]) + 1)
    context.close()


def test_damaged_data_is_a_sentence_and_no_error(offline_page: Page, move: Film) -> None:
    """Half of the data is missing: the page says so, and the console stays quiet."""
    errors: list[str] = []
    offline_page.on("pageerror", lambda error: errors.append(str(error)))
    data = html.packed(move)
    offline_page.set_content(html.page(move).replace(data, data[: len(data) // 2]))
    expect(offline_page.get_by_role("alert")).to_have_text(
        "This cannot be played: its data is damaged; make the file again."
    )
    assert errors == []


@pytest.mark.parametrize("part", ["run_name", "panels", "texts", "sources", "lanes", "the last step"])
def test_a_film_that_lacks_a_part_is_a_sentence_and_no_error(offline_page: Page, move: Film, part: str) -> None:
    """Whether it is needed at once or at the end: it is missed at once, and no key goes on to a picture half made."""
    errors: list[str] = []
    offline_page.on("pageerror", lambda error: errors.append(str(error)))
    offline_page.on("console", lambda message: errors.append(message.text))
    *steps, last = move["steps"]
    lacking: Film = {"lanes": 7, "texts": move["texts"][:-1], "sources": move["sources"][:-1]}
    bad = {"steps": [*steps, {**last, "changed": 7}]} if part == "the last step" else {part: lacking.get(part)}
    offline_page.set_content(html.page(move).replace(html.packed(move), html.packed({**move, **bad})))
    expect(offline_page.get_by_role("alert")).to_contain_text("its data is damaged; make the file again")
    offline_page.keyboard.press("End")
    assert errors == []


def test_an_address_that_names_this_run_opens_it_at_that_step(open_film: OpenFilm, move: Film) -> None:
    """The run name up to a step is an address of that step."""
    page = open_film(move, "run=one_page%3Frounds=3%20mutex_v37%20b3a2")
    assert step_of(page) == 5
    expect(page.locator(".rmw-notice")).to_be_hidden()


def test_an_address_that_names_another_run_is_told(open_film: OpenFilm, move: Film) -> None:
    """The file opens with the run that it holds, and says which was asked for; markup in the address is text."""
    page = open_film(move, "run=" + "<img src=x onerror='window.broken=1'> mutex_v37 a3".replace(" ", "%20"))
    expect(page.locator(".rmw-notice")).to_contain_text(f"This file holds {move['run_name']}.")
    expect(page.locator(".rmw-notice")).to_contain_text("<img")
    assert page.evaluate("() => window.broken") is None
    assert page.locator(".rmw img").count() == 0
