"""Sessions of the studio: two pages that show one scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from filmkit.tools.studio_bench import StudioClient
from tests.support.studio import open_studio


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
