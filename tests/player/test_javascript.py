"""The tests written in JavaScript, one test here for each file."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", sorted(path.name for path in HERE.glob("*.test.mjs")))
def test_in_node(name: str, node: str, move_file: Path, hands_file: Path) -> None:
    """`node --test` passes; the films that it jumps about in are real ones."""
    run = subprocess.run(
        [node, "--test", str(HERE / name)],
        env=os.environ | {"RMAPWALK_FILM": str(move_file), "RMAPWALK_HANDS": str(hands_file)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
