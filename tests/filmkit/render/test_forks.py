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
