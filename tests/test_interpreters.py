"""The same seed gives the same result to the byte, whichever Python runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import simpy

ROOT = Path(__file__).resolve().parent.parent

#: What is asked of each interpreter: runs by every policy and with a seed, statistics, a profile, theory, a check.
ASKED = (
    "run numa02 --variant mutex_v37 --threads 6 --pages 4 --policy steal --seed 3",
    "run numa02 --variant rwsem_v38 --threads 6 --pages 4 --policy sleep --seed 4",
    "run movers --variant batch_v63 --threads 3 --pages 8",
    "run movers --variant thp_v414 --threads 3 --pages 8 --huge 1",
    "lockstat numa02 --variant mutex_v37 --threads 6 --pages 3 --seed 7",
    "profile numa02 --variant mutex_v37 --threads 6 --pages 3 --seed 7",
    "check stack_grows --variant rfc_remap_unlocked",
)

PROGRAM = """
import json, sys
from sim.__main__ import main
from sim.analysis.demands import predict
from sim.analysis.theory import mva, usl
for line in json.loads(sys.argv[1]):
    print(line, main([*line.split(), "--json"]), flush=True)
print(predict("numa02", "rwsem_v38", threads=5, pages=9))
print(mva(60, [0.1, 0.7, 1 / 3, 0.2], 12.34), usl([(n, n / (1.1 + n / 7)) for n in range(1, 30)]))
"""


def interpreters(version: str) -> Iterator[str]:
    """Where a Python of this version may be: on the path, or among those that pyenv keeps."""
    if f"{sys.version_info[0]}.{sys.version_info[1]}" == version:
        yield sys.executable
    if found := shutil.which(f"python{version}"):
        yield found
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    yield from (str(it) for it in sorted(kept.glob(f"{version}.*/bin/python")))


def answers(python: str, packages: Path, seed: int) -> str | None:
    """What this interpreter says, hashing by *seed*; None if it does not start, as a shim of pyenv may not."""
    if subprocess.run([python, "-c", "import json"], capture_output=True).returncode:
        return None
    paths = os.pathsep.join((str(ROOT), str(packages)))
    there = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": str(seed)}
    done = subprocess.run(
        [python, "-c", PROGRAM, json.dumps(ASKED)], capture_output=True, text=True, env=there, cwd=packages
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the one package that runs need, and no other of this interpreter's."""
    folder = tmp_path_factory.mktemp("packages")
    (folder / "simpy").symlink_to(Path(simpy.__file__).parent, target_is_directory=True)
    return folder


@pytest.fixture(scope="module")
def expected(packages: Path) -> str:
    """What the present interpreter says."""
    said = answers(sys.executable, packages, 1)
    assert said is not None
    codes = [said.partition(f"{line} ")[2].partition("\n")[0] for line in ASKED]
    assert codes == ["0"] * 6 + ["1"]  # unsafe, which is the exit code of the check
    return said


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_another_python_says_the_same_to_the_byte(version: str, packages: Path, expected: str) -> None:
    """Times, counts, schedules, verdicts, numbers of states: of a fresh process, with other hashes of strings."""
    said = (answers(python, packages, 2) for python in interpreters(version))
    found = next((it for it in said if it is not None), None)
    if found is None:
        pytest.skip(f"no Python {version} on this machine")
    assert found == expected
