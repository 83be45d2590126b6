"""Edits: every way to save one is noticed, and what was drawn before it is not shown any more."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from filmkit.core.scene_entry import SceneEntry
from filmkit.render import edits as edits_module
from filmkit.render.edits import EditLoop, EditWatcher, syntax_errors
from tests.support.edits import TIMEOUT, by_renaming, wait_until
from tests.support.filming import render_request
from tests.support.traces import make_trace

# What counts as an edit


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("filmkit/mobjects", "scenes/mine/locale", "own/locale", "extract", "traces"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "filmkit" / "mobjects" / "shape.py").write_text("one")
    (tmp_path / "scenes" / "__init__.py").touch()
    for name in ("scenes/mine/locale/fr.po", "own/my_scene.py", "own/locale/fr.po"):
        (tmp_path / name).write_bytes(b"one")
    for name in ("traces/mine.safetensors", "own/compared.safetensors"):
        (tmp_path / name).write_bytes(b"one")
    return tmp_path


FILES = (
    "filmkit/mobjects/shape.py",
    "own/compared.safetensors",
    "own/locale/fr.po",
    "own/my_scene.py",
    "scenes/mine/locale/fr.po",
    "traces/mine.safetensors",
)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A save takes as long as it takes, as on a machine that stands still meanwhile."""
    monkeypatch.setattr(edits_module, "SAVE_SECONDS", TIMEOUT)


@pytest.fixture
def watcher(project: Path) -> Iterator[EditWatcher]:
    own = [project / "own" / "my_scene.py"]
    traces = [
        project / name
        for name in (
            "traces/mine.safetensors",
            "own/compared.safetensors",
            "gone/one.safetensors",
        )
    ]
    with EditWatcher(project, traces, own) as watcher:
        yield watcher


@pytest.fixture
def edits(project: Path, watcher: EditWatcher) -> list[list[str]]:
    """The files of each noticed edit, in order; the list grows."""
    noticed: list[list[str]] = []

    def note_edits() -> None:
        # Nothing is edited once the watcher has ended.
        while edited := watcher.wait():
            noticed.append([str(path.relative_to(project)) for path in edited])

    threading.Thread(target=note_edits, daemon=True).start()
    return noticed


def in_place(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def to_backup(path: Path) -> None:
    path.rename(path.with_name(path.name + ".bak"))


def emptied(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (None, in_place),
        (None, by_renaming),
        (to_backup, in_place),
        (Path.unlink, in_place),
        (emptied, in_place),
    ],
)
def test_every_way_of_saving_is_noticed_and_is_one_edit(
    project: Path,
    watcher: EditWatcher,
    edits: list[list[str]],
    patient: None,
    begin: Callable[[Path], None] | None,
    end: Callable[[Path, bytes], None],
) -> None:
    for times, data in enumerate((b"two", b"three"), 1):
        if begin:
            begun = time.monotonic()
            for name in FILES:
                begin(project / name)
            wait_until(lambda: watcher.last_event > begun)  # noqa: B023 (it is called here)
            time.sleep(4 * edits_module.SETTLE_SECONDS)  # it looks at what is there
            assert len([*chain(*edits)]) == (times - 1) * len(FILES)
        for name in FILES:
            end(project / name, data)
        wait_until(
            lambda: Counter(chain(*edits)) == dict.fromkeys(FILES, times)  # noqa: B023
        )


def test_new_and_deleted_files_are_noticed(project: Path, edits: list[list[str]]) -> None:
    new = project / "filmkit" / "mobjects" / "more" / "new.py"
    new.parent.mkdir()
    by_renaming(new, b"one")
    wait_until(lambda: ["filmkit/mobjects/more/new.py"] in edits)
    new.unlink()
    wait_until(lambda: edits.count(["filmkit/mobjects/more/new.py"]) == 2)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes with a path")
def test_pipes_are_not_read(project: Path) -> None:
    """They would keep the watcher waiting."""
    pipes = [project / "traces" / "pipe.safetensors", project / "own" / "pipe.py"]
    for pipe in pipes:
        os.mkfifo(pipe)
    with EditWatcher(project, pipes[:1], pipes[1:]) as watcher:
        new = project / "extract" / "new.py"
        new.write_text("new")
        assert watcher.wait() == [new]
    assert syntax_errors(pipes) == {pipes[1]: f"{pipes[1]} is not a file"}


def test_it_ends_also_where_it_has_just_noticed_something(
    watcher: EditWatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = iter([watcher.end])
    monkeypatch.setattr(edits_module.time, "sleep", lambda seconds: next(ends, list)())
    watcher.follow({})
    edited: list[list[Path]] = []
    thread = threading.Thread(target=lambda: edited.append(watcher.wait()), daemon=True)
    thread.start()
    thread.join(10)
    assert edited == [[]]


def test_what_goes_while_it_is_read_is_passed_over(
    project: Path, watcher: EditWatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(path: object) -> Any:
        raise FileNotFoundError(path)

    scan = os.scandir
    folder = project / "scenes" / "mine"
    monkeypatch.setattr(os, "scandir", lambda path: (gone if Path(path) == folder else scan)(path))
    monkeypatch.setattr(Path, "read_bytes", gone)
    (project / "extract" / "new.py").write_text("new")
    edited = watcher.wait()
    assert {path.name for path in edited} == {"fr.po", "new.py"}
    assert syntax_errors(edited) == {}


def test_saves_without_a_change_are_ignored(
    project: Path, edits: list[list[str]], patient: None
) -> None:
    shape = project / "filmkit" / "mobjects" / "shape.py"
    shape.write_text("one")
    (project / "scenes" / "notes.txt").write_text("not code")
    (project / "traces" / "other.safetensors").write_bytes(b"another")
    by_renaming(shape, b"one")
    by_renaming(project / "extract" / "last.py", b"this one is new")
    wait_until(lambda: bool(edits))
    assert edits == [["extract/last.py"]]


# What is drawn after an edit


class FakeArtist:
    """Stands for the process that draws."""

    def __init__(
        self,
        function: str,
        arguments: tuple[object, ...],
        hear: Callable[[Any, dict[str, Any]], None],
        **options: Any,
    ) -> None:
        self._hear = hear
        self.stopped = False

    def say(self, kind: str, **content: Any) -> None:
        self._hear(self, {"kind": kind, **content})

    def stop(self) -> threading.Thread:
        self.stopped = True
        thread = threading.Thread()
        thread.start()
        return thread


class Drawing:
    """A scene that is drawn after every edit, by artists that do what the test says."""

    def __init__(self, project: Path) -> None:
        self.scene = project / "own" / "my_scene.py"
        self.trace = project / "traces" / "mine.safetensors"
        self.other = project / "filmkit" / "mobjects" / "shape.py"
        make_trace().save(self.trace)
        entry = SceneEntry("mine", "Mine", "mine", "Mine", file=self.scene)
        request = render_request((entry,), self.trace, project)
        self.heard: list[Any] = []
        self.loop = EditLoop(
            request, "", (), self.heard.append, lambda files: files == [self.other]
        )

    @property
    def artist(self) -> FakeArtist:
        artist = self.loop._artist
        assert isinstance(artist, FakeArtist)
        return artist

    def edit(self, path: Path, text: str) -> FakeArtist:
        """Save an edit; return who draws then."""
        count = self.heard.count(DRAWN_AGAIN)
        by_renaming(path, text.encode())
        wait_until(lambda: self.heard.count(DRAWN_AGAIN) > count)
        return self.artist


DRAWN_AGAIN = {"kind": "drawing", "edited": True}


@pytest.fixture
def drawing(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Drawing]:
    monkeypatch.setattr(edits_module, "PROJECT", project)
    monkeypatch.setattr(edits_module, "AskedProcess", FakeArtist)
    drawing = Drawing(project)
    thread = threading.Thread(target=drawing.loop.run)
    thread.start()
    try:
        wait_until(lambda: drawing.heard == [{"kind": "drawing", "edited": False}])
        yield drawing
    finally:
        artist = drawing.loop._artist
        drawing.loop.end()
        thread.join(TIMEOUT)
    assert artist is None or artist.stopped


def test_what_was_drawn_before_an_edit_is_not_heard_after_it(drawing: Drawing) -> None:
    before = drawing.artist
    before.say("still", beat="one")
    after = drawing.edit(drawing.scene, "two = 2")
    assert before.stopped
    assert not after.stopped
    for kind in ("still", "error", "done"):
        before.say(kind, text="")
    after.say("beat", name="one")
    after.say("done")
    assert drawing.heard[1:] == [{"kind": "still", "beat": "one"}, DRAWN_AGAIN, {"kind": "done"}]


def test_while_a_file_is_no_valid_python_the_last_valid_one_is_drawn(drawing: Drawing) -> None:
    artist, other = drawing.artist, drawing.other.with_name("new.py")
    for count, path in enumerate((drawing.scene, other), 1):
        by_renaming(path, b"two =")
        wait_until(lambda: len(drawing.heard) == 1 + count)  # noqa: B023 (it is called here)
    told = [line.rpartition("/")[2] for line in drawing.heard[2]["text"].splitlines()]
    assert sorted(told) == [
        f"{path.name} line 1: invalid syntax; the last good pictures stay"
        for path in (drawing.scene, other)
    ]
    by_renaming(other, b"two = 2")
    wait_until(lambda: len(drawing.heard) == 4)
    assert [message["kind"] for message in drawing.heard] == ["drawing", *3 * ["error"]]
    assert not artist.stopped
    assert drawing.edit(drawing.scene, "two = 2") is not artist


def test_files_that_a_scene_has_read_are_watched(drawing: Drawing) -> None:
    data = drawing.scene.with_name("data.txt")
    drawing.artist.say("reads", files={str(data): ""})
    drawing.edit(data, "new")


def test_an_edit_of_what_is_not_shown_is_passed_over_unless_there_was_an_error(
    drawing: Drawing,
) -> None:
    by_renaming(drawing.other, b"two = 2")
    first = drawing.edit(drawing.scene, "two = 2")
    first.say("error", text="no")
    first.say("done")
    assert drawing.heard[1:] == [DRAWN_AGAIN, {"kind": "error", "text": "no"}]
    assert drawing.edit(drawing.other, "three = 3") is not first
    assert first.stopped


def test_an_error_while_a_file_is_saved_is_not_told_but_the_scene_drawn_again(
    drawing: Drawing,
) -> None:
    """As where an editor renames the file and puts it back, which is no edit."""
    first = drawing.artist
    drawing.scene.rename(drawing.scene.with_suffix(".old"))
    drawing.scene.with_suffix(".old").rename(drawing.scene)
    wait_until(lambda: drawing.loop._watcher.last_event > drawing.loop.started)
    first.say("error", text="there is no file")
    wait_until(lambda: drawing.heard[1:] == [DRAWN_AGAIN])
    assert first.stopped


def test_a_trace_that_cannot_be_read_is_an_error_until_it_can(drawing: Drawing) -> None:
    first, whole = drawing.artist, drawing.trace.read_bytes()
    by_renaming(drawing.trace, b"no trace")
    wait_until(lambda: len(drawing.heard) == 2)
    assert drawing.heard[1]["kind"] == "error"
    assert drawing.trace.name in drawing.heard[1]["text"]
    assert first.stopped
    by_renaming(drawing.trace, whole)
    wait_until(lambda: drawing.heard[2:] == [DRAWN_AGAIN])
