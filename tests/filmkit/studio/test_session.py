"""Sessions of the studio: two pages of one scene, files that are no scenes, traces that grow."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from filmkit.core.scene_entry import SceneEntry
from filmkit.studio.session import MadeFiles, Session
from filmkit.studio.tracer import SentenceTracer
from tests.support.filming import render_request
from tests.support.studio import SCENE, StudioClient, open_studio, save


@pytest.mark.slow
def test_two_pages_get_every_film_of_a_scene_that_both_show(tmp_path: Path) -> None:
    """Though each film is made once, whichever is the first to make it."""
    with (
        open_studio(tmp_path) as studio,
        StudioClient(studio.address) as one,
        StudioClient(studio.address) as other,
    ):
        pages = (one, other)
        for page in pages:
            hello = page.wait_for("hello")
            page.tell("show", scene=hello["scene"], choices=hello["choices"])
        for page in pages:
            films: dict[str, Any] = {}
            while (message := page.next_message())["kind"] != "done":
                assert message["kind"] != "error", message
                if message["kind"] == "plan":
                    films = {beat["name"]: beat["film"] for beat in message["beats"]}
                elif message["kind"] == "film":
                    films[message["beat"]] = message["film"]
            assert len(films) == 3
            assert all(films.values())


def _pipe(file: Path) -> None:
    pipe = file.with_suffix(".pipe")
    os.mkfifo(pipe)
    pipe.replace(file)


# Each at once, so that nothing else becomes of the file before.
DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (lambda file: save(file, SCENE.replace("M", "\xdc"), "latin-1"), "codec"),
    (_pipe, "is not a file"),
    (lambda file: file.rename(file.with_suffix(".old")), "No such file"),
    (lambda file: save(file, f'{SCENE}\nraise ValueError("\\ud800")'), "\ud800"),
]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes with a path")
@pytest.mark.slow
def test_whatever_becomes_of_the_file_is_told_and_the_scene_comes_back(tmp_path: Path) -> None:
    """Text that is not UTF-8, a pipe, no file, an error whose message holds half a character."""
    with open_studio(tmp_path) as studio, StudioClient(studio.address) as page:
        hello = page.wait_for("hello")
        page.tell("show", scene=hello["scene"], choices=hello["choices"])
        page.wait_for("beats")
        for damage, word in DAMAGES:
            damage(studio.scene)
            assert word in page.wait_for("error")["text"]
            save(studio.scene, SCENE)
            page.wait_for("beats")


@pytest.mark.parametrize("used", [False, True])
def test_a_scene_without_latents_neither_waits_for_them_nor_is_drawn_again(
    tmp_path: Path, used: bool
) -> None:
    """Other edits of its trace are shown, and whatever it could not be drawn without."""
    scene, file = tmp_path / "mine.py", tmp_path / "sentence.safetensors"
    scene.write_text("self.world.latent" if used else SCENE)
    file.write_text("early")

    async def run() -> None:
        session = Session(
            None,  # type: ignore[arg-type]
            entries={},
            initial="",
            request=render_request((), file, tmp_path),
            choices={},
            made=MadeFiles(tmp_path),
            tracer=SentenceTracer(),
        )
        session._entry = SceneEntry("mine", "Mine", "mine", "Mine", file=scene)
        told: dict[str, Any] = {"file": str(file), "more": True, "early": True}
        await session._on_traced(told)
        assert told["waits"] == used
        passed_over = session._shows_nothing_of
        assert passed_over([file]) == (not used)
        file.write_text("whole")
        whole = {**told, "more": False, "early": False}
        await session._on_traced(whole)
        assert not whole["waits"]
        assert passed_over([file]) == (not used)
        assert not passed_over([file, scene])
        file.write_text("of another layer")
        assert not passed_over([file])

    asyncio.run(run())
