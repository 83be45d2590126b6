"""The folder of finished files: what it keeps, and what goes first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from filmkit.render.cache import Cache, default_folder, open_cache


def fill(cache: Cache, *names: str) -> list[Path]:
    """Files of 100 bytes, each used an hour after the one before."""
    cache.folder.mkdir(exist_ok=True)
    paths = [cache.path(name, ".mov") for name in names]
    for hours, path in enumerate(paths):
        path.write_bytes(bytes(100))
        os.utime(path, (hours * 3600, hours * 3600))
    return paths


def test_longest_unused_goes_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", limit=250)
    first, second, third, fourth = fill(cache, "a", "b", "c", "d")
    assert cache.holds(first)
    cache.shrink()
    assert set(cache.sizes()) == {fourth, first}
    assert not cache.holds(second)
    assert not cache.holds(third)


def test_what_was_left_half_written_goes_after_a_day(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=10**6)
    (old,) = fill(cache, "a")
    old = old.rename(tmp_path / ".a.mov.1.part")
    young = tmp_path / ".b.mov.2.part"
    young.touch()
    cache.shrink()
    assert list(cache.sizes()) == [young]


def test_clear_removes_everything(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=10**6)
    fill(cache, "a", "b")
    cache.clear()
    assert cache.sizes() == {}


def test_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "none", limit=0)
    cache.shrink()
    assert cache.sizes() == {}


def test_unkept_files_are_gone_afterwards() -> None:
    with open_cache(None, keep=False) as cache:
        (path,) = fill(cache, "a")
    assert not path.exists()


def test_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTENTION_FILM_CACHE", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("ATTENTION_FILM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.setattr("sys.platform", "linux")
    assert default_folder() == tmp_path / "user" / "attention-film"
