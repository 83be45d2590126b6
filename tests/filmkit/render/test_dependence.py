"""Whatever a scene shows, and however it comes by it: when that changes, its film does too.

Each way in which a scene can depend on something has a scene of its own. All are rehearsed; then
everything that they depend on is changed, and they are rehearsed again: keys of what looks
different must differ, and no others. After that, changes that no picture shows are made.
"""

from __future__ import annotations

import os
import py_compile
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from filmkit.commands.scene_files import find_scene
from filmkit.render import jobs
from filmkit.render.cache import Cache
from filmkit.render.errors import EditedError
from filmkit.render.jobs import make_films
from filmkit.render.keys import LOADED
from filmkit.render.movie import MP4
from filmkit.render.quality import Quality
from filmkit.render.rehearsals import Rehearsals
from filmkit.render.workers import RenderJob, SceneWorker
from tests.support.calling import Calling, assert_one_line, call, calling
from tests.support.checkout import PROJECT
from tests.support.filming import pictures, render_request, segments
from tests.support.traces import make_trace

__all__ = ["calling"]  # the fixture

SCENE = """
from manim import Square
from filmkit import Stage, beat
{top}

class Shown(Stage):
    title = "A title"

    @beat
    def before(self):
        '''First of all.'''
        self.show(1)

    @beat
    def shown(self):
        '''Then comes what is shown.'''
        {body}
        self.show(size)

    @beat
    def after(self):
        '''And this is all.'''
        self.wait(0.2)

    def show(self, size):
        self.add(Square(side_length=float(size)))
        self.wait(0.2)
"""

BEFORE, SHOWN, AFTER = BEATS = ("before", "shown", "after")

Change = Callable[[Path], object]
Keys = dict[str, tuple[str, str]]


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def database(path: Path, value: float) -> None:
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as connection:
        connection.execute("create table sizes (size real)")
        connection.execute("insert into sizes values (?)", (value,))
    connection.close()


def logged(path: Path, value: float) -> None:
    """Write a database whose last change is still in its log, in a file beside it."""
    connection = sqlite3.connect(path)
    connection.execute("pragma journal_mode = wal")
    connection.execute("create table if not exists sizes (size real)")
    connection.execute("delete from sizes")
    connection.execute("insert into sizes values (?)", (value,))
    connection.commit()
    OPEN.append(connection)  # closing it would empty the log


OPEN: list[sqlite3.Connection] = []


def dated(path: Path, seconds: float) -> None:
    text(path, "")
    os.utime(path, (seconds, seconds))


def picture(path: Path, level: int) -> None:
    Image.new("L", (3, 3), level).save(path)


@dataclass(frozen=True)
class Way:
    """A way in which a scene depends on something.

    Attributes
    ----------
    body
        Code that finds a ``size`` in a beat.
    top
        Code at the top of the scene's file.
    before, after
        Make what it depends on, in the scene's folder, and change it.
    edit
        Text in the scene's file, and what it becomes.
    shown
        The beats that show it: what a beat adds stays.
    """

    body: str
    top: str = ""
    before: Change = lambda folder: None
    after: Change = lambda folder: None
    edit: tuple[str, str] = ("", "")
    shown: tuple[str, ...] = (SHOWN, AFTER)


def way(body: str, top: str, name: str, before: str, after: str) -> Way:
    """A way that leads to a file of text."""
    return Way(
        body,
        top,
        lambda folder: text(folder / name, before),
        lambda folder: text(folder / name, after),
    )


HERE = "from pathlib import Path; HERE = Path(__file__).parent"
MODULE = ("SIZE = 1\n", "SIZE = 2\n")

WAYS = {
    # Code
    "a number in the beat": Way("size = 1.0", edit=("size = 1.0", "size = 2.0")),
    "a constant": Way("size = SIZE", "SIZE = 1", edit=("SIZE = 1", "SIZE = 2")),
    "a method": Way(
        "size = 1", edit=("side_length=float(size)", "side_length=1 + size"), shown=BEATS
    ),
    "a base class": Way(
        "size = Base().size",
        "class Base:\n    size = 1",
        edit=("    size = 1", "    size = 2"),
    ),
    "a module beside it": way("size = mine_1.SIZE", "import mine_1", "mine_1.py", *MODULE),
    "a name of a module": way("size = SIZE", "from mine_2 import SIZE", "mine_2.py", *MODULE),
    "all names of a module": way("size = SIZE", "from mine_3 import *", "mine_3.py", *MODULE),
    "a module in a folder": way(
        "size = SIZE", "from pack.inner import SIZE", "pack/inner.py", *MODULE
    ),
    "another beat": Way(
        "self.after(); size = 1",
        edit=("self.wait(0.2)\n\n    def show", "self.wait(0.4)\n\n    def show"),
    ),
    "when a beat plays": Way(
        "size = 1",
        edit=("    @beat\n    def after", "    @beat(when=lambda trace: False)\n    def after"),
        shown=(AFTER,),
    ),
    "an import in a beat": way("from mine_4 import SIZE as size", "", "mine_4.py", *MODULE),
    "importlib": way(
        "import importlib; size = importlib.import_module('mine_' + '5').SIZE",
        "",
        "mine_5.py",
        *MODULE,
    ),
    "getattr": Way(
        "size = getattr(Sizes, 'a_' + 'size')",
        "class Sizes:\n    a_size = 1",
        edit=("a_size = 1", "a_size = 2"),
    ),
    "a beat by its name": Way(
        "getattr(self, 'aft' + 'er')(); size = 1",
        edit=("self.wait(0.2)\n\n    def show", "self.wait(0.4)\n\n    def show"),
    ),
    "globals": Way(
        "size = globals()['SI' + 'ZE']",
        "SIZE = 1",
        edit=("SIZE = 1", "SIZE = 2"),
    ),
    "eval": Way("size = eval('SI' + 'ZE')", "SIZE = 1", edit=("SIZE = 1", "SIZE = 2")),
    "exec of a file": way(
        "names = {}; exec((HERE / 'size.txt').read_text(), names); size = names['SIZE']",
        HERE,
        "size.txt",
        *MODULE,
    ),
    "a file that is run": way(
        "import runpy; size = runpy.run_path(str(HERE / 'size.py'))['SIZE']",
        HERE,
        "size.py",
        *MODULE,
    ),
    "sys.path": way(
        "import sys; sys.path.insert(0, str(HERE / 'lib')); from mine_6 import SIZE as size",
        HERE,
        "lib/mine_6.py",
        *MODULE,
    ),
    "PYTHONPATH": way("from mine_7 import SIZE as size", "", "../elsewhere/mine_7.py", *MODULE),
    "another module of that name": Way(
        "import sys; sys.path[:0] = [str(HERE / 'new'), str(HERE / 'old')]\n"
        "        from mine_8 import SIZE as size",
        HERE,
        before=lambda folder: text(folder / "old" / "mine_8.py", "SIZE = 1\n"),
        after=lambda folder: text(folder / "new" / "mine_8.py", "SIZE = 2\n"),
    ),
    "a module that is not there": Way(
        "size = 1\n        try:\n            from mine_9 import SIZE as size\n"
        "        except ImportError:\n            pass",
        after=lambda folder: text(folder / "mine_9.py", "SIZE = 2\n"),
    ),
    # Words as data
    "a docstring": Way(
        "size = len(type(self).after.__doc__)",
        edit=("this is all", "this is really all"),
    ),
    "narration": Way(
        "size = len(self.narration('after').text)",
        edit=("this is all", "this is really all"),
    ),
    "its own code": Way(
        "import inspect; size = len(inspect.getsource(type(self)))",
        edit=("this is all", "this is really all"),
    ),
    "its title": Way("size = len(self.title)", edit=("A title", "Another title")),
    # Data
    "a text file": way("size = (HERE / 'a.txt').read_text()", HERE, "a.txt", "1", "2"),
    "a file in the current folder": way(
        "size = open('../elsewhere/b.txt').read()", "", "../elsewhere/b.txt", "1", "2"
    ),
    "when it is loaded": way(
        "size = SIZE",
        f"{HERE}; SIZE = (HERE / 'c.txt').read_text()",
        "c.txt",
        "1",
        "2",
    ),
    "a file of NumPy": Way(
        "import numpy; size = numpy.load(HERE / 'a.npz')['size']",
        HERE,
        before=lambda folder: np.savez(folder / "a.npz", size=1.0),
        after=lambda folder: np.savez(folder / "a.npz", size=2.0),
    ),
    "numbers as bytes": Way(
        "import numpy; size = numpy.memmap(HERE / 'a.bin', 'float64', 'r')[0]",
        HERE,
        before=lambda folder: np.array([1.0]).tofile(folder / "a.bin"),
        after=lambda folder: np.array([2.0]).tofile(folder / "a.bin"),
    ),
    "an image": Way(
        "from PIL import Image; size = Image.open(HERE / 'a.png').getpixel((0, 0)) / 100",
        HERE,
        before=lambda folder: picture(folder / "a.png", 100),
        after=lambda folder: picture(folder / "a.png", 200),
    ),
    "an image of OpenCV": Way(
        "import cv2; size = cv2.imread(str(HERE / 'b.png')).mean() / 100",
        HERE,
        before=lambda folder: picture(folder / "b.png", 100),
        after=lambda folder: picture(folder / "b.png", 200),
    ),
    "a drawing": way(
        "from manim import SVGMobject; size = SVGMobject(str(HERE / 'a.svg')).width",
        HERE,
        "a.svg",
        '<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="3"/></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="5"/></svg>',
    ),
    "a second trace": Way(
        "from extract.trace import Trace\n"
        "        size = 1 + Trace.load(HERE / 'a.safetensors')['pattern.0'].std()",
        HERE,
        before=lambda folder: make_trace(seed=1).save(folder / "a.safetensors"),
        after=lambda folder: make_trace(seed=2).save(folder / "a.safetensors"),
    ),
    "tensors": Way(
        "from safetensors.numpy import load_file\n"
        "        size = 1 + load_file(HERE / 'b.safetensors')['pattern.0'].std()",
        HERE,
        before=lambda folder: make_trace(seed=1).save(folder / "b.safetensors"),
        after=lambda folder: make_trace(seed=2).save(folder / "b.safetensors"),
    ),
    "a database": Way(
        "import sqlite3; sizes = sqlite3.connect(HERE / 'a.db').execute('select * from sizes')\n"
        "        size = sizes.fetchone()[0]",
        HERE,
        before=lambda folder: database(folder / "a.db", 1),
        after=lambda folder: database(folder / "a.db", 2),
    ),
    "which files there are": Way(
        "size = len(list((HERE / 'many').glob('*')))",
        HERE,
        before=lambda folder: text(folder / "many" / "1", ""),
        after=lambda folder: text(folder / "many" / "2", ""),
    ),
    "a file that is not there": Way(
        "size = 1 + (HERE / 'there').exists()",
        HERE,
        after=lambda folder: text(folder / "there", ""),
    ),
    "by a thread": way(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "        with ThreadPoolExecutor() as pool:\n"
        "            size, = pool.map(Path.read_text, [HERE / 'd.txt'])",
        HERE,
        "d.txt",
        "1",
        "2",
    ),
    "the size of a file": way(
        "import os; size = os.path.getsize(HERE / 'e.txt') / 10",
        HERE,
        "e.txt",
        "12345",
        "123456789",
    ),
    "the time of a file": Way(
        "import os; size = os.path.getmtime(HERE / 'f.txt') / 1000",
        HERE,
        before=lambda folder: dated(folder / "f.txt", 1000),
        after=lambda folder: dated(folder / "f.txt", 2000),
    ),
    "the state of a file": Way(
        "import os; size = os.stat(HERE / 'g.txt').st_mode / 10000",
        HERE,
        before=lambda folder: text(folder / "g.txt", ""),
        after=lambda folder: (folder / "g.txt").chmod(0o600),
    ),
    "what may be done with it": Way(
        "import os; size = 1 + os.access(HERE / 'h.txt', os.X_OK)",
        HERE,
        before=lambda folder: text(folder / "h.txt", ""),
        after=lambda folder: (folder / "h.txt").chmod(0o700),
    ),
    "where a link leads": Way(
        "import os; size = len(os.readlink(HERE / 'link'))",
        HERE,
        before=lambda folder: (folder / "link").symlink_to("one"),
        after=lambda folder: ((folder / "link").unlink(), (folder / "link").symlink_to("another")),
    ),
    "a database that is being written": Way(
        "import sqlite3; sizes = sqlite3.connect(HERE / 'b.db').execute('select * from sizes')\n"
        "        size = sizes.fetchone()[0]",
        HERE,
        before=lambda folder: logged(folder / "b.db", 1),
        after=lambda folder: logged(folder / "b.db", 2),
    ),
    "which modules there are": Way(
        "from importlib.util import find_spec; size = 1 + bool(find_spec('mine_10'))",
        after=lambda folder: text(folder / "mine_10.py", ""),
    ),
    # Surroundings
    "a variable": Way("import os; size = os.environ['SIZE_1']"),
    "a variable with a default": Way("import os; size = os.getenv('SIZE_2', '1')"),
    "a variable as bytes": Way("import os; size = os.environb.get(b'SIZE_3', b'1').decode()"),
    "all variables": Way("import os; size = len(dict(os.environ)) / 10"),
    "the current folder": Way("import os; size = len(os.getcwd()) / 50"),
    "another program": way(
        "import subprocess; size = subprocess.check_output(['cat', str(HERE / 'i.txt')])",
        HERE,
        "i.txt",
        "1",
        "2",
    ),
}

# They read words, so that other words are other data.
READERS = ("a docstring", "narration", "its own code", "its title")
# Some of the others, to save time.
WORDLESS = [name for name in WAYS if name not in READERS][::3]
VARIABLES = "SIZE_1", "SIZE_2", "SIZE_3"


class Ways:
    """A folder with a scene for each way; they are rehearsed, changed, and rehearsed again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "scenes_of_mine"
        self.trace = folder / "trace.safetensors"
        self.cache = Cache(folder / "cache", 10**9)
        self.cache.folder.mkdir()
        make_trace().save(self.trace)
        self.files = {name: self.folder / f"way_{i}.py" for i, name in enumerate(WAYS)}
        for name, way in WAYS.items():
            text(self.files[name], SCENE.format(top=way.top, body=way.body))
            way.before(self.folder)

    def keys(self, names: Collection[str] = WAYS) -> dict[str, Keys]:
        """The keys of the beats of scenes, and of their tails, by their ways."""
        request = render_request((), self.trace, self.folder)
        rehearsals = Rehearsals(replace(request, jobs=None), self.cache, hashed=True)
        entries = {name: find_scene(str(self.files[name])) for name in names}
        rehearsals.prepare(entries.values())
        return {
            name: {record.name: record.seen for record in rehearsals.get(entry).beats}
            for name, entry in entries.items()
        }

    def edit(self, name: str, old: str, new: str) -> None:
        code = self.files[name].read_text()
        assert old in code
        self.files[name].write_text(code.replace(old, new, 1))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Keys]]:
    """The keys before anything is changed, after that, and after what no picture shows."""
    ways = Ways(tmp_path_factory.mktemp("ways"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ways.folder)
        patch.syspath_prepend(ways.folder.parent / "elsewhere")
        patch.setenv("SIZE_1", "1")
        found = [ways.keys(), ways.keys()]
        assert found[0] == found[1]
        for name, way in WAYS.items():
            way.after(ways.folder)
            ways.edit(name, *way.edit)
        for variable in VARIABLES:
            patch.setenv(variable, "2")
        (ways.folder / "deeper").mkdir()
        # A module that it names is found as before: its place is on the path.
        patch.chdir(ways.folder / "deeper")
        text(ways.folder / "elsewhere" / "b.txt", "2")
        found.append(ways.keys())
        for name in WORDLESS:
            ways.edit(name, "this is all", "that is all")
            ways.edit(name, "    title = ", "    # A comment.\n    title = 'Other words: ' ")
            ways.edit(name, "def show(self, size)", "def show(self, size: float) -> None")
        text(ways.folder / "unrelated.txt", "new")
        text(ways.folder / "unrelated.py", "new")
        patch.setenv("SIZE_4", "2")
        found.append(ways.keys(WORDLESS))
    return found[1:]


@pytest.mark.slow
@pytest.mark.parametrize("name", WAYS)
def test_a_change_of_what_a_scene_shows_changes_its_keys(
    keys: list[dict[str, Keys]], name: str
) -> None:
    before, after = (found[name] for found in keys[:2])
    assert tuple(b for b in BEATS if before[b] != after.get(b)) == WAYS[name].shown


@pytest.mark.slow
@pytest.mark.parametrize("name", WORDLESS)
def test_words_and_other_things_change_no_key(keys: list[dict[str, Keys]], name: str) -> None:
    before, after = (found[name] for found in keys[1:])
    assert before == after


# What is another picture each time

RESTLESS = {
    "a clock": "import time; size = time.monotonic() % 2",
    "a random number": "import random; size = random.SystemRandom().random()",
    "a number that grows": (
        "path = Path(__file__).with_name('count.txt')\n"
        "        size = int(path.read_text()) / 100\n"
        "        path.write_text(str(int(path.read_text()) + 1))"
    ),
}


@pytest.mark.parametrize("what", RESTLESS)
def test_what_draws_something_else_each_time_is_drawn_and_not_kept(
    what: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trace_file, scene = tmp_path / "trace.safetensors", tmp_path / "mine.py"
    make_trace().save(trace_file)
    text(tmp_path / "count.txt", "100")
    text(scene, SCENE.format(top="from pathlib import Path", body=RESTLESS[what]))
    request = render_request((find_scene(str(scene)),), trace_file, tmp_path, cache=tmp_path / "c")
    films = []
    for _run in range(2):
        assert make_films(replace(request, quality=Quality(160, 90, 5), quiet=False))
        line = "mine draws something else each time that it runs, so it is drawn again each time\n"
        assert capfd.readouterr().err.count(line) == 1
        films.append(pictures(tmp_path / "mine.mp4"))
    assert len(films[0]) == len(films[1])
    assert (films[0][-1] != films[1][-1]).any()
    kept = segments(tmp_path / "c")
    assert len(kept) == 2, "the first beat and its tail, which are always the same"


def test_an_edit_while_a_film_is_begun_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What was rehearsed is not what is drawn: neither can be kept under the name of the other."""
    trace_file, scene = tmp_path / "trace.safetensors", tmp_path / "mine.py"
    make_trace().save(trace_file)
    text(scene, SCENE.format(top="", body="size = 1"))
    plan = jobs.plan_films

    def plan_and_edit(*arguments: Any, **options: Any) -> Any:
        plans = plan(*arguments, **options)
        text(scene, SCENE.format(top="", body="size = 2"))
        return plans

    monkeypatch.setattr(jobs, "plan_films", plan_and_edit)
    request = render_request((find_scene(str(scene)),), trace_file, tmp_path, cache=tmp_path / "c")
    assert not make_films(request)
    assert capfd.readouterr().err == f"Error: mine: {EditedError()}\n"
    assert not (tmp_path / "mine.mp4").exists()


def test_other_code_that_draws_is_not_used_for_the_same_keys(tmp_path: Path) -> None:
    trace_file = tmp_path / "trace.safetensors"
    make_trace().save(trace_file)
    request = render_request((), trace_file, tmp_path)
    job = RenderJob((), request, MP4, drawing=LOADED, files={})
    SceneWorker(job)
    with pytest.raises(EditedError):
        SceneWorker(replace(job, drawing="another"))


FLASH = """
from manim import Square
from filmkit import Stage, beat

class Mine(Stage):
    @beat
    def only(self):
        '''It flashes for a frame.'''
        square = Square(fill_opacity=1.0)
        time = [0.0]

        def flash(square, dt):
            time[0] += dt
            square.set_fill(opacity={light} if 0.65 < time[0] < 0.75 else 0.0)

        self.add(square.add_updater(flash))
        self.wait(1.0)
"""


def test_not_even_a_flash_of_one_frame_is_missed(tmp_path: Path) -> None:
    """Looks at the pictures at a few moments would find that nothing has changed."""
    trace_file, scene = tmp_path / "trace.safetensors", tmp_path / "mine.py"
    make_trace().save(trace_file)
    request = render_request((), trace_file, tmp_path)
    found = []
    for light in (0.0, 1.0, 1.0):
        text(scene, FLASH.format(light=light))
        rehearsals = Rehearsals(request, Cache(tmp_path / "c", 0), hashed=True)
        found.append(rehearsals.get(find_scene(str(scene))).beat("only").seen)
    assert found[0][0] != found[1][0] == found[2][0]
    assert found[0][1] == found[1][1], "the tail"


# How Python runs


# Either way Python compiles all that it imports, and Python tells both ways alike.
@pytest.mark.parametrize("way", ["-OO", pytest.param("PYTHONOPTIMIZE", marks=pytest.mark.slow)])
def test_python_without_docstrings_is_refused(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text(tmp_path / "mine.py", SCENE.format(top="", body="size = 1"))
    monkeypatch.setenv("ATTENTION_FILM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONOPTIMIZE", "" if way == "-OO" else "2")
    python = [sys.executable, *(["-OO"] if way == "-OO" else [])]
    done = subprocess.run(
        [*python, PROJECT / "render.py", "mine.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert_one_line(done, 2, "Python leaves out docstrings", "PYTHONOPTIMIZE unset")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


@pytest.mark.parametrize("program", [["render.py"], ["-m", "extract"]])
def test_python_without_docstrings_is_refused_before_what_is_slow_is_loaded(
    program: list[str],
) -> None:
    done = subprocess.run(
        [sys.executable, "-OO", "-X", "importtime", *program, "--help"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    *loaded, message = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert message.startswith("Error: Python leaves out docstrings")
    names = {line.rpartition("|")[2].strip() for line in loaded}
    assert names & {"manim", "torch", "transformers"} == set()


def test_python_without_assertions_has_keys_of_its_own() -> None:
    code = "from filmkit.render.keys import surroundings; print(surroundings()['Python'])"
    found = {
        subprocess.check_output([sys.executable, *options, "-c", code], cwd=PROJECT)
        for options in ([], ["-O"])
    }
    assert len(found) == 2


def test_an_edit_of_the_same_length_within_a_second_is_seen(
    calling: Calling, tmp_path: Path
) -> None:
    """Python itself would run the bytecode of the code before."""
    text(tmp_path / "mine.py", SCENE.format(top="", body="from beside import SIZE; size = SIZE"))
    beside = tmp_path / "beside.py"
    text(beside, "SIZE = nothing\n")
    py_compile.compile(str(beside))
    before = beside.stat().st_mtime_ns
    text(beside, "SIZE = 1.00000\n")
    os.utime(beside, ns=(before, before))
    done = calling("--list", "mine.py", folder=tmp_path)
    assert done.returncode == 0, done.stderr


# Films and stills

SHOWN_BY_ALL = """
import os
from pathlib import Path
from manim import Rectangle
from filmkit import Stage, beat

class Mine(Stage):
    @beat
    def only(self):
        '''It is there.'''
        from beside import WIDTH
        height = float((Path(__file__).parent / "height.txt").read_text())
        opacity = float(os.environ["OPACITY"])
        self.add(Rectangle(width=WIDTH, height=height, fill_opacity=opacity, stroke_width=0))
        self.wait(0.2)
"""


@pytest.mark.slow
def test_films_show_what_stills_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def change(width: int, height: int, opacity: float) -> None:
        text(tmp_path / "beside.py", f"WIDTH = {width}\n")
        text(tmp_path / "height.txt", str(height))
        monkeypatch.setenv("OPACITY", str(opacity))

    text(tmp_path / "mine.py", SHOWN_BY_ALL)
    found = []
    for shown in ((3, 3, 1.0), (9, 3, 1.0), (9, 5, 1.0), (9, 5, 0.5), (9, 5, 0.5)):
        change(*shown)
        for options in (["--calm"], ["--still", "all"]):
            done = call("mine.py", "--quality", "draft", "--quiet", *options, folder=tmp_path)
            assert (done.returncode, done.stderr) == (0, "")
        still = np.asarray(Image.open(tmp_path / "videos" / "mine" / "01_only.png").convert("RGB"))
        film = pictures(tmp_path / "videos" / "mine.mp4")[-1]
        middle = slice(100, 380), slice(100, 750)  # there are no notes
        assert np.abs(still[middle].astype(int) - film[middle]).mean() < 2
        found.append(film[middle].mean())
    assert len(set(found)) == 4
    assert found[-1] == found[-2]
