"""What every scene keeps, for every kind of model and prompt and in every shape of picture.

Each scene is played once for each trace, shape and choice of settings. What is special to a scene
is tested beside the tests of its module.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from filmkit.core.beat_records import Rehearsal
from filmkit.core.language import ALPHABETIC
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import StageError
from filmkit.core.stage_settings import StageSettings
from filmkit.core.theme_names import THEMES
from filmkit.render.quality import ASPECTS, DEFAULT_ASPECT
from filmkit.words.captions import captions
from filmkit.words.script import speaker_notes
from scenes.registry import POSTERS, SCENES, THUMBNAIL
from tests.support.kinds import KINDS, OWN_KEYS, SHIPPED_KIND, trace_of_kind
from tests.support.performance import Performance, perform
from tests.support.traces import make_trace

SHORT_SIDE = 360  # of the pictures, in pixels: what is measured does not depend on it
MAX_JUMP = 12  # levels of 255 by which a small square may change between two beats
SLUGS = {entry.slug: entry for entry in SCENES}


@dataclass(frozen=True)
class Case:
    """A scene, what it shows and how."""

    entry: SceneEntry
    kind: str = SHIPPED_KIND
    aspect: str = DEFAULT_ASPECT
    settings: StageSettings = field(default_factory=StageSettings)

    def __str__(self) -> str:
        changed = {
            name: value
            for name, value in vars(self.settings).items()
            if value != getattr(StageSettings(), name)
        }
        words = [self.entry.slug, self.kind, self.aspect]
        return "-".join([*words, *(f"{name} {value}" for name, value in changed.items())])

    @property
    def is_poster(self) -> bool:
        return self.entry not in SCENES


LATENT = "keeps a latent instead of keys and values; render scene_mla"
NOT_CONVERTED = (
    "has no conversion into MLA in its trace; add one with: python -m extract convert --out FILE"
)
OTHER_ROTATION = (
    "has no conversion into MLA in its trace, and can have none: it does not rotate its queries "
    "and keys as Llama does"
)
NOT_ROTATED = "does not rotate queries and keys; give the trace of a model that does"
UNROTATED = (OWN_KEYS, "one head", "one layer", "2 tokens")
REFUSED = {
    ("scene_kv_cache", "true MLA"): LATENT,
    ("scene_sharing", "true MLA"): LATENT,
    ("scene_sharing", "one head"): "has one head, which has nothing to share; give another trace",
    ("scene_answer", "true MLA"): LATENT,
    ("scene_answer", "one head"): "has one head, which has nothing to share; give another trace",
} | {
    ("scene_rotation", kind): NOT_ROTATED if kind in UNROTATED else NOT_CONVERTED
    for kind in KINDS
    if kind not in (SHIPPED_KIND, "true MLA")
}
REFUSED["scene_rotation", "grouped heads, rotary"] = OTHER_ROTATION
"""The scenes and kinds of traces that do not go together, and how the message ends."""

EXTREMES = ("one head", "2 tokens", "24 long tokens", "32 heads", "Chinese and emoji")
"""Kinds with the fewest and the most of what pictures hold: they are shown in another shape too."""


def all_cases() -> Iterator[Case]:
    """Yield every case: first all kinds, then the shipped trace in all ways, then the others."""
    others = [aspect for aspect in ASPECTS if aspect != DEFAULT_ASPECT]
    for kind in KINDS:
        yield from (Case(entry, kind) for entry in (*SCENES, *POSTERS, THUMBNAIL))
    for entry in SCENES:
        yield from (Case(entry, aspect=aspect) for aspect in others)
        yield Case(entry, settings=StageSettings(show_first_token=True, head=5))
    for entry in (*SCENES, *POSTERS):
        yield from (Case(entry, settings=StageSettings(theme=name)) for name in THEMES[1:])
    for number, kind in enumerate(KINDS):
        # Each scene shows each of them in one of the other shapes, in turn.
        for place, entry in enumerate(SCENES if kind in EXTREMES else ()):
            yield Case(entry, kind, others[(number + place) % len(others)])


FAST_ASPECTS = (DEFAULT_ASPECT, "9:16")
"""Shapes in which the fast tests show the shipped trace."""

FAST_KINDS = ("true MLA", SHIPPED_KIND, "learned positions, biases", "Chinese and emoji")
"""What the fast tests show besides, in 16:9, a kind for each scene in turn; of the shipped trace
its first token and another head."""


def is_slow(case: Case) -> bool:
    """Whether a case is left out of the fast tests."""
    if case == Case(case.entry, aspect=case.aspect):
        return case.aspect not in FAST_ASPECTS
    if case.is_poster or case.aspect != DEFAULT_ASPECT or case.settings.theme != THEMES[0]:
        return True
    return case.kind != FAST_KINDS[SCENES.index(case.entry) % len(FAST_KINDS)]


CASES = [
    pytest.param(case, id=str(case), marks=[pytest.mark.slow] if is_slow(case) else [])
    for case in all_cases()
    if (case.entry.slug, case.kind) not in REFUSED
]


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture(scope="module")
def performance(case: Case) -> Performance:
    across, down = (SHORT_SIDE * side // min(ASPECTS[case.aspect]) for side in ASPECTS[case.aspect])
    return perform(
        case.entry.load(),
        trace_of_kind(case.kind),
        case.settings,
        width=across,
        height=down,
        notes=case.entry != THUMBNAIL,
    )


# What is seen and heard


WRONG = (
    "faults",
    "passing_faults",
    "words_on_panels",
    "uneven_axes",
    "untrue_panels",
    "misnamed_words",
    "wrong_lights",
    "untrue_notes",
    "untrue_facts",
)
"""What a beat is noted for, none of which it may have; see :class:`BeatNotes`."""


def test_every_picture_can_be_read_and_is_true(performance: Performance) -> None:
    """At the end of each beat, and of each animation in it.

    ``pytest -rP`` tells how much was computed again.
    """
    counted = ", ".join(f"{count} {kind}" for kind, count in performance.checked.items())
    sys.stdout.write(f"{counted}\n")
    wrong = {
        name: [line for beat in performance.beats for line in getattr(beat, name)] for name in WRONG
    }
    assert {name: lines for name, lines in wrong.items() if lines} == {}


def test_every_beat_of_the_trace_is_played_and_shows_something(performance: Performance) -> None:
    names = [beat.record.name for beat in performance.beats]
    assert names == list(performance.scene.beat_names(performance.trace))
    assert [beat.record.name for beat in performance.beats if beat.n_shown < 1] == []


def test_what_is_said_can_be_followed(case: Case, performance: Performance) -> None:
    records = tuple(beat.record for beat in performance.beats)
    notes = speaker_notes(Rehearsal(records, records[-1].end))
    for record in records:
        # Read alone, on a button, a number needs its unit.
        assert not [choice for choice in record.choices if re.fullmatch(r"[\d.,\s]+", choice)]
        assert re.fullmatch(r"(Question: )?[A-Z][\w ,-]*", record.title)
        assert notes[record.name].startswith(record.narration)
        assert re.search(r"[.?!]$", record.narration), record
        assert not re.search(r"[{}\n]|  ", record.narration), record
        sentences = re.split(r"(?<=[.?!])\s+(?=[A-Z“])", record.narration)
        assert 1 <= len(sentences) <= 2, record
    if case.is_poster:
        return
    hurried = [
        f"{record.name}: {len(record.narration) / (record.end - record.start):.2f} a second"
        for record in records
        if len(record.narration) > ALPHABETIC * (record.end - record.start)
    ]
    assert hurried == []
    for cue in captions(records):
        assert len(cue.text) <= ALPHABETIC * (cue.end - cue.start), cue
        assert cue.end - cue.start >= 1.0, cue


# No cut


def test_each_beat_begins_where_the_one_before_ended(performance: Performance) -> None:
    """The first frame of a beat is, but for soft edges, the last picture of the one before.

    Nothing moves by the clock, so that this holds for beats that are drawn by themselves too.
    """
    levels = {beat.record.name: round(beat.jump) for beat in performance.beats}
    assert {name: most for name, most in levels.items() if most > MAX_JUMP} == {}
    assert performance.time_updaters == ()


# What cannot be shown


@pytest.mark.parametrize(
    ("slug", "kind"),
    [
        pytest.param(slug, kind, marks=[] if kind in FAST_KINDS else pytest.mark.slow)
        for slug, kind in REFUSED
    ],
)
def test_a_kind_of_trace_that_a_scene_cannot_show_is_refused(slug: str, kind: str) -> None:
    with pytest.raises(StageError, match=rf"^made-up model {REFUSED[slug, kind]}$"):
        SLUGS[slug].load().rehearse(trace_of_kind(kind))


UNSHOWABLE = {
    "a prompt of one word": ({"n_tokens": 1}, {}, "the prompt has 1 tokens; .* extract a longer"),
    "a prompt of 25 words": ({"n_tokens": 25}, {}, "the prompt has 25 tokens; .* a shorter one"),
    "a layer too high": ({}, {"layer": 2}, "has no layer 2; choose --layer 0 to 1"),
    "a negative head": ({}, {"head": -1}, "has no head -1; choose --head 0 to 3"),
}


@pytest.mark.parametrize(
    ("trace", "settings", "message"), UNSHOWABLE.values(), ids=UNSHOWABLE.keys()
)
@pytest.mark.parametrize("entry", [*SCENES, *POSTERS, THUMBNAIL], ids=lambda entry: entry.slug)
def test_what_no_scene_can_show_is_refused_in_one_line(
    entry: SceneEntry, trace: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(StageError, match=message) as refused:
        entry.load().rehearse(make_trace(**trace), StageSettings(**settings))
    assert "\n" not in str(refused.value)
