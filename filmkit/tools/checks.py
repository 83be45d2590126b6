"""Measure scenes as pictures: what can be read, what moves, and how much of the frame is used.

``render.py check`` prints these measures, and the tests hold the film's scenes to them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from itertools import combinations, groupby
from statistics import median
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from manim import Mobject, VMobject, Wait, color_to_rgb

from extract.facts.published import gpt2_trace
from extract.trace import Trace
from filmkit.core.animations import Drift, presence
from filmkit.core.beat_records import BeatRecord, Speech
from filmkit.core.body import Body
from filmkit.core.camera import Shot
from filmkit.core.contrast import contrast
from filmkit.core.geometry import CAPTION_STRIP, Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.picture_map import PanelItem, TextItem, panels_on, texts_on
from filmkit.core.quantities import PanelCheck, described
from filmkit.core.renderer import FrameReceiver
from filmkit.core.stage import Stage
from filmkit.core.stage_settings import StageSettings
from filmkit.core.text import TextLine
from filmkit.core.token_text import printable
from filmkit.pictures.parts import MANY
from filmkit.pictures.parts import SMALL_TEXT as AXIS_TEXT
from filmkit.pictures.parts import TEXT as FAR_TEXT
from filmkit.render.quality import DEFAULT_QUALITY, Quality, quality_of
from filmkit.render.runner import manim_config
from filmkit.world.plates import HeadCard

__all__ = [
    "BeatPicture",
    "BeatReport",
    "SceneReport",
    "check_scene",
    "faults_of",
    "low_contrast",
    "pieces_of_text",
    "small_in_mosaic",
    "small_texts",
    "words_on_panels",
]

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]
Corners = npt.NDArray[np.float32]

WIDTH, HEIGHT, RATE = astuple(quality_of(DEFAULT_QUALITY))
SAFE = 0.04  # margin on every side, as a fraction of the frame's shorter side
MIN_TEXT = 0.02  # smallest text, as a fraction of the frame's shorter side
MIN_CELL = 1 / 300  # smallest cell of a mosaic, as a fraction of the same
SLACK = 0.5  # how far a line of letters may reach over a border, in pixels of full HD
MIN_PRESENCE = 0.5  # anything with a lower presence is background and not meant to be read
# Smallest contrast ratios of WCAG 2.2, success criteria 1.4.3 and 1.4.11.
TEXT_CONTRAST, LINE_CONTRAST = 4.5, 3.0
LETTER_POINTS = 16  # how many points of a text are looked at, to find what it lies on
SAME_COLOUR = 0.12  # largest difference of RGB in [0, 1] of what a word may lie on

FEW = 3  # single words in one group from which on they are read as one
LIT = 0.9  # share of its light from which on a body is lit
HEADLINE = 0.08  # size of text from which on it is a headline, as a fraction of the same

STILL_SECONDS = 0.5  # two frames so far apart are compared
STILL_SHARE = 0.001  # a picture in which fewer pixels change stands still
STILL_LEVELS = 2  # by how much a pixel must change, of 255
SMALL = 360  # height of the pictures that are compared, in pixels


@dataclass(frozen=True)
class BeatPicture:
    """What is on screen at the end of a beat.

    Attributes
    ----------
    record
        Name, narration and times of the beat.
    texts, panels
        Lines of text and heatmaps on screen.
    moved
        Whether the camera has left the flat picture: what it leaves out is no fault then.
    """

    record: BeatRecord
    texts: list[TextItem]
    panels: list[PanelItem]
    moved: bool = False

    @classmethod
    def of(cls, record: BeatRecord, stage: Stage) -> BeatPicture:
        """Return what is on a stage now, with the notes at the top."""
        shown, camera = stage.with_notes(), stage.camera
        texts, panels = texts_on(shown, camera), panels_on(shown, camera)
        return cls(record, texts, panels, camera.shot != Shot())


def faults_of(
    picture: BeatPicture, width: int, height: int, *, caption_strip: bool = False
) -> list[str]:
    """Return the faults of a picture of this size in pixels, one line each; often none.

    Faults are text or panels outside of the safe margin, text that is too small to read, texts
    that overlap, and with ``caption_strip`` whatever stands where captions are drawn into films.
    Where the camera has left the flat picture, only words that are at least partly in the frame
    must be inside of the margin: panels may be seen in part, and so may bodies with the words that
    lie on them. Slanted words overlap where their letters do. Faults are the same at every size.
    """
    short = min(width, height)
    slack = SLACK * short / HEIGHT
    margin = SAFE * short
    safe = Box.of(margin, width - margin, margin, height - margin)
    free = Box.of(0, width, (1 - CAPTION_STRIP) * height, height)
    frame = Box.of(0, width, 0, height)

    def seen(item: TextItem | PanelItem) -> bool:
        return not picture.moved or min(item.box.overlap(frame)) > slack

    readable = [item for item in picture.texts if item.presence >= MIN_PRESENCE and seen(item)]
    faults = []
    shown = [panel for panel in picture.panels if panel.opacity >= MIN_PRESENCE and seen(panel)]
    placed: list[TextItem | PanelItem] = [*readable, *shown]
    for item in placed:
        partial = picture.moved if isinstance(item, PanelItem) else item.cropped
        if not partial and not safe.contains(item.box, slack=slack):
            side, pixels = _farthest_out(item.box, safe)
            share = f"{100 * pixels / short:.1f} % of the frame"
            faults.append(f"{_called(item)} is {share} beyond the safe margin at the {side}")
        if caption_strip and free.overlap(item.box)[1] > slack:
            faults.append(f"{_called(item)} stands where captions are drawn")
    for text in readable:
        if text.height < MIN_TEXT * short - slack / 10:
            faults.append(
                f"{_called(text)} is {100 * text.height / short:.1f} % of the frame high; "
                f"at least {100 * MIN_TEXT:g} % can be read"
            )
    for first, second in combinations(readable, 2):
        if min(first.box.overlap(second.box)) > slack and letters_overlap(first, second) > slack:
            faults.append(f"texts {first.text!r} and {second.text!r} overlap")
    return faults


def letters_overlap(first: TextItem, second: TextItem) -> float:
    """Return how wide the narrower side of what two texts share is, in pixels."""
    one, other = (np.asarray(text.outline, dtype=np.float32) for text in (first, second))
    area, shared = cv2.intersectConvexConvex(one, other)
    return min(cv2.minAreaRect(shared)[1]) if area > 0 else 0.0


def _called(item: TextItem | PanelItem) -> str:
    """Return what people know something on screen by."""
    if isinstance(item, TextItem):
        return f"text {item.text!r}"
    return _named(item.heatmap)


def _named(heatmap: Heatmap) -> str:
    """Return what people know a panel by."""
    source, (rows, columns) = heatmap.source, heatmap.shape
    return f"panel {source.tensor or described(source) or f'of {rows} x {columns} cells'}"


def _farthest_out(box: Box, safe: Box) -> tuple[str, float]:
    """Return the side at which a box leaves another one farthest, and by how many pixels."""
    # Pixels are counted downwards: the lower side of such a box is the upper one on screen.
    over = {
        "left": safe.left - box.left,
        "right": box.right - safe.right,
        "top": safe.bottom - box.bottom,
        "bottom": box.top - safe.top,
    }
    return max(over.items(), key=lambda item: item[1])


# Contrast


def low_contrast(stage: Stage) -> list[str]:
    """Return texts and lines on a stage that stand out too little, one line each."""
    picture = _Layers(stage)
    faults = []
    for i, mobject in enumerate(picture.shown):
        if not isinstance(mobject, VMobject):
            continue
        text = isinstance(mobject, TextLine)
        inks = mobject.fill_rgbas if text else mobject.stroke_rgbas
        if not (len(mobject.ink) if text else mobject.stroke_width > 0):
            continue
        under = picture.background
        if text:
            under, _panel = picture.ground(picture.ink(mobject).mean(axis=0), i)
        for *rgb, alpha in np.reshape(inks, (-1, 4)):
            strength = alpha * presence(mobject)
            light = picture.camera.light_of(mobject) ** 0.5
            if strength * light < MIN_PRESENCE:
                continue
            ratio = contrast(under + (np.array(rgb) * light - under) * strength, under)
            least = TEXT_CONTRAST if text else LINE_CONTRAST
            if ratio < least - 0.01:
                hexadecimal = "#" + "".join(f"{round(255 * level):02x}" for level in rgb)
                what = f"text {mobject.text!r}" if text else type(mobject).__name__
                faults.append(
                    f"{what} in {hexadecimal} has a contrast of {ratio:.1f} to what is behind it; "
                    f"at least {least:g} can be seen"
                )
    return faults


def words_on_panels(stage: Stage) -> list[str]:
    """Return texts on a stage that lie across the cells of a panel or over its edge, one line each.

    Words may lie on one cell, or on cells of one colour.
    """
    picture = _Layers(stage)
    faults = []
    for i, text in enumerate(picture.shown):
        if not isinstance(text, TextLine) or not len(text.ink) or presence(text) < MIN_PRESENCE:
            continue
        ink = picture.ink(text)
        letters = ink[np.linspace(0, len(ink) - 1, LETTER_POINTS).astype(int)]
        grounds = [picture.ground(point, i) for point in letters]
        panels = [panel for _colour, panel in grounds if panel is not None]
        if panels and np.ptp([colour for colour, _panel in grounds], axis=0).max() > SAME_COLOUR:
            faults.append(f"text {text.text!r} lies across the cells of {_named(panels[0])}")
    return faults


def small_in_mosaic(stage: Stage) -> list[str]:
    """Return what the mosaic of a picture has too little room for, one line each.

    These are cells that are too small to be told apart, and words that were left out.
    """
    mosaic = stage.mosaic_on_screen()
    if mosaic is None:
        return []
    pitches: dict[str, float] = {}
    parts: dict[str, list[str]] = {}
    for part in mosaic.parts:
        for side in filter(None, part.sides):
            pitches[side.axis] = side.pitch / stage.frame.shorter_side
            parts.setdefault(side.axis, []).append(part.name)
    small = [
        f"cells of {axis} in {' '.join(dict.fromkeys(parts[axis]))} are {100 * pitch:.2f} % of the "
        f"frame; from {100 * MIN_CELL:.2f} % on they can be told apart"
        for axis, pitch in pitches.items()
        if pitch < MIN_CELL
    ]
    return [*small, *(f"no room for {words}" for words in mosaic.left_out)]


class _Layers:
    """What is drawn on a stage, to find what lies behind a point of the picture.

    Attributes
    ----------
    shown
        Everything that is drawn, the notes at the top included, in drawing order.
    background
        RGB in [0, 1].
    grounds
        What can be seen behind others: all but text, each with its number in drawing order and its
        opacity.
    """

    def __init__(self, stage: Stage) -> None:
        self.camera = stage.camera
        self.shown = self.camera.drawing_order(stage.with_notes())
        self.camera.see_light(self.shown)
        self.background = np.array(color_to_rgb(stage.theme.background))
        self.outlines: dict[int, tuple[Corners, Corners]] = {}
        self.grounds = [
            (index, thing, strength)
            for index, thing in enumerate(self.shown)
            if not isinstance(thing, TextLine) and (strength := _opacity(thing)) >= MIN_PRESENCE
        ]

    def _outline(self, index: int) -> tuple[Corners, Corners]:
        """Return corners and convex outline of a thing, in pixels."""
        if index not in self.outlines:
            thing = self.shown[index]
            corners = thing.corners if isinstance(thing, Heatmap | Body) else thing.points
            pixels = np.asarray(self.camera.pixels(thing, corners), np.float32)
            self.outlines[index] = pixels, np.asarray(cv2.convexHull(pixels), np.float32)
        return self.outlines[index]

    def ink(self, text: TextLine) -> Points:
        """Return the points of the letters of a text, (n, 2) in pixels."""
        return np.asarray(self.camera.pixels(text, text.ink))

    def ground(self, point: Points, below: int) -> tuple[Points, Heatmap | None]:
        """Return the colour at a point: of the topmost cell or shape that is drawn before another.

        Parameters
        ----------
        point
            In pixels.
        below
            Number of the thing that lies on the ground, in drawing order.

        Returns
        -------
        (3,) and Heatmap or None
            RGB in [0, 1], and the panel that the point is on, if it is on one.
        """
        for index, thing, strength in reversed(self.grounds):
            if index >= below:
                continue
            corners, outline = self._outline(index)
            if not _holds(outline, point):
                continue
            if not isinstance(thing, Heatmap):
                if isinstance(thing, Body):
                    faces = zip(*self.camera.faces(thing), strict=True)
                    colours = [rgb / 255 for face, rgb in faces if _holds(face, point)]
                else:
                    colours = [thing.fill_rgbas[0, :3]]
                if not colours:
                    continue
                return self.background + (colours[-1] - self.background) * strength, None
            rgb, shown = _cell_at(thing, corners, point)
            if strength * shown >= MIN_PRESENCE:
                return self.background + (rgb - self.background * shown) * strength, thing
        return self.background, None


def _holds(outline: npt.NDArray[Any], point: Points) -> bool:
    """Return whether an outline (n, 2) has a point inside."""
    corners = np.asarray(outline, dtype=np.float32)
    return len(corners) > 2 and cv2.pointPolygonTest(corners, point.tolist(), False) >= 0


def _opacity(thing: Mobject) -> float:
    """Return the opacity of a panel or body, or of the first colour of a shape, 0 if it has none.

    A rim of light is clear there, over an opaque card.
    """
    if isinstance(thing, Heatmap):
        return presence(thing) * thing.opacity
    if not isinstance(thing, VMobject):
        return presence(thing) * isinstance(thing, Body)
    return presence(thing) * float(thing.fill_rgbas[0, 3]) if len(thing.fill_rgbas) else 0.0


def _cell_at(panel: Heatmap, corners: Corners, point: Points) -> tuple[Points, float]:
    """Return the cell at a point of the picture: RGB times opacity, and opacity, in [0, 1]."""
    rows, columns = panel.shape
    unit = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32)
    warp = cv2.getPerspectiveTransform(corners, unit)
    column, row = cv2.perspectiveTransform(point[None, None], warp)[0, 0].astype(int)
    return panel.cell_colour(min(row, rows - 1), min(column, columns - 1))


# Words


def pieces_of_text(stage: Stage) -> list[list[TextItem]]:
    """Return the texts that are to be read on a stage, those together that are read as one.

    The words of an axis are one piece, and so are single words in one group, as in a sentence, and
    the numbers on the cards of heads. The notes at the top are left out.
    """
    texts = [t for t in texts_on(stage.mobjects, stage.camera) if t.presence >= MIN_PRESENCE]
    mosaic = stage.mosaic_on_screen()
    whole: dict[Mobject, object] = {}
    for mobject in stage.mobjects:
        for member in mobject.get_family():
            if len(member) >= FEW and all(map(_is_word, member)):
                whole |= dict.fromkeys(member, member)
            elif isinstance(member, HeadCard) and member.name is not None:
                whole[member.name] = HeadCard

    def piece(text: TextItem) -> object:
        part = mosaic.part_of(text.mobject) if mosaic else None
        sides = [side for side in part.sides if side] if part else []
        words = {printable(word) for side in sides for word in side.words}
        at_axis = text.text in words if sides else len(text.text.split()) == 1
        own = (part.name, round(text.height)) if part and at_axis else text.mobject
        return whole.get(text.mobject, own)

    pieces: dict[object, list[TextItem]] = {}
    for text in texts:
        pieces.setdefault(piece(text), []).append(text)
    return list(pieces.values())


def _is_word(mobject: Mobject) -> bool:
    return isinstance(mobject, TextLine) and len(mobject.text.split()) == 1


def small_texts(stage: Stage) -> list[str]:
    """Return which texts on a stage the last row of a hall cannot read, one line for each size.

    At an axis of more than twelve tokens words may be smaller. Of bodies in the room the last row
    reads what is lit: words on others show where they are.
    """
    camera = _Layers(stage).camera  # in the light of the picture
    short = min(stage.camera.pixel_width, stage.camera.pixel_height)
    found: dict[float, list[str]] = {}
    for piece in pieces_of_text(stage):
        if max(camera.light_of(text.mobject) for text in piece) < LIT:
            continue
        least = AXIS_TEXT if len(piece) > MANY else FAR_TEXT
        if min(text.height for text in piece) / short < least - SLACK / HEIGHT:
            found.setdefault(least, []).append(repr(" ".join(text.text for text in piece)))
    return [
        f"text under {100 * least:.1f} % of the frame, for the last row: {', '.join(texts)}"
        for least, texts in found.items()
    ]


# A whole scene


@dataclass(frozen=True)
class BeatReport:
    """What was measured of a beat.

    Attributes
    ----------
    name
        Its name.
    seconds
        Its length with its tail.
    letters_a_second
        How fast its narration must be read.
    still_seconds
        The longest time for which its picture stands still.
    still_share
        For which share of its time the picture stands still.
    fill
        Share of the safe part of the frame that the box around its last picture fills.
    faults
        What cannot be read at its end, one line each; see :func:`faults_of`,
        :func:`low_contrast` and :func:`words_on_panels`. And panels that show other numbers than
        their source says.
    small
        What its last picture has too little room for, one line each; see :func:`small_in_mosaic`
        and :func:`small_texts`. These are no faults: another picture may have more.
    idle_seconds
        The longest time in which nothing new is seen: nothing is played but a drift.
    texts
        How many pieces of text there are in its last picture; see :func:`pieces_of_text`.
    headlines
        How many headlines it has, one after another. Those that are seen together are one.
    """

    name: str
    seconds: float
    letters_a_second: float
    still_seconds: float
    still_share: float
    fill: float
    faults: tuple[str, ...]
    small: tuple[str, ...] = ()
    idle_seconds: float = 0.0
    texts: int = 0
    headlines: int = 0


@dataclass(frozen=True)
class SceneReport:
    """What was measured of a scene.

    Attributes
    ----------
    scene
        Its name on the command line.
    beats
        Its beats, in order.
    """

    scene: str
    beats: tuple[BeatReport, ...]

    @property
    def still_share(self) -> float:
        """For which share of its time its picture stands still."""
        seconds = sum(beat.seconds for beat in self.beats)
        return sum(beat.still_share * beat.seconds for beat in self.beats) / seconds

    @property
    def still_seconds(self) -> float:
        """The longest time for which its picture stands still."""
        return max(beat.still_seconds for beat in self.beats)

    @property
    def idle_seconds(self) -> float:
        """The longest time in which nothing new is seen."""
        return max(beat.idle_seconds for beat in self.beats)

    @property
    def texts(self) -> float:
        """Median of how many pieces of text are in the last pictures of its beats."""
        return median(beat.texts for beat in self.beats)

    @property
    def most_texts(self) -> int:
        """Largest number of pieces of text in the last picture of a beat."""
        return max(beat.texts for beat in self.beats)

    @property
    def fill(self) -> float:
        """Median of how much of the frame its beats fill."""
        return median(beat.fill for beat in self.beats)

    @property
    def faults(self) -> list[str]:
        """All faults, each with the name of its beat."""
        return [f"{beat.name}: {fault}" for beat in self.beats for fault in beat.faults]


class _Motion:
    """The frames of one beat, each compared with the one half a second before it.

    Attributes
    ----------
    stands
        For each frame from the first half second on whether the picture stood still.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.stands: list[bool] = []
        self.last: deque[Pixels] = deque(maxlen=round(STILL_SECONDS * rate))

    def take(self, picture: Pixels, repeat: int) -> None:
        frame = np.array(picture[..., :3])
        for _again in range(repeat):
            if len(self.last) == self.last.maxlen:
                before = self.last[0]
                same = before is frame or (
                    (cv2.absdiff(frame, before).max(axis=-1) > STILL_LEVELS).mean() < STILL_SHARE
                )
                self.stands.append(bool(same))
            self.last.append(frame)

    def leave_out(self, seconds: float) -> None:
        """Forget the last seconds."""
        if seconds:
            del self.stands[-round(seconds * self.rate) :]

    @property
    def still_seconds(self) -> float:
        """The longest time for which nothing moves."""
        runs = [sum(1 for _ in run) for stands, run in groupby(self.stands) if stands]
        return max(((run - 1) / self.rate + STILL_SECONDS for run in runs), default=0.0)

    @property
    def still_share(self) -> float:
        """The share of the time in which nothing moves."""
        return sum(self.stands) / len(self.stands) if self.stands else 0.0


def check_scene(
    slug: str,
    scene: type[Stage],
    trace: Trace,
    settings: StageSettings | None = None,
    *,
    width: int = WIDTH,
    height: int = HEIGHT,
    rate: int = RATE,
    speech: Mapping[str, Speech] | None = None,
    measured: Callable[[], None] = lambda: None,
) -> SceneReport:
    """Run a scene, draw small frames of it, and measure it.

    Parameters
    ----------
    slug
        Name of the scene.
    scene, trace, settings, speech
        As for :class:`~filmkit.core.stage.Stage`.
    width, height
        Size of the picture in pixels.
    rate
        Frames a second.
    measured
        Called after each beat.
    """
    settings = settings or StageSettings()
    scale = SMALL / min(width, height)
    small = Quality(round(width * scale), round(height * scale), rate)
    reports: list[BeatReport] = []
    motion = _Motion(rate)
    others = [gpt2_trace()] + ([Trace.load(settings.compare)] if settings.compare else [])

    @contextmanager
    def receiver_of_beat(beat: str, tail: bool) -> Iterator[FrameReceiver | None]:
        nonlocal motion
        motion = motion if tail else _Motion(rate)
        yield motion.take

    def measure(record: BeatRecord, stage: Stage) -> None:
        assert isinstance(stage, _WatchedStage)
        picture = BeatPicture.of(record, stage)
        strip = settings.caption_strip
        faults = faults_of(picture, small.width, small.height, caption_strip=strip)
        faults += low_contrast(stage) + words_on_panels(stage)
        faults += [check.untrue(panel.heatmap) for panel in picture.panels]
        seconds = record.end - record.start
        # While a question waits for an answer, nothing else has to move.
        motion.leave_out(record.pause)
        reports.append(
            BeatReport(
                name=record.name,
                seconds=seconds,
                letters_a_second=len(record.narration) / (seconds - record.pause),
                still_seconds=motion.still_seconds,
                still_share=motion.still_share,
                fill=_fill(stage),
                faults=tuple(filter(None, faults)),
                small=(*small_in_mosaic(stage), *small_texts(stage)),
                idle_seconds=stage.idle_seconds(record),
                texts=len(pieces_of_text(stage)),
                headlines=stage.headlines(record),
            )
        )
        measured()

    check = PanelCheck(trace, *others)
    watched = type(scene.__name__, (_WatchedStage, scene), {"__module__": scene.__module__})
    with manim_config(small):
        watched(
            trace, settings, on_beat_end=measure, receiver_of_beat=receiver_of_beat, speech=speech
        ).render()
    return SceneReport(slug, tuple(reports))


class _WatchedStage(Stage):
    """Mixin for a scene that notes when something new is seen, and each headline."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._news: list[tuple[float, float]] = []
        self._headlines: list[tuple[float, set[Mobject]]] = []

    def play(self, *animations: Any, **kwargs: Any) -> None:
        start = self.time
        super().play(*animations, **kwargs)
        if not all(isinstance(animation, Drift | Wait) for animation in animations):
            self._news.append((start, self.time))
        least = (HEADLINE - SLACK / HEIGHT) * min(self.camera.pixel_width, self.camera.pixel_height)
        texts = texts_on(self.mobjects, self.camera)
        seen = {t.mobject for t in texts if t.presence >= MIN_PRESENCE and t.height >= least}
        if self.camera.shot != Shot():  # large words in the room are no headlines
            seen = {text for text in seen if vars(text).get("pinned")}
        self._headlines.append((self.time, seen))

    def idle_seconds(self, record: BeatRecord) -> float:
        """Return the longest time of a beat in which nothing new is seen."""
        spans = [span for span in self._news if span[1] > record.start]
        begins = [record.start, *(end for _start, end in spans)]
        ends = [*(start for start, _end in spans), record.end - record.pause]
        return max(0.0, *(end - start for start, end in zip(begins, ends, strict=True)))

    def headlines(self, record: BeatRecord) -> int:
        """Return how many headlines a beat has; those that are seen together are one."""
        groups: list[set[Mobject]] = []
        for time, seen in self._headlines:
            if time > record.start and seen:
                together = [group for group in groups if group & seen]
                groups = [group for group in groups if not group & seen]
                groups.append(seen.union(*together))
        return len(groups)


def _fill(stage: Stage) -> float:
    """Return the share of the safe part of the frame that the box around a picture fills."""
    picture = stage.snapshot()[..., :3].astype(int)
    background = np.rint(255 * np.array(color_to_rgb(stage.camera.background_color)))
    drawn = np.abs(picture - background).max(axis=-1) > 3 * STILL_LEVELS
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    if not len(rows):
        return 0.0
    across, down = columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1
    frame = stage.frame
    safe = frame.safe.width * frame.safe.height / (frame.width * frame.height)
    return float(min(1.0, across * down / (drawn.size * safe)))
