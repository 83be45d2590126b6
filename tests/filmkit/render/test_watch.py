"""The program ``--watch``: only changed beats are drawn again, into files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from filmkit.render import processes
from filmkit.render.clean_process import clean_process
from tests.support.checkout import PROJECT
from tests.support.edits import TIMEOUT, by_renaming, wait_until
from tests.support.filming import pictures, segments
from tests.support.traces import make_trace

SCENE = '''
from pathlib import Path
from manim import Square
from filmkit.core.text import Symbol
from filmkit.core.stage import (Stage, beat)
from filmkit.mobjects.own import COLOUR, WORD

class Attention(Stage):
    def prepare(self):
        opacity = Path(__file__).with_name("opacity.txt").read_text()
        self.square = Square(color=COLOUR, fill_opacity=float(opacity))
        self.facts["number"] = WORD
        Symbol("x")

    @beat
    def first(self):
        """One."""
        self.add(self.square)
        self.wait(0.2)

    @beat
    def second(self):
        """Two."""
        self.square.shift([1, 0, 0])
        self.wait(0.2)

    @beat
    def third(self):
        """{number}."""
        self.square.shift([1, 0, 0])
        self.wait(0.2)
'''

THIRD = '"""{number}."""\n        self.square.shift(['

ARGUMENTS = "scene_attention --watch --fps 5 --trace trace.safetensors --cache kept --jobs 1"


class Watching:
    """The program ``--watch``, running on a copy of the project with one test scene."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ignore = shutil.ignore_patterns("__pycache__")
        for name in ("filmkit", "scenes", "extract"):
            shutil.copytree(PROJECT / name, folder / name, ignore=ignore)
        shutil.copy(PROJECT / "render.py", folder)
        make_trace().save(folder / "trace.safetensors")
        self.own = folder / "filmkit" / "mobjects" / "own.py"
        self.own.write_text("COLOUR = '#ff0000'\nWORD = 'Three'\n")
        self.scene = folder / "scenes" / "attention" / "scene_attention.py"
        self.scene.write_text(SCENE)
        self.data = self.scene.with_name("opacity.txt")
        self.data.write_text("1.0")
        self.output = folder / "output.txt"
        with self.output.open("w") as output:
            self.program = subprocess.Popen(
                [sys.executable, "render.py", *ARGUMENTS.split()],
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def film(self) -> Path:
        return self.folder / "videos" / "scene_attention.mp4"

    @property
    def sheet(self) -> Path:
        return self.folder / "videos" / "scene_attention.preview.png"

    def lines(self) -> list[str]:
        """Return the lines that the program has printed so far."""
        return self.output.read_text().splitlines()

    def edit(self, path: Path, old: str, new: str) -> list[str]:
        """Save an edit; return the lines printed until the film is written again."""
        before = len(self.lines())
        text = path.read_text()
        assert old in text
        by_renaming(path, text.replace(old, new).encode())
        self.wait_for("scene_attention.mp4", before)
        return self.lines()[before:]

    def wait_for(self, words: str, before: int) -> str:
        """Wait for a line with some words, after the first ``before`` lines; return it."""

        def matches() -> list[str]:
            assert self.program.poll() is None, self.lines()
            return [line for line in self.lines()[before:] if words in line]

        wait_until(lambda: bool(matches()), self.lines)
        return matches()[0]

    def segments(self) -> set[Path]:
        return {*segments(self.folder / "kept")}

    def ends(self) -> list[float]:
        """Return the x of the square at the end of each beat, in pixels from the left."""
        # Each beat is a second of five frames. The first one is of its own 0.2 s, in which the
        # square has its last place already; then the picture drifts.
        frames = pictures(self.film)
        assert len(frames) == 15
        below = frames[::5, 60:]  # without the notes at the top
        return [float(np.nonzero(frame.max(axis=(0, 2)) > 200)[0].mean()) for frame in below]


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    watching = Watching(tmp_path_factory.mktemp("project"))
    try:
        watching.wait_for("scene_attention.mp4", 0)
        yield watching
    finally:
        watching.program.kill()
        watching.program.wait()


def test_film_and_sheet_are_written_at_draft_quality(watching: Watching) -> None:
    assert pictures(watching.film).shape == (15, 480, 854, 3)
    assert Image.open(watching.sheet).size[0] > 600


def test_nothing_is_drawn_again_without_an_edit(watching: Watching) -> None:
    """Though Manim writes a file of a symbol, reads it, and removes it."""
    time.sleep(5)  # longer than it takes to find out that nothing has changed
    assert [Path(line.split()[0]).suffix for line in watching.lines()[1:]] == [
        *(".png", ".png", ".mp4")
    ]


def test_edit_of_a_beat_draws_it_and_what_follows(watching: Watching) -> None:
    before, (first, *_) = watching.segments(), watching.ends()
    old = np.asarray(Image.open(watching.sheet), dtype=int)
    lines = watching.edit(
        watching.scene,
        '"""Two."""\n        self.square.shift([1',
        '"""Two."""\n        self.square.shift([-1',
    )
    assert len(watching.segments() - before) == 4
    # First the contact sheet, then the film of the changed beat, then the rest.
    assert [Path(line.split()[0]).name for line in lines] == [
        "scene_attention.preview.png",
        "02_second.mp4",
        "scene_attention.preview.png",
        "scene_attention.mp4",
    ]
    now = watching.ends()
    assert now[0] == pytest.approx(first)
    assert now[1] < first - 20
    assert now[2] == pytest.approx(first, abs=1)
    assert np.abs(np.asarray(Image.open(watching.sheet), dtype=int) - old).max() > 100


def test_edit_of_a_mobject_draws_what_uses_it(watching: Watching) -> None:
    before = watching.segments()
    watching.edit(watching.own, "#ff0000", "#00ff00")
    assert len(watching.segments() - before) == 6
    assert pictures(watching.film)[..., 1].max() > 250


def test_edit_of_data_draws_what_shows_it(watching: Watching) -> None:
    before = watching.segments()
    watching.edit(watching.data, "1.0", "0.9")
    assert len(watching.segments() - before) == 6
    watching.edit(watching.data, "0.9", "1.0")
    assert len(watching.segments() - before) == 6


def test_edit_of_something_else_draws_nothing(watching: Watching) -> None:
    before, count = watching.segments(), len(watching.lines())
    other = watching.folder / "filmkit" / "mobjects" / "plot.py"
    by_renaming(other, other.read_bytes() + b"\nMORE = 1\n")
    code = watching.scene.read_text().replace(f"{THIRD}1,", f"{THIRD}1.0,")
    by_renaming(watching.scene, code.encode())
    watching.wait_for("nothing has changed", count)
    assert watching.segments() == before
    assert not any("Error" in line for line in watching.lines()[count:])


def test_a_title_is_on_the_sheet_and_an_edit_that_shows_nothing_is_said_to(
    watching: Watching,
) -> None:
    untitled, titled = "class Attention(Stage):\n", 'class Attention(Stage):\n    title = "New"\n'
    text, old = watching.scene.read_text(), watching.sheet.read_bytes()
    count = len(watching.lines())
    by_renaming(watching.scene, text.replace(untitled, titled).encode())
    watching.wait_for("scene_attention.preview.png", count)
    assert watching.sheet.read_bytes() != old
    count = len(watching.lines())
    by_renaming(watching.scene, f"{text.replace(untitled, titled)}# The end.\n".encode())
    watching.wait_for("nothing has changed", count)
    assert len(watching.lines()) == count + 1
    count = len(watching.lines())
    by_renaming(watching.scene, text.encode())
    watching.wait_for("scene_attention.preview.png", count)
    assert watching.sheet.read_bytes() == old


def words(watching: Watching) -> str:
    """Return the captions beside the film, on one line."""
    return " ".join(watching.film.with_suffix(".vtt").read_text().split())


def test_other_words_draw_tails_only_and_write_the_film_and_its_captions(
    watching: Watching,
) -> None:
    before = watching.segments()
    assert "Two." in words(watching)
    # Nine words of 0.43 s take 4.0 s instead of 1.0 s.
    longer = "Two is said with many more words than before."
    watching.edit(watching.scene, "Two.", longer)
    assert longer in words(watching)
    assert len(watching.segments() - before) == 1
    assert len(pictures(watching.film)) == 5 + 20 + 5
    # Other words that take as long: no picture changes, only what is beside the film.
    before, film = watching.segments(), watching.film.read_bytes()
    watching.edit(watching.scene, "many more words", "many good words")
    assert "many good words" in words(watching)
    assert watching.segments() == before
    assert watching.film.read_bytes() == film
    watching.edit(watching.scene, longer.replace("more", "good"), "Two.")
    assert watching.segments() == before
    assert "Two." in words(watching)


def test_another_fact_is_written_into_the_captions(watching: Watching) -> None:
    assert "Three." in words(watching)
    watching.edit(watching.own, "WORD = 'Three'", "WORD = 'Four'")
    assert "Four." in words(watching)
    watching.edit(watching.own, "WORD = 'Four'", "WORD = 'Three'")


def test_an_edit_while_the_one_before_is_drawn_is_no_error(
    watching: Watching, tmp_path: Path
) -> None:
    text, count, begun = watching.scene.read_text(), len(watching.lines()), tmp_path / "begun"
    endless = f"Path({str(begun)!r}).touch(); __import__('time').sleep({TIMEOUT})"
    slow = text.replace(THIRD, THIRD.replace("\n", f"\n        {endless}\n"))
    by_renaming(watching.scene, slow.encode())
    wait_until(begun.exists)
    by_renaming(watching.scene, text.encode())
    watching.wait_for("nothing has changed", count)
    assert len(watching.lines()) == count + 1


def test_last_good_pictures_stay_where_the_code_has_errors(watching: Watching) -> None:
    good = watching.sheet.read_bytes(), watching.film.read_bytes()
    count = len(watching.lines())
    text = watching.scene.read_text()
    broken = text.replace("def third(self):", "def third(self:")
    by_renaming(watching.scene, broken.encode())
    line = watching.wait_for("Error", count)
    number = broken.splitlines().index("    def third(self:") + 1
    assert line.startswith(f"Error: scenes/attention/scene_attention.py line {number}: ")
    assert (watching.sheet.read_bytes(), watching.film.read_bytes()) == good
    # A beat that fails: the beats before it are drawn, the others keep their last good pictures.
    count = len(watching.lines())
    failing = text.replace(THIRD, THIRD.replace("\n", '\n        raise RuntimeError("no")\n'))
    by_renaming(watching.scene, failing.encode())
    line = watching.wait_for("Error", count)
    number = failing.splitlines().index('        raise RuntimeError("no")') + 1
    assert line.startswith(
        f"Error: scene_attention: scene_attention.py line {number}, in beat third: "
        "RuntimeError: no; mend it there"
    )
    # A beat that ends the process that draws.
    count = len(watching.lines())
    deadly = text.replace(THIRD, THIRD.replace("\n", "\n        __import__('os')._exit(0)\n"))
    by_renaming(watching.scene, deadly.encode())
    line = watching.wait_for("Error", count)
    assert line == "Error: in beat third: its process ended early (exit code 0)"
    # A module that cannot be loaded.
    count = len(watching.lines())
    theme = watching.folder / "filmkit" / "core" / "theme.py"
    good_theme = theme.read_bytes()
    by_renaming(theme, good_theme + b"\nnothing_of_this_name\n")
    line = watching.wait_for("NameError", count)
    assert "filmkit/core/theme.py line " in line
    by_renaming(theme, good_theme)
    # Other code that draws the same pictures.
    count = len(watching.lines())
    by_renaming(watching.scene, text.replace(f"{THIRD}1.0,", f"{THIRD}1 + 0,").encode())
    watching.wait_for("nothing has changed", count)
    assert not any("Traceback" in line for line in watching.lines())
    assert watching.film.read_bytes() == good[1]


def test_edit_of_the_trace_is_seen(watching: Watching) -> None:
    """No number of it is shown by this scene, so that nothing is drawn."""
    before, count = watching.segments(), len(watching.lines())
    make_trace(seed=5).save(watching.folder / "trace.safetensors")
    watching.wait_for("nothing has changed", count)
    assert watching.segments() == before


def test_ctrl_c_ends_it(watching: Watching) -> None:
    os.kill(watching.program.pid, signal.SIGINT)
    assert watching.program.wait(TIMEOUT) == 130
    assert watching.lines()[-1] == "Interrupted: unfinished files were removed"
    assert not any(watching.folder.rglob("*.part"))


def test_ctrl_c_while_a_process_starts_stops_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[BaseProcess] = []

    def start(*arguments: Any, **options: Any) -> BaseProcess:
        signal.raise_signal(signal.SIGINT)  # to this thread: through another it would come later
        started.append(clean_process(*arguments, **options))
        return started[0]

    monkeypatch.setattr(processes, "clean_process", start)
    with pytest.raises(KeyboardInterrupt):
        processes.Apart("time:sleep", [TIMEOUT], tmp_path / "stacks")
    assert started[0].exitcode is not None


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only there a server forks the processes")
@pytest.mark.parametrize("delay", [0.2, 1.1])
def test_ctrl_c_while_it_starts_ends_quietly(delay: float, tmp_path: Path) -> None:
    """A terminal sends the signal to all processes of the program, also to those that start."""
    words = [sys.executable, PROJECT / "render.py", "scene_question", "--watch", "--preview"]
    program = subprocess.Popen(
        words,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert program.stdout is not None
    program.stdout.readline()  # it watches: the server starts now, and loads libraries
    time.sleep(delay)
    os.killpg(program.pid, signal.SIGINT)
    _, errors = program.communicate(timeout=TIMEOUT)
    assert program.returncode == 130
    assert errors.splitlines()[-1:] == ["Interrupted: unfinished files were removed"]
    assert "Traceback" not in errors
