"""A scene is a value: it compares, becomes JSON and comes back, and two scenes have a difference."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vizlib.scene import (
    Mark,
    Panel,
    Scene,
    Text,
    apply,
    difference,
    mark_from_json,
    mark_to_json,
    scene,
    scene_from_json,
    scene_to_json,
)

words = st.text(max_size=4)
numbers = st.integers(-50, 50)
texts = st.builds(Text, s=words, x=numbers, y=numbers, size=st.sampled_from([9, 12]), mono=st.booleans())
marks = st.builds(
    Mark,
    id=st.sampled_from("abcd"),
    panel=st.sampled_from(["machine", "rmap"]),
    shape=st.sampled_from(["rect", "arrow", "token"]),
    x=numbers,
    w=numbers,
    points=st.lists(st.tuples(numbers, numbers), max_size=3).map(tuple),
    text=st.lists(texts, max_size=2).map(tuple),
    dashed=st.booleans(),
    face=words,
    ends=st.lists(words, max_size=2).map(tuple),
)
scenes = st.lists(marks, unique_by=lambda it: it.id, max_size=4).map(lambda its: {it.id: it for it in its})


@given(scenes, scenes)
def test_the_difference_of_two_scenes_turns_one_into_the_other(old: dict[str, Mark], new: dict[str, Mark]) -> None:
    """Also after a journey through JSON, which is how a film travels."""
    travelled = json.loads(json.dumps(difference(old, new)))
    assert apply(old, travelled) == new


@given(scenes)
def test_a_scene_has_no_difference_to_itself(it: dict[str, Mark]) -> None:
    """So a step that changes nothing costs a film nothing."""
    assert difference(it, dict(it)) == {}


def test_a_difference_holds_only_what_changed() -> None:
    """A mark that moves is its new place and nothing else; one that goes is None."""
    old = {"a": Mark("a", x=1, fill="card"), "b": Mark("b")}
    new = {"a": Mark("a", x=2, fill="card"), "c": Mark("c", dashed=True)}
    assert difference(old, new) == {"a": {"x": 2}, "c": {"new": True, "dashed": True}, "b": None}


@given(marks)
def test_a_mark_becomes_json_and_comes_back(mark: Mark) -> None:
    """Nothing is lost, and what is its default is not written."""
    data = json.loads(json.dumps(mark_to_json(mark)))
    assert mark_from_json(mark.id, data) == mark
    assert mark_to_json(Mark("x")) == {}


def test_a_scene_becomes_json_and_comes_back() -> None:
    """With its panels, whose parent is called ``in`` there."""
    panels = (Panel("rmap", "Reverse map", 0, 1, 2, 3, inside="machine", note="n", frame=True),)
    it = Scene(panels, {"a": Mark("a", text=(Text("x", 1, 2),))})
    data = json.loads(json.dumps(scene_to_json(it)))
    assert data["panels"][0]["in"] == "machine"
    assert scene_from_json(data) == it


def test_two_marks_with_one_id_are_refused() -> None:
    """A renderer could not tell them apart."""
    with pytest.raises(ValueError, match="two marks are called 'a'"):
        scene((), [Mark("a"), Mark("a")])
