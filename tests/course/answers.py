"""Every solution that stands with the instructors, and every wrong answer, as the tests go through them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import course

SOLUTIONS = [
    import_module(f"course.instructor.{path.stem}")
    for path in sorted((Path(course.__file__).parent / "instructor").glob("solutions_*.py"))
]
GOOD = {name: answer for it in SOLUTIONS for name, answer in it.GOOD.items()}
BAD = [bad for it in SOLUTIONS for bad in it.BAD]
