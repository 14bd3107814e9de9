"""Lesson 12: recordings of two kernels beside the model, and how the checks judge."""

from __future__ import annotations

from typing import Any

import pytest

from course import check, counted, in_the_model, lanes_beside, recorded, tally, unknown
from course.instructor import solutions_12
from course.recordings import ASKED, KERNELS, LIKE, orders, verdicts
from sim.analysis.recorded import differences


def test_the_right_table_is_that_of_the_recordings() -> None:
    """Each of the three verdicts occurs, and they follow from the counts."""
    assert verdicts() == solutions_12.GOOD["L12.2"]
    assert set(verdicts().values()) == {"same", "varies", "parts"}


def test_a_count_of_recordings_and_model_is_shown_as_it_is_judged() -> None:
    """What the reader can look at is what the table is about."""
    for kernel, experiment, name in ASKED.values():
        theirs, ours = tally(kernel, experiment)[name]
        assert f"{theirs!s:20} {ours:6,}" in counted(kernel, experiment)


def test_the_unknown_recording_is_one_run_and_no_other() -> None:
    """No other number of pages or of threads that spin, and not the other kernel, agrees with it."""
    right = solutions_12.GOOD["L12.3"]
    near = [right | {"pages": it} for it in (5, 7)] + [right | {"spinners": it} for it in (1, 3)]
    assert check("L12.3", right).ok
    assert not any(check("L12.3", it).ok for it in [*near, right | {"variant": "v61"}])
    assert unknown().counts["page_copies"] == right["pages"]


def test_the_lesson_draws_what_it_counts() -> None:
    """Three waits begin after three interrupts, in the recording and in the model; the picture has both."""
    figure, text = lanes_beside("6.12", "s4spin")
    rows = [row for row in text.splitlines() if "^" in row and "takes an interrupt" not in row]
    assert [row.replace(".", "").split()[1][:2] for row in rows] == ["^~"] * 6
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Linux 6.12, recorded", "the model (simulated)"]


@pytest.mark.parametrize("kernel", sorted(KERNELS))
@pytest.mark.parametrize("section", ["s4single", "s4idle"])
def test_what_the_lesson_says_agrees_does(kernel: str, section: str) -> None:
    """Without writers nothing is left to luck."""
    assert differences(recorded(kernel, section), in_the_model(kernel, section)) == []
    assert LIKE[section]["pages"] == recorded(kernel, section).counts["page_copies"]


def test_orders_tell_right_functions_from_wrong_ones() -> None:
    """Each wrong function of the solutions is told apart by some order, and the right one by none."""
    for function in (it for name, it, _ in solutions_12.BAD if name == "L12.4"):
        assert not check("L12.4", function).ok
    assert len(check("L12.4", solutions_12.largest_batch).findings) == len(orders())


def test_what_cannot_be_run_is_told() -> None:
    """No page, no such parameter, no such kernel: one sentence each."""
    for answer, says in (
        ({"variant": "v612", "pages": 0}, "pages"),
        ({"variant": "v612", "threads": 2}, "'threads' is none of pages, spinners, writers, stale_cpu"),
        ({"variant": "v38"}, "variant 'v38': one of v61, v612"),
        ({"variant": "v612", "pages": "6"}, "pages='6' is not allowed"),
    ):
        (finding,) = check("L12.3", answer).findings
        assert says in finding.text


def test_an_empty_function_is_no_answer() -> None:
    """The stub of the notebook is not marked wrong."""

    def stub(*_: Any) -> None: ...

    assert repr(check("L12.4", stub)) == "L12.4: not answered yet"


def test_a_slip_in_python_is_one_finding() -> None:
    """What returns nothing is not told as unanswered, and what fails with every order is told once."""

    def forgets_return(order: Any) -> Any:
        order.count("unmap")

    def misspells(order: Any) -> Any:
        return orde.count("unmap")  # type: ignore[name-defined]  # noqa: F821

    for function, says in ((forgets_return, "returns nothing"), (misspells, "With every order it ends with NameError")):
        (finding,) = check("L12.4", function).findings
        assert says in finding.text
