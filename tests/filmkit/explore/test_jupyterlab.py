"""Live pictures in JupyterLab: a hand chooses in them, and cells read what it has chosen."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import time
from ast import literal_eval
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest

from tests.support.browsing import browser, opened, wait_until
from tests.support.checkout import PROJECT
from tests.support.notebooks import click_cell
from tests.support.traces import make_trace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Frame, Page, WebSocket

__all__ = ["browser"]

CELLS = (
    "from filmkit import widget\n"
    "pattern = widget('pattern', trace='trace.safetensors', head=1)\n"
    "pattern",
    "pattern.value",
    "pattern.value = {'query': 4}",
    "pattern.value",
    "rows = widget('rows', trace='trace.safetensors', theme='light')\nrows",
    "rows.value",
)

# By the plugin that reads them: a notebook is saved when the test says so, with the state of its
# widgets, no window of news covers what is clicked, and all cells stay in the page.
SETTINGS = {
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
    "@jupyter-widgets/jupyterlab-manager/plugin": {"saveState": True},
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
}

RUN = ".jp-NotebookPanel-toolbar [data-command='notebook:run-cell-and-select-next']"
IDLE = "#jp-main-statusbar >> text=/ipykernel.*Idle/"
CELL = ".jp-CodeCell >> nth={}"
SECONDS = 120  # a busy machine starts a server, and a kernel, so late

Frames = list[tuple[str, bytes]]
"""What was "sent" to a kernel and "received" from it."""


@contextmanager
def jupyterlab(notebooks: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """Start JupyterLab; yield its address and its token.

    Parameters
    ----------
    notebooks
        Folder of the notebooks that it opens.
    folder
        Folder for its own files; those of the user are left alone.
    """
    for plugin, settings in SETTINGS.items():
        file = folder / "settings" / f"{plugin}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings), encoding="utf-8")
    folders = {
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "IPYTHONDIR": "ipython",
    }
    own = {variable: str(folder / name) for variable, name in folders.items()}
    token = secrets.token_hex(16)
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                f"--IdentityProvider.token={token}",
            ],
            cwd=notebooks,
            env=os.environ | own | {"PYTHONPATH": str(PROJECT)},
            stdout=log,
            stderr=log,
        )
    try:
        end = time.monotonic() + SECONDS
        while not (address := started(folder / "runtime")):
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.1)
        yield address, token
    finally:
        server.terminate()
        server.wait(SECONDS)


def started(runtime: Path) -> str | None:
    """Return the address of the server that has written its file to a folder, None before."""
    for file in runtime.glob("jpserver-*.json"):
        with suppress(json.JSONDecodeError):  # half-written
            return str(json.loads(file.read_text())["url"])
    return None


def stop_kernels(address: str, token: str) -> None:
    """Stop all kernels of a server, and with them what Python knows of their widgets."""
    headers = {"Authorization": f"token {token}"}
    with urlopen(Request(f"{address}api/kernels", headers=headers)) as answer:
        kernels = json.load(answer)
    for kernel in kernels:
        address_of_one = f"{address}api/kernels/{kernel['id']}"
        urlopen(Request(address_of_one, headers=headers, method="DELETE")).close()


def recorded(page: Page) -> Frames:
    """Return a list that receives what a page tells kernels, and hears of them, from now on."""
    frames: Frames = []

    def hear(kind: str, payload: str | bytes) -> None:
        if isinstance(payload, bytes):
            frames.append((kind, payload))

    def listen(socket: WebSocket) -> None:
        socket.on("framesent", partial(hear, "sent"))
        socket.on("framereceived", partial(hear, "received"))

    page.on("websocket", listen)
    return frames


@contextmanager
def told(page: Page, frames: Frames, chosen: bytes) -> Iterator[None]:
    """Choose something within the block, and leave it when Python has dealt with it.

    The kernel may run a cell beside what a picture tells, even if that was sent before.
    """
    frames.clear()
    yield
    end = time.monotonic() + SECONDS
    done = False
    while not done:
        assert time.monotonic() < end, f"Python does not know {chosen!r}"
        page.wait_for_timeout(20)
        telling = [each for kind, each in frames if kind == "sent" and chosen in each]
        names = [match[1] for each in telling if (match := re.search(b'"msg_id":"(.+?)"', each))]
        done = any(
            kind == "received" and b'"idle"' in each and name in each
            for kind, each in frames
            for name in names
        )


def run_cell(page: Page, number: int) -> None:
    """Run the cell that is selected, the nth to run, and wait for it; the next one is selected."""
    page.click(RUN)
    page.wait_for_selector(f".jp-InputPrompt:text-is('[{number}]:')")


def output(page: Page, cell: int) -> dict[str, Any]:
    """Return the dict that a cell has shown."""
    shown = page.locator(f"{CELL.format(cell)} >> .jp-OutputArea-executeResult pre")
    value: dict[str, Any] = literal_eval(shown.inner_text())
    return value


def frame(page: Page, cell: int) -> Frame:
    """Return the picture of a cell, when it is drawn and knows what Python has chosen."""
    handle = page.wait_for_selector(f"{CELL.format(cell)} >> iframe")
    assert handle is not None
    content = handle.content_frame()
    assert content is not None
    content.wait_for_selector(".part[data-state=ready]")
    wait_until(content, "notebook !== null")
    return content


@pytest.mark.slow
def test_what_a_hand_chooses_is_read_by_the_next_cell(browser: Browser, tmp_path: Path) -> None:
    # They take more than a second to load.
    import nbformat
    from nbconvert import HTMLExporter

    notebooks, own = tmp_path / "notebooks", tmp_path / "own"
    notebooks.mkdir()
    own.mkdir()
    make_trace(n_tokens=6).save(notebooks / "trace.safetensors")
    file = notebooks / "pictures.ipynb"
    notebook = nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, CELLS)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, file)
    with jupyterlab(notebooks, own) as (address, token):
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.set_default_timeout(1000 * SECONDS)
        frames = recorded(page)
        page.goto(f"{address}lab/tree/{file.name}?token={token}")
        page.wait_for_selector(IDLE)

        run_cell(page, 1)
        pattern = frame(page, 0)
        with told(page, frames, b'"query":5'):
            click_cell(pattern, 4, 2)
        run_cell(page, 2)
        value = output(page, 1)
        assert (value["query"], value["key"], value["head"]) == (5, 3, 1)
        assert value["query_word"] == "red"

        run_cell(page, 3)
        pattern.wait_for_selector("#query input[value='4']:checked", state="attached")
        run_cell(page, 4)
        assert output(page, 3)["query_word"] == "is"

        run_cell(page, 5)
        with told(page, frames, b'"off":[1]'):
            frame(page, 4).click("#mix-rows button >> nth=0")
        run_cell(page, 6)
        assert output(page, 5)["off"] == (1,)
        assert output(page, 3)["query"] == 4, "two pictures of a notebook are two"

        page.click(f"{CELL.format(0)} >> .jp-InputPrompt")
        run_cell(page, 7)  # again
        with told(page, frames, b'"query":2'):
            click_cell(frame(page, 0), 1, 1)
        run_cell(page, 8)
        assert output(page, 1)["query"] == 2

        with page.expect_response(
            lambda response: response.request.method == "PUT" and file.name in response.url
        ) as saving:
            page.keyboard.press("Control+s")
        assert saving.value.ok
        stop_kernels(address, token)
        page.reload()
        pattern = frame(page, 0)
        pattern.wait_for_selector("#query input[value='2']:checked", state="attached")
        click_cell(pattern, 3, 1)
        pattern.wait_for_selector("#query input[value='4']:checked", state="attached")

    saved = nbformat.read(file, as_version=4)
    assert saved.metadata.pop("widgets")["application/vnd.jupyter.widget-state+json"]["state"]
    html, _ = HTMLExporter().from_notebook_node(saved)
    start, end = html.index("<iframe"), html.rindex("</iframe>") + len("</iframe>")
    (notebooks / "pictures.html").write_text(html[start:end], encoding="utf-8")
    with opened(browser, notebooks / "pictures.html") as open_page:
        converted = open_page()
        click_cell(converted.frames[1], 3, 1)
        converted.frames[1].wait_for_selector("#query input[value='4']:checked", state="attached")
