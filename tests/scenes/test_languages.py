"""Every scene in every language, and in every shape with words that are longer than those of any.

In each language a scene is shown in 16:9 and in one of the other shapes, in turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from filmkit.core.language import DEFAULT_LANGUAGE, Language, known_languages, use_language
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage_settings import StageSettings
from filmkit.render.quality import ASPECTS, DEFAULT_ASPECT
from filmkit.words.captions import captions
from scenes.registry import POSTERS, SCENES
from tests.support.kinds import SHIPPED_KIND, trace_of_kind
from tests.support.pseudo import CODE, longer_words
from tests.support.staging import complaints, play

SHORT_SIDE = 360
LANGUAGES = [code for code in known_languages() if code != DEFAULT_LANGUAGE]
PSEUDO = "longer words"

OTHERS = [aspect for aspect in ASPECTS if aspect != DEFAULT_ASPECT]


def aspects_of(entry: SceneEntry, number: int, language: str) -> list[str]:
    """Return the shapes in which a scene or poster is shown in a language."""
    if entry in POSTERS:
        return [DEFAULT_ASPECT]
    if language == PSEUDO:
        return [*ASPECTS]
    return [DEFAULT_ASPECT, OTHERS[(number + LANGUAGES.index(language)) % len(OTHERS)]]


CASES = [
    pytest.param(
        entry,
        language,
        aspect,
        id=f"{entry.slug}-{language}-{aspect}",
        # The fast tests show each scene in one language, in turn.
        marks=[]
        if aspect == DEFAULT_ASPECT and language == LANGUAGES[number % len(LANGUAGES)]
        else [pytest.mark.slow],
    )
    for number, entry in enumerate((*SCENES, *POSTERS))
    for language in (*LANGUAGES, PSEUDO)
    for aspect in aspects_of(entry, number, language)
]


@pytest.fixture
def code(language: str) -> Iterator[str]:
    """The code of a language, in which the pictures are made."""
    if language == PSEUDO:
        with longer_words():
            yield CODE
    else:
        yield language


@pytest.mark.parametrize(("entry", "language", "aspect"), CASES)
def test_every_picture_can_be_read(entry: SceneEntry, code: str, aspect: str) -> None:
    across, down = (SHORT_SIDE * side // min(ASPECTS[aspect]) for side in ASPECTS[aspect])
    pictures = play(
        entry.load(),
        trace_of_kind(SHIPPED_KIND),
        StageSettings(language=code),
        width=across,
        height=down,
    )
    faults = [
        fault for picture in pictures for fault in complaints(picture, width=across, height=down)
    ]
    assert faults == []
    if entry in POSTERS:
        return
    records = [picture.record for picture in pictures]
    # Read alone, on a button, a number needs its unit.
    assert not [a for record in records for a in record.choices if re.fullmatch(r"[\d.,\s]+", a)]
    fastest = Language(code).letters_a_second
    with use_language(code):
        for cue in captions(records):
            assert len(cue.text) <= fastest * (cue.end - cue.start) + 1e-6, cue
