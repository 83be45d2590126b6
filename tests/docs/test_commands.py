"""Every command of README and documentation runs as it is written, or is marked as not run.

They run in a copy of the project in which every quality is tiny, with one cache for all pages: what
is run is what a reader types. Only installing is left out, and marked; the tests of the set-up do
that. What is marked is still parsed, if it is a command of the project.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest
from PIL import Image

from docs.draw_recipes import recipes
from docs.draw_reference import documented_objects
from extract.trace import Trace
from filmkit.core.scene_entry import SceneEntry
from scenes.registry import SCENES
from tests.support import pages
from tests.support.browsing import browser, opened, wait_until
from tests.support.checkout import PROJECT, SHIPPED, copy_project, run_python
from tests.support.links import Links
from tests.support.pages import (
    PAGES,
    blocks_of,
    code_spans,
    parse,
    parse_option,
    shows_something,
)
from tests.support.voices import speech_like, tone, write_sound

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser"]

LANGUAGES = {"sh", "python", "{eval-rst}", "{include}", "{toctree}"}
DATA = {"csv", "json", "po", "text"}
COMMAND = re.compile(r"^(?:\$ |python |make |pip )", re.MULTILINE)
RECIPES = "docs/recipes.md", "docs/room.md"  # their Python files are drawn by test_recipes.py
RECIPE_NAMES = [name for page in RECIPES for name in recipes(PROJECT / page)]
TINY = "\nQUALITIES.update(dict.fromkeys(QUALITIES, Quality(160, 90, 2)))\n"
COPIED = ("Makefile", "README.md", "CONTRIBUTING.md")
MADE = {
    "README.md": [
        "videos/film.mp4",
        "videos/my_scene.mp4",
        "posters/sheet.pdf",
        "mine.safetensors",
    ],
    "docs/tutorial.md": [
        "videos/two_prompts.mp4",
        *(f"videos/two_prompts/{name}.png" for name in ("01_one_prompt", "02_the_other_prompt")),
        "two_prompts.html",
    ],
}
"""Files that must be there after the commands of a page; more are named in its comments."""

FILE = re.compile(r"\b[\w-]+/[\w./-]+\.\w+\b")
MAKEFILE = (PROJECT / "Makefile").read_text(encoding="utf-8")
ADDRESS = "https://example.org/film/"
CLOSED = """
!document.querySelector(".sidebar-drawer").checkVisibility({ visibilityProperty: true })
"""
MAKE = re.compile(r"make ([\w-]+)")


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_one_that_is_run_or_marked(page: str) -> None:
    """A command in a block of another language would be passed over."""
    for block in blocks_of(page):
        assert block.language in LANGUAGES | DATA
        assert block.language in LANGUAGES or not COMMAND.search(block.text), block.text


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_one_that_the_program_takes(page: str) -> None:
    targets = re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE)
    lines = [
        command.line
        for block in blocks_of(page)
        if block.language == "sh"
        for command in block.commands()
    ]
    for line in (*lines, *code_spans(page)):
        if line.startswith("--"):
            assert parse_option(line), f"{page}: no command takes {line}"
        elif made := MAKE.match(line):
            assert made[1] in targets or made[1].startswith("scene_"), f"{page}: {line}"
        else:
            parse(line)


@pytest.mark.parametrize(
    "line",
    [
        "python render.py scene_mla --qualty draft",
        "python render.py scene_mla --quality worst",
        "python render.py deck scene_mla --for paper",
        "python render.py scene_milk",
        "python -m extract --promt x",
        "python -m extract latent FILE --ranks 3",
        "render.py cache --clean",
    ],
)
def test_a_wrong_command_is_found(line: str) -> None:
    with pytest.raises(pages.click.UsageError):
        parse(line)


def test_a_command_without_its_mark_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PROJECT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("<!-- not run: `make`, too long -->\n```sh\nmake a  # x\nfalse\n```\n")
    first, second = blocks_of("page.md")[0].commands()
    assert (first.line, first.comment, first.not_run) == ("make a", "x", "too long")
    assert (second.line, second.not_run) == ("false", "")
    for text in ("<!-- not run: x -->\nWords.\n", "<!-- not run: `b`, x -->\n```sh\na\n```\n"):
        page.write_text(text)
        with pytest.raises(ValueError, match="mark"):
            blocks_of("page.md")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, kept: Path) -> Path:
    """A copy of the project in which every quality is tiny, with an environment in .venv.

    Its cache holds what is kept of the packaged model, which takes minutes to make.
    """
    folder = copy_project(tmp_path_factory.mktemp("project"))
    (folder / "cache").symlink_to(kept)
    for name in COPIED:
        shutil.copy(PROJECT / name, folder)
    made = shutil.ignore_patterns("_build", "files", "pictures", "reference", "scenes")
    for name in ("docs", "scripts"):
        shutil.copytree(PROJECT / name, folder / name, ignore=made)
    with (folder / "filmkit" / "render" / "quality.py").open("a") as module:
        module.write(TINY)
    environment = folder / ".venv"
    (environment / "bin").mkdir(parents=True)
    python = environment / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    for stamp in ("render", "docs", "tests"):
        (environment / f".ready-{stamp}").touch()
    # What a reader of the page on voices brings.
    write_sound(folder / "recordings" / "01_one_latent_for_all.wav", tone(1.0))
    write_sound(folder / "take.wav", speech_like([(3.0, 1.0)] * 17))
    return folder


def run(project: Path, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a program in the copy, with its cache, and with the Python that runs the tests."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        cwd=project,
        env=os.environ | {"PATH": path, "ATTENTION_FILM_CACHE": str(project / "cache")},
        capture_output=True,
        text=True,
        timeout=900,  # one that runs until Ctrl-C has to be marked
        check=False,
    )


@pytest.fixture(scope="module")
def ran() -> set[str]:
    """The commands that were run in the copy: one that several pages have is run once."""
    return set()


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_run(page: str, project: Path, ran: set[str]) -> None:
    made = list(MADE.get(page, ()))
    for block in blocks_of(page):
        if block.language == "python" and block.note:
            (project / block.note).write_text(block.text, encoding="utf-8")
        elif block.language == "python" and not block.marks:
            done = run(project, [sys.executable, "-c", block.text])
            assert done.returncode == 0, f"{block.text}\n{done.stderr}"
        for command in block.commands() if block.language == "sh" else ():
            if command.not_run:
                continue
            made += FILE.findall(command.comment)
            if command.line not in ran:
                done = run(project, ["bash", "-c", command.line])
                assert done.returncode == 0, f"{command.line}\n{done.stdout}\n{done.stderr}"
                ran.add(command.line)
    assert [name for name in made if not (project / name).is_file()] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page not in RECIPES])
def test_python_files_of_a_page_are_run_by_its_commands(page: str) -> None:
    blocks = blocks_of(page)
    lines = [c.line for b in blocks if b.language == "sh" for c in b.commands() if not c.not_run]
    for block in blocks:
        if block.language == "python" and block.note:
            assert any(block.note in line.split() for line in lines), block.note


def test_python_files_have_no_mistakes_of_style(tmp_path: Path) -> None:
    blocks = [block for page in PAGES for block in blocks_of(page) if block.language == "python"]
    for block in blocks:
        if block.note:
            (tmp_path / block.note).write_text(block.text, encoding="utf-8")
    assert len(list(tmp_path.glob("*.py"))) > 10
    # The project's own rules, which tell filmkit from the libraries that are imported beside it.
    config = ("--config", str(PROJECT / "pyproject.toml"))
    for check in (("check",), ("format", "--check")):
        done = run_python(tmp_path, "-m", "ruff", *check, *config, str(tmp_path))
        assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def site(project: Path) -> Path:
    """The website, whose films are tiny too."""
    done = run(project, ["make", "docs", f"SITE={ADDRESS}"])
    assert done.returncode == 0, done.stderr
    return project / "docs" / "_build"


@pytest.mark.slow
def test_make_docs_makes_the_pages_and_their_pictures_without_a_warning(
    project: Path, site: Path
) -> None:
    index = (site / "index.html").read_text(encoding="utf-8")
    assert "the attention-film authors" in index.partition("<footer")[2]
    assert 'id="filmkit.show"' in (site / "api.html").read_text(encoding="utf-8")
    for kind in documented_objects():
        page = (site / "reference" / f"{kind.__name__}.html").read_text(encoding="utf-8")
        assert f'id="{kind.__module__}.{kind.__name__}"' in page
    stage = (site / "reference" / "Stage.html").read_text(encoding="utf-8")
    assert all(
        f'Stage.{name}"' in stage for name in ("show", "part", "prepare", "wait_for", "hold")
    )
    assert (site / "_images" / "Appear.png").is_file()
    drawn = {name: project / "docs" / "pictures" / f"{name}.png" for name in RECIPE_NAMES}
    assert [name for name, picture in drawn.items() if not shows_something(picture)] == []


@pytest.mark.slow
def test_every_link_of_the_website_leads_somewhere(site: Path) -> None:
    pages = {path: Links.of(path) for path in site.rglob("*.html")}
    assert {site / f"{name}.html" for name in ("try/index", "deck", "scenes/index")} < set(pages)
    missing = []
    for path, links in pages.items():
        for address in links.addresses:
            scheme, _, file, _, fragment = urlsplit(address)
            if scheme:
                assert scheme in ("https", "data", "mailto"), address
                continue
            target = (path.parent / unquote(file)).resolve() if file else path
            known = pages[target].names if target in pages else {fragment}
            if "_modules" in path.parts:
                # Sphinx leads from code to its page by the name of its module, also where the page
                # has the public name.
                known = {fragment}
            if not target.is_file() or (fragment and fragment not in known):
                missing.append(f"{path.relative_to(site)}: {address}")
    assert missing == []


@pytest.mark.slow
@pytest.mark.parametrize("entry", SCENES, ids=lambda entry: entry.slug)
def test_each_scene_has_a_page_with_film_script_questions_tensors_and_code(
    entry: SceneEntry, site: Path
) -> None:
    page = (site / "scenes" / f"{entry.slug}.html").read_text(encoding="utf-8")
    text = " ".join(unescape(re.sub("<[^>]+>", "", page)).split())
    trace = Trace.load(SHIPPED)
    for record in entry.load().rehearse(trace).beats:
        assert " ".join(record.narration.split()) in text
        if not record.pause:
            assert f'id="{f"{entry.slug}-{record.name}".replace("_", "-")}"' in page
    assert (site / "films" / f"{entry.slug}.mp4").stat().st_size > 0
    pictures = list((site / "films" / entry.slug).glob("*.webp"))
    assert len(pictures) == len(entry.load().beat_names(trace, questions=False))
    assert f"class {entry.cls}(" in text
    for command in re.findall(r"python render.py \w+.*", text):
        parse(command.strip())


@pytest.mark.slow
def test_networks_find_a_picture_and_words_for_each_page(site: Path) -> None:
    for page, picture in {"index": "social", "scenes/scene_mla": "films/scene_mla"}.items():
        tags = (site / f"{page}.html").read_text(encoding="utf-8")
        assert f'<meta property="og:image" content="{ADDRESS}{picture}.png"' in tags
        assert '<meta property="og:description"' in tags
    with Image.open(site / "social.png") as image:
        assert image.size == (1200, 630)


@pytest.mark.slow
def test_the_website_works_from_disk(browser: Browser, site: Path) -> None:
    with opened(browser, site / "index.html") as open_page:
        page = open_page()
        for width in (1366, 768, 390):
            page.set_viewport_size({"width": width, "height": 800})
            for name in ("index", "scenes/index", "scenes/scene_sparse", "explore", "try/index"):
                page.goto((site / f"{name}.html").as_uri())
                assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        page.goto((site / "deck.html").as_uri())
        page.wait_for_selector("#stage[data-mode=holds]")
        page.goto((site / "index.html").as_uri())
        said = page.text_content(".said")
        page.evaluate("document.querySelector('video').play()")
        wait_until(page, f"document.querySelector('.said').textContent !== {json.dumps(said)}")
        page.goto((site / "scenes" / "scene_sparse.html").as_uri())
        button = page.locator("button.time").last
        start = button.get_attribute("data-start")
        button.click()
        wait_until(page, f"document.querySelector('video').currentTime >= {start}")


@pytest.mark.slow
def test_the_drawers_of_small_screens_are_reached_by_keyboard(browser: Browser, site: Path) -> None:
    with opened(browser, site / "tutorial.html") as open_page:
        page = open_page()
        page.set_viewport_size({"width": 390, "height": 844})

        def focus() -> str:
            """Return the drawer in which the focus is, or else the name of what has it."""
            place: str = page.locator("*:focus").evaluate(
                "seen => seen.closest('.sidebar-drawer, .toc-drawer')?.className ?? seen.id"
            )
            return place

        def press(*keys: str) -> str:
            for key in keys:
                page.keyboard.press(key)
            return focus()

        wait_until(page, CLOSED)
        assert page.get_by_role("navigation").count() == 0
        assert press("Tab") == "__navigation"
        icon = page.locator(".nav-overlay-icon")
        assert icon.evaluate("icon => getComputedStyle(icon).outlineStyle") == "solid"
        assert press("Space") == "sidebar-drawer"
        assert page.get_by_role("navigation", name="Pages").count() == 1
        switch = page.locator(".sidebar-drawer .toctree-checkbox").first
        for _step in range(40):
            if switch.evaluate("seen => seen === document.activeElement"):
                break
            assert press("Tab") == "sidebar-drawer"
        below = page.locator(".sidebar-drawer .toctree-checkbox ~ ul").first
        before = below.is_visible()
        press("Space")
        assert below.is_visible() != before
        assert press("Escape") == "__navigation"
        wait_until(page, CLOSED)
        assert press("Tab") == "__toc"
        # What is closed is passed over.
        assert "drawer" not in "".join(press("Tab") for _step in range(8))
        page.locator("#__toc").focus()
        assert press("Space").startswith("toc-drawer")
        assert press("Escape") == "__toc"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "first"),
    [("KV cache", "scene_kv_cache"), ("MLA", "scene_mla"), ("indexer", "scene_sparse")],
)
def test_the_website_is_searched_from_disk(
    browser: Browser, site: Path, asked: str, first: str
) -> None:
    page = browser.new_page()
    page.goto(f"{(site / 'search.html').as_uri()}?q={asked}")
    found = page.wait_for_selector("#search-results li a")
    assert found
    assert first in (found.get_attribute("href") or "")
    page.close()


@pytest.mark.slow
def test_a_website_is_published_as_a_branch_that_keeps_what_was_there(
    site: Path, tmp_path: Path
) -> None:
    publish = re.search(r"bin/(ghp-import .+) docs/_build$", MAKEFILE, re.MULTILINE)
    assert publish
    pages = tmp_path / "pages"
    pages.mkdir()
    names = {
        f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path / "work"), *arguments]
        return subprocess.run(
            command, env=os.environ | names, capture_output=True, text=True, check=True
        ).stdout

    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "origin")], check=True)
    (tmp_path / "work").mkdir()
    git("init", "-q", "-b", "main")
    git("remote", "add", "origin", str(tmp_path / "origin"))
    git("commit", "-q", "--allow-empty", "-m", "First")
    for text in ("one", "two"):
        (pages / "index.html").write_text(text)
        subprocess.run(
            [
                Path(sys.executable).with_name("ghp-import"),
                *shlex.split(publish[1])[1:],
                str(pages),
            ],
            cwd=tmp_path / "work",
            env=os.environ | names,
            check=True,
        )
    git("fetch", "-q")
    assert git("show", "origin/gh-pages:index.html") == "two"
    assert git("show", "origin/gh-pages~1:index.html") == "one", "nothing is lost"
    assert ".nojekyll" in git("ls-tree", "--name-only", "origin/gh-pages")
    assert git("log", "--format=%s", "main") == "First\n"
