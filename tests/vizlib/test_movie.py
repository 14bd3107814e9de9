"""A run as GIF and MP4."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from PIL import Image

from sim.engines.stepper import replay
from sim.errors import BadParameter, UserError
from vizlib.__main__ import main
from vizlib.moments import Run
from vizlib.renderers import movie
from vizlib.stills import Stage, stills

RUN = "one_page mutex_v37 b3a5"


def test_a_gif_has_a_picture_for_each_step_that_others_see(tmp_path: Path) -> None:
    """The start, what changed something, the end; the last picture stays longer."""
    trace = replay(RUN)
    wanted = movie.steps_to_show(list(stills(run := Run(trace), Stage(run))))
    assert wanted[0] == 0
    assert wanted[-1] == 8
    told: list[tuple[int, int]] = []
    path = tmp_path / "run.gif"
    assert movie.gif(trace, path, progress=lambda *it: told.append(it)) == len(wanted)
    assert told[-1] == (len(wanted), len(wanted))
    with Image.open(path) as image:
        assert getattr(image, "n_frames", 1) == len(wanted)
        assert image.size[0] == 1440
        image.seek(len(wanted) - 1)
        assert image.info["duration"] == movie.LAST


def test_without_ffmpeg_an_mp4_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence, exit code 2, no file."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["export", RUN, "-o", str(tmp_path / "run.mp4")]) == 2
    assert "an MP4 needs ffmpeg" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_ffmpeg_is_given_every_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in that keeps what it is told and sent: PNG after PNG, as many as there are pictures."""
    tools = tmp_path / "bin"
    tools.mkdir()
    fake = tools / "ffmpeg"
    fake.write_text('#!/bin/sh\nfor last; do :; done\necho "$@" > "$last"\ncat >> "$last"\n', encoding="utf-8")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    path = tmp_path / "run.mp4"
    count = movie.mp4(replay(RUN), path)
    sent = path.read_bytes()
    assert sent.count(b"\x89PNG\r\n\x1a\n") == count
    assert b"stop_mode=clone:stop_duration=2.1 " in sent, "the last one stays longer"


def test_a_failing_ffmpeg_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own last words."""
    fake = tmp_path / "ffmpeg"
    fake.write_text("#!/bin/sh\necho no such codec >&2\nexit 1\n", encoding="utf-8")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(UserError, match="ffmpeg failed: no such codec"):
        movie.mp4(replay("one_page mutex_v37 b3"), tmp_path / "run.mp4")


def test_a_run_with_too_many_pictures_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any is drawn."""
    monkeypatch.setattr(movie, "MOST", 2)
    with pytest.raises(BadParameter, match="at most 2"):
        movie.gif(replay(RUN), tmp_path / "run.gif")
