"""What every deck is made of: each beat's film, last picture, narration and notes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from extract.support.temporary import temporary_folder
from extract.trace import Trace
from filmkit.core.beat_records import Rehearsal
from filmkit.core.language import _
from filmkit.core.picture_map import picture_map
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage
from filmkit.render.choice import choose_beginning, now_called
from filmkit.render.delivery import deliver
from filmkit.render.films import beat_film
from filmkit.render.jobs import render_session
from filmkit.render.progress import make_meter
from filmkit.render.request import RenderRequest, for_each_scene
from filmkit.render.runner import manim_config, rehearse, take_stills
from filmkit.render.voices import timed
from filmkit.words.alt import alt_text
from filmkit.words.captions import Cue, captions, shifted
from filmkit.words.script import speaker_notes

__all__ = ["Slide", "chosen_beats", "drawn_slides", "filmed_slides", "slides_of", "title_of"]


@dataclass(frozen=True)
class Slide:
    """One beat of a scene, as a deck shows it.

    Attributes
    ----------
    entry
        The beat's scene.
    name
        The beat's number in the scene and its name, such as "03_flatten".
    title
        The beat's name for readers, such as "Flatten".
    narration
        The beat's narration.
    notes
        Speaker notes: the narration, the beat's number and length, and the next beat's title.
    cues
        The narration as captions, timed in seconds from the start of the beat.
    seconds
        Length of the beat's film.
    picture
        The last picture of the beat.
    picture_map
        The map of ``picture`` with the values of its cells; see :mod:`filmkit.core.picture_map`.
    alt
        Alt text of ``picture``.
    source
        Where the numbers of ``picture`` come from, as it says itself.
    video
        The beat's film, an mp4 file; None if only pictures were drawn, and for a title slide.
    sound
        Whether a voice speaks in the film.
    choices, answer
        The answers that a question offers, and which of them is right; as in a
        :class:`~filmkit.core.beat_records.BeatRecord`.
    loop
        Whether it plays over and over until the next step.
    is_title
        Whether it is the title slide of the deck, which has no film.
    """

    entry: SceneEntry
    name: str
    title: str
    narration: str
    notes: str
    cues: tuple[Cue, ...]
    seconds: float
    picture: Image.Image
    picture_map: dict[str, Any]
    alt: str
    source: str = ""
    video: Path | None = None
    sound: bool = False
    choices: tuple[str, ...] = ()
    answer: int | None = None
    loop: bool = False
    is_title: bool = False

    @classmethod
    def of(cls, entry: SceneEntry, name: str, stage: Stage, notes: str) -> Slide:
        """Draw the slide of the beat that a stage has just played; it has no film yet.

        Parameters
        ----------
        entry, name
            The scene, and the beat's number and name.
        stage
            The stage, at the end of the beat.
        notes
            Speaker notes.
        """
        record = stage.beats[-1]
        document = picture_map(
            stage.with_notes(), stage.camera, stage.mosaic_on_screen(), values=True
        )
        return cls(
            entry=entry,
            name=name,
            title=record.title,
            narration=record.narration,
            notes=notes,
            cues=shifted(captions([record]), -record.start),
            seconds=record.end - record.start,
            picture=Image.fromarray(stage.snapshot(notes=True)[..., :3]),
            picture_map=document,
            alt=alt_text(document, record.title),
            source=record.notes[0],
            choices=record.choices,
            answer=record.answer,
            loop=record.loop,
        )


def chosen_beats(
    request: RenderRequest, trace: Trace, beats: Sequence[str]
) -> dict[SceneEntry, tuple[str, ...]]:
    """Return the beats that were asked for, by the scenes that have them; all in their order.

    Parameters
    ----------
    request, trace
        The scenes, and the trace: they may play some beats only for certain traces.
    beats
        Names of beats, beginnings of names, or names that beats once had. One that several scenes
        have means the beat of each.

    Raises
    ------
    click.BadParameter
        When no beat begins so, or several do.
    """
    played = {entry: request.beat_names(entry, trace) for entry in request.scenes}
    known = list(dict.fromkeys(name for names in played.values() for name in names))
    names_now = (now_called(beat, request.scenes, "--beats") for beat in beats)
    wanted = {choose_beginning(beat, known, "beat", "--beats") for beat in names_now}
    found = {entry: tuple(n for n in names if n in wanted) for entry, names in played.items()}
    return {entry: names for entry, names in found.items() if names}


def slides_of(
    entry: SceneEntry,
    rehearsal: Rehearsal,
    *,
    trace: Trace,
    request: RenderRequest,
    beats: Collection[str] | None = None,
    progress: Callable[[int], None] = lambda steps: None,
) -> list[Slide]:
    """Return the slides of a scene, without films.

    Parameters
    ----------
    entry, trace, request
        What to draw, and how.
    rehearsal
        The scene's rehearsal.
    beats
        Names of the beats to draw; all beats if None.
    progress
        Called with 1 after each picture.
    """
    names = beats or [record.name for record in rehearsal.beats]
    records = tuple(record for record in rehearsal.beats if record.name in names)
    notes = speaker_notes(replace(rehearsal, beats=records))
    slides = []

    def take(name: str, stage: Stage) -> None:
        slides.append(Slide.of(entry, name, stage, notes[stage.beats[-1].name]))
        progress(1)

    take_stills(entry, trace=trace, request=request, beats=names, take=take)
    return slides


def drawn_slides(request: RenderRequest, trace: Trace) -> list[Slide]:
    """Return the slides of all scenes, without films; none if a scene could not be rehearsed."""
    with manim_config(request.quality, verbosity=request.verbosity):
        spoken = timed(request)
        rehearsals = for_each_scene(
            request, spoken.scenes, lambda entry: rehearse(entry, trace, spoken)
        )
        if len(rehearsals) < len(request.scenes):
            return []
        wanted = {
            entry: request.selection.get(entry) or [record.name for record in rehearsal.beats]
            for entry, rehearsal in rehearsals.items()
        }
        count = sum(map(len, wanted.values()))
        with make_meter(count, quiet=request.quiet) as meter:
            slides = []
            for entry, rehearsal in rehearsals.items():
                meter.describe(entry.slug)
                slides += slides_of(
                    entry,
                    rehearsal,
                    trace=trace,
                    request=spoken,
                    beats=wanted[entry],
                    progress=meter.advance,
                )
            return slides


@contextmanager
def filmed_slides(request: RenderRequest, trace: Trace, target: Path) -> Iterator[list[Slide]]:
    """Yield the slides of all scenes; their films exist until the ``with`` block is left.

    The list is empty if a scene could not be rehearsed; its error has been printed by then.

    Parameters
    ----------
    request, trace
        What to render, and how.
    target
        File of the deck, for error messages.

    Raises
    ------
    RenderError, OutputError
        When a beat cannot be filmed.
    """
    # The presenter decides how long a picture stays: it does not move meanwhile.
    calm = replace(request, settings=replace(request.settings, calm=True))
    with render_session(calm, single=True) as session, temporary_folder() as folder:
        slides: list[Slide] = []
        if len(session.plans) == len(request.scenes):
            for entry, plan in session.plans.items():
                session.meter.describe(entry.slug)
                # The pictures are drawn here while other processes film.
                spoken = session.spoken.request
                drawn = slides_of(
                    entry,
                    plan.rehearsal,
                    trace=trace,
                    request=spoken,
                    beats=plan.beats,
                )
                for slide, record in zip(drawn, plan.records, strict=True):
                    parts = session.part_files(beat_film(plan, record.name), target)
                    sound = session.spoken.track([(entry, [record])])
                    film = deliver(
                        folder / entry.slug / f"{slide.name}.{request.file_format}",
                        parts,
                        request.file_format,
                        frame_rate=request.quality.frame_rate,
                        transparent=False,
                        sound=sound,
                    )
                    slides.append(replace(slide, video=film, sound=sound is not None))
        yield slides


def title_of(scenes: Iterable[SceneEntry]) -> str:
    """Return the title of a deck: that of its only scene, or of the whole series."""
    titles = {entry.shown_title for entry in scenes}
    return titles.pop() if len(titles) == 1 else _("How attention works")
