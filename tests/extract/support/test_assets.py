"""Files that come with the project, and how its extras are installed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from extract.support import assets
from tests.support.checkout import PROJECT


def test_the_command_installs_an_extra_of_a_checkout_or_of_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert assets.installing("voice") == "pip install -e '.[voice]'"
    monkeypatch.setattr(assets, "_INSIDE", tmp_path)
    name = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["name"]
    assert assets.installing("voice") == f"pip install '{name}[voice]'"
