"""Titles: they come last, stay until a beat has another one, and pictures leave them alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from manim import Square, color_to_rgb

from filmkit.core.animations import Appear, presence
from filmkit.core.beat_records import BeatRecord
from filmkit.core.body import Body, Lamp
from filmkit.core.geometry import Frame
from filmkit.core.seats import SEATS
from filmkit.core.stage import Stage as PlainStage
from filmkit.core.stage import beat
from filmkit.core.stage_settings import StageSettings
from filmkit.core.theme import current_theme
from filmkit.core.title import COMES, LONGEST_TITLE, Title
from filmkit.pictures.stage import Stage
from filmkit.render.manim_config import changed_config
from filmkit.render.quality import ASPECTS, frame_size
from filmkit.world.standing import stand_at_once
from tests.support.staging import complaints, play
from tests.support.traces import make_trace

FRAMES = {name: Frame(*frame_size(*(120 * side for side in ASPECTS[name]))) for name in ASPECTS}


class Named(Stage):
    """Five beats, of which some have titles."""

    def prepare(self) -> None:
        self.rooms = {}

    @beat(title="Dot product")
    def first(self) -> None:
        """One."""
        self.rooms["first"] = self.below_title
        self.play(Appear(Square()), run_time=1)

    @beat
    def second(self) -> None:
        """Two."""
        self.show("Q")
        self.rooms["second"] = self.below_title
        with self.focus():
            self.hold()

    @beat(title="Mix of {things}", ask="What is it?")
    def third(self) -> None:
        """Three."""
        self.facts["things"] = "values"
        self.hold()
        stand_at_once(self, Square())
        self.hold()

    @beat(title="")
    def fourth(self) -> None:
        """Four."""
        self.rooms["fourth"] = self.below_title
        self.hold()

    @beat
    def fifth(self) -> None:
        """Five."""
        self.hold()


def titles(stage: PlainStage) -> list[Title]:
    return [each for each in stage.mobjects if isinstance(each, Title)]


def played(settings: StageSettings | None = None) -> tuple[dict[str, list[Title]], Named]:
    """The titles on screen at the end of each beat of the scene, and the scene."""
    found: dict[str, list[Title]] = {}
    last: list[Named] = []

    def note(record: BeatRecord, stage: PlainStage) -> None:
        assert isinstance(stage, Named)
        found[record.name] = titles(stage)
        assert all(
            presence(part) == pytest.approx(1)
            for t in titles(stage)
            for part in t
            if not record.pause
        )
        last[:] = [stage]

    Named(make_trace(), settings, on_beat_end=note).render()
    return found, last[0]


@pytest.mark.parametrize("calm", [False, True])
def test_a_title_stays_until_a_beat_has_another_or_none(calm: bool) -> None:
    found, stage = played(StageSettings(calm=calm))
    texts = {name: [title.text for title in there] for name, there in found.items()}
    assert texts == {
        "first": ["Dot product"],
        "second": ["Dot product"],
        "ask_third": ["Dot product"],
        "third": ["Mix of values"],
        "fourth": [],
        "fifth": [],
    }
    assert found["first"] == found["second"]  # the very same, not one that came again
    first, second, fourth = (stage.rooms[name] for name in ("first", "second", "fourth"))
    assert first == second == found["first"][0].below
    assert fourth == stage.frame.free


def test_it_comes_after_all_else_and_the_tail_waits_for_it() -> None:
    seen: list[tuple[float, float]] = []

    class Watched(Named):
        def update_to_time(self, time: float) -> None:
            super().update_to_time(time)
            level = max((presence(t[0]) for t in titles(self)), default=0.0)
            if self.playing == "first":
                seen.append((self.renderer.piece_time + time, level))

    records: list[BeatRecord] = []

    def note(record: BeatRecord, stage: PlainStage) -> None:
        records.append(record)

    Watched(make_trace(), on_beat_end=note, hashed=True).render()
    first = records[0]
    begins, there = (first.tail + time for time in COMES)
    assert all(level == 0 for time, level in seen if time < begins)
    assert all(level == pytest.approx(1) for time, level in seen if time > there)
    assert any(0 < level < 1 for _time, level in seen)
    # "One." is said in less: so the tail is as long as the title needs, and a moment.
    breath = current_theme().tempo.breath
    assert COMES[1] + breath <= first.end - first.tail < COMES[1] + breath + 0.2
    # Beats whose title stands already have the tail that they always had.
    second = records[1]
    assert second.end - second.tail == pytest.approx(breath, abs=0.1)


def test_a_title_goes_along_with_the_first_that_is_played() -> None:
    """So no beat is longer for it: the fourth one holds, and nothing else."""
    records = {record.name: record for record in Named.rehearse(make_trace()).beats}
    tempo = current_theme().tempo
    assert records["fourth"].tail - records["fourth"].start == pytest.approx(tempo.breath)


def test_a_mosaic_and_a_seat_fill_what_is_below() -> None:
    class Below(Stage):
        tensors = ("q",)

        @beat(title="Queries of all words")
        def flat(self) -> None:
            """One."""
            self.show("Q", words=False, titles=False)
            title = Title("Queries of all words", self.frame)
            top = self.parts["Q"].cells.box.top
            assert top < title.get_bottom()[1]
            assert self.below_title.contains(self.parts["Q"].cells.box)

        @beat
        def room(self) -> None:
            """Two."""
            row = Body([[(x, 0, 0), (x + 0.8, 3, 0.4)] for x in range(3)])
            self.add(row)
            self.play(self.see_from("bench"))
            seen = self.camera.shot.project(row.corners, self.frame.height)
            assert seen[:, 1].max() <= self.below_title.top + 0.02
            assert seen[:, 1].max() >= self.below_title.bottom + 4
            near = Body([[(0, 0, 0), (1, 1, 1)]])
            self.play(self.see_from("stalls", near), run_time=1)
            assert self.camera.shot.theta == SEATS["stalls"].turn

    Below.rehearse(make_trace())


def test_one_light_goes_from_body_to_body_and_out() -> None:
    states: list[tuple[float, list[float]]] = []

    class Lit(PlainStage):
        @beat
        def one(self) -> None:
            """One."""
            left, right = (Body([[(x, 0, 0), (x + 1, 1, 1)]]) for x in (-3, 3))
            self.add(left, right)
            for over in (left, right, None, left):
                self.play(self.light_up(over))
                (lamp,) = (each for each in self.mobjects if isinstance(each, Lamp))
                states.append((presence(lamp), lamp.points[1].tolist()))
            with self.focus(left):
                assert presence(lamp) == 1

    Lit.rehearse(make_trace())
    left, right = [-2.5, 1.0, 0.5], [3.5, 1.0, 0.5]
    assert [level for level, _ in states] == [1, 1, 0, 1]
    for (_, aim), place in zip(states, (left, right, right, left), strict=True):
        np.testing.assert_allclose(aim, place)


@pytest.mark.parametrize("aspect", ASPECTS)
def test_titles_fit_every_frame_in_two_lines_at_most(aspect: str) -> None:
    frame = FRAMES[aspect]
    unit = frame.shorter_side / 1080
    short = Title("Softmax", frame)
    assert short.get_left()[0] == pytest.approx(-frame.width / 2 + 96 * unit, abs=2 * unit)
    assert short[0].line_height == pytest.approx(55 * unit, rel=0.02)  # of letters of 64 px
    quiet = color_to_rgb(current_theme().ink)[0] * 0.8**0.5
    assert short[0].fill_rgbas[0, 0] == pytest.approx(quiet, abs=0.01)
    assert all(part.pinned and not getattr(part, "glow_strength", 0) for part in short.get_family())
    long = Title("a name of ten words that " * 3 + "is.", frame)
    assert len(long) <= 2
    assert len(long.text) < LONGEST_TITLE
    assert long.get_right()[0] <= frame.free.right + 1e-6
    assert long.get_top()[1] <= frame.free.top
    assert long.below.top < long.get_bottom()[1]


CATALOGUE = """msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\n"

msgctxt "narration, first, title"
msgid "Dot product"
msgstr "Skalarprodukt"

msgctxt "narration, third, title"
msgid "Mix of {things}"
msgstr "Mischung aus {things}"
"""


def test_titles_are_translated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "de.po").write_text(CATALOGUE)
    monkeypatch.setattr(Named, "catalogues", classmethod(lambda cls: [tmp_path]))
    found, _stage = played(StageSettings(language="de"))
    assert [title.text for title in found["second"]] == ["Skalarprodukt"]
    assert [title.text for title in found["third"]] == ["Mischung aus values"]


def test_a_tall_frame_has_its_own_place_for_it() -> None:
    width, height = frame_size(90, 160)
    with changed_config({"frame_width": width, "frame_height": height}):
        found, stage = played()
    (title,) = found["first"]
    assert stage.frame.free.contains(title.below)
    assert title.get_left()[0] == pytest.approx(-width / 2 + 96 / 1080 * width, abs=0.02)


def test_a_picture_with_a_title_has_no_faults() -> None:
    class Faultless(Stage):
        tensors = ("q",)

        @beat(title="Queries")
        def one(self) -> None:
            """One."""
            self.show("Q")

    (picture,) = play(Faultless, make_trace())
    assert complaints(picture) == []
