"""An emulated machine with two NUMA nodes, in which Debian's kernel moves pages and is recorded.

    rmapwalk two-nodes -o mine.txt
    rmapwalk two-nodes --kernel k/boot/vmlinuz-6.12.117+deb12-amd64 --only s4idle -o mine.txt

Needs no root, and no second node: qemu emulates all of it (Debian: qemu-system-x86, busybox-static, gcc, libc6-dev and
some linux-image; a kernel that is not installed is unpacked with ``apt-get download`` and ``dpkg-deb -x``).  A boot
takes a minute or more.  What the kernels did is real, the times are not: they are the emulation's.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TextIO

from sim.cli.base import Answer, write_text
from sim.errors import UserError

HERE: Final = Path(__file__).parent

#: Sections of a recording: its name, as in course/recorded/, and what move_own_pages is asked for.
SECTIONS: Final[Mapping[str, str]] = {
    "s4single": "--pages 4",
    "s4idle": "--pages 4 --spin 3",
    "s4spin": "--pages 4 --write 3",
    "s4fork": "--pages 4 --children 2",
    "huge": "--pages 1 --huge --spin 3",
}

#: CPU 0 and 1 with half of the memory are node 0, CPU 2 and 3 with the other half node 1.
_MACHINE: Final = (
    *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-smp", "4", "-m", "1024", "-nodefaults", "-no-reboot"),
    *("-object", "memory-backend-ram,id=m0,size=512M", "-object", "memory-backend-ram,id=m1,size=512M"),
    *("-numa", "node,nodeid=0,cpus=0-1,memdev=m0", "-numa", "node,nodeid=1,cpus=2-3,memdev=m1"),
    *("-display", "none", "-serial", "stdio"),
)
#: As the recordings of the course were made: see course/recorded/README.md.
_BOOT: Final = (
    "console=ttyS0 panic=-1 quiet preempt=voluntary mitigations=off nopcid transparent_hugepage=madvise"
    " numa_balancing=disable"
)

_INIT: Final = """#!/bin/sh
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev
mount -t tracefs none /sys/kernel/tracing
stty -F /dev/ttyS0 -opost 2>/dev/null
run() {{
    sh /kit/record.sh --with {tool} --section "$1" -o /kit/out -- $2 >/kit/said 2>&1 || true
    sed "s/^/@said $1: /" /kit/said
}}
sleep 1
{runs}
echo @begin
cat /kit/out
echo @end
poweroff -f
"""


def missing(kernel: Path | None = None) -> list[str]:
    """What this machine lacks, each with the Debian package that brings it; empty if nothing."""
    needed = {"qemu-system-x86_64": "qemu-system-x86", "busybox": "busybox-static", "gcc": "gcc libc6-dev"}
    found = [f"{it} (apt-get install {package})" for it, package in needed.items() if shutil.which(it) is None]
    if kernel is None and newest_kernel() is None:
        found.append("/boot/vmlinuz-* (apt-get install linux-image-amd64, or --kernel FILE)")
    return found


def newest_kernel() -> Path | None:
    """The newest kernel that is installed and readable."""
    return max(
        (it for it in Path("/boot").glob("vmlinuz-*") if os.access(it, os.R_OK)), key=lambda it: it.name, default=None
    )


def archive(files: Mapping[str, tuple[int, bytes]]) -> bytes:
    """A cpio archive ("newc") of *files*: for each path its mode and what it holds."""
    parts = []
    for number, (path, (mode, data)) in enumerate([*files.items(), ("TRAILER!!!", (0, b""))], 1):
        name = path.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        head = b"070701" + b"".join(b"%08X" % it for it in fields) + name
        parts.append(head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4))
    return b"".join(parts)


def initramfs(sections: Mapping[str, str], tool: str, work: Path) -> bytes:
    """The whole system: busybox, the program, the script that records, and an init that runs them.

    Raises:
        UserError: if the program cannot be built.
    """
    program = work / "move_own_pages"
    build = ["gcc", "-O2", "-static", "-pthread", "-o", str(program), str(HERE / "move_own_pages.c")]
    built = subprocess.run(build, capture_output=True, text=True, check=False)
    if built.returncode:
        raise UserError(f"move_own_pages.c cannot be built: {built.stderr.strip().splitlines()[-1]}")
    runs = "\n".join(f"run {name} '{asked}'" for name, asked in sections.items())
    busybox = shutil.which("busybox")
    assert busybox is not None
    folder, executable = 0o40755, 0o100755
    return archive(
        {
            **dict.fromkeys(("bin", "kit", "proc", "sys", "dev", "tmp"), (folder, b"")),
            "bin/busybox": (executable, Path(busybox).read_bytes()),
            "bin/sh": (0o120777, b"busybox"),
            "kit/record.sh": (executable, (HERE / "record.sh").read_bytes()),
            "kit/move_own_pages": (executable, program.read_bytes()),
            "init": (executable, _INIT.format(runs=runs, tool=tool).encode()),
        }
    )


def boot(
    kernel: Path,
    sections: Mapping[str, str],
    *,
    tool: str = "tracefs",
    seconds: float = 900,
    told: TextIO | None = None,
) -> str:
    """Boot *kernel* with two nodes, run and record *sections*; the recording as text.

    Args:
        kernel: a vmlinuz.
        sections: by name, the options of move_own_pages.
        tool: how it is recorded, ``tracefs`` or ``graph``.
        seconds: how long it may take.
        told: where what the machine says on the way goes, or nowhere.

    Raises:
        UserError: if the machine does not come to the end of it.
    """
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        image = work / "initramfs"
        image.write_bytes(initramfs(sections, tool, work))
        command = [*_MACHINE, "-kernel", str(kernel), "-initrd", str(image), "-append", _BOOT]
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as machine:
            assert machine.stdout is not None
            limit = threading.Timer(seconds, machine.kill)
            limit.start()
            try:
                return _recording(machine.stdout, told)
            finally:
                limit.cancel()
                machine.kill()


def _recording(console: Iterator[str], told: TextIO | None) -> str:
    lines: list[str] | None = None
    last: list[str] = []
    for line in console:
        it = line.rstrip("\r\n")
        if it == "@begin":
            lines = []
        elif it == "@end" and lines is not None:
            return "\n".join(lines) + "\n"
        elif lines is not None:
            lines.append(it)
        else:
            last = [*last, it][-5:]
            if told is not None:
                print(it.removeprefix("@said "), file=told, flush=True)
    raise UserError(f"the machine stopped before the recording was out; its last words: {' / '.join(last) or 'none'}")


def options(parser: argparse.ArgumentParser) -> None:
    """What the recording is told."""
    parser.add_argument("-o", "--output", default="recording.txt", metavar="FILE", help="where to (recording.txt)")
    parser.add_argument("--kernel", type=Path, metavar="FILE", help="a vmlinuz (the newest in /boot)")
    parser.add_argument("--only", action="append", choices=SECTIONS, help="this section only; may be said again")
    parser.add_argument("--with", dest="tool", default="tracefs", choices=("tracefs", "graph"), help="which tracer")
    parser.add_argument("--seconds", type=float, default=900, help="how long it may take (900)")


def record(options: argparse.Namespace) -> Answer:
    """Boot, record, write; what the machine says meanwhile goes to stderr.

    Raises:
        UserError: if something is missing, or the machine does not come to the end of it, or FILE cannot be written.
    """
    if lacks := missing(options.kernel):
        raise UserError(f"this machine lacks {', '.join(lacks)}")
    kernel: Path | None = options.kernel or newest_kernel()
    if kernel is None or not os.access(kernel, os.R_OK):
        raise UserError(f"{kernel} cannot be read")
    sections = {name: SECTIONS[name] for name in options.only or SECTIONS}
    print(f"booting {kernel} in an emulated machine: a minute or more", file=sys.stderr)
    text = boot(kernel, sections, tool=options.tool, seconds=options.seconds, told=sys.stderr)
    write_text(text, options.output)
    lines = text.count("\n")
    data = {"file": options.output, "lines": lines, "kernel": str(kernel), "sections": [*sections]}
    next_ = f"python -m sim recorded {options.output}"
    return Answer(data, f"{options.output} is written: {lines:,} lines. Now: {next_}")
