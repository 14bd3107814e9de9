"""The test before and after the course: twelve items in two forms, a misconception behind each wrong answer."""

from __future__ import annotations

import re

import pytest

from course.instructor.prepost import ITEMS, PAGES, Form, form
from course.kit import QUESTIONS
from course.misconceptions import BANK

FORMS = [it for item in ITEMS for it in (item.a, item.b)]


def test_there_are_twelve_items_about_twelve_misconceptions() -> None:
    """None is probed twice, so that a count says which one has gone."""
    assert len({item.tag for item in ITEMS}) == len(ITEMS) == 12


@pytest.mark.parametrize("asked", FORMS, ids=lambda it: it.prompt[:30])
def test_one_answer_is_right_and_each_other_names_a_misconception(asked: Form) -> None:
    """Three or four answers, each with its reason."""
    tags = [it.tag for it in asked.options]
    assert 3 <= len(tags) <= 4
    assert tags.count("") == 1
    assert set(tags) - {""} <= set(BANK)
    assert all(it.why for it in asked.options)


def test_an_item_is_probed_in_both_forms_by_its_own_misconception() -> None:
    """In one form at least; the last asks of batches, once for what deadlocks and once for what they cost."""
    for item in ITEMS:
        assert item.tag in {it.tag for it in (*item.a.options, *item.b.options)}


def test_the_place_of_the_right_answer_tells_nothing() -> None:
    """Each letter is right for several items, in each form, and no question repeats one of a lesson."""
    for rights in ([item.a.right for item in ITEMS], [item.b.right for item in ITEMS]):
        assert all(rights.count(letter) >= 2 for letter in "ABC")
    assert not {it.prompt for it in FORMS} & {it.prompt for it in QUESTIONS.values()}
    assert len({it.prompt for it in FORMS}) == 24


def test_the_forms_give_no_answer_away() -> None:
    """Neither a tag nor a reason stands in what students get."""
    for letter in "AB":
        text = form(letter)
        assert not re.search(r"\bM\d", text)
        assert not [option.why for it in FORMS for option in it.options if option.why in text]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_pages_are_of_today(path: object) -> None:
    """They are written by python -m course.refresh."""
    assert path.read_text("utf-8") == PAGES[path]()  # type: ignore[attr-defined, index]
