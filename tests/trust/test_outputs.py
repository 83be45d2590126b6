"""What is written goes where a path leads, and nothing that is there is lost."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from PIL import Image

from extract.support import files
from extract.support.files import OutputError, atomic_write, folder_there, write_text
from extract.support.temporary import held
from filmkit.decks import DECK_KINDS, SUFFIXES, file_name
from filmkit.render.delivery import deliver
from filmkit.render.movie import MASTER, MP4, open_movie
from filmkit.render.quality import Quality
from tests.support.calling import SCENE, Calling, assert_one_line, calling, shell

__all__ = ["calling"]

FULL, NULL = os.makedev(1, 7), os.makedev(1, 3)  # numbers of Linux's /dev/full and /dev/null


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A node of the full device: a program that is wrong must not destroy the machine's own."""
    node = tmp_path / "full"
    try:
        os.mknod(node, stat.S_IFCHR | 0o666, FULL)
        node.write_bytes(b"")
    except OSError:
        pytest.skip("device nodes cannot be made here")
    return node


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in which nothing unfinished may be left."""
    yield tmp_path
    assert [path.name for path in tmp_path.rglob("*.part")] == []


# Links


def test_a_link_is_followed(folder: Path) -> None:
    (folder / "far").mkdir()
    (folder / "far" / "file").write_text("old")
    (folder / "link").symlink_to("far/file")
    (folder / "second").symlink_to("link")
    write_text(folder / "second", "new")
    assert (folder / "second").readlink() == Path("link")
    assert (folder / "link").readlink() == Path("far/file")
    assert not (folder / "far" / "file").is_symlink()
    assert (folder / "far" / "file").read_text() == "new"


def test_a_link_to_nothing_makes_what_it_names(folder: Path) -> None:
    (folder / "link").symlink_to("far/file")
    write_text(folder / "link", "new")
    assert (folder / "link").is_symlink()
    assert (folder / "far" / "file").read_text() == "new"


def test_links_in_a_circle_are_refused(folder: Path) -> None:
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    with pytest.raises(OutputError, match="a: Too many levels of symbolic links"):
        write_text(folder / "a", "new")
    assert (folder / "a").readlink() == Path("b")


def test_a_folder_is_refused_before_any_work(folder: Path) -> None:
    (folder / "film.mp4").mkdir()
    refused = pytest.raises(OutputError, match=r"film\.mp4: Is a directory")
    with refused, atomic_write(folder / "film.mp4"):
        pytest.fail("the work was begun")


# What is no file


def test_a_device_stays_a_device(device: Path) -> None:
    with pytest.raises(OutputError, match="No space left on device; make room on that disk"):
        write_text(device, "text")
    assert device.stat().st_rdev == FULL
    assert list(device.parent.iterdir()) == [device]


def test_the_script_command_leaves_a_device(device: Path, calling: Calling) -> None:
    (device.parent / "mine.py").write_text(SCENE)
    done = calling("script", "mine.py", "--out", device, folder=device.parent)
    assert_one_line(done, 1, f"cannot write {device}: No space left on device")
    assert device.stat().st_rdev == FULL


def test_a_film_goes_into_a_device(device: Path) -> None:
    film = device.with_name("film.mp4")
    os.mknod(film, stat.S_IFCHR | 0o666, NULL)
    with open_movie(film, Quality(64, 64, 10), MP4) as movie:
        movie.write(np.zeros((64, 64, 3), np.uint8))
    assert film.stat().st_rdev == NULL


def test_a_pipe_gets_the_content(folder: Path) -> None:
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_text(pipe, "text")
    assert os.read(reader, 10) == b"text"
    os.close(reader)
    with pytest.raises(OutputError, match="pipe: it is a pipe that nobody reads"):
        write_text(pipe, "text")
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_socket_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(OutputError, match="cannot write socket: No such device or address"):
            write_text(Path("socket"), "text")
        assert stat.S_ISSOCK(Path("socket").stat().st_mode)


def test_a_disk_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(folder / "disk")
    monkeypatch.setattr(Path, "is_block_device", lambda path: path.name == "disk")
    with pytest.raises(OutputError, match="it is a disk"):
        write_text(folder / "disk", "text")


@pytest.mark.parametrize("name", [pytest.param("/proc/self/fd/1", marks=pytest.mark.slow), "link"])
def test_stdout_keeps_what_it_holds(folder: Path, name: str) -> None:
    (folder / "mine.py").write_text(SCENE)
    (folder / "log").write_text("before\n")
    (folder / "link").symlink_to("/proc/self/fd/1")
    command = f"$RENDER script mine.py --quiet --out {name} >> log"
    codes, _, err = shell(command, folder=folder)
    assert (codes, err) == ([0], "")
    assert (folder / "log").read_text().startswith("before\n# Mine\n")
    assert (folder / "link").is_symlink()


def test_the_usual_names_of_open_files_are_known() -> None:
    known = {"/dev/stdout": 1, "/dev/stderr": 2, "/dev/fd/3": 3, "/proc/self/fd/1": 1}
    assert {name: files._open_file(Path(name)) for name in known} == known
    assert files._open_file(Path("/dev/stdout.txt")) is None


# Folders of frames


def frames(folder: Path) -> Path:
    """Deliver a film of one black frame as a folder of frames."""
    master = folder / "master.mov"
    with open_movie(master, Quality(64, 64, 10), MASTER) as movie:
        movie.write(np.zeros((64, 64, 3), np.uint8))
    target = folder / "film_frames"
    return deliver(target, [master], "png-sequence", frame_rate=10, transparent=False)


def test_frames_replace_frames(folder: Path) -> None:
    (folder / "far").mkdir()
    for name in ("00001.png", "00002.png", ".DS_Store"):
        (folder / "far" / name).write_text("old")
    (folder / "film_frames").symlink_to("far")
    frames(folder)
    assert (folder / "film_frames").is_symlink()
    assert [path.name for path in (folder / "far").iterdir()] == ["00001.png"]
    with Image.open(folder / "far" / "00001.png") as image:
        assert image.size == (64, 64)


@pytest.mark.parametrize("name", ["notes.txt", "1.png", "00001.png/deep.txt"])
def test_a_folder_of_other_files_is_refused(folder: Path, name: str) -> None:
    place = folder / "film_frames" / name
    place.parent.mkdir(parents=True)
    place.write_text("mine")
    (folder / "film_frames" / "00002.png").write_text("old")
    other = Path(name).parts[0]
    with pytest.raises(OutputError, match=f"_frames: it holds other files than frames: {other};"):
        frames(folder)
    assert place.read_text() == "mine"
    assert (folder / "film_frames" / "00002.png").read_text() == "old"


def test_it_is_refused_in_one_line(folder: Path, calling: Calling) -> None:
    (folder / "mine.py").write_text(SCENE)
    (folder / "videos" / "mine_frames").mkdir(parents=True)
    (folder / "videos" / "mine_frames" / "notes.txt").write_text("mine")
    words = ("mine.py", "--quality", "draft", "--format", "png-sequence", "--no-cache", "--quiet")
    done = calling(*words, folder=folder)
    assert_one_line(done, 1, "mine_frames: it holds other files than frames: notes.txt; choose")
    left = sorted(path.name for path in (folder / "videos").rglob("*"))
    assert left == ["mine_frames", "notes.txt"]


def test_a_file_in_the_place_of_a_folder_stays(folder: Path) -> None:
    (folder / "film_frames").write_text("mine")
    with pytest.raises(OutputError, match="film_frames: Not a directory"):
        frames(folder)
    assert (folder / "film_frames").read_text() == "mine"


# What killed processes left


def test_what_killed_processes_left_is_swept(calling: Calling, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SCENE)
    out = tmp_path / "out"
    left = [out / f".{name}.0123456789ab.part" for name in ("film.mp4", "text")]
    left.append(out / "stills" / ".01_only.png.0123456789ab.part")
    left.append(out / ".attention-film-frames" / ".lock")
    kept = [out / ".mine.part", out / "0123456789ab.part", out / "attention-film" / "mine"]
    for path in (*left, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with held(left[1]):
        assert calling("--list", "mine.py", "--out", out, folder=tmp_path).returncode == 0
        assert [path for path in (*left, *kept) if path.exists()] == [left[1], *kept]


# On the disk, and apart from each other


def test_a_disk_that_is_read_only_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *more: object, **options: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    for name in ("open", "touch", "unlink"):
        monkeypatch.setattr(Path, name, refuse)
    with pytest.raises(OutputError, match=r"film\.mp4: Read-only file system; choose"):
        write_text(folder / "film.mp4", "text")


def test_ctrl_c_as_soon_as_a_file_is_made_removes_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(path: Path) -> NoReturn:
        path.touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "held", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_text(folder / "text", "new")


def test_content_is_on_the_disk_before_its_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    rename = Path.replace
    monkeypatch.setattr(
        os, "fsync", lambda number: steps.append(str(Path(f"/proc/self/fd/{number}").readlink()))
    )
    monkeypatch.setattr(
        Path, "replace", lambda path, target: (steps.append("renamed"), rename(path, target))
    )
    with open_movie(folder / "film.mp4", Quality(64, 64, 10), MP4) as movie:
        movie.write(np.zeros((64, 64, 3), np.uint8))
    write_text(folder / "text", "text")
    film, after_film, text, after_text = steps
    assert re.fullmatch(rf"{folder}/\.film\.mp4\.\w+\.part", film)
    assert re.fullmatch(rf"{folder}/\.text\.\w+\.part", text)
    assert after_film == after_text == "renamed"


def test_no_deck_replaces_another() -> None:
    names = [file_name("scene_mla", kind) for kind in DECK_KINDS]
    assert len(set(names)) == len(names)
    assert names[0] == "scene_mla.html"
    assert all(name.endswith(SUFFIXES[kind]) for name, kind in zip(names, DECK_KINDS, strict=True))


def test_a_folder_that_was_made_for_nothing_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with folder_there(folder):
        assert folder.is_dir()
    assert not (tmp_path / "a").exists()
    with folder_there(folder):
        (folder.parent / "film").touch()
    assert folder.parent.exists()
    assert not folder.exists()
    with folder_there(tmp_path):
        pass
    assert tmp_path.exists(), "it was there before"
