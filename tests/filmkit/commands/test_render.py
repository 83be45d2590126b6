"""The command line: the files it writes, the text it prints, and how it fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from rich.console import Console

from extract.__main__ import main as extract_command
from extract.support.kept import kept_folder
from filmkit import commands
from filmkit.commands import cli
from filmkit.commands import options as shared_options
from filmkit.render import films, traces
from filmkit.render.cache import FOLDER_VARIABLE
from filmkit.render.progress import BarMeter, LineMeter, Meter, make_meter
from scenes.registry import SCENES
from tests.support.checkout import PROJECT
from tests.support.stand_in import (
    BROKEN,
    FEATURED,
    INTERRUPTED,
    MISTAKEN,
    NOISY,
    SHAPES,
    UNSHOWABLE,
    entry,
)
from tests.support.traces import make_trace

STAND_INS = (SHAPES, FEATURED, NOISY, INTERRUPTED, MISTAKEN, UNSHOWABLE)


@dataclass(frozen=True)
class Outcome:
    """Exit code and output of a call of the command line."""

    code: int
    out: str
    err: str


Render = Callable[..., Outcome]


@pytest.fixture(scope="session")
def trace_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "made-up.safetensors"
    make_trace().save(path)
    return path


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test a cache folder of its own, also for the programs that it starts."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    return folder / "attention-film"


def cached(folder: Path) -> list[Path]:
    """Return the files of a cache folder, without their seals."""
    return [path for path in folder.iterdir() if path.suffix not in (".sealed", ".TAG")]


@pytest.fixture
def render(
    tmp_path: Path,
    trace_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Render:
    """Function that calls the command line in an empty folder, with quick scenes."""
    monkeypatch.chdir(tmp_path)
    for module in (cli, shared_options):
        monkeypatch.setattr(module, "SCENES", STAND_INS)
    monkeypatch.setattr(traces, "EXTRACTED", tmp_path / "nothing")
    monkeypatch.setattr(traces, "SHIPPED", trace_file)

    def call(*arguments: str) -> Outcome:
        capfd.readouterr()
        try:
            cli.main(arguments)
        except SystemExit as stop:
            return Outcome(int(stop.code or 0), *capfd.readouterr())

    return call


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def with_captions(film: str) -> list[str]:
    """Return a film and its caption files."""
    return [film, *(film[: film.rindex(".")] + suffix for suffix in (".srt", ".vtt"))]


def assert_refused(outcome: Outcome, code: int, *words: str) -> None:
    """Check that a call failed with an exit code and one line that contains these words."""
    assert outcome.code == code, outcome
    *before, line = outcome.err.splitlines()
    assert line.startswith("Error: "), outcome
    assert not any(word in " ".join(before) for word in ("Error", "Traceback")), outcome
    for word in words:
        assert word in line


# Files


def test_name_alone_renders_the_scene(render: Render, tmp_path: Path) -> None:
    outcome = render("scene_shapes", "--quality", "draft")
    assert outcome.code == 0, outcome.err
    assert outcome.out == "videos/scene_shapes.mp4\n"
    lines = [line for line in outcome.err.splitlines() if line.startswith("scene_shapes: ")]
    assert lines[-1] == "scene_shapes: 100 %, 0:00 left"
    assert 3 <= len(lines) <= 10
    assert files(tmp_path) == with_captions("videos/scene_shapes.mp4")
    with av.open(tmp_path / "videos" / "scene_shapes.mp4") as film:
        stream = film.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (854, 480, 15)


@pytest.mark.slow
def test_full_hd_is_the_default(render: Render, tmp_path: Path) -> None:
    assert render("scene_shapes", "--beat", "rest", "--out", "here").code == 0
    with av.open(tmp_path / "here" / "scene_shapes" / "03_rest.mp4") as film:
        stream = film.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (1920, 1080, 30)


def test_one_still(render: Render, tmp_path: Path) -> None:
    outcome = render("scene_shapes", "--still", "travel", "--quality", "hd", "--out", "p")
    assert outcome.code == 0, outcome.err
    assert files(tmp_path) == [
        "p/scene_shapes/02_travel.json",
        "p/scene_shapes/02_travel.png",
    ]
    document = json.loads((tmp_path / "p/scene_shapes/02_travel.json").read_text())
    assert document["frame"] == [1280, 720]
    assert Image.open(tmp_path / "p/scene_shapes/02_travel.png").size == (1280, 720)


def test_all_stills(render: Render, tmp_path: Path) -> None:
    assert render("scene_shapes", "--still", "all", "--quality", "draft").code == 0
    names = files(tmp_path / "videos" / "scene_shapes")
    assert [name for name in names if name.endswith(".png")] == [
        "01_appear.png",
        "02_travel.png",
        "03_rest.png",
    ]


def test_files_are_named_after_theme_and_aspect(render: Render, tmp_path: Path) -> None:
    chosen = ("scene_shapes", "--theme", "light", "--aspect", "1:1", "--quality", "draft")
    name = "videos/scene_shapes.light.1x1"
    assert render(*chosen, "--beat", "rest").out == f"{name}/03_rest.mp4\n"
    assert render(*chosen, "--still", "rest").out == f"{name}/03_rest.png\n"
    assert render(*chosen, "--preview").out == f"{name}.preview.png\n"
    made = [f"{name}.preview.png", f"{name}/03_rest.json", f"{name}/03_rest.png"]
    assert files(tmp_path) == sorted([*made, *with_captions(f"{name}/03_rest.mp4")])


@pytest.mark.slow
def test_a_master_is_larger(render: Render, tmp_path: Path) -> None:
    film = tmp_path / "videos" / "scene_shapes.mp4"
    sizes: list[int] = []
    for options in ([], ["--master"], []):
        outcome = render("scene_shapes", "--quality", "draft", *options)
        sizes.append(film.stat().st_size)
        assert outcome.err.endswith(f"\n{sizes[-1] / 1e6:.1f} MB\n")
        listed = render("scene_shapes", "--list", "--quality", "draft", *options).out
        assert listed.startswith(
            f"scene_shapes  Stand-in scene_shapes  (0:05, {sizes[-1] / 1e6:.1f} MB)"
        )
    assert sizes[1] > 1.2 * sizes[0]
    assert sizes[2] == sizes[0], "both are kept in the cache"
    (scene,) = json.loads(render("scene_shapes", "--list", "--json").out)
    assert scene["bytes"] == sizes[-1]


def test_preview_is_one_sheet_at_draft_quality(render: Render, tmp_path: Path) -> None:
    outcome = render("scene_shapes", "--preview")
    assert outcome.out == "videos/scene_shapes.preview.png\n"
    assert files(tmp_path) == ["videos/scene_shapes.preview.png"]
    draft = Image.open("videos/scene_shapes.preview.png").size
    render("scene_shapes", "--preview", "--quality", "hd")
    hd = Image.open("videos/scene_shapes.preview.png").size
    assert hd[0] / draft[0] == pytest.approx(1.5, rel=0.02)


def test_first_token_is_drawn_on_request(render: Render, tmp_path: Path) -> None:
    pictures = []
    for options in ([], ["--show-first-token"]):
        render("scene_featured", "--still", "appear", "--quality", "draft", *options)
        pictures.append(np.asarray(Image.open("videos/scene_featured/01_appear.png")))
    # The note that a token is hidden is not drawn.
    assert not np.array_equal(*pictures)


def test_layer_and_head_reach_the_picture(render: Render, tmp_path: Path) -> None:
    pictures = []
    for options in ([], ["--layer", "0"], ["--head", "1"]):
        render("scene_featured", "--still", "appear", "--quality", "draft", *options)
        pictures.append(np.asarray(Image.open("videos/scene_featured/01_appear.png")))
    assert not np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_cache_is_shown_and_cleared(render: Render, cache_folder: Path) -> None:
    assert f"{cache_folder}: 0 files, 0.00 of at most 10.00 GB" in render("cache").out
    render("scene_shapes", "--quality", "draft")
    stored = cached(cache_folder)
    assert f"{cache_folder}: {len(stored)} files, " in render("cache").out
    assert len(stored) == 7, "segments of three beats and their tails, and a rehearsal"
    assert json.loads(render("cache", "--json").out) == {
        "folder": str(cache_folder),
        "files": 7,
        "bytes": sum(path.stat().st_size for path in stored),
        "limit": 10**10,
        "models": {},
    }
    with kept_folder("calibration", "text", lambda *told: None) as folder:
        (folder / "0.npz").write_bytes(bytes(10**7))
        assert f"{folder.parent}: 0.01 GB of models" in render("cache").out
        in_use = render("cache", "--clear")
        assert (in_use.code, len(in_use.err.splitlines())) == (1, 1)
        assert f"is being traced with {folder}" in in_use.err
    shown = render("cache", "--clear").out
    assert "0 files" in shown
    assert "0.00 GB of models" in shown
    assert files(cache_folder) == ["CACHEDIR.TAG"]
    assert not folder.exists()


@pytest.mark.slow
def test_cache_in_another_folder(render: Render, tmp_path: Path, cache_folder: Path) -> None:
    render("scene_shapes", "--quality", "draft", "--cache", "other_cache")
    assert len(cached(tmp_path / "other_cache" / "attention-film")) == 7
    assert not cache_folder.exists()
    assert "other_cache/attention-film: 7 files" in render("cache", "--cache", "other_cache").out


@pytest.mark.slow
def test_other_formats_have_their_names(render: Render, tmp_path: Path) -> None:
    options = ("--quality", "draft", "--fps", "5", "--transparent")
    assert render("scene_shapes", "--format", "webm", *options).code == 0
    outcome = render("scene_shapes", "--format", "gif", *options)
    assert outcome.out == "videos/scene_shapes.gif\n"
    assert "%" not in outcome.err, "the masters are in the cache already"
    webm = with_captions("videos/scene_shapes.webm")
    assert files(tmp_path) == sorted(["videos/scene_shapes.gif", *webm])
    with av.open(tmp_path / "videos" / "scene_shapes.webm") as film:
        assert film.streams.video[0].average_rate == 5


def test_still_without_its_background(render: Render, tmp_path: Path) -> None:
    render("scene_shapes", "--still", "rest", "--quality", "draft", "--transparent")
    still = Image.open(tmp_path / "videos/scene_shapes/03_rest.png")
    assert still.getpixel((2, 2)) == (0, 0, 0, 0)


def test_the_film_of_all_scenes_that_can_show_the_trace(
    render: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = (SHAPES, UNSHOWABLE, entry("scene_more", "Shapes"))
    monkeypatch.setattr(shared_options, "SCENES", story)
    monkeypatch.setattr(films, "SHORTEST_CHAPTER", 5)
    left_out = f"{UNSHOWABLE.slug} is left out: this trace cannot be shown; make another\n"
    outcome = render("film", "--quality", "draft")
    assert (outcome.code, outcome.out) == (0, "videos/film.mp4\nvideos/film.txt\n")
    assert left_out in outcome.err
    assert files(tmp_path) == sorted([*with_captions("videos/film.mp4"), "videos/film.txt"])
    titles = ["Stand-in scene_shapes", "Stand-in scene_more"]
    assert Path("videos/film.txt").read_text() == f"0:00 {titles[0]}\n0:05 {titles[1]}\n"
    with av.open("videos/film.mp4") as film:
        assert [
            (mark["metadata"]["title"], round(mark["start"] * mark["time_base"] * 15))
            for mark in film.chapters()
        ] == [(titles[0], 0), (titles[1], 78)]
        # The third arrives from the first: between them its title is shown over the last picture of
        # the first, for 1.6 seconds, and both leave in 0.6 seconds.
        assert film.streams.video[0].frames == 156 + 24 + 9
    listed = render("--list", "--quiet")
    assert (listed.code, listed.err) == (0, left_out)
    assert UNSHOWABLE.slug not in listed.out
    # By its name it is refused; so is a story of which nothing is left.
    assert_refused(render(UNSHOWABLE.slug, "--quality", "draft"), 1, "cannot be shown")
    monkeypatch.setattr(shared_options, "SCENES", (UNSHOWABLE,))
    assert_refused(render("film", "--quality", "draft"), 1, "cannot be shown")


def test_film_is_not_made_without_one_of_its_scenes(
    render: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_options, "SCENES", (SHAPES, BROKEN))
    assert_refused(render("film", "--quality", "draft", "--jobs", "1"), 1, BROKEN.slug)
    assert files(tmp_path) == []


def test_film_joins_whole_scenes_only(render: Render) -> None:
    assert_refused(render("film", "--beat", "travel"), 2, "name a scene")
    assert_refused(render("film", "scene_shapes"), 2, "'film' is a command of its own")


def test_script_has_the_narration_with_times(render: Render, tmp_path: Path) -> None:
    outcome = render("script", "scene_shapes")
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith(
        "# Stand-in scene_shapes\n\nscene_shapes, 0:05.2, 3 beats, 10 words\n\n"
        "## 0:00.0–0:02.2 Appear\n\nA square for made-up model.\n\n"
        "*appear, 136 words a minute, 12.3 c/s*\n\n## 0:02.2–0:03.8 Travel\n\nIt moves.\n\n"
    )
    outcome = render("script", "scene_shapes", "--json", "--out", "texts/script.json")
    assert outcome.out == "texts/script.json\n"
    (scene,) = json.loads((tmp_path / "texts" / "script.json").read_text())
    assert (scene["name"], scene["seconds"]) == ("scene_shapes", 5.2)
    assert scene["beats"][2] == {
        "name": "rest",
        "title": "Rest",
        "start": 3.8,
        "end": 5.2,
        "pause": 0.0,
        "narration": "It stands still.",
        "words_per_minute": 128.6,
        "characters_per_second": 11.4,
        "captions": [{"start": 3.8, "end": 5.2, "lines": ["It stands still."]}],
    }
    assert_refused(render("script", "scene_shapes", "--all"), 2, "name scenes or give --all")
    assert_refused(render("script", "scene_shape"), 2, "did you mean scene_shapes?")


def test_nothing_is_left_but_the_film_and_nothing_printed_on_request(
    render: Render, tmp_path: Path, cache_folder: Path
) -> None:
    options = ("--captions", "none", "--quiet", "--no-cache")
    assert render("scene_shapes", "--quality", "draft", *options) == Outcome(0, "", "")
    assert files(tmp_path) == ["videos/scene_shapes.mp4"]
    assert not cache_folder.exists()


def test_captions_that_cannot_be_had_are_refused(render: Render) -> None:
    outcome = render("scene_shapes", "--captions", "mux", "--format", "gif")
    assert_refused(outcome, 2, "a gif cannot hold a caption track", "--captions burn")
    assert_refused(render("scene_shapes", "--captions", "burn", "--still", "all"), 2, "alt text")


# Output


def test_list(render: Render, tmp_path: Path) -> None:
    outcome = render("--list", "scene_shapes")
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        "scene_shapes  Stand-in scene_shapes  (0:05, about 1 MB)",
        "  beats    appear, travel, rest",
        "  tensors  x, q",
    ]
    assert files(tmp_path) == []


def test_list_as_json(render: Render) -> None:
    outcome = render("--list", "--json", "scene_shapes")
    assert outcome.code == 0
    (scene,) = json.loads(outcome.out)
    assert scene["name"] == "scene_shapes"
    assert scene["title"] == "Stand-in scene_shapes"
    assert scene["seconds"] == 5.2
    assert scene["bytes"] is None
    assert scene["tensors"] == ["x", "q"]
    assert scene["beats"][1] == {
        "name": "travel",
        "narration": "It moves.",
        "start": 2.2,
        "end": 3.8,
        "pause": 0.0,
    }


def test_the_default_trace_is_named(render: Render, trace_file: Path) -> None:
    line = "pictures from made-up model, random weights, the trace that comes with the project"
    assert line in render("--list", "scene_shapes").err
    assert "pictures from" not in render("--list", "scene_shapes", "--quiet").err
    assert "pictures from" not in render("--list", "scene_shapes", "--trace", str(trace_file)).err


def test_users_own_trace_comes_before_the_shipped_one(
    render: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.safetensors"
    make_trace(n_layers=3).save(own)
    monkeypatch.setattr(traces, "EXTRACTED", own)
    line = f"pictures from made-up model, random weights ({own})"
    assert line in render("--list", "scene_shapes").err


def test_progress_lines_show_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr("filmkit.render.progress.time.monotonic", lambda: now)
    meter = LineMeter(total=400)
    meter.describe("two scenes")
    for now in (110.0, 130.0):  # noqa: B007 (read by the clock above)
        meter.advance(30)
    assert capfd.readouterr().err == "two scenes: 15 %, 2:50 left\n"


def test_progress_is_one_bar_on_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    console = Console(force_terminal=True, stderr=True, width=80)
    with BarMeter(total=8, console=console) as meter:
        meter.describe("scene_shapes")
        meter.advance(8)
    assert "scene_shapes" in (err := capfd.readouterr().err)
    assert "100%" in err


def test_no_progress_when_quiet() -> None:
    assert type(make_meter(5, quiet=True)) is Meter
    assert type(make_meter(5, quiet=False)) is LineMeter


# Errors


def test_unknown_scene_gets_a_suggestion(render: Render) -> None:
    assert_refused(render("scene_shape"), 2, "no scene 'scene_shape'", "did you mean scene_shapes?")
    assert_refused(render("shapes"), 2, "did you mean scene_shapes?")


def test_unknown_beat_gets_a_suggestion(render: Render, tmp_path: Path) -> None:
    outcome = render("scene_shapes", "--still", "travl")
    assert_refused(outcome, 2, "no beat of scene_shapes 'travl'", "did you mean travel?")
    assert_refused(render("scene_shapes", "--still", "zzz"), 2, "there are appear, travel, rest")
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--quality", "best", "scene_shapes"], ["--quality", "'draft', 'hd', 'fullhd', '4k'"]),
        (["--quality", "draft"], ["--all"]),
        (["scene_shapes", "--all"], ["--all"]),
        (["scene_shapes", "--json"], ["--list"]),
        (["scene_shapes", "--master", "--format", "gif"], ["--master is for mp4"]),
        (["scene_shapes", "--master", "--still", "all"], ["--master is for mp4"]),
        (["scene_shapes", "--master", "--preview"], ["--master", "--preview"]),
        (["scene_shapes", "--quiet", "--verbose"], ["--quiet", "--verbose"]),
        (["--list", "--still", "all"], ["--list", "--still"]),
        (["scene_shapes", "--colour"], ["--colour"]),
        (["scene_shapes", "--layer", "2"], ["--layer", "layers 0 to 1"]),
        (["scene_shapes", "--head", "4"], ["--head", "heads 0 to 3"]),
        (["scene_shapes", "--head", "-1"], ["--head"]),
        (["scene_shapes", "--beat", "travl"], ["--beat", "did you mean travel?"]),
        (["scene_shapes", "--preview", "--still", "all"], ["--still", "--preview"]),
        (["scene_shapes", "--preview", "--transparent"], ["--transparent", "--preview"]),
        (["scene_shapes", "--preview", "--beat", "rest"], ["--still BEAT"]),
        (["scene_shapes", "--preview", "--format", "gif"], ["a preview is a PNG", "--format"]),
        (["deck", "scene_shapes", "--minutes", "1e9"], ["--minutes", "such as 20; at most 1440"]),
        (["deck", "scene_shapes", "--minutes", "nan"], ["--minutes", "such as 20; at most 1440"]),
        (["scene_shapes", "--watch", "--still", "all"], ["--still", "--watch"]),
        (["scene_shapes", "--watch", "--beat", "travl"], ["did you mean travel?"]),
        (["film", "--watch"], ["name a scene"]),
        (["scene_shapes", "--jobs", "0"], ["--jobs"]),
        (["scene_shapes", "--transparent"], ["mp4", "--format webm, mov, gif, png, png-sequence"]),
        (["scene_shapes", "--background", "blue"], ["'blue'", "#RRGGBB"]),
        (["scene_shapes", "--background", "#000000", "--transparent"], ["--transparent"]),
        (["scene_shapes", "cache"], ["'cache'", "render.py cache --help"]),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith(("-", "s")) else "",
)
def test_wrong_usage(
    render: Render, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    assert_refused(render(*arguments), 2, *words)
    assert files(tmp_path) == []


def test_no_arguments_show_the_help(render: Render) -> None:
    outcome = render()
    assert outcome.code == 2
    assert outcome.err.startswith("Usage: python render.py")


@pytest.mark.parametrize(("given", "used"), [(None, "1"), ("4", "4")])
def test_numpy_uses_one_thread_unless_told_otherwise(
    given: str | None, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    if given:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", given)
    with pytest.raises(SystemExit):
        commands.main(["--help"])
    assert os.environ["OPENBLAS_NUM_THREADS"] == used


def test_the_help_names_every_command_and_each_has_its_own() -> None:
    assert [name for name in cli.COMMANDS if f"\n  {name} " not in cli.EPILOG] == []
    calls = [(command, ["-h"]) for command in (*cli.COMMANDS.values(), extract_command)]
    calls += [(extract_command, [name, "-h"]) for name in extract_command.commands]
    for command, words in calls:
        assert CliRunner().invoke(command, words).stdout.startswith("Usage: "), (command, words)


def test_missing_trace(render: Render) -> None:
    assert_refused(render("scene_shapes", "--trace", "none.safetensors"), 1, "none.safetensors")


def test_damaged_trace(render: Render, tmp_path: Path, trace_file: Path) -> None:
    (tmp_path / "cut.safetensors").write_bytes(trace_file.read_bytes()[:-100])
    assert_refused(render("scene_shapes", "--trace", "cut.safetensors"), 1, "cut.safetensors")
    assert files(tmp_path) == ["cut.safetensors"]


def test_trace_that_cannot_be_shown(render: Render) -> None:
    assert_refused(render("scene_unshowable"), 1, "scene_unshowable", "make another")
    assert_refused(render("--list", "scene_unshowable"), 1, "make another")


def test_folder_that_is_a_file(render: Render, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    for what, refused in ([], "taken: File exists"), (["--still", "all"], "taken/scene_shapes"):
        outcome = render("scene_shapes", "--quality", "draft", "--out", "taken", *what)
        assert_refused(outcome, 1, f"cannot write {refused}", "choose another place")
    assert files(tmp_path) == ["taken"]


def test_full_disk(render: Render, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    old = tmp_path / "videos" / "scene_noisy.mp4"
    old.parent.mkdir()
    old.write_bytes(b"the last good one")
    request.getfixturevalue("full_disk")
    outcome = render("scene_noisy", "--quality", "hd")
    assert_refused(outcome, 1, "scene_noisy: cannot write videos/scene_noisy.mp4: ")
    assert old.read_bytes() == b"the last good one"
    assert files(tmp_path) == ["videos/scene_noisy.mp4"]


def test_an_error_in_a_scene_is_one_line(render: Render, tmp_path: Path) -> None:
    outcome = render("scene_mistaken", "--quality", "draft")
    assert_refused(outcome, 1, "RuntimeError: a mistake of two lines; mend it there", "--verbose")
    assert files(tmp_path) == []


def test_verbose_shows_where_an_error_is(render: Render) -> None:
    outcome = render("scene_mistaken", "--quality", "draft", "--verbose")
    assert outcome.code == 1
    assert "Traceback" in outcome.err
    assert "stand_in.py" in outcome.err


def test_one_failure_does_not_stop_the_others(render: Render, tmp_path: Path) -> None:
    outcome = render("scene_unshowable", "scene_shapes", "--quality", "draft")
    assert outcome.code == 1
    assert "Error: scene_unshowable: this trace cannot be shown; make another" in outcome.err
    assert outcome.out == "videos/scene_shapes.mp4\n"


def test_interrupt_leaves_nothing(render: Render, tmp_path: Path) -> None:
    outcome = render("scene_interrupted", "--quality", "draft", "--still", "rest")
    assert outcome.code == 130
    assert outcome.err.splitlines()[-1].startswith("Interrupted")
    assert files(tmp_path) == []


# The program itself


def run_program(*command: str | Path, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=cwd,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_runs_from_any_folder(tmp_path: Path) -> None:
    program = run_program(
        PROJECT / "render.py", "--list", "--json", "--trace", traces.SHIPPED, cwd=tmp_path
    )
    out, err = program.communicate(timeout=300)
    assert program.returncode == 0, err
    assert [scene["name"] for scene in json.loads(out)] == [entry.slug for entry in SCENES]
    assert files(tmp_path) == []


def test_help_reads_without_loading_anything_heavy(tmp_path: Path) -> None:
    script = (
        "import sys, render\n"
        "try: render.main(['--help'])\n"
        "finally: print({'manim', 'numpy', 'torch'} & set(sys.modules), file=sys.stderr)\n"
    )
    program = run_program("-c", script, cwd=tmp_path, PYTHONPATH=str(PROJECT))
    out, err = program.communicate(timeout=60)
    assert (program.returncode, err) == (0, "set()\n")
    for option in ("--all", "--list", "--json", "--quality", "--trace", "--layer", "--head"):
        assert option in out
    for option in ("--show-first-token", "--out", "--still", "--quiet", "--verbose"):
        assert option in out
    for scene in SCENES:
        assert scene.slug in out


def test_rendering_uses_neither_torch_nor_network_nor_a_manim_config_file(
    tmp_path: Path, trace_file: Path
) -> None:
    (tmp_path / "manim.cfg").write_text(
        "[CLI]\nbackground_color = WHITE\nframe_rate = 3\ntext_dir = elsewhere\n"
    )
    script = f"""
import socket, sys

def refuse(*arguments):
    raise AssertionError("the network was asked")

socket.socket.connect = socket.getaddrinfo = refuse
import render
try:
    render.main(["scene_attention", "--still", "all", "--quality", "draft",
                 "--trace", {str(trace_file)!r}])
finally:
    print(sorted({{"torch", "transformers", "transformer_lens"}} & set(sys.modules)))
"""
    program = run_program("-c", script, cwd=tmp_path, PYTHONPATH=str(PROJECT))
    out, err = program.communicate(timeout=300)
    assert program.returncode == 0, err
    # Of the process that draws, and of the one that waits for it.
    *stills, drawing, waiting = out.splitlines()
    assert drawing == waiting == "[]"
    maps = [still.replace(".png", ".json") for still in stills]
    assert files(tmp_path) == sorted(["manim.cfg", *maps, *stills])
    assert Image.open(tmp_path / stills[0]).getpixel((2, 2)) == (0, 0, 0)


@pytest.mark.parametrize("sent", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_while_the_program_loads_ends_it_quietly(sent: str, tmp_path: Path) -> None:
    script = f"""
import signal, sys

class Interrupting:
    def find_spec(self, name, *more):
        if name == "filmkit.commands.cli":
            signal.raise_signal(signal.{sent})

sys.meta_path.insert(0, Interrupting())
from filmkit.commands import main
main(["--list"])
"""
    program = run_program("-c", script, cwd=tmp_path, PYTHONPATH=str(PROJECT))
    assert program.communicate(timeout=60) == ("", "")
    assert program.returncode == 130


@pytest.mark.parametrize(
    "sent", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_signal_removes_unfinished_files(
    tmp_path: Path, trace_file: Path, sent: signal.Signals
) -> None:
    program = run_program(
        PROJECT / "render.py", "scene_attention", "--trace", trace_file, "--out", ".", cwd=tmp_path
    )
    deadline = time.monotonic() + 300
    while not files(tmp_path):
        assert time.monotonic() < deadline
        assert program.poll() is None, program.communicate()
        time.sleep(0.05)
    program.send_signal(sent)
    _, err = program.communicate(timeout=60)
    assert program.returncode == 130
    assert err.splitlines()[-1].startswith("Interrupted")
    assert "Traceback" not in err
    assert files(tmp_path) == []
