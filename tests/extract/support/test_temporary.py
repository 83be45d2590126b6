"""Temporary folders: what happens when another process removes one before it is locked."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from extract.support import temporary
from extract.support.temporary import is_abandoned, temporary_folder


def test_a_folder_is_there_and_held_until_the_block_ends(tmp_path: Path) -> None:
    with temporary_folder(tmp_path) as folder:
        assert folder.is_dir()
        assert not is_abandoned(folder / temporary.LOCK)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_swept_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[Path] = []
    hold = temporary.held

    @contextmanager
    def held_late(path: Path) -> Iterator[None]:
        if not swept:
            swept.append(path.parent)
            shutil.rmtree(path.parent)
        with hold(path):
            yield

    monkeypatch.setattr(temporary, "held", held_late)
    with temporary_folder(tmp_path) as folder:
        assert folder.is_dir()
        assert folder not in swept
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), temporary_folder(tmp_path / "nowhere"):
        pass
