"""What every deck is made of: for each beat its film, how it ends, and what is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from extract.trace import Trace
from filmkit.core.picture_map import picture_map
from filmkit.core.records import Rehearsal
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage
from filmkit.render.jobs import render_session
from filmkit.render.progress import make_meter
from filmkit.render.request import RenderRequest, each
from filmkit.render.runner import manim_config, rehearse, take_stills
from filmkit.words.alt import alt_text
from filmkit.words.captions import Cue, captions, shifted
from filmkit.words.script import chapter_title, speaker_notes

__all__ = ["Slide", "drawn_slides", "filmed_slides", "slides_of", "title_of"]


@dataclass(frozen=True)
class Slide:
    """One beat.

    Attributes
    ----------
    entry
        Its scene.
    name
        Its number in the scene and its name, such as "03_flatten".
    title
        Its name as people read it.
    narration, notes
        What is said; that and what a speaker wants to know besides.
    cues
        The narration as captions, in seconds from the start of the beat.
    seconds
        How long it moves.
    picture
        How it ends.
    document
        The picture's map with the values of its cells; see :mod:`filmkit.core.picture_map`.
    alt
        The picture in words.
    video
        Its film, an mp4; None where only pictures were asked for.
    """

    entry: SceneEntry
    name: str
    title: str
    narration: str
    notes: str
    cues: tuple[Cue, ...]
    seconds: float
    picture: Image.Image
    document: dict[str, Any]
    alt: str
    video: Path | None = None


def slides_of(
    entry: SceneEntry,
    told: Rehearsal,
    *,
    trace: Trace,
    request: RenderRequest,
    beats: tuple[str, ...] | None = None,
    progress: Callable[[int], None] = lambda steps: None,
) -> list[Slide]:
    """The slides of a scene, without films.

    Parameters
    ----------
    entry, trace, order
        What to draw, and how.
    told
        The scene's rehearsal.
    beats
        The wanted ones; all of them if None.
    progress
        Called with 1 after each picture.
    """
    notes = speaker_notes(told)
    slides = []

    def take(name: str, stage: Stage) -> None:
        record = stage.beats[-1]
        title = chapter_title(record.name)
        document = picture_map(stage.mobjects, stage.camera, values=True)
        slides.append(
            Slide(
                entry=entry,
                name=name,
                title=title,
                narration=record.narration,
                notes=notes[record.name],
                cues=shifted(captions([record]), -record.start),
                seconds=record.end - record.start,
                picture=Image.fromarray(stage.snapshot()[..., :3]),
                document=document,
                alt=alt_text(document, title),
            )
        )
        progress(1)

    wanted = beats or tuple(record.name for record in told.beats)
    take_stills(entry, trace=trace, options=request.options, beats=wanted, take=take)
    return slides


def drawn_slides(request: RenderRequest, trace: Trace) -> list[Slide]:
    """The slides of all scenes, without films; nothing when a scene could not be drawn."""
    with manim_config(request.quality, verbosity=request.verbosity):
        told = each(request, request.scenes, lambda entry: rehearse(entry, trace, request.options))
        if len(told) < len(request.scenes):
            return []
        with make_meter(sum(len(t.beats) for t in told.values()), quiet=request.quiet) as meter:
            slides = []
            for entry, rehearsal in told.items():
                meter.describe(entry.slug)
                slides += slides_of(
                    entry, rehearsal, trace=trace, request=request, progress=meter.advance
                )
            return slides


@contextmanager
def filmed_slides(request: RenderRequest, trace: Trace, target: Path) -> Iterator[list[Slide]]:
    """The slides of all scenes; their films last until the ``with`` block is left.

    There are none when a scene could not be rehearsed, which has been said by then.

    Parameters
    ----------
    order, trace
        What to draw, and how.
    target
        The deck, which errors name.

    Raises
    ------
    WorkError, OutputError
        When a beat cannot be filmed.
    """
    with render_session(request, trace) as shoot:
        slides: list[Slide] = []
        if len(shoot.rehearsals) == len(request.scenes):
            for entry, told in shoot.rehearsals.items():
                shoot.meter.describe(entry.slug)
                # The pictures are drawn here while other processes film.
                drawn = slides_of(entry, told, trace=trace, request=request)
                films = shoot.pieces(entry, target)
                slides += [
                    replace(slide, video=film) for slide, film in zip(drawn, films, strict=True)
                ]
        yield slides


def title_of(slides: Sequence[Slide]) -> str:
    """What a deck is called: its only scene's title, or what they all are about."""
    titles = {slide.entry.title for slide in slides}
    return titles.pop() if len(titles) == 1 else "How attention works"
