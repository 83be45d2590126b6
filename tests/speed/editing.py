"""How fast an edit becomes a picture, and how fast the page to explore turns.

An edit is measured in the studio, and with ``--watch``: both work on the same scene, in turns,
because other programs may keep the machine busy. The arc of heads on the page turns in a browser
that draws without a graphics card.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

from extract.support.temporary import temporary_folder
from tests.support.browsing import find_browser, open_browser
from tests.support.exploring import explore_page, open_part
from tests.support.studio import StudioClient, program, save, studio_program

__all__ = ["edit_times", "turning_rate"]

SCENE = '''
from manim import DOWN

from filmkit import Appear, HeadPanel, Stage, beat


class Edited(Stage):
    @beat
    def queries(self):
        """The queries stand below each other."""
        self.play(Appear(HeadPanel(self.head, "q")))

    @beat
    def pattern(self):
        """Then the pattern comes, lower than the queries."""
        self.clear()
        pattern = HeadPanel(self.head, "pattern")
        self.play(Appear(pattern))
        self.play(pattern.animate.shift(DOWN * {place}))
'''
TOUCHED = "pattern"  # the beat that the edits touch
TURNS = 3.0  # seconds for which the arc of heads turns


def edit_times(runs: int) -> dict[str, list[float]]:
    """Return the seconds from saving edits to their picture: on the page, and with --watch.

    They are measured in turns, so that what else the machine does meanwhile delays all alike.
    """
    with (
        temporary_folder() as one,
        temporary_folder() as other,
        closing(_studio_times(one / "edited.py")) as studio,
        closing(_watch_times(other / "edited.py")) as watched,
    ):
        found = [(*next(studio), next(watched)) for _run in range(runs)]
    names = "studio, the frame on the page", "studio, another beat", "--watch, the sheet"
    return {name: [*times] for name, times in zip(names, zip(*found, strict=True), strict=True)}


def _edited(scene: Path) -> Iterator[float]:
    """Save an edit of a beat for each value taken; the value is when it was saved."""
    for number in count(1):
        now = time.monotonic()
        save(scene, SCENE.format(place=number / 1000))
        yield now


def _studio_times(scene: Path) -> Generator[tuple[float, float]]:
    """Measure a page that shows the touched beat, and one that shows another beat."""
    edits = _edited(scene)
    next(edits)
    with (
        studio_program(scene.name, folder=scene.parent) as (address, _),
        StudioClient(address) as page,
    ):
        hello = page.wait_for("hello")
        page.tell("show", scene=hello["scene"], choices=hello["choices"])
        page.wait_for("done")
        while True:
            start = next(edits)
            page.wait_for("drawing")
            page.tell("frame", beat=TOUCHED, frame=20, picture=True)
            page.wait_for("frame", beat=TOUCHED)
            shown = time.monotonic() - start
            page.wait_for("done")
            start = next(edits)
            # The page goes to the end of the touched beat.
            page.wait_for("still", beat=TOUCHED)
            other = time.monotonic() - start
            page.wait_for("done")
            yield shown, other


def _watch_times(scene: Path) -> Generator[float]:
    """Measure the sheet of pictures that --watch writes."""
    edits = _edited(scene)
    next(edits)
    with program(scene.name, "--watch", folder=scene.parent) as process:
        assert process.stdout is not None

        def wait_for(words: str) -> None:
            if not any(words in line for line in process.stdout or ()):
                raise RuntimeError("the program has ended early")

        wait_for("edited.mp4 ")
        while True:
            start = next(edits)
            wait_for("edited.preview.png ")
            found = time.monotonic() - start
            wait_for("edited.mp4 ")
            yield found


def turning_rate() -> float:
    """Turn the arc of heads on the page to explore for a while; return its frames a second.

    Raises
    ------
    RuntimeError
        If there is no browser.
    """
    path = find_browser()
    if path is None:
        raise RuntimeError("there is no browser: install chromium")
    with temporary_folder() as folder, open_browser(path) as browser:
        file = explore_page(None, folder)
        page = browser.new_page(viewport={"width": 1280, "height": 720}, color_scheme="dark")
        page.goto(file.as_uri())
        open_part(page, "heads")
        frames: int = page.evaluate(
            """(seconds) => new Promise((done) => {
                const { heads } = drawers;
                const end = performance.now() + 1000 * seconds;
                let frames = 0;
                const turn = (now) => {
                    if (now > end) return done(frames);
                    frames += 1;
                    heads.turn = heads.placeOf(4 + 4 * Math.sin(now / 500));
                    heads.render();
                    // To read a pixel waits until the picture is there.
                    heads.gl.readPixels(0, 0, 1, 1, heads.gl.RGBA, heads.gl.UNSIGNED_BYTE,
                        new Uint8Array(4));
                    requestAnimationFrame(turn);
                };
                requestAnimationFrame(turn);
            })""",
            TURNS,
        )
    return frames / TURNS
