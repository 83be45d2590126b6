"""What the tests of extractions share."""

from __future__ import annotations

from pathlib import Path

import pytest

from extract.support.kept import FOLDER_VARIABLE


@pytest.fixture(autouse=True)
def _kept_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is kept of the models of a test is not the user's, nor another test's."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))
