"""Play a scene once, without drawing its motion, and note all that every scene must keep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from extract.trace import Trace
from filmkit.core.norm import TensorSource
from filmkit.core.picture_map import PanelItem, panels_on, texts_on
from filmkit.core.records import BeatRecord, StageSettings
from filmkit.core.renderer import FrameSink
from filmkit.core.stage import Stage
from filmkit.render.quality import Quality
from filmkit.render.runner import manim_config
from filmkit.tools.checks import words_on_panels
from tests.support.contrast import low_contrast
from tests.support.staging import MIN_PRESENCE, BeatPicture, complaints

__all__ = ["BLOCK", "BeatNotes", "Performance", "jump", "perform", "trace_cells"]

NOT_TRACED = "not the traced model"
BLOCK = 8  # side of the squares of which pictures are compared, in pixels
SEPARATOR = "  ·  "

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class BeatNotes:
    """What was noted of one beat.

    Attributes
    ----------
    record
        Name, narration and times.
    faults
        What cannot be read at its end: overlaps, sizes, margins, contrast; one line each.
    untrue_panels, untrue_notes
        Panels that differ from their tensor; notes at the top that are wrong or missing.
    n_shown
        Number of lines of letters and heatmaps on screen at its end, without the notes at the top.
    jump
        How far its first frame is from the last picture of the beat before, in colour levels; see
        :func:`jump`. 0 for the first beat.
    words_on_panels
        One line for each text that lies across the cells of a panel.
    """

    record: BeatRecord
    faults: tuple[str, ...]
    untrue_panels: tuple[str, ...]
    untrue_notes: tuple[str, ...]
    n_shown: int
    jump: float
    words_on_panels: tuple[str, ...]


@dataclass(frozen=True)
class Performance:
    """A scene that was played to its end.

    Attributes
    ----------
    scene
        Its class.
    trace
        What it showed.
    beats
        One entry for each beat, in order.
    """

    scene: type[Stage]
    trace: Trace
    beats: tuple[BeatNotes, ...]


def perform(
    scene: type[Stage],
    trace: Trace,
    settings: StageSettings | None = None,
    *,
    width: int,
    height: int,
    notes: bool = True,
) -> Performance:
    """Play a scene, and draw only the first and the last picture of each beat.

    Parameters
    ----------
    scene, trace, settings
        As for :class:`~filmkit.core.stage.Stage`.
    width, height
        Size of the picture in pixels.
    notes
        Whether the picture says where its numbers come from.

    Raises
    ------
    StageError
        If the scene does not show this trace.
    """
    beats: list[BeatNotes] = []
    last: Pixels | None = None
    first: dict[str, Pixels] = {}

    @contextmanager
    def first_frame(name: str, tail: bool) -> Iterator[FrameSink | None]:
        def take(picture: Pixels, repeat: int) -> None:
            first.setdefault(name, picture)
            stage.renderer.sink = None

        yield None if tail else take

    def note(record: BeatRecord, stage: Stage) -> None:
        nonlocal last
        shown = stage.with_notes()
        *_, notes_shown = shown
        texts, panels = texts_on(shown, stage.camera), panels_on(shown, stage.camera)
        picture = BeatPicture(record, texts, panels)
        strip = stage.settings.caption_strip
        faults = complaints(picture, width=width, height=height, caption_strip=strip)
        faults += [f"{record.name}: {line}" for line in low_contrast(stage)]
        before, last = last, stage.snapshot()
        beats.append(
            BeatNotes(
                record,
                tuple(faults),
                tuple(f"{record.name}: {line}" for line in untrue_panels(trace, panels)),
                tuple(
                    f"{record.name}: {line}"
                    for line in untrue_notes(stage, picture, *(note.text for note in notes_shown))
                    if notes
                ),
                len(texts) + len(panels) - sum(len(note.ink) > 0 for note in notes_shown),
                0.0 if before is None else jump(before, first[record.name]),
                tuple(f"{record.name}: {line}" for line in words_on_panels(stage)),
            )
        )

    with manim_config(Quality(width, height, 30)):
        stage = scene(trace, settings, on_beat_end=note, beat_sink=first_frame)
        stage.renderer.only = (0,)
        stage.render()
    return Performance(scene, trace, tuple(beats))


def jump(before: Pixels, after: Pixels) -> float:
    """Return how far two pictures are apart: the largest change of any square, in colour levels.

    The colours of squares of :data:`BLOCK` x :data:`BLOCK` pixels are averaged before they are
    compared: soft edges that are drawn a little harder count for less than things that come or go.
    """
    size = before.shape[1] // BLOCK, before.shape[0] // BLOCK
    one, two = (
        cv2.resize(np.float32(picture[..., :3]), size, interpolation=cv2.INTER_AREA)
        for picture in (before, after)
    )
    return float(np.abs(one - two).max())


def trace_cells(trace: Trace, source: TensorSource) -> npt.NDArray[np.float64]:
    """Return the part of a tensor that a source names, (rows, columns)."""
    assert source.tensor is not None
    index = tuple(slice(*axis) if isinstance(axis, tuple) else axis for axis in source.index)
    values = np.atleast_2d(trace[source.tensor][index].astype(np.float64))
    return values.T if source.transposed else values


def untrue_panels(trace: Trace, panels: list[PanelItem]) -> Iterator[str]:
    """Yield a line for each panel that does not show what its source names."""
    for panel in panels:
        source = panel.heatmap.source
        if source.tensor is None:
            if not source.expression:
                yield f"a panel {panel.heatmap.shape} does not say where its numbers come from"
            continue
        expected = trace_cells(trace, source)
        if expected.shape != panel.heatmap.shape:
            yield f"{source} is {expected.shape}, its panel {panel.heatmap.shape}"
        elif not np.allclose(panel.heatmap.values, expected, rtol=1e-6, atol=0):
            yield f"the panel of {source} shows other numbers"


def untrue_notes(stage: Stage, picture: BeatPicture, about: str, hidden: str) -> Iterator[str]:
    """Yield a line for each thing that the notes at the top of a picture leave out or get wrong.

    Parameters
    ----------
    stage, picture
        The scene, and what is on screen.
    about, hidden
        What is written of the note on the left, and of the one on the right.
    """
    meta = stage.trace.meta
    if not any(item.text == about and item.presence == 1 for item in picture.texts):
        yield f"the note {about!r} is not on the picture"
    panels = [panel for panel in picture.panels if panel.opacity >= MIN_PRESENCE]
    sources = [panel.heatmap.source for panel in panels if panel.heatmap.source.tensor]
    if NOT_TRACED in about:
        for source in sources:
            yield f"{source} is shown beside the note {about!r}"
        return
    parts = about.split(SEPARATOR)
    if meta.model not in parts[:2]:
        yield f"the note {about!r} does not begin with the model {meta.model!r}"
    if (parts[0] == "random weights") is not meta.random_weights:
        yield f"the note {about!r} is wrong about random weights"
    strangers = [source for source in sources if _is_elsewhere(stage.trace, source, about)]
    if strangers:
        yield f"the note {about!r} stands beside {len(strangers)} others, such as {strangers[0]}"
    told = "is not drawn" in hidden
    draws_first = any(0 in _positions(stage.trace, source) for source in sources)
    if panels and told is not (stage.layer.hides_first and not draws_first):
        yield f"the note {hidden!r} is wrong about the first token"


def _is_elsewhere(trace: Trace, source: TensorSource, about: str) -> bool:
    """Whether a source is of another layer or head than the note names, if it names one."""
    name = str(source.tensor)
    layer, head = _number_after("layer ", about), _number_after("head ", about)
    if layer is not None and str(layer) not in name.split("."):
        return True
    if head is None:
        return False
    numbers = {"n_heads": head, "n_kv_heads": trace.kv_head(head)}
    places = zip(trace.axes(name), source.index, strict=True)
    return any(isinstance(place, int) and place != numbers.get(axis) for axis, place in places)


def _number_after(word: str, text: str) -> int | None:
    """Return the number that follows a word in a text, if there is one."""
    digits = text.partition(word)[2].partition(",")[0]
    return int(digits) if digits.isdigit() else None


def _positions(trace: Trace, source: TensorSource) -> range:
    """Return the positions whose rows or columns a source shows; of a pattern, the keys."""
    axes = trace.axes(str(source.tensor))
    axis = axes.index("key_pos") if "key_pos" in axes else 0
    place = source.index[axis] if axes[axis] in ("pos", "key_pos") else 0
    return range(*place) if isinstance(place, tuple) else range(0)
