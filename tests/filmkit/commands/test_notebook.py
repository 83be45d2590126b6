"""Films in notebooks: a real kernel runs the notebook of the repository."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from base64 import b64decode
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import av
import pytest

import filmkit
from filmkit.core import fonts
from filmkit.explore.widget import PICTURES
from filmkit.render.cache import FOLDER_VARIABLE
from scenes.registry import SCENES
from tests.support.calling import SCENE
from tests.support.checkout import PROJECT
from tests.support.filming import segments
from tests.support.traces import make_trace

NOTEBOOK = PROJECT / "docs" / "notebook.ipynb"


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))


def parts(html: str) -> dict[str, bytes]:
    """Return the content of a page's data URIs, by media type."""
    uris = re.findall(r'"data:([^;"]+);base64,([^"]+)"', html)
    return {kind: b64decode(content) for kind, content in uris}


def check(html: str, folder: Path, *narration: str) -> None:
    """Check that the page holds a film with its captions, and loads nothing from elsewhere."""
    assert re.search(r"<video [^>]*\bcontrols [^>]*\bsrc=", html)
    assert '<track kind="captions"' in html
    assert not re.search(r'(?:src|poster|href)="(?!data:)', html)
    content = parts(html)
    assert set(content) == {"image/jpeg", "video/mp4", "text/vtt"}
    captions = content["text/vtt"].decode()
    assert captions.startswith("WEBVTT")
    assert all(words in captions for words in narration), captions
    path = folder / "film.mp4"
    path.write_bytes(content["video/mp4"])
    with av.open(path) as film:
        frames = sum(1 for _ in film.decode(video=0))
    assert frames > 15


@pytest.mark.slow
def test_a_notebook_shows_beats_and_takes_a_trace_made_in_it(tmp_path: Path) -> None:
    for library in ("torch", "transformer_lens"):
        pytest.importorskip(library)
    # They take more than a second to load.
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), (
        "the notebook is stored without outputs"
    )
    NotebookClient(
        notebook,
        timeout=300,
        startup_timeout=300,
        iopub_timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": PROJECT}},
    ).execute()
    pages = [
        output.data["text/html"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "text/html" in output.get("data", {})
    ]
    # No cell has any other output, such as a warning.
    *pictures, beat, own = pages
    assert len(pictures) == 4, [page[:500] for page in pages]
    for picture in pictures:
        assert picture.startswith("<iframe"), "the picture to try by hand, without Python"
    check(beat, tmp_path, "Softmax turns scores")
    check(own, tmp_path, "That is attention")


def sources(kind: str) -> list[str]:
    """Return the texts of the notebook's cells of a kind."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == kind]


def test_the_lesson_has_each_picture_and_a_task_for_it() -> None:
    assert sum("**Task.**" in source for source in sources("markdown")) == 6
    names: dict[str, Any] = {}
    for source in sources("code"):
        if "show" in source:
            break  # it renders
        exec(source, names)
    for picture in PICTURES:
        assert repr(names[picture]).startswith(f"<{picture} of ")
    told = names["pattern"].value
    assert [told[name] for name in ("query", "query_word", "key", "key_word")] == [
        7,
        "white",
        5,
        "red",
    ]


def test_beats_that_the_pages_show_are_beats() -> None:
    code = sources("code")
    code.append((PROJECT / "README.md").read_text(encoding="utf-8"))
    named = re.findall(r'show\(\s*"(\w+)",\s*beat="(\w+)"', "\n".join(code))
    assert len(named) == 3
    scenes = {entry.slug: entry.load().beat_names() for entry in SCENES}
    assert [beat for scene, beat in named if beat not in scenes[scene]] == []


@pytest.mark.slow
def test_a_program_need_not_guard_its_call(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from filmkit import show\n"
        "film = show('scene_attention', 'words', trace='trace.safetensors', quality='draft')\n"
        "print(len(film.video), __file__)\n"
    )
    make_trace().save(tmp_path / "trace.safetensors")
    done = subprocess.run(
        [sys.executable, program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    size, path = done.stdout.split()
    assert int(size) > 1000
    assert path == str(program)


@pytest.mark.slow
def test_a_trace_file_and_a_cached_film(tmp_path: Path) -> None:
    file = tmp_path / "trace.safetensors"
    make_trace().save(file)
    options = {"trace": file, "quality": "draft", "jobs": 1}
    first = filmkit.show("scene_attention", "a_query_meets_a_key", **options)
    check(first._repr_html_(), tmp_path, "number by number")
    assert repr(first).startswith(
        "<One attention head, start to finish: A query meets a key: an mp4 of "
    )
    drawn = segments(tmp_path / "cache")
    again = filmkit.show(
        "scene_attention", "a_query_meets_a_key", **options | {"trace": make_trace()}
    )
    assert again.video == first.video
    assert len(drawn) == 2, "its own animations, and its tail"
    assert segments(tmp_path / "cache") == drawn


def test_a_scene_of_one_s_own_is_shown_from_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(SCENE)
    monkeypatch.chdir(tmp_path)
    film = filmkit.show("mine.py", "on", quality="draft", jobs=1)
    assert film.title == "Mine: Only"
    assert "A square." in film.captions
    assert len(film.video) > 1000
    with pytest.raises(ValueError, match=r"no beat of mine 'two'; there are only"):
        filmkit.show("mine.py", "two")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scene": "scene_atention"}, "did you mean scene_attention"),
        ({"scene": "scene_sharing", "beat": "nonsense"}, "no beat of scene_sharing 'nonsense'"),
        (
            {"scene": "scene_attention", "beat": "a_"},
            "more than one beat of scene_attention; choose a_query_meets_a_key or a_weighted_mix",
        ),
        # A name that a scene once had stands for the one that shows it now.
        ({"scene": "scene_mqa", "beat": "nonsense"}, "no beat of scene_sharing 'nonsense'"),
        ({"scene": "none.py"}, "there is no file"),
        ({"scene": "scene_sharing", "quality": "best"}, "no quality 'best'"),
        ({"scene": "scene_sharing", "theme": "drak"}, "did you mean dark"),
        (
            {"scene": "scene_sharing", "language": "it"},
            "no language 'it'; there are en, de, es, fr, zh;",
        ),
        ({"scene": "scene_sharing", "layer": 99}, "has layers 0 to"),
        ({"scene": "scene_sharing", "head": -1}, "has heads 0 to"),
        ({"scene": "scene_sharing", "jobs": 0}, "at least 1 process"),
    ],
)
def test_wrong_arguments_are_explained(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        filmkit.show(**arguments)


def test_chinese_without_its_fonts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking: Any = lambda name: None if name == fonts.EAST_ASIAN_FONTS else find_spec(name)  # noqa: E731
    monkeypatch.setattr(fonts, "find_spec", lacking)
    with pytest.raises(ValueError, match="--language zh needs fonts: pip install"):
        filmkit.show("scene_sharing", language="zh")


def test_importing_it_loads_nothing() -> None:
    code = "import sys; from filmkit import show; assert not {'manim', 'av'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)
