"""Films in another language: their files, captions and tracks, and what is rendered again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import pytest

from filmkit.commands.scene_files import find_scene
from filmkit.core.language import use_language
from filmkit.render.jobs import make_films, make_stills
from filmkit.render.quality import Quality
from filmkit.render.request import RenderRequest
from filmkit.voice.choice import chosen_voice
from filmkit.voice.loudness import LOUDNESS, measure
from filmkit.voice.sounds import RATE, read_sound
from tests.filmkit.words.test_captions import read
from tests.support.filming import render_request, segments
from tests.support.traces import make_trace
from tests.support.voices import A_LETTER, tone_program

SCENE = '''
from filmkit import Appear, Label, Stage, beat
from filmkit.core.language import _


class Story(Stage):
    title = "A story"

    @beat
    def opening(self):
        """One word is here."""
        self.word = Label(_("a word"))
        self.play(Appear(self.word))

    @beat
    def ending(self):
        """It stays until [red] is said."""
        self.wait_for("red")
        self.play(self.word.animate.shift([1, 0, 0]))
'''
FRENCH = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"

msgid "A story"
msgstr "Une histoire"

msgid "a word"
msgstr "un mot"

msgctxt "narration, opening"
msgid "One word is here."
msgstr "Voici un mot."

msgctxt "narration, ending"
msgid "It stays until [red] is said."
msgstr "Il reste là jusqu’à ce que quelqu’un dise [red|rouge]."

msgctxt "title of a beat"
msgid "Opening"
msgstr "Le début"
"""


class Project:
    """A scene in a file of its own with a French catalogue, and a cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scene = folder / "story.py"
        self.scene.write_text(SCENE)
        self.catalogue = folder / "locale" / "fr.po"
        self.catalogue.parent.mkdir()
        self.write(FRENCH)
        self.trace = folder / "trace.safetensors"
        make_trace().save(self.trace)

    def write(self, french: str) -> None:
        self.catalogue.write_text(french, encoding="utf-8")

    def request(self, language: str, **options: Any) -> RenderRequest:
        return render_request(
            (find_scene(str(self.scene)),),
            self.trace,
            self.folder / "out",
            cache=self.folder / "cache",
            quality=Quality(160, 90, 10),
            language=language,
            **options,
        )

    def render(self, language: str = "fr", **options: Any) -> int:
        """Make the film, and count the parts that were rendered for it."""
        before = segments(self.folder)
        with use_language(language):
            assert make_films(self.request(language, **options))
        return len(segments(self.folder).items() - before.items())


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_each_language_has_files_of_its_own(project: Project) -> None:
    assert project.render("en", captions="mux") == 4
    assert project.render("fr", captions="mux") == 4
    out = project.folder / "out"
    assert {path.name for path in out.glob("*.mp4")} == {"story.mp4", "story.fr.mp4"}
    assert [text.replace("\n", " ") for _, _, text in read(out / "story.fr.srt")] == [
        "Voici un mot.",
        "Il reste là jusqu’à ce que quelqu’un dise rouge.",
    ]
    for name, language, opening in (("story", "eng", "Opening"), ("story.fr", "fra", "Le début")):
        with av.open(out / f"{name}.mp4") as film:
            assert [stream.language for stream in film.streams.subtitles] == [language]
            assert film.chapters()[0]["metadata"]["title"] == opening


def test_a_changed_sentence_renders_only_tails_again(project: Project) -> None:
    assert project.render() == 4
    project.write(FRENCH.replace("Voici un mot.", "Voici un mot, et rien d’autre que ce mot."))
    assert project.render() == 1
    project.write(FRENCH)
    assert project.render() == 0


@pytest.mark.slow
def test_a_mark_that_is_said_later_is_waited_for(project: Project) -> None:
    assert project.render() == 4
    project.write(
        FRENCH.replace("Il reste là jusqu’à ce", "Et pourtant il reste encore là jusqu’à ce")
    )
    assert project.render() == 2


@pytest.mark.slow
def test_a_changed_word_on_screen_renders_the_scene_again(project: Project) -> None:
    assert project.render() == 4
    project.write(FRENCH.replace('un mot"', 'une parole"'))
    assert project.render() == 4
    assert project.render("en") == 4


def test_stills_and_their_alt_texts_are_in_the_language(project: Project) -> None:
    with use_language("fr"):
        assert make_stills(project.request("fr"), "opening")
    (still,) = (project.folder / "out" / "story.fr").glob("*.json")
    text = still.read_text("utf-8")
    assert "Le début" in text
    assert "un mot" in text


def test_a_voice_sets_the_time_in_french(project: Project) -> None:
    project.render(voice=chosen_voice(tone_program(project.folder)))
    film = project.folder / "out" / "story.fr.mp4"
    with av.open(film) as container:
        assert container.streams.audio[0].language == "fra"
        seconds = float(container.duration or 0) / av.time_base
    samples = read_sound(film)
    assert len(samples) / RATE == pytest.approx(seconds, abs=0.1)
    assert measure(samples).integrated == pytest.approx(LOUDNESS, abs=0.5)
    captions = read(film.with_suffix(".srt"))
    assert captions[1][1] == pytest.approx(A_LETTER * len(captions[1][2]), abs=0.3)
