"""Films for the player's tests, made from real runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from sim.engines.stepper import replay
from vizlib.film import film
from vizlib.renderers import html
from vizlib.showcase import showcase

#: The worker writes through a stale TLB entry, faults on the migration entry, and reads the page on its new node.
MOVE = "one_page?rounds=3 mutex_v37 b3a52b2da4b8a53b11"


@cache
def film_of(run_name: str) -> dict[str, Any]:
    """The film of a run."""
    return film(replay(run_name))


@pytest.fixture
def move_name() -> str:
    """The run in which one page moves."""
    return MOVE


@pytest.fixture
def move() -> dict[str, Any]:
    """Its film; do not change it."""
    return film_of(MOVE)


@pytest.fixture
def move_file(move: dict[str, Any], tmp_path: Path) -> Path:
    """The same as JSON, for node."""
    path = tmp_path / "film.json"
    path.write_text(json.dumps(move), encoding="utf-8")
    return path


#: Runs of small worlds, with the worlds: a violation, none, a page that two want, a wrong final state, a deadlock.
HANDS = (
    ("stack_grows", "rfc_remap_unlocked"),
    ("stack_grows", "mutex_v37"),
    ("two_migrators?pages=1", "rwsem_v38"),
    ("write_during_copy", "batch_flush_after_copy"),
    ("batch_deadlock~B7", "batch_2mb"),
)


@cache
def hands_of(world: str, variant: str) -> dict[str, Any]:
    """The film of a run worth looking at, with its world."""
    return film(showcase(world, variant), hands=True)


@pytest.fixture(scope="session")
def hands_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films that have hands as JSON, for node."""
    path = tmp_path_factory.mktemp("hands") / "films.json"
    path.write_text(json.dumps([hands_of(*it) for it in HANDS]), encoding="utf-8")
    return path


@pytest.fixture
def open_film(offline_page: Page, tmp_path: Path) -> Callable[..., Page]:
    """Open a film as an offline file, with the network off; any request that is not for that file is an error."""

    def open_(film: dict[str, Any], fragment: str = "") -> Page:
        path = tmp_path / "film.html"
        path.write_text(html.page(film), encoding="utf-8")
        asked: list[str] = []
        offline_page.on("request", lambda request: asked.append(request.url))
        offline_page.goto(f"{path.as_uri()}#{fragment}")
        offline_page.wait_for_selector(".rmw[data-step]")
        assert [url.partition("#")[0] for url in asked] == [path.as_uri()]
        return offline_page

    return open_
