"""What a lesson asks with: gates hide until they are answered, checks name what a wrong answer looks like."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

from course import check, claim, explain_back, history, kit, predict, recall, run_to, steps_in, table, turns, verdicts
from course.bottleneck import CASES, profiles, scopes
from course.exercises import observed
from course.glossary import WORDS, glossary
from course.instructor import solutions_10
from course.kit import EXERCISES, QUESTIONS, Option, Report, ask
from course.looking import find, locksets
from course.misconceptions import BANK
from course.ordering import KERNEL_ORDER, in_order
from course.verdicts import judge
from sim import Stepper
from sim import check as check_world
from sim.engines.costs import DEFAULT
from tests.course.answers import BAD, GOOD


@pytest.fixture
def gate() -> kit.Gate:
    return predict("L01.a")


# --- gates ---------------------------------------------------------------------------------------------------------


def test_a_gate_hides_what_follows_until_it_is_answered(gate: kit.Gate) -> None:
    """Neither the widget nor the text shows what is behind an unanswered gate."""
    later = gate.then("the answer is forty-two")
    assert "forty-two" not in repr(later)
    assert "forty-two" not in later.box.children[0].value
    gate.answer("a")
    assert repr(later) == "the answer is forty-two"
    assert "forty-two" in later.box.children[0].value


def test_what_is_hidden_leaves_a_fingerprint(gate: kit.Gate) -> None:
    """A stored notebook gives no number away, but a test sees that one has changed."""
    assert repr(gate.then("1,024")) == repr(gate.then("1,024"))
    assert repr(gate.then("1,024")) != repr(gate.then("1,025"))


def test_a_claim_that_fails_shows_through_an_unanswered_gate(gate: kit.Gate) -> None:
    """Nobody has to open a gate to learn that a lesson is wrong."""
    assert "NOT SO: pigs fly" in repr(gate.then(claim("pigs fly", False)))
    assert "fish swim" not in repr(gate.then(claim("fish swim", True)))


def test_an_answer_counts_once(gate: kit.Gate) -> None:
    """Whoever has seen the run cannot change the prediction."""
    gate.answer("a")
    gate.answer("b")
    assert gate.choice == 0


def test_a_click_answers(gate: kit.Gate) -> None:
    """Choosing enables the button, and the button answers; choosing alone does not."""
    radio, button = gate.box.children[1], gate.box.children[2]
    assert button.disabled
    radio.index = 2
    assert not button.disabled
    assert gate.choice is None
    button.click()
    assert gate.choice == 2
    assert button.disabled


def test_the_reasons_come_after_looking(gate: kit.Gate) -> None:
    """A gate with a second question keeps its reasons until that is answered, and then gives all of them."""
    gate.answer("a")
    look = gate.look()
    whys = [it.why for it in gate.question.options]
    assert not any(why in repr(gate) or why in repr(look) for why in whys)
    look.answer("b")
    assert all(why in repr(look) for why in whys)
    told = "".join(part.value for part in look.box.children[3].children)
    assert "something other than you had predicted" in told


def test_a_gate_without_a_second_question_gives_every_reason_at_once() -> None:
    """All the reasons are shown, the wrong answers' with their misconception."""
    gate = predict("L01.b")
    assert not any(it.why in repr(gate) for it in gate.question.options)
    gate.answer("b")
    assert all(it.why in repr(gate) for it in gate.question.options)


def test_recall_asks_several_questions() -> None:
    """Questions about older lessons come together and hide nothing."""
    shown = recall("L01.r1", "L01.r2")
    assert repr(shown).count("Before this course") == 2
    shown.answer_right()
    assert repr(shown).count("right:") == 2


def test_an_unknown_name_names_the_known_ones() -> None:
    """A slip of the pen is answered with the names there are."""
    with pytest.raises(KeyError, match=r"L01\.a"):
        predict("L1.a")
    with pytest.raises(KeyError, match=r"L01\.2"):
        check("L1.2", 0)


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_every_question_is_fit_to_ask(name: str) -> None:
    """One right option; each wrong one stands for a misconception of the bank; each fits on a line."""
    options = QUESTIONS[name].options
    assert len({it.text for it in options}) == len(options)
    assert {it.tag for it in options} - {""} <= set(BANK)
    assert all(len(it.text) <= 80 for it in options)


def test_a_question_without_reasons_is_refused() -> None:
    """Two options, two right ones, or an option without a why are no question."""
    right, wrong = Option("yes", "because"), Option("no", "because", "M1")
    for options in [(right, wrong), (right, right, wrong), (right, wrong, Option("perhaps", "", "M2"))]:
        with pytest.raises(ValueError, match="bad"):
            ask("bad", "?", *options)
    assert "bad" not in QUESTIONS


def test_a_figure_becomes_a_picture(gate: kit.Gate) -> None:
    """A figure behind a gate is an image, and has no text of its own."""
    figure = plt.Figure()
    assert bytes(kit.as_widget(figure).value).startswith(b"\x89PNG")
    assert kit.as_text(figure) == ""


def test_what_has_controls_keeps_them_behind_a_gate(gate: kit.Gate) -> None:
    """Something shown inside ``then`` is its widget, not its text."""
    inner = explain_back("L01.5", "Why?")
    later = gate.then(inner)
    gate.answer("a")
    assert later.box.children == (inner.box,)


def test_what_is_shown_is_a_widget_and_a_text(gate: kit.Gate) -> None:
    """JupyterLab gets the widget, everything else the text."""
    bundle = gate._repr_mimebundle_()
    assert bundle["text/plain"] == repr(gate)
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == gate.box.model_id


def test_nothing_is_written_but_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gates and checks leave no file; a sentence is kept when its writer says so, beside the older ones."""
    monkeypatch.chdir(tmp_path)
    predict("L01.a").answer("a")
    check("L01.3", {"PTE": "ptl"})
    line = explain_back("L01.5", "Why?")
    assert list(tmp_path.iterdir()) == []
    line.box.children[1].value = "because"
    line.keep()
    explain_back("L04.5", "Why?").keep()
    assert json.loads((tmp_path / "answers.json").read_text()) == {"L01.5": "because", "L04.5": ""}


# --- exercises -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(EXERCISES))
def test_the_solution_is_right(name: str) -> None:
    """Each exercise has a solution, and its check accepts it."""
    report = check(name, GOOD[name])
    assert report.ok, report


@pytest.mark.parametrize(("name", "answer", "tags"), BAD)
def test_a_wrong_answer_is_told_what_it_looks_like(name: str, answer: Any, tags: tuple[str, ...]) -> None:
    """The check refuses it and names the misconception in words."""
    report = check(name, answer)
    assert not report.ok
    assert report.tags == tags
    assert all(BANK[tag] in repr(report) for tag in tags)


def test_every_exercise_knows_two_misconceptions() -> None:
    """Fewer would mean that nobody has thought about how it goes wrong."""
    for name in EXERCISES:
        assert sum(it == name and bool(tags) for it, _, tags in BAD) >= 2, name


@pytest.mark.parametrize("answer", [..., [..., "lock"], {"A": ...}])
def test_a_blank_is_no_answer(answer: Any) -> None:
    """The dots of the notebook are not marked wrong."""
    assert repr(check("L01.2", answer)) == "L01.2: not answered yet"


@pytest.mark.parametrize("name", ["L01.4", "L02.5", "L03.6", "L04.4"])
def test_an_empty_function_is_no_answer(name: str) -> None:
    """The stub of the notebook is not marked wrong."""

    def stub(*_: Any) -> None: ...

    assert not check(name, stub).findings


def test_a_wrong_order_can_be_played() -> None:
    """Copying before unmapping ends in a lost write, and the run that shows it is there to be watched."""
    report = check("L01.2", ["lock", "copy", "unmap", "flush", "remap", "unlock", "put"])
    assert report.trace.violation.kind == "lost write"
    assert "lost write" in repr(report)
    assert "Player" in repr(report.play())
    assert Report("x").play() == "There is no run to show."


def test_the_kernels_order_is_searched_completely() -> None:
    """A right order is called right with the world, the kind of search, and the number of states."""
    told = repr(check("L01.2", list(KERNEL_ORDER)))
    verdict = check_world("one_page", in_order(KERNEL_ORDER))
    assert verdict.complete
    assert f"complete search, {verdict.states:,} states" in told
    assert judge(in_order(KERNEL_ORDER)).trace is None


def test_a_search_that_is_not_finished_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stops a check has not found out that an answer is right."""
    monkeypatch.setattr(verdicts, "check", partial(check_world, limit=500))
    report = check("L10.4", solutions_10.migrate_pages_sync)
    assert not report.ok
    assert "undecided in world batch_deadlock: the search was not finished (gave up after 500 states" in repr(report)


def test_a_long_search_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Who waits for a verdict sees that it is being looked for; a short search says nothing."""
    with verdicts.Told() as progress:
        progress(9_999, 40)
    assert capsys.readouterr() == ("", "")
    with verdicts.Told() as progress:
        for states in (9_999, 10_050, 15_000, 20_100):
            progress(states, 40)
    said = capsys.readouterr().err
    assert [it.split()[0] for it in said.split("\r")[1:]] == ["10,050", "20,100"]
    assert said.endswith("\n")


def test_the_tables_are_inferred_from_runs() -> None:
    """What the lock tables call right is what runs show, and it is this."""
    assert observed() == {
        "PTE": "ptl",
        "mapcount": "ptl",
        "interval tree": "anon_vma lock",
        "vm_start of a stack": "anon_vma lock",
        "user data": "none",
    }
    assert scopes()["anon_vma lock"] == "all, alone"


def test_the_three_profiles_differ_as_the_lesson_says() -> None:
    """Nobody sleeps among readers; hand-off is even; stealing is not."""
    shared, handoff, steal = (profiles()[it] for it in "ABC")
    assert shared.anon_vma == 0
    assert abs(handoff.branches[0].share - 50) < 2
    assert abs(steal.branches[0].share - 50) > 20


def test_the_throughput_is_tried_on_both_sides_of_the_bend() -> None:
    """With one side only, half a formula would do."""
    assert {threads for threads, _ in CASES} == {1, 2, 8, 16}
    assert DEFAULT["wake_latency"] > 0


# --- looking at runs -----------------------------------------------------------------------------------------------


def test_a_history_lists_every_value() -> None:
    """From the start on, with the function that stored it."""
    told = history(Stepper("one_page").run("migrator").trace, "pt0.pte[0]").splitlines()
    assert [line.split()[-1] for line in told[1:]] == ["dirty", "none"]
    assert "ptep_clear_flush" in told[-1]


def test_a_field_that_is_not_there_names_those_that_change() -> None:
    """A slip of the pen is answered with what there is."""
    with pytest.raises(KeyError, match=r"pt0\.pte\[0\]"):
        find(Stepper("one_page").run("migrator").trace, "pte0")


def test_a_run_stops_where_it_is_told() -> None:
    """The next thing that the task does, it does in that function; a place never reached is said."""
    s = run_to(Stepper("one_page"), "migrator", "try_to_unmap_one")
    assert "try_to_unmap_one" in [it.function for it in s.machine.stack(s.task("migrator"))]
    with pytest.raises(ValueError, match="migrator does not come to oom_kill"):
        run_to(Stepper("one_page"), "migrator", "oom_kill")


def test_turns_say_who_ran_when() -> None:
    """One line for each stretch."""
    told = turns(Stepper("one_page").run("worker", 3).run("migrator", 2).trace).splitlines()
    assert [line.split() for line in told[1:]] == [["1", "to", "3", "worker"], ["4", "to", "5", "migrator"]]


def test_a_lock_held_for_reading_protects_no_writer() -> None:
    """mmap_sem is held over the whole move, but not alone."""
    assert locksets(Stepper("one_page").finish().trace)["PageTable.pte"] == (
        "AnonVma.mutex",
        "Page.PG_locked",
        "PageTable.ptl",
    )


def test_a_table_aligns_its_values() -> None:
    """Names to the left, values one under the other."""
    assert table({"a": 1, "long": 2}, "head") == "head\na     1\nlong  2"


def test_the_glossary_says_what_people_think() -> None:
    """Every word has a meaning and a misconception; one asks for some or for all."""
    assert glossary("TLB").startswith("TLB: a CPU's own copy")
    assert all(word in glossary() and often in glossary() for word, (_, often) in WORDS.items())


def test_the_glossary_can_leave_out_what_a_question_asks_for() -> None:
    """Before a gate a lesson prints meanings only."""
    assert glossary("TLB", "PTE", often=False).splitlines() == [
        f"{word}: {WORDS[word].meaning}." for word in ("TLB", "PTE")
    ]


def test_steps_are_found_by_the_function_that_made_them() -> None:
    """A function that makes no step of its own is answered with those that do."""
    trace = Stepper("one_page").finish().trace
    (copied,) = steps_in(trace, "migrate_page_copy")
    assert repr(trace.events[copied - 1].op).startswith("CopyPage")
    with pytest.raises(KeyError, match=r"makes no step in 'migrate_page_cop'; it makes some in .*migrate_page_copy"):
        steps_in(trace, "migrate_page_cop")


def test_a_throughput_a_nanosecond_is_told_as_a_unit() -> None:
    """Whoever forgets that a second has 1e9 ns is told that, and no misconception."""
    good = GOOD["L04.4"]
    report = check("L04.4", lambda *given: good(*given) / 1e9)
    assert "nanoseconds" in report.findings[-1].text
    assert report.tags == ()
