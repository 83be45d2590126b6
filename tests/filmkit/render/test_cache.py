"""The cache folder: what is removed first, and where it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from filmkit.render.cache import Cache, default_folder, open_cache


def fill(cache: Cache, *names: str) -> list[Path]:
    """Write files of 100 bytes, each last used an hour after the one before it."""
    cache.folder.mkdir(exist_ok=True)
    paths = [cache.path(name, ".mov") for name in names]
    for hours, path in enumerate(paths):
        path.write_bytes(bytes(100))
        os.utime(path, (hours * 3600, hours * 3600))
    return paths


def test_least_recently_used_files_are_removed_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", limit=250)
    first, second, third, fourth = fill(cache, "a", "b", "c", "d")
    assert cache.holds(first)
    cache.shrink()
    assert set(cache.sizes()) == {fourth, first}
    assert not cache.holds(second)
    assert not cache.holds(third)


def test_unfinished_files_are_removed_after_a_day(tmp_path: Path) -> None:
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


def test_missing_folder_is_empty(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "none", limit=0)
    cache.shrink()
    assert cache.sizes() == {}


def test_temporary_cache_is_removed_afterwards() -> None:
    with open_cache(None, keep=False) as cache:
        (path,) = fill(cache, "a")
    assert not path.exists()


def test_folder_is_read_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTENTION_FILM_CACHE", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("ATTENTION_FILM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.setattr("sys.platform", "linux")
    assert default_folder() == tmp_path / "user" / "attention-film"
