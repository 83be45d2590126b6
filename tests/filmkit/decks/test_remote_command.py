"""``render.py deck --remote``: what it refuses, and a deck that is served until Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from filmkit.commands import deck as command
from tests.support.calling import RENDER, SCENE, Calling, assert_one_line, calling
from tests.support.checkout import PROJECT

__all__ = ["calling"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--network"], "add --remote"),
        (["--remote", "--for", "pdf"], "--remote is for web decks"),
        (["--remote", "--for", "powerpoint"], "--remote is for web decks"),
    ],
)
def test_wrong_calls_are_refused(
    calling: Calling, tmp_path: Path, arguments: list[str], word: str
) -> None:
    assert_one_line(calling("deck", "scene_mla", *arguments, folder=tmp_path), 2, word)


@pytest.mark.parametrize("library", ["segno", "starlette", "uvicorn", "websockets"])
def test_without_its_libraries_it_says_how_to_install_them(
    calling: Calling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == library else object())
    done = calling("deck", "scene_mla", "--remote", folder=tmp_path)
    assert_one_line(done, 1, "pip install -e '.[studio]'")


def test_without_a_network_it_says_so_before_it_draws(
    calling: Calling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "network_addresses", list)
    done = calling("deck", "scene_mla", "--remote", "--network", folder=tmp_path)
    assert_one_line(done, 1, "leave out --network")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_deck_is_served_until_ctrl_c_and_its_file_stays(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SCENE)
    plain = {"PYTHONPATH": str(PROJECT), "ATTENTION_FILM_CACHE": str(tmp_path / "cache")}
    with subprocess.Popen(
        [*RENDER, "deck", "mine.py", "--quality", "draft", "--remote", "--quiet"],
        cwd=tmp_path,
        env=os.environ | plain,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as program:
        assert program.stdout is not None
        addresses = [program.stdout.readline().partition(": ")[2].strip() for _ in range(2)]
        file = tmp_path / "decks" / "mine.html"
        written = file.read_bytes()
        for address, word in zip(addresses, ("remote-button", "goto-list"), strict=True):
            with urlopen(address, timeout=60) as answer:
                assert word in answer.read().decode()
            with pytest.raises(HTTPError, match="403"):
                urlopen(f"{address}x", timeout=60)
        program.send_signal(signal.SIGINT)
        assert program.wait(60) == 0
        assert program.stdout.read() == ""
    assert file.read_bytes() == written
    assert b"connect-src" not in written
