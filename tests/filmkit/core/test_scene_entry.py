"""Entries of scenes: how their files are loaded."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from filmkit.core.scene_entry import SceneEntry

SCENE = """
from filmkit import Stage


class Mine(Stage):
    title = "{title}"
"""


def test_an_edit_that_follows_another_at_once_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    file = tmp_path / "edited_at_once.py"
    titles = ("first", "again")  # of one length, and of one time
    entry = SceneEntry("edited_at_once", "Mine", file.stem, "Mine", file=file)
    seen = []
    for title in titles:
        file.write_text(SCENE.format(title=title))
        os.utime(file, (1e9, 1e9))
        seen.append(entry.load().title)
    assert seen == [*titles]
