"""The example about induction heads: short, translated, with questions, and drawn from a trace."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from manim import Polygon, tempconfig
from manim.utils.exceptions import EndSceneEarlyException
from PIL import Image

from extract import Trace
from extract.support.kept import FOLDER_VARIABLE

ROOT = Path(__file__).parents[2]
FILE = ROOT / "examples" / "scene_induction.py"
# How many answers each offers.
QUESTIONS = {"ask_the_first_time": 2, "ask_where_it_looks": 2, "ask_its_helper": 0}
PROMPT = "Two whales borrowed my umbrella. Two whales borrowed my"


def run(*arguments, **settings):
    """Run Python in the project's folder, and return what it printed."""
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def scene():
    spec = importlib.util.spec_from_file_location("examples_scene_induction", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Induction


@pytest.fixture(scope="module")
def twice(tmp_path_factory, kept):
    """Return the trace that the file of the scene tells how to make."""
    path = tmp_path_factory.mktemp("induction") / "twice.safetensors"
    model = ("--model", "smollm2-packaged", "--no-latent", "--no-conversion")
    choice = ("--prompt", PROMPT, "--out", path)
    run("-m", "extract", *model, *choice, **{FOLDER_VARIABLE: str(kept)})
    return path


def copying(trace):
    """Return places of the second round, those that came next, and how much each head looks there.

    Heads are (layer, head), and the places those of all tokens.
    """
    words = [token.strip() for token in trace.meta.tokens[: trace.meta.n_prompt]]
    second = [n for n, word in enumerate(words) if n > 1 and word in words[1:n]]
    after = [words.index(words[n]) + 1 for n in second]
    scores = {
        (layer, head): trace.get("pattern", layer)[head][second, after].mean()
        for layer in range(trace.meta.n_layers)
        for head in range(trace.meta.n_heads)
    }
    return second, after, scores


def test_it_is_short():
    assert len(FILE.read_text(encoding="utf-8").splitlines()) < 150


def test_the_file_names_its_prompt():
    assert f'--prompt "{PROMPT}"' in FILE.read_text(encoding="utf-8")


def test_it_asks(scene):
    names = scene.beat_names()
    assert 6 <= len(scene.beat_names(questions=False)) <= 9
    assert [name for name in names if name.startswith("ask_")] == list(QUESTIONS)


def test_its_catalogue_is_complete(tmp_path):
    """On a copy, as the command brings the catalogue up to date."""
    copy = shutil.copytree(FILE.parent, tmp_path / "examples")
    run("-m", "filmkit.tools.messages", "de", copy / FILE.name)


@pytest.mark.model
@pytest.mark.slow
def test_its_pictures_are_drawn(twice, scene, tmp_path):
    choice = ("--trace", twice, "--quality", "draft", "--still", "all")
    run("render.py", FILE, *choice, "--out", tmp_path, "--cache", tmp_path / "cache")
    pictures = sorted(tmp_path.glob("scene_induction/*.png"))
    assert [picture.stem[3:] for picture in pictures] == list(scene.beat_names())
    for picture in pictures:
        with Image.open(picture) as image:
            assert image.convert("L").getextrema()[1] > 150, picture.name


@pytest.mark.model
@pytest.mark.slow
def test_its_numbers_are_those_of_the_trace(twice, scene):
    """The best head, and both guesses, computed again without the scene."""
    trace = Trace.load(twice)
    second, after, scores = copying(trace)
    layer, head = max(scores, key=scores.get)
    script = run("render.py", "script", FILE, "--trace", twice)
    share = trace.get("pattern", layer)[head, second[-1], after[-1]]
    assert f": {share:.0%} of its attention" in script
    assert f"In layer {layer}, the last “" in script
    assert f"{scores[layer, head]:.0%}, is the induction score" in script
    assert f"In {sum(score > 0.5 for score in scores.values())} of {len(scores)}," in script
    first, last = trace.meta.top_tokens[after[-1] - 1], trace.meta.top_tokens[second[-1]]
    assert f"\n“{first[0].strip()}”, though with" in script
    assert f"The second time, “{last[0].strip()}” has" in script


@pytest.mark.model
@pytest.mark.slow
def test_light_falls_on_words_as_attention_does(twice, scene):
    trace, shown = Trace.load(twice), []

    def stop(record, stage):
        if record.name == "where_it_looks":
            shown.extend(piece for mobject in stage.mobjects for piece in mobject.get_family())
            raise EndSceneEarlyException

    with tempconfig({"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}):
        scene(trace, on_beat_end=stop).render()
    second, after, scores = copying(trace)
    layer, head = max(scores, key=scores.get)
    attention = trace.get("pattern", layer)[head, second[-1]]
    cones = [piece for piece in shown if isinstance(piece, Polygon)]
    first = range(trace.meta.has_bos, second[0])
    assert [cone.get_fill_opacity() for cone in cones] == pytest.approx(attention[first])
    brightest = max(cones, key=lambda cone: cone.get_fill_opacity())
    word = trace.meta.tokens[after[-1]].strip()
    places = [piece.get_x() for piece in shown if getattr(piece, "text", "") == word]
    assert brightest.get_vertices()[1:, 0].mean() == pytest.approx(places[0], abs=0.1)


@pytest.mark.model
@pytest.mark.slow
def test_questions_offer_different_answers_and_the_right_one(twice, scene):
    records = {record.name: record for record in scene.rehearse(Trace.load(twice)).beats}
    for name, count in QUESTIONS.items():
        choices = records[name].choices
        assert len(set(choices)) == len(choices) == count
        if choices:
            answer = records[name.removeprefix("ask_")].narration
            assert f"“{choices[records[name].answer]}”" in answer
