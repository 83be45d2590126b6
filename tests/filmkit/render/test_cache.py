"""The cache folder: what counts, what is removed first, and where it is."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from extract.support.files import write_bytes
from extract.support.temporary import held
from filmkit.render.cache import (
    TAG_TEXT,
    Cache,
    cache_folder,
    default_folder,
    is_sealed,
    open_cache,
    seal,
)
from filmkit.render.rehearsals import Rehearsals
from tests.support.checkout import SHIPPED
from tests.support.deck_scene import CELLS
from tests.support.filming import render_request

HOUR = 3600.0


def fill(cache: Cache, *letters: str) -> list[Path]:
    """Write sealed files of 100 bytes, each last used an hour after the one before it."""
    cache.folder.mkdir(exist_ok=True)
    paths = [cache.path(64 * letter, ".mov") for letter in letters]
    for hours, path in enumerate(paths):
        path.write_bytes(bytes(100))
        seal(path)
        os.utime(path, (hours * HOUR, hours * HOUR))
    return paths


def test_least_recently_used_files_are_removed_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", limit=250)
    first, second, third, fourth = fill(cache, "a", "b", "c", "d")
    assert cache.holds(first)
    cache.shrink()
    assert set(cache.sizes()) == {fourth, first}
    assert not cache.holds(second)
    assert not cache.holds(third)


def test_what_a_run_needs_stays(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", limit=0)
    first, _ = fill(cache, "a", "b")
    cache.shrink({first})
    assert set(cache.sizes()) == {first}


def test_a_file_without_its_seal_does_not_count(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=10**6, quiet=True)
    whole, flipped, short, other, bare = fill(cache, "a", "b", "c", "d", "e")
    flipped.write_bytes(bytes(50) + b"\1" + bytes(49))
    short.write_bytes(bytes(99))
    shutil.copyfile(whole, other)  # the same bytes, under their own name, are whole
    assert is_sealed(other)
    other.write_bytes(b"x" * 100)
    seal(other)
    shutil.copyfile(other, bare)  # another file's content
    assert [cache.holds(path) for path in (whole, flipped, short, other, bare)] == [
        True,
        False,
        False,
        True,
        False,
    ]
    # What does not count is gone, and so are its seals.
    assert {path.name.partition(".")[0] for path in tmp_path.iterdir()} == {64 * "a", 64 * "d"}


def in_circles(path: Path) -> None:
    path.symlink_to(path)


def to_nothing(path: Path) -> None:
    path.symlink_to(path.with_name("gone"))


def to_another_one(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(bytes(100))
    path.symlink_to(other)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes with a path")
@pytest.mark.parametrize("put", [in_circles, to_nothing, to_another_one, os.mkfifo])
def test_what_is_no_file_is_not_opened(put: Callable[[Path], None], tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=10**6, quiet=True)
    with cache.in_use():
        first, second = fill(cache, "a", "b")
    for path in (first, second, tmp_path / "of-a-run.run"):
        path.unlink(missing_ok=True)
        put(path)
    assert set(cache.sizes()) == {first, second}
    assert not is_sealed(first)
    assert not cache.holds(first)
    # Nothing is written through a link.
    write_bytes(first, bytes(100))
    seal(first)
    assert cache.holds(first)
    assert not first.is_symlink()
    cache.clear()
    assert not cache.sizes()
    assert not any(tmp_path.glob("*.run"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes with a path")
def test_a_pipe_is_no_mark_of_a_cache(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "CACHEDIR.TAG")
    assert cache_folder(tmp_path) != tmp_path


def test_damage_is_said_once_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cache = Cache(tmp_path, limit=10**6)
    paths = fill(cache, "a", "b")
    for path in paths:
        path.write_bytes(b"")
        assert not cache.holds(path)
    assert capfd.readouterr().err == "the cache holds damaged files; they are made again\n"


def test_an_unfinished_file_is_no_damage(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cache = Cache(tmp_path, limit=10**6)
    path = cache.path(64 * "a", ".mov")
    path.write_bytes(b"killed before it was sealed")
    assert not cache.holds(path)
    assert capfd.readouterr().err == ""


def test_clear_removes_everything_of_its_own(tmp_path: Path) -> None:
    with open_cache(tmp_path, keep=True) as cache:
        fill(cache, "a", "b")
        own = cache.folder / "holiday.mov"
        own.write_bytes(b"mine")
    cache.clear()
    assert cache.sizes() == {}
    assert sorted(path.name for path in cache.folder.iterdir()) == ["CACHEDIR.TAG", "holiday.mov"]


def test_only_a_cache_is_cleared(tmp_path: Path) -> None:
    (tmp_path / f"{64 * 'a'}.mov").touch()
    with pytest.raises(click.UsageError, match="is not a cache"):
        Cache(tmp_path, limit=0).clear()
    assert [*tmp_path.iterdir()]
    Cache(tmp_path / "none", limit=0).clear()


def test_another_run_keeps_what_it_uses(tmp_path: Path) -> None:
    first, second = Cache(tmp_path, limit=0), Cache(tmp_path, limit=0)
    with first.in_use():
        unused, used = fill(first, "a", "b")
        assert first.holds(used)
        second.shrink()
        assert set(second.sizes()) == {used}
        with pytest.raises(click.ClickException, match="is being rendered"):
            second.clear()
    second.shrink()
    assert not second.sizes()
    assert not unused.exists()


def test_what_a_killed_run_left_is_swept_also_where_a_cache_is_not_cleared(tmp_path: Path) -> None:
    (tmp_path / "1234.run").touch()
    (tmp_path / "CACHEDIR.TAG").write_text(TAG_TEXT)
    part = tmp_path / ".of-a-killed-run.0123456789ab.part"
    part.touch()
    with held(tmp_path / "1234.run"), pytest.raises(click.ClickException, match="being rendered"):
        Cache(tmp_path, limit=0).clear()
    assert not part.exists()


def test_a_killed_run_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "1234.run").touch()
    cache = Cache(tmp_path, limit=0)
    fill(cache, "a")
    cache.shrink()
    assert not [*tmp_path.iterdir()]


def test_missing_folder_is_empty(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "none", limit=0)
    cache.shrink()
    assert cache.sizes() == {}


def test_temporary_cache_is_removed_afterwards() -> None:
    with open_cache(None, keep=False) as cache:
        (path,) = fill(cache, "a")
    assert not path.exists()


def test_cache_has_a_folder_of_its_own(tmp_path: Path) -> None:
    assert cache_folder(tmp_path) == tmp_path / "attention-film"
    with open_cache(tmp_path, keep=True) as cache:
        assert cache.folder == tmp_path / "attention-film"
    # Named itself, it is used as it is.
    assert cache_folder(cache.folder) == cache.folder


def test_folder_is_read_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTENTION_FILM_CACHE", str(tmp_path))
    assert default_folder() == tmp_path / "attention-film"
    monkeypatch.delenv("ATTENTION_FILM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.setattr("sys.platform", "linux")
    assert default_folder() == tmp_path / "user" / "attention-film" / "renders"


@pytest.mark.slow
def test_rehearsals_of_an_earlier_version_can_be_read(tmp_path: Path) -> None:
    """Whose beats had no choices; what has changed since is among what they have used."""
    request = render_request((), SHIPPED, tmp_path, cache=tmp_path / "cache")
    with open_cache(request.cache, keep=True) as cache:
        Rehearsals(request, cache).get(CELLS)
        (path,) = cache.folder.rglob("*.rehearsal.json")
        stored = json.loads(path.read_text())
        for record in stored["beats"]:
            del record["choices"], record["answer"], record["loop"]
        path.write_text(json.dumps(stored))
        seal(path)
        found = Rehearsals(request, cache).find(CELLS)
    assert found is not None
    assert [record.choices for record in found.beats] == [(), (), ()]
