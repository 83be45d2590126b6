"""The built package in an environment of its own, away from the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.checkout import PROJECT

pytestmark = pytest.mark.slow


def run(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    return subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env=environment | {"ATTENTION_FILM_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = run(PROJECT, sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", folder, ".")
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("attention_film-*.whl")
    return built


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """The folder of programs of a fresh environment into which the wheel is installed."""
    home = tmp_path_factory.mktemp("environment") / "venv"
    constraints = PROJECT / "filmkit" / "constraints.txt"
    for command in (
        (sys.executable, "-m", "venv", home),
        (home / "bin" / "python", "-m", "pip", "install", "-q", "-c", constraints, wheel),
    ):
        done = run(PROJECT.parent, *command)
        assert done.returncode == 0, done.stderr
    return home / "bin"


def test_it_holds_the_packages_their_data_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "extract/py.typed",
        "filmkit/py.typed",
        "filmkit/__init__.pyi",
        "filmkit/constraints.txt",
        "filmkit/core/fonts.conf",
        "filmkit/commands/templates/scene.py.txt",
        "filmkit/decks/templates/cells.js",
        "filmkit/docs/voice.md",
        "filmkit/decks/templates/deck.js",
        "filmkit/studio/templates/studio.js",
        "filmkit/explore/templates/explore.html",
        "filmkit/explore/templates/arithmetic.js",
        "filmkit/explore/vendor/twgl-full.min.js",
        "filmkit/explore/vendor/LICENSE.txt",
        "extract/assets/calibration.txt",
        "extract/assets/calibration/SOURCES.md",
        "extract/assets/calibration/rust_book.txt",
        "extract/assets/reference/gpt2_small.json",
        "extract/assets/traces/gpt2-published.safetensors",
        "extract/assets/traces/smollm2-135m.safetensors",
    } <= names
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "extract",
        "filmkit",
        "scenes",
    }
    code = {str(path.relative_to(PROJECT)) for path in PROJECT.glob("scenes/**/*.py")}
    assert code <= names


def test_it_lists_and_renders_in_an_empty_folder(programs: Path, tmp_path: Path) -> None:
    done = run(tmp_path, programs / "attention-film", "--list", "--json")
    assert done.returncode == 0, done.stderr
    assert "scene_mla" in [scene["name"] for scene in json.loads(done.stdout)]
    draft = ("--quality", "draft", "--quiet")
    done = run(tmp_path, programs / "attention-film", "scene_mla", "--beat", "the_cache", *draft)
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.suffix for path in sorted((tmp_path / "videos" / "scene_mla").iterdir())] == [
        ".mp4",
        ".srt",
        ".vtt",
    ]
    line = "from filmkit import Stage, beat, Heatmap; print(Heatmap([[1, 2]]).shape)"
    done = run(tmp_path, programs / "python", "-c", line)
    assert (done.returncode, done.stdout) == (0, "(1, 2)\n"), done.stderr


def test_it_says_where_its_documentation_is(programs: Path, tmp_path: Path) -> None:
    done = run(tmp_path, programs / "attention-film", "--help")
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.split()[-1]).read_text().startswith("# ")


def test_folders_named_as_its_packages_do_not_matter(programs: Path, tmp_path: Path) -> None:
    for name in ("extract", "filmkit", "scenes"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('not this one')\n")
    still = ("scene_heads", "--still", "one_head_on_a_card", "--quality", "draft")
    done = run(tmp_path, programs / "attention-film", *still, "--jobs", "2", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(tmp_path.glob("videos/scene_heads/*.png"))) == 1
    film = ("scene_heads", "--beat", "one_head_on_a_card", "--quality", "draft", "--jobs", "2")
    done = run(tmp_path, programs / "attention-film", *film, "--quiet")
    assert (done.returncode, done.stderr) == (0, "")


def test_doctor_finds_no_fault_and_new_says_where_it_works(programs: Path, tmp_path: Path) -> None:
    done = run(tmp_path, programs / "attention-film", "doctor", "--json")
    report = json.loads(done.stdout)
    assert report["healthy"], report
    states = {row["name"]: row["state"] for row in report["findings"]}
    assert states["versions"] == states["smollm2-135m.safetensors"] == "ok"
    done = run(tmp_path, programs / "attention-film", "new", "scene_mine")
    assert done.returncode == 1
    assert "run this in a checkout of the project" in done.stderr


def test_manim_finds_it_as_a_plugin(programs: Path, tmp_path: Path) -> None:
    done = run(tmp_path, programs / "manim", "plugins", "-l")
    assert "filmkit" in done.stdout + done.stderr
    (tmp_path / "plain.py").write_text(
        "from manim import Scene\nfrom filmkit import Heatmap\n\n"
        "class Plain(Scene):\n    def construct(self):\n        self.add(Heatmap([[1, 2, 3]]))\n"
    )
    done = run(tmp_path, programs / "manim", "-ql", "-s", "plain.py", "Plain")
    assert done.returncode == 0, done.stderr
