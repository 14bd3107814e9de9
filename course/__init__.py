"""The course: lessons as notebooks, and what they are made of.

=================  ========================================================================================
00_…, 01_….ipynb   what this is, how the player is used, where you stand; the lessons
kit/               predict(), recall(), check(), claim(): what a lesson asks with, and what hides until answered
looking.py         reading a run: the values of a field, the locks held when it changed, stopping in a function
questions.py       what the gates ask, with a reason for every option; questions_02.py those of lesson 2, and so on
exercises.py       the checks of lesson 1; family_checks.py of 2; scheduling_checks.py of 3; bottleneck.py of 4;
                   walking.py of 6
protecting.py      the checks of lesson 5, and the inferred table; filling.py: the table that fills in run by run;
                   cutouts.py: kernels without one guard; finding.py: what a walk would find, moment by moment
claiming.py        lesson 7: what callers hold, and the grid of callers and disturbers; sharing.py: who may share the
                   lock, and repairs on two axes; testing.py: a reader's test of the repair
family.py          processes that fork, run by the kernel's code; family_picture.py: their graph, and a bench to grow it
scheduling.py      a level to be broken by choosing who runs, and who is running, runnable or blocked
halves.py          the checks of lesson 8: two walks and one lock, a function with two families of callers
stale.py           the checks of lesson 9: what an access meets, when and whom a flush must reach
designing.py       lesson 11: a design in many worlds, and raced; capstone.py: its checks; holding.py: the table of
                   its locks; onepage.py: what is known of it on one page, onepage_drawn.py: as HTML and as a picture
batched.py         the checks of lesson 10: what a batch may wait for, how large it may be, who comes back for the rest
recordings.py      the checks of lesson 12: recordings of two kernels beside the model; recording/: how they are made
ordering.py        moving a page in any order; verdicts.py: every schedule of a reader's variant;
                   unyielded.py: the yield that a reader's function has forgotten
guarding.py        the tables for which lessons ask, most of them datum -> lock, and an answer compared with one
running.py         runs a lesson's cells without a notebook: for refresh.py (transcripts) and slides.py
ledger.py          what each lesson claims, and what bears it out; sources.py: the mails and commits that lessons cite
progress.py        the lessons, and which of their exercises a learner has kept as right
misconceptions.py  what people often think, by number
glossary.py        words, each defined once
cli/               python -m course: rmapwalk lab, slides, site, lite
instructor/        guide and solutions
site/              the course as pages in which runs play, without Python: rmapwalk site OUT
lite/              the first lessons in a browser alone: rmapwalk lite OUT
=================  ========================================================================================

A lesson needs these names only; importing the package makes the questions and the exercises known.
"""

from __future__ import annotations

from course import batched as _batched
from course import bottleneck as _bottleneck
from course import capstone as _capstone
from course import claiming as _claiming
from course import exercises as _exercises
from course import family_checks as _family_checks
from course import finding as _finding
from course import halves as _halves
from course import holding as _holding
from course import protecting as _protecting
from course import questions as _questions
from course import questions_02 as _questions_02
from course import questions_03 as _questions_03
from course import questions_05 as _questions_05
from course import questions_07 as _questions_07
from course import questions_08 as _questions_08
from course import questions_09 as _questions_09
from course import questions_10 as _questions_10
from course import questions_11 as _questions_11
from course import questions_12 as _questions_12
from course import recordings as _recordings
from course import scheduling_checks as _scheduling_checks
from course import sharing as _sharing
from course import stale as _stale
from course import testing as _testing
from course import walking as _walking
from course.batched import awaited, batch_lab, booted
from course.bottleneck import puzzle
from course.capstone import composed, parts, unnamed
from course.claiming import goals, grid, premises
from course.designing import EVERYWHERE, HISTORY, goes_wrong, race, standings, tried
from course.family import Family, grown
from course.family_checks import visited
from course.family_picture import picture, workbench
from course.filling import filling
from course.glossary import glossary
from course.halves import halves, scales, share, throughputs, unmap_walk, weighed
from course.kit import check, claim, explain_back, predict, recall
from course.looking import history, locksets, play, run_to, steps_in, table, turns
from course.onepage import one_page
from course.progress import progress
from course.protecting import cuts, every_order
from course.recordings import (
    beside_model,
    compared,
    counted,
    in_the_model,
    lanes_beside,
    lengths,
    orders,
    recorded,
    tally,
    unknown,
)
from course.scheduling import contended, level, states, told, torn
from course.sharing import plane, repairs, users
from course.stale import events, moving_parts
from course.verdicts import judge
from course.walking import beside_nearest, disturbed, disturbers, places

__all__ = [
    "EVERYWHERE",
    "HISTORY",
    "Family",
    "awaited",
    "batch_lab",
    "beside_model",
    "beside_nearest",
    "booted",
    "check",
    "claim",
    "compared",
    "composed",
    "contended",
    "counted",
    "cuts",
    "disturbed",
    "disturbers",
    "events",
    "every_order",
    "explain_back",
    "filling",
    "glossary",
    "goals",
    "goes_wrong",
    "grid",
    "grown",
    "halves",
    "history",
    "in_the_model",
    "judge",
    "lanes_beside",
    "lengths",
    "level",
    "locksets",
    "moving_parts",
    "one_page",
    "orders",
    "parts",
    "picture",
    "places",
    "plane",
    "play",
    "predict",
    "premises",
    "progress",
    "puzzle",
    "race",
    "recall",
    "recorded",
    "repairs",
    "run_to",
    "scales",
    "share",
    "standings",
    "states",
    "steps_in",
    "table",
    "tally",
    "throughputs",
    "told",
    "torn",
    "tried",
    "turns",
    "unknown",
    "unmap_walk",
    "unnamed",
    "users",
    "visited",
    "weighed",
    "workbench",
]

_batched.known()
_bottleneck.known()
_capstone.known()
_claiming.known()
_exercises.known()
_finding.known()
_halves.known()
_holding.known()
_protecting.known()
_family_checks.known()
_questions.known()
_questions_02.known()
_questions_03.known()
_questions_05.known()
_questions_08.known()
_questions_09.known()
_questions_10.known()
_questions_11.known()
_questions_12.known()
_recordings.known()
_stale.known()
_questions_07.known()
_sharing.known()
_testing.known()
_scheduling_checks.known()
_walking.known()
