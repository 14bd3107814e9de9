"""What may be played."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vizlib.film import FORMAT, VERSION

#: The environment variable that has players show themselves as offline pages; :mod:`vizlib.exporter` sets it.
OFFLINE = "RMAPWALK_OFFLINE"


def checked(film: Any) -> dict[str, Any]:
    """*film* as a dict.

    Raises:
        ValueError: if it is no film, or one that this player cannot play; it says which.
    """
    if not isinstance(film, Mapping) or film.get("format") not in (FORMAT, "rmapwalk-timeline"):
        raise ValueError("this is no film: make one from a trace with vizlib.film_of(trace)")
    if film.get("version") != VERSION:
        raise ValueError(f"this film has version {film.get('version')}; this player plays version {VERSION}")
    return dict(film)
