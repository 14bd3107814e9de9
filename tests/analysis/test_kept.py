"""Answers that are kept: those of the same question to the same model, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sim import variants
from sim.analysis import kept as module
from sim.analysis.kept import folder, kept
from sim.analysis.sweep import measured
from sim.worlds import WORLDS
from sim.worlds import find as find_world

POINT: dict[str, Any] = {"world": "numa02", "variant": "rwsem_v38", "policy": "handoff", "threads": 2, "pages": 2}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """A cache folder of its own, and the points that were measured."""
    made: list[Any] = []
    monkeypatch.setenv("RMAPWALK_CACHE", str(tmp_path / "kept"))
    monkeypatch.setattr(module, "measured", lambda point: made.append(point) or measured(point))
    monkeypatch.setattr(module, "key_of", lambda point, _: "-".join(map(str, point.values())).replace("~", "-"))
    return made


def test_the_same_question_is_measured_once_and_answered_alike(asked: list[Any]) -> None:
    """And any other value is another question."""
    first = kept(POINT)
    assert kept(POINT) == first == measured(POINT)
    assert len(asked) == 1
    assert kept({**POINT, "threads": 3}) == measured({**POINT, "threads": 3})
    assert len(asked) == 2


def test_another_model_measures_anew_and_removes_what_the_old_one_kept(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A model is its source, to the byte."""
    kept(POINT)
    (old,) = (tmp_path / "kept").iterdir()
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.py").write_text("x = 1\n")
    monkeypatch.setattr(module, "_ROOT", tmp_path / "source")
    names = []
    for text in ("x = 1\n", "x = 2\n"):
        (tmp_path / "source" / "a.py").write_text(text)
        module._model.cache_clear()
        names.append(module._model())
        kept(POINT)
        assert [it.name for it in (tmp_path / "kept").iterdir()] == [names[-1]]
    module._model.cache_clear()
    assert len({*names, old.name}) == len(asked) == 3


def test_what_a_reader_has_made_is_always_measured(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A variant, a world, or a variation of ours: its functions are not in the source that names the model."""
    mine = variants.find("rwsem_v38").changed("mine")
    find = module.variants.find
    monkeypatch.setattr(module.variants, "find", lambda name: mine if name == "mine" else find(name))
    monkeypatch.setattr(module, "measured", lambda point: asked.append(point) or {})
    monkeypatch.setattr("sim.worlds.WORLDS", dict(WORLDS))

    def other(k: Any, vma: Any, vpn: int) -> Any:
        yield from ()

    varied = find_world("numa02").variation("mine", "Another.", {"mremap.move_ptes": other})
    try:
        for point in ({**POINT, "variant": "mine"}, {**POINT, "world": varied.name}):
            kept(point)
            kept(point)
    finally:
        WORLDS.pop(varied.name, None)
    assert len(asked) == 4


def test_a_file_that_is_no_answer_and_a_folder_that_is_none_do_no_harm(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is measured, and kept if that can be."""
    first = kept(POINT)
    (place,) = (tmp_path / "kept").rglob("*.json")
    for text in ("", "no json", "[]", '{"point": {}, "result": {}}'):
        place.write_text(text)
        assert kept(POINT) == first
    assert len(asked) == 5
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RMAPWALK_CACHE", str(tmp_path / "file"))
    assert kept(POINT) == first


def test_the_folder_is_the_users_unless_another_is_named_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As each system has it."""
    monkeypatch.setenv("RMAPWALK_CACHE", "")
    assert folder() is None
    monkeypatch.delenv("RMAPWALK_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    monkeypatch.setenv("HOME", "/h")
    monkeypatch.setenv("LOCALAPPDATA", "/w")
    found = {}
    for platform in ("linux", "darwin", "win32"):
        monkeypatch.setattr(module.sys, "platform", platform)
        found[platform] = str(folder())
    assert found == {"linux": "/x/rmapwalk", "darwin": "/h/Library/Caches/rmapwalk", "win32": "/w/rmapwalk"}
