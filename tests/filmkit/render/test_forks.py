"""When a command may be forked for what runs scenes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.checkout import PROJECT

# In a process of its own, as a command is: this one has threads.
PROGRAM = """
import os
os.environ["OPENBLAS_NUM_THREADS"] = "1"
from filmkit.render import forks
{before}
print(forks.can_fork())
"""
ALLOWED = "forks.allow_forks()"
LOADED = "forks.load_kit()"
THREAD = "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()"
TEXT = "from filmkit.core.text import text_width; text_width('words')"
EDIT = "forks.project_digest = lambda: 'of an edited file'"


@pytest.mark.skipif(sys.platform != "linux", reason="forks are for Linux alone")
@pytest.mark.parametrize(
    ("before", "can"),
    [
        ([], False),
        ([ALLOWED], True),
        # What forks need must not start a thread, or none would ever be made.
        ([ALLOWED, LOADED], True),
        ([ALLOWED, EDIT], False),
        ([ALLOWED, THREAD], False),
        # Pango's own thread, which Python does not know.
        ([ALLOWED, TEXT], False),
    ],
)
def test_a_process_is_forked_only_where_that_is_safe(before: list[str], can: bool) -> None:
    program = PROGRAM.format(before="\n".join(before))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(can)]


GOES_ON = """
import os, signal, sys, time
import click
from extract.support.interrupts import interrupt_on_signals
from filmkit.core.playing import beat_begins
from filmkit.render import forks
from filmkit.render.errors import RenderError
interrupt_on_signals()
forks.allow_forks()
try:
    with forks.going_on_in_fork():
        beat_begins("first")
        {happens}
except click.exceptions.Exit as error:
    print("waited", error.exit_code)
except RenderError as error:
    print(error)
except KeyboardInterrupt:
    sys.exit(130)
"""
CTRL_C = "os.kill(os.getppid(), signal.SIGINT); time.sleep(60)"


@pytest.mark.skipif(sys.platform != "linux", reason="forks are for Linux alone")
@pytest.mark.parametrize(
    ("happens", "said"),
    [
        ("pass", "waited 0"),
        ("sys.exit(2)", "waited 2"),
        (CTRL_C, "waited 130"),
        (CTRL_C.replace("INT", "TERM"), "waited 130"),
        ("os._exit(0)", "in beat first: its process ended early (exit code 0)"),
        ("os.abort()", "in beat first: its process ended early (signal SIGABRT)"),
    ],
)
def test_a_fork_that_a_scene_ends_is_told_apart(happens: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", GOES_ON.format(happens=happens)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == said
