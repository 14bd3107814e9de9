"""Fixtures that many tests share: a real Chromium, a real JupyterLab, and a notebook driven in it.

``page``          an empty page of a fresh browser context, 1200 x 1600
``offline_page``  the same with the network off, for files opened from disk
``jupyter_lab``   a running JupyterLab: ``.url``, and ``.root``, the empty folder that it serves
``open_notebook`` opens a notebook of ``jupyter_lab.root`` in ``page``: ``nb = open_notebook("lesson.ipynb")``
``served``        a web server of a folder: ``with served(folder) as address``
``node``          the path of node
``with_spin``     nothing, where Spin can be run
``axe``           the script of axe-core, which finds faults of accessibility in a page

An uncaught exception in a page's JavaScript fails the test that owns the page.  What the machine lacks is a skip that
says what to install; under RMAPWALK_CI (see .ci/run) it is a failure.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn

import nbformat
import pytest
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from sim.analysis import spin

os.environ["RMAPWALK_CACHE"] = ""  # nothing is kept from one test to the next (sim/analysis/kept.py)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what runs behind it
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parent.parent
SECONDS = 1000  # playwright counts in milliseconds

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM_ARGS = (
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # The rest keeps the browser from looking up its maker's hosts, which a closed network refuses many at a time.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


#: The marks of tests that run only if they are asked for: pytest -m exhaustive.
ASKED_FOR = ("exhaustive", "emulated", "site")


def lacking(what: str) -> NoReturn:
    """Skip the test because this machine lacks something, or fail where that must not happen."""
    if os.environ.get("RMAPWALK_CI"):
        pytest.fail(f"{what} (RMAPWALK_CI is set, so this is a failure and not a skip)")
    pytest.skip(what)


@functools.cache
def project_files() -> tuple[Path, ...]:
    """Return the files that are, or would be, in the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"this test needs a git checkout: {done.stderr}"
    files = tuple(sorted({ROOT / name for name in done.stdout.split("\0") if name}))
    found = tuple(path for path in files if path.is_file())
    assert ROOT / "pyproject.toml" in found
    return found


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long, unless it is asked for by its mark; pytest counts it as deselected."""
    marks = [it for it in ASKED_FOR if it not in config.option.markexpr]
    left_out = [it for it in items if any(map(it.get_closest_marker, marks))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [it for it in items if it not in left_out]


# ---------------------------------------------------------------------------------------------------------------------
# The browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start a headless Chromium.

    One a module and not one a session: while it lives, playwright keeps an event loop running in this thread, which the
    notebooks that pytest runs after the tests would trip over.
    """
    executable = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if executable is None:
        lacking("no Chromium found: install it (Debian: apt-get install chromium fonts-dejavu-core)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(CHROMIUM_ARGS))
        yield browser
        browser.close()


def fresh_page(browser: Browser, *, offline: bool) -> Iterator[Page]:
    """Yield a page of a context of its own; afterwards report what its scripts threw."""
    # Lab keeps cells that are off screen out of the DOM, hence the tall window.
    context = browser.new_context(viewport={"width": 1200, "height": 1600}, offline=offline)
    context.set_default_timeout(30 * SECONDS)
    page = context.new_page()
    thrown: list[str] = []
    page.on("pageerror", lambda error: thrown.append(error.stack or str(error)))
    yield page
    context.close()
    if thrown:
        pytest.fail("JavaScript threw in the page:\n" + "\n".join(thrown))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Open an empty page."""
    yield from fresh_page(browser, offline=False)


@pytest.fixture
def offline_page(browser: Browser) -> Iterator[Page]:
    """Open an empty page with the network off: ``offline_page.goto(path.as_uri())``."""
    yield from fresh_page(browser, offline=True)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve *folder* on a free port; yield the address."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.fixture(scope="session")
def node() -> str:
    """Find node, which runs the tests written in JavaScript."""
    return shutil.which("node") or lacking("no node found: install it (Debian: apt-get install nodejs)")


@pytest.fixture(scope="session")
def with_spin() -> None:
    """Spin and gcc, for a test that lets Spin search."""
    if names := spin.missing():
        lacking(f"{names} not found: install it (Debian: apt-get install spin gcc libc6-dev)")


# ---------------------------------------------------------------------------------------------------------------------
# JupyterLab


@dataclass(frozen=True)
class JupyterLab:
    """A running server and the folder it serves."""

    url: str
    root: Path

    def write(self, name: str, *cells: str) -> str:
        """Write a notebook with these code cells into the root and return its name."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
        nbformat.write(notebook, self.root / name)
        return name


def free_port() -> int:
    """Ask the system for a port that nobody uses."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def lab_command(port: int, root: Path) -> list[str]:
    """Compose the command line of a JupyterLab that is alone, open and quiet."""
    return [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"),
        f"--ServerApp.root_dir={root}",
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
        *("--IdentityProvider.token=", "--ServerApp.password="),
        *("--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"),
        *("--LabApp.extension_manager=readonly",),  # the other one asks a registry
    ]


@pytest.fixture(scope="session")
def axe() -> str:
    """Read axe-core, which .ci/run fetches with npm; RMAPWALK_AXE says where its axe.min.js is."""
    path = Path(os.environ.get("RMAPWALK_AXE", ROOT / "node_modules" / "axe-core" / "axe.min.js"))
    if not path.is_file():
        lacking("axe-core is not here: npm install --no-save axe-core, or set RMAPWALK_AXE to its axe.min.js")
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def jupyter_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterLab]:
    """Start JupyterLab on a free port with settings of its own, and stop it with its kernels at the end."""
    root, private = tmp_path_factory.mktemp("lab-root"), tmp_path_factory.mktemp("lab-private")
    folders = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    environment = os.environ | {name: str(private / name) for name in folders}
    port = free_port()
    command = lab_command(port, root)
    log: list[str] = []
    settled = threading.Event()  # the server answers, or it has ended

    with subprocess.Popen(
        command, env=environment, cwd=root, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as server:

        def read_log() -> None:
            assert server.stderr is not None
            for line in server.stderr:
                log.append(line)
                if " is running at" in line:
                    settled.set()
            settled.set()

        reader = threading.Thread(target=read_log)
        reader.start()
        try:
            if not settled.wait(60) or server.poll() is not None:
                pytest.fail("JupyterLab did not start:\n" + "".join(log))
            yield JupyterLab(f"http://127.0.0.1:{port}", root)
        finally:
            server.send_signal(signal.SIGTERM)  # it then shuts its kernels down
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                raise
            finally:
                reader.join()


FIND = """path => {
    const widgets = [...window.jupyterapp.shell.widgets('main')];
    return widgets.find(widget => widget.context?.path === path);
}"""


class Notebook:
    """One notebook, open in JupyterLab, with a connected and idle kernel."""

    def __init__(self, page: Page, path: str) -> None:
        self.page = page
        self.path = path

    def call(self, script: str, argument: Any = None) -> Any:
        """Evaluate ``(panel, argument) => ...``, where ``panel`` is Lab's NotebookPanel; promises are awaited."""
        return self.page.evaluate(
            f"async ([path, argument]) => ({script})(({FIND})(path), argument)", [self.path, argument]
        )

    def wait(self, condition: str, seconds: float = 60) -> None:
        """Wait until ``panel => ...`` is true."""
        script = f"path => {{ const panel = ({FIND})(path); return panel && ({condition})(panel); }}"
        self.page.wait_for_function(script, arg=self.path, timeout=seconds * SECONDS)

    def wait_for_kernel(self, seconds: float = 60) -> None:
        """Wait until the kernel is idle *and* connected: the status line says idle before there is a session."""
        self.wait(
            "panel => panel.sessionContext.isReady && panel.sessionContext.session?.kernel?.status === 'idle'"
            " && panel.sessionContext.session.kernel.connectionStatus === 'connected'",
            seconds,
        )

    def run_all(self, seconds: float = 120) -> None:
        """Run all cells; fail if that takes longer, or if a cell raises."""
        finished = self.call(
            """(panel, milliseconds) => {
                window.jupyterapp.shell.activateById(panel.id);
                let timer;
                const limit = new Promise(resolve => { timer = setTimeout(() => resolve(false), milliseconds); });
                const run = window.jupyterapp.commands.execute('notebook:run-all-cells').then(() => true);
                return Promise.race([run, limit]).finally(() => clearTimeout(timer));
            }""",
            seconds * SECONDS,
        )
        errors = self.errors()
        assert not errors, f"{self.path}: a cell raised\n" + "\n".join(errors)
        assert finished, f"{self.path}: the cells did not finish in {seconds} s"

    def outputs(self, index: int) -> list[dict[str, Any]]:
        """Return the outputs of cell *index* as the notebook file would store them."""
        return list(self.call("(panel, index) => panel.model.cells.get(index).toJSON().outputs ?? []", index))

    def errors(self) -> list[str]:
        """Return the tracebacks in the notebook."""
        count = self.call("panel => panel.model.cells.length")
        outputs = [output for index in range(count) for output in self.outputs(index)]
        return ["\n".join(output["traceback"]) for output in outputs if output["output_type"] == "error"]

    def cell(self, index: int) -> Locator:
        """Scroll to cell *index*, so that Lab puts it into the DOM, and return it."""
        self.call("(panel, index) => panel.content.scrollToItem(index, 'auto')", index)
        return self.page.locator(f".jp-NotebookPanel:not(.lm-mod-hidden) [data-windowed-list-index='{index}']")

    def kernel_eval(self, expression: str) -> str:
        """Evaluate a Python expression in the kernel and return its repr."""
        return str(
            self.call(
                """async (panel, expression) => {
                    const kernel = panel.sessionContext.session.kernel;
                    const request = {code: '', silent: true, user_expressions: {value: expression}};
                    const reply = await kernel.requestExecute(request).done;
                    const value = reply.content.user_expressions.value;
                    if (value.status !== 'ok') throw new Error(`${value.ename}: ${value.evalue}`);
                    return value.data['text/plain'];
                }""",
                expression,
            )
        )

    def close(self) -> None:
        """Shut the kernel down."""
        self.call("panel => panel.sessionContext.shutdown()")


def enter_lab(page: Page, address: str) -> None:
    """Go to a JupyterLab, and wait until it is ready."""
    page.goto(address)
    page.wait_for_function("() => window.jupyterapp !== undefined")
    page.evaluate("async () => { await window.jupyterapp.restored; }")


def open_in_lab(page: Page, path: str, kernel: str = "python3", seconds: float = 60) -> Notebook:
    """Open a notebook in the JupyterLab that *page* shows, and wait until its kernel is idle."""
    page.evaluate(
        """async ([path, name]) => {
            const options = {path, factory: 'Notebook', kernel: {name}};
            const panel = await window.jupyterapp.commands.execute('docmanager:open', options);
            await panel.context.ready;
        }""",
        [path, kernel],
    )
    notebook = Notebook(page, path)
    notebook.wait_for_kernel(seconds)
    return notebook


@pytest.fixture
def open_notebook(page: Page, jupyter_lab: JupyterLab) -> Iterator[Callable[[str], Notebook]]:
    """Open notebooks of ``jupyter_lab.root`` in Lab; their kernels end with the test."""
    opened: list[Notebook] = []

    def open_(path: str) -> Notebook:
        if not opened:
            enter_lab(page, f"{jupyter_lab.url}/lab?reset")
        opened.append(open_in_lab(page, path))
        return opened[-1]

    yield open_
    for notebook in opened:
        notebook.close()
