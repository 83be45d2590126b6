"""Processes that make calls, and how the work of a film is dealt out to them."""

from __future__ import annotations

import os
import signal
from collections import defaultdict
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from filmkit.core.scene_entry import SceneEntry
from filmkit.render import processes
from filmkit.render.pool import Pool
from filmkit.render.quality import QUALITIES
from filmkit.render.request import RenderRequest
from filmkit.render.workers import BeatTask, shares
from tests.support.stand_in import OTHER, SHAPES

FUNCTION = f"{__name__}:starting"


def starting(folder: str) -> Callable[..., None]:
    """Leave a file named after this process; return a function that works, fails, dies or hangs."""
    (Path(folder) / str(os.getpid())).touch()

    def work(deed: str, tell: Callable[..., None]) -> None:
        tell("does", deed=deed, process=os.getpid())
        if deed == "fails":
            raise ValueError("no such number")
        if deed == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if deed == "hangs":
            signal.pause()

    return work


def results(folder: Path, *deeds: str, jobs: int = 1) -> dict[int, list[dict[str, Any]]]:
    """Return the messages of each call."""
    found = defaultdict(list)
    calls = {number: (deed,) for number, deed in enumerate(deeds)}
    request = RenderRequest(quality=QUALITIES["draft"], jobs=jobs, quiet=True)
    with Pool(FUNCTION, [str(folder)], calls, request) as pool:
        for number, message in pool.results():
            found[number].append(message)
    return found


def test_one_process_makes_calls_one_after_another(tmp_path: Path) -> None:
    found = results(tmp_path, "works", "works", "works")
    assert [*found] == [0, 1, 2]
    assert {tuple(m["kind"] for m in messages) for messages in found.values()} == {
        ("does", "returned")
    }
    assert [path.name for path in tmp_path.iterdir()] == [str(found[0][0]["process"])]


@pytest.mark.parametrize(
    ("deed", "said", "early"),
    [("fails", "no such number", False), ("dies", "signal SIGKILL", True)],
)
def test_a_call_that_fails_ends_its_process_and_no_other_call(
    deed: str, said: str, early: bool, tmp_path: Path
) -> None:
    found = results(tmp_path, "works", deed, "works")
    kinds = [[message["kind"] for message in found[number]] for number in range(3)]
    assert kinds == [["does", "returned"], ["does", "error"], ["does", "returned"]]
    error = found[1][-1]
    assert said in error["text"]
    assert bool(error.get("early")) is early
    assert len([*tmp_path.iterdir()]) == 2


def test_a_call_from_which_nothing_comes_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "SILENT_SECONDS", 1.0)
    (messages,) = results(tmp_path, "hangs").values()
    assert "there was no progress for 1 seconds" in messages[-1]["text"]


def tasks_of(entry: SceneEntry, *frames: int) -> list[BeatTask]:
    file = Path("segment")
    return [BeatTask(entry, f"beat_{i}", False, file, None, n) for i, n in enumerate(frames)]


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_shares_are_parts_of_one_scene_that_follow_each_other(processes: int) -> None:
    frames = [300, 1, 20, 20, 20, 60, 5, 90, 2, 2]
    tasks = tasks_of(SHAPES, *frames) + tasks_of(OTHER, *frames)
    dealt = shares(tasks, processes)
    assert [*chain(*dealt)] == tasks
    assert all(len({task.entry for task in share}) == 1 for share in dealt)
    if processes == 1:
        assert len(dealt) == 2
    else:
        fair = sum(frames) * 2 / processes
        assert len(dealt) > processes
        assert all(sum(task.frames for task in share[:-1]) < fair for share in dealt)
