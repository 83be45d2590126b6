"""The narration of every scene: every beat has one, and no caption is too fast."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from extract.trace import Trace
from filmkit.core.records import Rehearsal
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.request import RenderOptions
from filmkit.render.runner import rehearse
from filmkit.words.captions import READING_SPEED, captions
from filmkit.words.script import chapter_title, speaker_notes
from scenes.registry import SCENES
from tests.support.checkout import SHIPPED
from tests.support.latents import with_latent


def traces() -> Iterator[Trace]:
    """Yield the shipped trace and a made-up one of another kind of model."""
    yield Trace.load(SHIPPED)
    yield with_latent(n_heads=6, n_kv_heads=2, d_head=16, positions="rotary", n_generated=3)


@pytest.fixture(scope="module", params=SCENES, ids=lambda entry: entry.slug)
def rehearsals(request: pytest.FixtureRequest) -> list[Rehearsal]:
    entry: SceneEntry = request.param
    return [rehearse(entry, trace, RenderOptions()) for trace in traces()]


def test_every_beat_is_told_in_one_or_two_sentences(rehearsals: list[Rehearsal]) -> None:
    for record in (record for rehearsal in rehearsals for record in rehearsal.beats):
        text = record.narration
        sentences = re.split(r"(?<=[.?!])\s+(?=[A-Z“])", text)
        assert 1 <= len(sentences) <= 2, (record.name, text)
        assert re.search(r"[.?!]$", text), (record.name, text)
        assert not re.search(r"[{}\n]|  ", text), (record.name, text)


def test_no_caption_is_hurried(rehearsals: list[Rehearsal]) -> None:
    for record in (record for rehearsal in rehearsals for record in rehearsal.beats):
        for cue in captions([record]):
            speed = len(cue.text) / (cue.end - cue.start)
            assert speed <= READING_SPEED, (record.name, cue)
            assert cue.end - cue.start >= 1.0, (record.name, cue)
        assert len(record.narration) <= READING_SPEED * (record.end - record.start), record


def test_titles_and_notes_read_well(rehearsals: list[Rehearsal]) -> None:
    for rehearsal in rehearsals:
        notes = speaker_notes(rehearsal)
        for record in rehearsal.beats:
            assert re.fullmatch(r"[A-Z][\w ,-]*", chapter_title(record.name))
            assert notes[record.name].startswith(record.narration)
