"""What is wrong in a scene is said once: its file, the line, the beat, and how to mend it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from textwrap import indent
from traceback import FrameSummary
from typing import Any

import numpy as np
import pytest
from manim import AnimationGroup, LaggedStart

from extract.trace import Trace
from filmkit.core.camera import Shot, StageCamera
from filmkit.core.errors import SceneCodeError
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import TENSORS, beat
from filmkit.pictures.parts import Matrix
from filmkit.pictures.stage import Stage
from filmkit.render import errors, processes
from filmkit.render.errors import explain
from filmkit.render.traces import SHIPPED
from tests.support.calling import Calling, assert_one_line, call, calling
from tests.support.traces import make_trace

__all__ = ["calling"]  # the fixture

HEAD = """
import ctypes
import os
import threading
import time
import numpy as np
from manim import Square, VGroup
from filmkit import Appear, Heatmap, MoveFromCopy, Stage, beat, quantity


class Mine(Stage):
    def prepare(self):
        self.cells = Heatmap([[1, 2, 3], [4, 5, 6]])
        self.facts["word"] = "square"

    @beat
    def opening(self):
        '''A {word}.'''
        self.hold(0.2)
"""

MISTAKES = {
    "an empty beat": (
        """
    @beat  # HERE
    def wrong(self):
        '''Nothing happens.'''
        self.add(Square())
""",
        "in beat wrong: it plays nothing; add self.play(...) or self.hold(seconds)",
    ),
    "a cell outside of a heatmap": (
        """
    @beat
    def wrong(self):
        '''A cell.'''
        square = Square()
        square.move_to(self.cells.cell(2, 0).center)  # HERE
""",
        "in beat wrong: a heatmap of 2 x 3 has no row 2; choose 0 to 1, or -1 for the last one",
    ),
    "a fact that is missing": (
        """
    @beat  # HERE
    def wrong(self):
        '''A {wort}.'''
        self.hold(0.2)
""",
        "in beat wrong: there is no fact {wort}; there are model, prompt, word",
    ),
    "a mark that is missing": (
        """
    @beat
    def wrong(self):
        '''A [white] {word}.'''
        self.wait_for("red")  # HERE
""",
        "in beat wrong: the narration has no mark [red]; there are [white]",
    ),
    "a bracket alone": (
        """
    @beat  # HERE
    def wrong(self):
        '''A [white {word}.'''
        self.hold(0.2)
""",
        "in beat wrong: the bracket [ stands alone; a mark is [words], with no mark inside it",
    ),
    "two beats of one name": (
        """
    @beat  # HERE
    def opening(self):
        '''Another one.'''
        self.hold(0.2)
""",
        ": two beats are called opening; rename one",
    ),
    "a beat with the name of a method": (
        """
    @beat  # HERE
    def render(self):
        '''A square.'''
        self.hold(0.2)
""",
        ": every stage has a render already; rename the beat",
    ),
    "a beat with the name of a method of stages with mosaics": (
        """
    @beat  # HERE
    def show(self):
        '''A square.'''
        self.hold(0.2)
""",
        ": every stage has a show already; rename the beat",
    ),
    "a beat with the name of an attribute": (
        """
    @beat  # HERE
    def head(self):
        '''A head.'''
        self.hold(0.2)
""",
        ": the scene has an attribute head, and a beat of that name; rename one",
    ),
    "an asynchronous beat": (
        """
    @beat  # HERE
    async def wrong(self):
        '''A square.'''
        self.hold(0.2)
""",
        ": the beat wrong does nothing when it is called; write it without async and yield",
    ),
    "a wait that is too long": (
        """
    @beat
    def wrong(self):
        '''A square.'''
        self.wait(1e9)  # HERE
""",
        "in beat wrong: with this it lasts 1,000,000,000 seconds; make it 3,600 at most",
    ),
    "a narration that is too long": (
        f"""
    @beat  # HERE
    def wrong(self):
        '''{"word " * 9000}'''
        self.hold(0.2)
""",
        "in beat wrong: it takes 3,870 seconds to say; let several beats say it",
    ),
    "a scale without an end": (
        """
    @beat
    def wrong(self):
        '''Cells.'''
        Heatmap([[1, float("nan")]])  # HERE
""",
        "in beat wrong: ValueError: a scale of colours cannot go from 0.0 to nan; mend it there",
    ),
    "a copy of something else": (
        """
    @beat
    def wrong(self):
        '''A copy.'''
        self.play(MoveFromCopy(VGroup(Square(), Square()), Square()))  # HERE
""",
        "in beat wrong: Square and VGroup have 1 and 3 parts; give two of the same structure",
    ),
    "a name that is not there": (
        """
    @beat
    def wrong(self):
        '''A name.'''
        self.play(Apear(self.cells))  # HERE
""",
        "in beat wrong: NameError: name 'Apear' is not defined; mend it there "
        "(--verbose shows the way)",
    ),
    "a mobject that is not animated": (
        """
    @beat
    def wrong(self):
        '''A square.'''
        self.play(self.cells)  # HERE
""",
        "in beat wrong: play takes animations, not a Heatmap: write self.play(Appear(...))",
    ),
    "a row that is no mobject": (
        """
    @beat
    def wrong(self):
        '''A row.'''
        self.play(Appear(self.cells.row(0)))  # HERE
""",
        "in beat wrong: Appear takes a mobject; a cell or a row is a place: write "
        "Appear(Highlight(...))",
    ),
    "a row that is kept in focus": (
        """
    @beat
    def wrong(self):
        '''A row.'''
        self.play(Appear(self.cells))
        with self.focus(self.cells.row(0)):  # HERE
            self.hold(1)
""",
        "in beat wrong: focus keeps mobjects; a cell or a row is a place",
    ),
    "a head that is not there": (
        """
    @beat
    def wrong(self):
        '''A head.'''
        self.layer.head(99)  # HERE
""",
        "in beat wrong: SmolLM2-135M-Instruct (Q4_1) has no head 99; its heads are 0 to 8",
    ),
    "a layer that the trace has not": (
        """
    @beat
    def wrong(self):
        '''A layer.'''
        self.trace.get("pattern", 99)  # HERE
""",
        "in beat wrong: the trace of SmolLM2-135M-Instruct (Q4_1) has no tensor 'pattern.99'; its "
        "layers are 0 to 29",
    ),
    "a tensor that the trace has not": (
        """
    @beat
    def wrong(self):
        '''A tensor.'''
        self.trace.scores(99)  # HERE
""",
        "in beat wrong: the trace of SmolLM2-135M-Instruct (Q4_1) has no tensor 'q_rot.99'; its "
        "layers are 0 to 29",
    ),
    "an argument that Manim refuses": (
        """
    @beat
    def wrong(self):
        '''A colour.'''
        Square(color="grene")  # HERE
""",
        "in beat wrong: ValueError: Color grene not found; mend it there",
    ),
    "an error in what several beats need": (
        """
    def prepare(self):
        self.cells = None + 1  # HERE
""",
        ": TypeError: unsupported operand type(s) for +: 'NoneType' and 'int'; mend it there",
    ),
    "what would end the program": (
        """
    @beat
    def wrong(self):
        '''An end.'''
        raise GeneratorExit  # HERE
""",
        "in beat wrong: GeneratorExit() would end the program; take it out",
    ),
    "a second process": (
        """
    @beat
    def wrong(self):
        '''Two go on.'''
        os.fork()  # HERE
""",
        "in beat wrong: RuntimeError: two processes would go on with the scene; start one with",
    ),
    "a fault of the processor": (
        """
    @beat
    def wrong(self):
        '''A fault.'''
        ctypes.string_at(0)  # HERE
""",
        "in beat wrong: its process ended early (signal SIGSEGV)",
    ),
    "an argument of the kit beside the scene": (
        """

quantity("a square", axes=2)(len)  # HERE
""",
        ": TypeError: 'int' object is not iterable; mend it there",
    ),
    "an option of a class that there is not": (
        """

type("Other", (Stage,), {}, speed=2)  # HERE
""",
        ": TypeError: Other.__init_subclass__() takes no keyword arguments; mend it there",
    ),
    "an error beside the scene": (
        """

CELLS = {}["q"]  # HERE
""",
        ": KeyError: 'q'; mend it there",
    ),
}


@pytest.mark.parametrize(("code", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_one_line_with_its_place_and_its_mend(
    code: str, message: str, calling: Calling, tmp_path: Path
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(HEAD + code)
    (number,) = (n for n, line in enumerate((HEAD + code).splitlines(), 1) if "# HERE" in line)
    options = "--quality", "draft", "--jobs", "1", "--quiet", "--no-cache"
    done = calling("mine.py", *options, folder=tmp_path)
    joint = "" if message.startswith(":") else ", "
    assert_one_line(done, 1, f"Error: mine: mine.py line {number}{joint}{message}")
    assert not any(tmp_path.rglob("*.mp4"))


def scene_with(line: str) -> str:
    """Return the code of a scene that has a line in its second beat."""
    code = f"""
    @beat
    def wrong(self):
        '''Something.'''
        {line}  # HERE
        self.add(Square())
        self.hold(0.2)
"""
    return HEAD + code


def test_the_beat_is_named_that_ends_its_process(calling: Calling, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(scene_with("os._exit(0)"))
    done = calling("--list", "mine.py", folder=tmp_path)
    assert_one_line(done, 1, "Error: mine: in beat wrong: its process ended early (exit code 0)")


@pytest.fixture
def staying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Code that a line begins with at which a process stays: then that has been silent for long."""
    folder = tmp_path / "staying"
    folder.mkdir()
    ended_silent = processes.Apart.ended_silent

    def ended_there(apart: processes.Apart) -> dict[str, Any] | None:
        if not (folder / str(apart.process.pid)).exists():
            return None
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(processes, "SILENT_SECONDS", 0.0)
            return ended_silent(apart)

    monkeypatch.setattr(processes.Apart, "ended_silent", ended_there)
    return f"open('{folder}/' + str(os.getpid()), 'w').close()"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals")
@pytest.mark.parametrize("line", ["time.sleep(1e9)", "sum(0 for _ in iter(int, 1))"])
def test_the_line_is_named_at_which_a_beat_stays(
    line: str, staying: str, calling: Calling, tmp_path: Path
) -> None:
    code = scene_with(f"{staying}; {line}")
    (tmp_path / "mine.py").write_text(code)
    number = next(n for n, text in enumerate(code.splitlines(), 1) if "HERE" in text)
    done = calling("--list", "mine.py", folder=tmp_path)
    where = f"Error: mine: mine.py line {number}, in beat wrong"
    assert_one_line(done, 1, f"{where}: there was no progress for 0 seconds")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals")
def test_the_line_is_named_at_which_drawing_stays(
    staying: str, calling: Calling, tmp_path: Path
) -> None:
    code = scene_with(f"if self.renderer.receiver: {staying}; time.sleep(1e9)")
    (tmp_path / "mine.py").write_text(code)
    number = next(n for n, text in enumerate(code.splitlines(), 1) if "HERE" in text)
    options = "--quality", "draft", "--jobs", "1", "--quiet", "--no-cache"
    done = calling("mine.py", *options, folder=tmp_path)
    where = f"Error: mine: mine.py line {number}, in beat wrong"
    assert_one_line(done, 1, f"{where}: there was no progress for 0 seconds (tried 3 times)")


def test_what_a_scene_prints_is_no_part_of_a_list(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(scene_with(r"print('\x1b[31mred', 2)"))
    done = call("--list", "--json", "mine.py", folder=tmp_path)
    assert json.loads(done.stdout)[0]["name"] == "mine"
    assert "\\x1b[31mred 2" in done.stderr.splitlines()


def test_a_thread_that_a_beat_leaves_behind_is_ended(
    calling: Calling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "CLEANUP_SECONDS", 0.1)
    line = "threading.Thread(target=time.sleep, args=[1e9]).start()"
    (tmp_path / "mine.py").write_text(scene_with(line))
    done = calling("--list", "mine.py", folder=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("verbose", [False, True])
def test_an_error_that_ends_a_thread_is_one_line(verbose: bool, tmp_path: Path) -> None:
    """Also an error that is raised inside the kit, which the thread has called wrongly."""
    code = HEAD
    messages = {
        "nothing()": "NameError: name 'nothing' is not defined; mend it there",
        "Heatmap([[1]], 5).texture()": "AttributeError: 'int' object has no attribute 'colours'",
        "Heatmap([[1]]).row(7)": "a heatmap of 1 x 1 has no row 7; choose 0 to 0",
    }
    for line in messages:
        code += f"        threading.Thread(target=lambda: {line}).start()\n"
    (tmp_path / "mine.py").write_text(code)
    done = call("--list", *["--verbose"] * verbose, "mine.py", folder=tmp_path)
    assert done.returncode == 0
    assert done.stderr.count("Traceback (most recent call last)") == verbose * len(messages)
    said = [line for line in done.stderr.splitlines() if line.startswith("A thread ended: mine.py")]
    assert len(said) == len(messages)
    for message in messages.values():
        assert any(f": {message}" in line for line in said), said


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "print(nothing)",
            "NameError: name 'nothing' is not defined; mend it there (--verbose shows the way)",
        ),
        (
            'self.play(Appear(Square().shift(float("inf") * np.array([1, 0, 0]))))',
            "a Square lies at a place that is infinite or not a number",
        ),
    ],
)
def test_a_mistake_that_shows_only_when_drawn_is_said_the_same_way(
    line: str, message: str, calling: Calling, tmp_path: Path
) -> None:
    code = f"""
    @beat
    def wrong(self):
        '''Drawn.'''
        if self.renderer.receiver:
            {line}  # HERE
        self.add(Square())
        self.hold(0.2)
"""
    (tmp_path / "mine.py").write_text(HEAD + code)
    number = (HEAD + code).splitlines().index(f"            {line}  # HERE") + 1
    options = "--quality", "draft", "--jobs", "1", "--quiet", "--no-cache"
    done = calling("mine.py", *options, folder=tmp_path)
    assert_one_line(done, 1, f"Error: mine: mine.py line {number}, in beat wrong: {message}")


def test_verbose_shows_the_way(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(HEAD + MISTAKES["a name that is not there"][0])
    done = call("mine.py", "--quality", "draft", "--verbose", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("Traceback (most recent call last)") == 1
    assert "self.play(Apear(self.cells))" in done.stderr


# Whose mistake is it?


def raised(what: str, file: str) -> Exception:
    """Return an error that code in a file has raised."""
    try:
        exec(compile(what, file, "exec"), {"Box": Box})
    except Exception as error:
        error.add_note("in beat one")
        return error
    raise AssertionError(what)


def test_an_error_deep_in_the_kit_is_the_program_s() -> None:
    """Unless the program has run the scene: there the scene has asked for it."""
    error = raised("Box.around([])", "mine.py")
    line = explain(error, verbose=False)
    assert re.fullmatch(
        r"ValueError: .* \(in beat one, geometry\.py line \d+; a mistake in the program; "
        r"--verbose shows where\)",
        line,
    )


def test_what_the_kit_cannot_import_is_no_mistake_of_the_scene_that_asks_for_it() -> None:
    """Its file would begin to run the file of the kit, and end there."""
    scene, kit = Path("mine.py"), Path(errors.KIT, "core", "broken.py")
    frames = [FrameSummary(str(file), 1, "<module>") for file in (errors.__file__, scene, kit)]
    assert errors._scene_frames(frames) == []
    assert errors._scene_frames(frames[:2]) == frames[1:2]


@pytest.mark.parametrize("verbose", [False, None])
def test_an_error_in_a_library_that_a_scene_calls_is_the_scene_s(verbose: bool | None) -> None:
    line = explain(raised("\nimport json; json.loads('{')", "mine.py"), verbose=verbose)
    hint = " (--verbose shows the way)" if verbose is False else ""
    assert line.startswith("mine.py line 2, in beat one: JSONDecodeError: ")
    assert line.endswith(f"; mend it there{hint}")


# What the class of a scene says

TAKES = (
    "@beat takes when, ask, answer, choice, loop, title, and the texts of variants by their names"
)
OTHERS = "is called with other arguments than its function has: "
CLASSES = {
    "@beat(5)\ndef one(self): ...": "@beat takes a method, not 5; write it directly above def",
    "@beat\n@property\ndef one(self): ...": "@beat takes a method, not <property object",
    "@beat(nope=1)\ndef one(self): ...": f"nope=1 is no text; {TAKES}",
    "@beat(ask=5)\ndef one(self): ...": f"ask=5 is no text; {TAKES}",
    "@beat(ask=None)\ndef one(self): ...": f"ask=None is no text; {TAKES}",
    "@beat(ask={'': 5})\ndef one(self): ...": f"ask=5 is no text; {TAKES}",
    "@beat(ask='A?', answer=5)\ndef one(self): ...": f"answer=5 is no text; {TAKES}",
    "@beat(ask='A?', choice=5)\ndef one(self): ...": f"choice=5 is no text; {TAKES}",
    "@beat(title=5)\ndef one(self): ...": f"title=5 is no text; {TAKES}",
    f"@beat(title='{81 * 'a'}')\ndef one(self): ...": "the title of one has 81 letters, and a",
    "@beat(title='{no}')\ndef one(self): self.hold()": "there is no fact {no}; there are model",
    "@beat\ndef see_from(self): ...": "every stage has a see_from already; rename the beat",
    "def light_up(self): ...": f"light_up {OTHERS}too many positional arguments",
    "@beat(when=True)\ndef one(self): ...": f"when of the beat one {OTHERS}True is not a callable",
    "@beat(when=lambda: 1)\ndef one(self): ...": f"when of the beat one {OTHERS}too many",
    "@beat\ndef one(): ...": f"the beat one {OTHERS}too many positional arguments",
    "@beat\ndef one(self, x): ...": f"the beat one {OTHERS}missing a required argument: 'x'",
    "@classmethod\n@beat\ndef one(cls): ...": f"the beat one {OTHERS}too many positional arguments",
    "@beat(one='A', two='B')\ndef one(self): self.hold()": "has a beat with variants; add",
    "facts = None": "every stage has its own facts; rename this one",
    "prepare = None": "every stage has its own prepare; rename this one",
    "title = 5": "title is 5, and must be of type str",
    "tensors = 'pattern'": "tensors is 'pattern', and must be of type tuple",
    "tensors = ('nope',)": "tensors of Mine names 'nope'; take of x, q, k, v, ",
    "tensors = (5,)": "tensors of Mine names 5; take of x, q, k, v, ",
    "def prepare(self, x): ...": f"prepare {OTHERS}missing a required argument: 'x'",
    "def prepare(self): yield": "prepare does nothing when it is called; write it without async",
    "def variant(self): ...": f"variant {OTHERS}too many positional arguments",
    "def __init__(self): ...": f"__init__ {OTHERS}too many positional arguments",
    "def __init__(self, *a, **k): ...": "__init__ does not make a stage: call super().__init__(",
    "def prepare(self): self.facts = None": "prepare sets self.facts to None, and every stage has",
    "def prepare(self): self.facts[3] = ''\n@beat\ndef one(self):\n '{no}'\n self.hold()": (
        "there is no fact {no}; there are 3, model, prompt"
    ),
    "def drift(self): ...": "drift returns None, and must return one of type Animation",
    "def provenance_notes(self): ...": "provenance_notes returns None, and must return one of",
    "def variant(self, beat): return 5\n@beat(a='A')\ndef one(self): self.hold()": (
        "variant returns 5, and must return one of type str"
    ),
}


@pytest.mark.parametrize(("code", "message"), CLASSES.items())
def test_what_the_class_of_a_scene_says_wrongly_is_said_with_its_place(
    code: str, message: str
) -> None:
    first = "@beat\ndef first(self):\n 'One.'\n self.hold()"
    written = f"class Mine(Stage):\n{indent(first, ' ')}\n{indent(code, ' ')}"
    names: dict[str, Any] = {"Stage": Stage, "beat": beat, "__name__": __name__}
    with pytest.raises(SceneCodeError) as mistake:
        exec(compile(written, "mine.py", "exec"), names)
        names["Mine"].rehearse(make_trace())
    line = explain(mistake.value, verbose=False)
    assert re.match(rf"mine\.py line \d+(, in beat \w+)?: (Mine )?{re.escape(message)}", line), line


# Numbers and choices that would be taken in silence

NOT_A_NUMBER = "among the {} of {} is what is not a number; give 0 to 1"
COMPLEX = "ComplexWarning: Casting complex values to real discards the imaginary part; mend it"
NAN = "float('nan')"
SILENT = {
    "Matrix(np.eye(3) * 1j)": COMPLEX,
    "Heatmap(np.eye(3)).set_values(np.eye(3) * 1j)": COMPLEX,
    "Matrix(np.eye(3), masked=np.eye(2))": "masks of shape (2, 2) do not broadcast to 3 x 3 cells",
    "Matrix(np.eye(3), masked=np.eye(5))": "masks of shape (5, 5) do not broadcast to 3 x 3 cells",
    "Heatmap(np.eye(3), masked=np.eye(2))": "masks of shape (2, 2) do not broadcast to 3 x 3 cells",
    f"Heatmap(np.eye(3)).set_masked({NAN})": NOT_A_NUMBER.format("masks", "cells"),
    f"Heatmap(np.eye(3)).set_shown({NAN})": NOT_A_NUMBER.format("opacities", "cells"),
    f"self.show('Q', lit={{'Q': {NAN}}})": NOT_A_NUMBER.format("opacities", "cells"),
    f"self.show('Q', lit={{'words': {NAN}}})": NOT_A_NUMBER.format("opacities", "words"),
    "self.show('Q', words='column')": "words='column'; choose True, False, 'rows' or 'marked'",
    "self.show('Q', words=None)": "words=None; choose True, False, 'rows' or 'marked'",
    f"self.show('Q', run_time={NAN})": "run_time=nan is no time that a way takes; give seconds",
    "self.show('Q', run_time=-1)": "run_time=-1 is no time that a way takes; give seconds",
    f"self.hold({NAN})": "run_time of Wait is nan; make it a finite number",
    "self.play(Appear(Square()), run_time=float('inf'))": "run_time of Appear is inf; make it",
    f"self.play(Appear(Square()), Appear(Square(), run_time={NAN}))": "run_time of Appear is nan",
    f"self.play(AnimationGroup(Appear(Square(), run_time={NAN})))": "run_time of AnimationGroup is",
    f"self.play(LaggedStart(Appear(Square()), lag_ratio={NAN}))": "lag_ratio of LaggedStart is nan",
    f"self.dim(self.cells, to={NAN})": "a presence of nan cannot be seen; give 0 to 1",
    f"Shot(theta={NAN})": "Shot(center=(0.0, 0.0, 0.0), height=8.0, theta=nan, phi=0.0, focal=1.6)",
}


@pytest.mark.parametrize(("line", "message"), SILENT.items())
def test_what_has_no_picture_is_refused_where_it_is_given(line: str, message: str) -> None:
    code = scene_with(line)
    number = code[: code.index("# HERE")].count("\n") + 1
    names: dict[str, Any] = {"Matrix": Matrix, "Shot": Shot, "__name__": __name__}
    names |= {"AnimationGroup": AnimationGroup, "LaggedStart": LaggedStart}
    exec(compile(code, "mine.py", "exec"), names)
    with pytest.raises((SceneCodeError, np.exceptions.ComplexWarning)) as mistake:
        names["Mine"].rehearse(make_trace())
    said = explain(mistake.value, verbose=False)
    assert said.startswith(f"mine.py line {number}, in beat wrong: {message}")


def test_a_scene_may_show_whatever_its_trace_has_in_each_layer() -> None:
    trace = Trace.load(SHIPPED)
    named = {name.partition(".")[0] for name in trace.tensors if re.search(r"^\w+\.\d+$", name)}
    assert named <= {*TENSORS}


@pytest.mark.parametrize("line", ["Mine = 5", "Mine = int"])
def test_a_class_that_is_no_stage_is_refused(line: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(line)
    with pytest.raises(SceneCodeError, match=r"no Stage in Mine; write class Mine\(Stage\)"):
        SceneEntry("mine", "", "scene_file_mine_no_stage", "Mine", file=file).load()


# Heatmaps say which cells they have


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda cells: cells.row(2), "has no row 2; choose 0 to 1, or -1 for the last one"),
        (lambda cells: cells.row(-3), "has no row -3; choose 0 to 1"),
        (lambda cells: cells.column(3), "has no column 3; choose 0 to 2"),
        (lambda cells: cells.cell(0, -4), "has no column -4; choose 0 to 2"),
        (lambda cells: cells.block((0, 3), (0, 1)), "has no rows 0 to 2; choose 0 to 1"),
        (lambda cells: cells.block((0, 1), (2, 5)), "has no columns 2 to 4; choose 0 to 2"),
        (lambda cells: cells.block((-1, 1), (0, 1)), "has no rows -1 to 0; choose 0 to 1"),
        (lambda cells: cells.part((0, 3), (0, 1)), "has no rows 0 to 2; choose 0 to 1"),
        (lambda cells: cells.part((0, 1), (-2, 1)), "has no columns -2 to 0; choose 0 to 2"),
    ],
)
def test_cells_that_are_not_there_are_refused(ask: object, message: str) -> None:
    cells = Heatmap([[1, 2, 3], [4, 5, 6]])
    with pytest.raises(SceneCodeError, match=re.escape(f"a heatmap of 2 x 3 {message}")):
        ask(cells)  # type: ignore[operator]


def test_the_last_cells_may_be_counted_from_the_end() -> None:
    cells = Heatmap([[1, 2, 3], [4, 5, 6]])
    assert cells.row(-1) == cells.row(1)
    assert cells.column(-3) == cells.column(0)
    assert cells.cell(-1, -1) == cells.cell(1, 2)


def test_cells_that_are_no_numbers_are_masked_or_refused() -> None:
    cells = Heatmap([[1, np.nan]], Norm.unit(), masked=np.array([[False, True]]))
    assert cells.texture()
    with pytest.raises(SceneCodeError, match="shows what is not a number; mask these cells"):
        cells.set_masked(0).texture()


def test_a_heatmap_at_no_place_is_refused() -> None:
    cells = Heatmap([[1, 2]]).shift([np.inf, 0, 0])
    with pytest.raises(SceneCodeError, match="a Heatmap lies at a place that is infinite or"):
        StageCamera().capture_mobjects([cells])


def test_a_scene_without_a_beat_is_refused_at_its_class(calling: Calling, tmp_path: Path) -> None:
    code = "from filmkit import Stage\n\n\nclass Empty(Stage):\n    def only(self):\n        pass\n"
    (tmp_path / "none.py").write_text(code)
    done = calling("none.py", "--quality", "draft", "--quiet", folder=tmp_path)
    message = "none.py line 4: Empty has no beat to play; write @beat above a method"
    assert_one_line(done, 1, f"Error: none: {message}")
    assert not any(tmp_path.rglob("*.mp4"))
