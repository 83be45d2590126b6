"""A scene of the user's own in another language: its catalogue, its pictures, and a cluster."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from multiprocessing import Pipe
from pathlib import Path
from string import Template

import pytest
from babel.messages.pofile import write_po

from filmkit.commands import cli, new
from filmkit.commands.scene_files import find_scene
from filmkit.core.beat_records import Rehearsal
from filmkit.core.errors import SceneCodeError, StageError
from filmkit.core.language import read_catalogue, use_language
from filmkit.core.numbers import counted_heads, format_decimal
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage_settings import StageSettings
from filmkit.render.cache import Cache
from filmkit.render.cluster import inputs_of
from filmkit.render.cluster_worker import _scene_files
from filmkit.render.outputs import update_outputs
from filmkit.render.processes import Apart
from filmkit.render.quality import Quality
from filmkit.render.rehearsals import Rehearsals
from filmkit.tools import messages
from tests.support.filming import render_request
from tests.support.staging import play
from tests.support.traces import make_trace

SCENE = '''
from manim import DOWN, Group

from filmkit import Appear, Label, Stage, beat
from filmkit.core.language import _
from filmkit.core.numbers import counted_heads, format_decimal


class Mine(Stage):
    title = "My own words"

    def prepare(self):
        self.facts["heads"] = counted_heads(9)

    @beat
    def two_words(self):
        """{heads}; my [word] is here."""
        texts = _("a word"), _("{number} of them", number=format_decimal(2.5, 1)), counted_heads(9)
        self.wait_for("word")
        self.play(Appear(Group(*map(Label, texts)).arrange(DOWN)))
'''
WRITTEN = "{heads}; my [word] is here."
FRENCH = {
    "My own words": "Mes propres mots",
    "Two words": "Deux mots",
    "a word": "un mot",
    "{number} of them": "il y en a {number}",
    WRITTEN: "{heads}\u202f; mon [word|mot] est là.",
}
WORDS = {"un mot", "il y en a 2,5"}
NARRATED = "\u202f; mon mot est là."
OF_THE_TEMPLATE = {
    "Pattern": "Motif",
    "One head": "Une tête",
    "The pattern": "Le motif",
    "The last word": "Le dernier mot",
    "Each row of a pattern says where one word looks. Bright cells are large shares.": (
        "Chaque ligne d’un motif dit où regarde un mot. Les cases claires sont de grandes parts."
    ),
    "The last word, {last}, looks most at [{found}]: {share} of its attention goes there.": (
        "Le dernier mot, {last}, regarde surtout [{found}|{found}]\u00a0: {share} de son attention."
    ),
}

Run = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a scene that is not loaded yet, and a trace."""
    sys.modules.pop("scene_file_my_scene", None)
    (tmp_path / "my_scene.py").write_text(SCENE)
    make_trace().save(tmp_path / "trace.safetensors")
    return tmp_path


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command about the scene, in French, and returns its output."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ATTENTION_FILM_CACHE", str(folder / "cache"))

    def call(*arguments: str) -> str:
        given = ("--trace", "trace.safetensors", "--language", "fr")
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main([*arguments, *given])
        printed = capsys.readouterr()
        assert (end.value.code, printed.err) == (0, "")
        return printed.out

    return call


def translate(scene: Path, translations: dict[str, str]) -> Path:
    """Write the French catalogue of a scene as a translator does, and return its path."""
    assert messages.main(["fr", str(scene)]) == 1, "there is something to be done"
    path = scene.parent / "locale" / "fr.po"
    catalog = read_catalogue(path)
    for message in catalog:
        if message.id:
            message.string = translations[str(message.id)]
    with path.open("wb") as file:
        write_po(file, catalog)
    assert messages.main(["fr", str(scene)]) == 0
    return path


def shown(entry: SceneEntry) -> tuple[set[str], str]:
    """Return the words on screen at the end of a scene in French, and what is said."""
    pictures = play(entry.load(), make_trace(), StageSettings(language="fr"), width=320, height=180)
    return {item.text for item in pictures[-1].texts}, pictures[-1].record.narration


def of_the_kit() -> str:
    """Return what the kit calls nine heads in French."""
    with use_language("fr"):
        return counted_heads(9)


def test_its_own_words_and_those_of_the_kit_are_in_the_language(folder: Path) -> None:
    translate(folder / "my_scene.py", FRENCH)
    entry = find_scene(str(folder / "my_scene.py"))
    texts, narration = shown(entry)
    assert {*WORDS, of_the_kit()} <= texts
    assert narration == of_the_kit() + NARRATED
    with use_language("fr"):
        assert entry.shown_title == "Mes propres mots"
        assert entry.title_of_beat("two_words") == "Deux mots"
    with use_language("en"):
        assert entry.shown_title == "My own words"


def test_without_a_catalogue_its_own_words_are_english(folder: Path) -> None:
    texts, narration = shown(find_scene(str(folder / "my_scene.py")))
    with use_language("fr"):
        number = format_decimal(2.5, 1)
    assert {"a word", f"{number} of them", of_the_kit()} <= texts
    assert narration == f"{of_the_kit()}; my word is here."
    assert not (folder / "locale").exists()


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("{têtes} : mon [word|mot] est là.", "there is no fact {têtes}; there are heads"),
        ("{heads} : mon mot est là.", "the narration has no mark [word]"),
    ],
)
def test_a_narration_that_does_not_fit_is_the_translators_mistake(
    folder: Path, said: str, fault: str
) -> None:
    path = translate(folder / "my_scene.py", FRENCH)
    path.write_text(path.read_text("utf-8").replace(FRENCH[WRITTEN], said), encoding="utf-8")
    with pytest.raises(StageError) as raised:
        shown(find_scene(str(folder / "my_scene.py")))
    assert not isinstance(raised.value, SceneCodeError)
    begin = f"the translation “{said}” of “{WRITTEN}” does not fit: {fault}"
    assert str(raised.value).startswith(begin)


def test_stills_and_scripts_are_in_the_language(folder: Path, run: Run) -> None:
    translate(folder / "my_scene.py", FRENCH)
    assert "# Mes propres mots\n\nmy_scene" in (script := run("script", "my_scene.py"))
    # The narrow blank of French is printed as it is.
    assert of_the_kit() + NARRATED in script
    run("my_scene.py", "--still", "two_words", "--quality", "draft", "--quiet", "--out", "stills")
    (still,) = (folder / "stills").rglob("*.json")
    assert still.parent.name == "my_scene.fr"
    described = json.loads(still.read_text("utf-8"))
    assert {text["text"] for text in described["texts"]} >= {*WORDS, of_the_kit()}
    assert described["alt"].startswith("Deux mots.")


@pytest.mark.slow
def test_a_watched_film_is_in_the_language(folder: Path) -> None:
    translate(folder / "my_scene.py", FRENCH)
    request = render_request(
        (find_scene(str(folder / "my_scene.py")),),
        folder / "trace.safetensors",
        folder / "videos",
        quality=Quality(160, 90, 5),
        cache=folder / "cache",
        language="fr",
    )
    function = f"{update_outputs.__module__}:update_outputs"
    _requests, theirs = Pipe()
    artist = Apart(function, (*request.with_trace(), folder, True), further=[theirs])
    kinds = [message["kind"] for message in iter(artist.receive, None)]
    assert [kind for kind in kinds if kind != "beat"] == [
        *("written", "reads"),  # the sheet, with the first picture
        *("written", "done"),  # the film
    ]
    assert {path.name for path in (folder / "videos").iterdir()} >= {
        "my_scene.fr.mp4",
        "my_scene.fr.preview.png",
        "my_scene.fr.srt",
    }


def test_what_new_writes_can_be_translated(folder: Path, run: Run) -> None:
    template = Template((new.TEMPLATES / "scene.py.txt").read_text("utf-8"))
    scene = folder / "one_head.py"
    scene.write_text(template.substitute(sentence="One head.", cls="Mine", title='"One head"'))
    translate(scene, OF_THE_TEMPLATE)
    script = run("script", "one_head.py")
    assert script.startswith("# Une tête\n")
    assert "Le dernier mot, " in script


def test_two_scenes_of_a_folder_have_one_catalogue(folder: Path) -> None:
    path = translate(folder / "my_scene.py", FRENCH)
    other = folder / "another.py"
    other.write_text(SCENE.replace("a word", "another word"))
    assert messages.main(["fr", str(other)]) == 1
    assert read_catalogue(path).get("a word").string == "un mot"
    assert "another word" in read_catalogue(path)
    other.unlink()
    assert messages.main(["fr", str(folder / "my_scene.py")]) == 0
    assert "another word" not in read_catalogue(path)


def rehearsed(folder: Path) -> tuple[SceneEntry, Rehearsal]:
    """Rehearse the scene of the folder in French."""
    entry, trace_file = find_scene(str(folder / "my_scene.py")), folder / "trace.safetensors"
    request = render_request((entry,), trace_file, folder, language="fr")
    return entry, Rehearsals(request, Cache(folder / "cache", 0), hashed=True).get(entry)


def test_a_cluster_draws_its_words(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    translate(folder / "my_scene.py", FRENCH)
    entry, rehearsal = rehearsed(folder)
    files = inputs_of(entry, rehearsal.files)
    assert set(files) == {"my_scene.py", "locale/fr.po"}
    there = tmp_path_factory.mktemp("worker") / "code"
    with _scene_files(entry, files, there) as sent:
        assert sent.file == there / "my_scene.py"
        assert shown(sent)[0] >= {*WORDS, of_the_kit()}


def test_an_edited_catalogue_counts_as_an_edit(folder: Path) -> None:
    path = translate(folder / "my_scene.py", FRENCH)
    before = rehearsed(folder)
    assert rehearsed(folder) == before
    path.write_text(path.read_text("utf-8").replace("un mot", "une parole"), encoding="utf-8")
    assert rehearsed(folder) != before
