"""The gallery, in a browser and as a folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from filmkit.commands import cli, options
from filmkit.decks.gallery import make_gallery
from filmkit.render.quality import Quality
from scenes.registry import SCENES
from tests.support.browsing import browser, record_problems, wait_until
from tests.support.deck_scene import CELLS, LENGTHS
from tests.support.filming import render_request
from tests.support.stand_in import SHAPES
from tests.support.traces import make_trace

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser"]

SMALL = Quality(320, 180, 10)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gallery")
    file = folder / "trace.safetensors"
    make_trace(n_tokens=4).save(file)
    request = render_request(
        (CELLS, SHAPES), file, folder / "gallery", quality=SMALL, cache=folder / "cache"
    )
    assert make_gallery(request, None)
    return folder / "gallery"


def test_each_scene_has_film_poster_chapters_tensors_and_code(gallery: Path) -> None:
    page = (gallery / "index.html").read_text()
    for entry in (CELLS, SHAPES):
        assert (gallery / f"{entry.slug}.mp4").stat().st_size > 0
        assert Image.open(gallery / f"{entry.slug}.png").size == (320, 180)
        assert entry.title in page
    assert "Scores over them</button>" in page
    assert "<li>pattern</li>" in page
    assert ">0:09</span>" in page, "the length"
    # No address of another machine, and only relative paths on this one.
    assert not re.search(r"""(?:src|href|poster)=["']?(?:https?:|/)""", page)


def test_links_to_code_lead_to_it(tmp_path: Path, gallery: Path) -> None:
    from filmkit.decks.gallery import PROJECT, _relative

    file = PROJECT / "scenes" / "mla" / "scene_mla.py"
    assert (gallery / _relative(file, gallery)).resolve() == file


def test_a_published_gallery_links_to_published_code(gallery: Path, tmp_path: Path) -> None:
    file, cache = gallery.parent / "trace.safetensors", gallery.parent / "cache"
    request = render_request((SHAPES,), file, tmp_path, quality=SMALL, cache=cache)
    assert make_gallery(request, "https://example.org/code/")
    link = 'href="https://example.org/code/tests/support/stand_in.py"'
    assert link in (tmp_path / "index.html").read_text()


def test_without_an_address_a_line_says_where_the_links_lead(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    gallery: Path,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(options, "whole_story", lambda compare: (SHAPES,))
    monkeypatch.setattr("filmkit.decks.gallery.make_gallery", lambda request, address: not address)
    arguments = ["--trace", str(gallery.parent / "trace.safetensors"), "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as stopped:
        cli.main(["gallery", *arguments])
    assert not stopped.value.code
    assert "say with --code URL" in capsys.readouterr().err


def test_every_cover_is_a_beat() -> None:
    for entry in SCENES:
        assert entry.cover in entry.load().beat_names()


def test_films_play_from_a_chapter_on_without_the_network(browser: Browser, gallery: Path) -> None:
    page = browser.new_page()
    problems = record_problems(page)
    page.goto((gallery / "index.html").as_uri())
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.click("summary")
    start = LENGTHS[0]
    # Slowly, as the next caption would soon take the place of this one.
    page.evaluate("document.querySelector('video').defaultPlaybackRate = 0.0625")
    page.click(f"button[data-start='{start}']")
    wait_until(page, f"document.querySelector('video').currentTime > {start + 0.01}")
    wait_until(page, "document.querySelector('.said').textContent.includes('over the queries')")
    loaded = page.evaluate(
        "[...document.querySelectorAll('video')].map((v) => v.textTracks[0].cues?.length ?? 0)"
    )
    assert len(loaded) == 2
    assert problems == []
    page.close()
