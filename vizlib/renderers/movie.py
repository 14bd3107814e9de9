"""A run as a moving picture for slides: GIF with what matplotlib brings along, MP4 with ffmpeg where it is installed.

A film shows the steps that others can see; a step that only reads has no picture of its own.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.errors import BadParameter, UserError
from vizlib import theme
from vizlib.chrome import whole
from vizlib.moments import Run
from vizlib.renderers.mpl import draw, printed
from vizlib.stills import Stage, Still, stills

if TYPE_CHECKING:
    from sim.trace import Trace

#: How long a picture stays, in milliseconds; the last one stays longer.
DWELL, LAST = 900, 3000
#: The most pictures of a film: a lecture's patience, and 50 MB of GIF.
MOST = 400

Progress = Callable[[int, int], object]


def steps_to_show(shots: list[Still]) -> list[int]:
    """The start, every step that changes what others can see, and the end."""
    wanted = [shot.moment.step for shot in shots if shot.changed or {"bug", "preempt"} & set(shot.flags)]
    return sorted({0, *wanted, shots[-1].moment.step})


def gif(trace: Trace, path: Path, mode: theme.Mode = "light", title: str = "", progress: Progress | None = None) -> int:
    """Write *trace* as an animated GIF; return the number of pictures."""
    from PIL import Image

    images: list[Any] = []
    for data in _pictures(trace, mode, title, progress):
        with Image.open(BytesIO(data)) as image:
            images.append(image.convert("P", palette=Image.Palette.ADAPTIVE, colors=64))
    dwell = [DWELL] * (len(images) - 1) + [LAST]
    images[0].save(path, format="GIF", save_all=True, append_images=images[1:], duration=dwell, loop=0, optimize=False)
    return len(images)


def mp4(trace: Trace, path: Path, mode: theme.Mode = "light", title: str = "", progress: Progress | None = None) -> int:
    """Write *trace* as an MP4; return the number of pictures.

    Raises:
        UserError: if ffmpeg is not installed, or fails; it says what to do.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise UserError("an MP4 needs ffmpeg, which is not installed here: install it, or write a .gif instead")
    # yuv420p and even sides are what every player and every slide program can read
    how = ["-y", "-loglevel", "error", "-f", "image2pipe", "-framerate", f"1000/{DWELL}", "-i", "-"]
    how += [
        "-vf",
        f"pad=ceil(iw/2)*2:ceil(ih/2)*2,tpad=stop_mode=clone:stop_duration={(LAST - DWELL) / 1000}",
        "-r",
        "25",
        "-pix_fmt",
        "yuv420p",
        "-f",
        "mp4",
        str(path),
    ]
    pictures = list(_pictures(trace, mode, title, progress))
    made = subprocess.run([program, *how], input=b"".join(pictures), capture_output=True, check=False)
    if made.returncode:
        words = made.stderr.decode(errors="replace").strip().splitlines()
        raise UserError(f"ffmpeg failed: {words[-1] if words else f'exit code {made.returncode}'}")
    return len(pictures)


def _pictures(trace: Trace, mode: theme.Mode, title: str, progress: Progress | None) -> Iterator[bytes]:
    """The pictures as PNG, one after the other."""
    run = Run(trace)
    stage = Stage(run)
    wanted = steps_to_show(list(stills(run, stage)))
    if len(wanted) > MOST:
        raise BadParameter(
            f"{len(wanted)} steps of this run have a picture, and a film has at most {MOST}: cut the run"
        )
    shown = set(wanted)
    done = 0
    for shot in stills(run, stage):
        if shot.moment.step not in shown:
            continue
        picture = printed(draw(whole(shot, stage, title or trace.world), mode), "png")
        done += 1
        if progress is not None:
            progress(done, len(wanted))
        yield picture
