"""The base of every scene: beats, narration, the camera, and what is said on every picture.

A scene is a class with beats. They are played in the order in which they are written::

    class Hello(Stage):
        title = "Hello"
        tensors = ("x",)

        @beat
        def words(self):
            \"""These are the words: {prompt}.\"""
            self.play(Appear(self.words_of_the_prompt))

A beat's docstring is its narration; names in braces are looked up in :attr:`Stage.facts`. Where
the words depend on the model, they are variants beside the beat instead, of which
:meth:`Stage.variant` chooses one::

        @beat(own="Every head has keys of its own.", shared="{sets} sets serve all heads.")
        def keys(self):
            ...

What a later beat needs is an attribute set in :meth:`Stage.prepare`. Every beat is deterministic
and free of time-based updaters, so the state that it opens with depends on the trace, the settings
and the theme alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, TypeVar, overload

import numpy as np
import numpy.typing as npt
from manim import DL, UR, Animation, Mobject, Scene, VGroup, config

from extract.trace import Trace
from filmkit.core.animations import MoveCamera, Presence, presence
from filmkit.core.camera import Shot, StageCamera, pin_to_frame
from filmkit.core.geometry import Box, Frame, shot_box
from filmkit.core.printable import printable
from filmkit.core.records import BeatRecord, Rehearsal, StageSettings
from filmkit.core.renderer import FilmRenderer, FrameSink
from filmkit.core.text import Label, fit_word
from filmkit.core.theme import use_theme
from filmkit.core.view import LayerView, StageError

__all__ = ["Stage", "StageError", "beat"]


BeatT = TypeVar("BeatT", bound=Callable[[Any], None])


@dataclass(frozen=True)
class _BeatMark:
    """What is known of a beat besides its code.

    Attributes
    ----------
    when
        Says for which traces it plays.
    variants
        What it says, by the names of :meth:`Stage.variant`; its docstring if there are none.
    """

    when: Callable[[Trace], bool]
    variants: Mapping[str, str]


@overload
def beat(method: BeatT, /) -> BeatT: ...


@overload
def beat(
    *, when: Callable[[Trace], bool] | None = None, **variants: str
) -> Callable[[BeatT], BeatT]: ...


def beat(
    method: BeatT | None = None,
    /,
    *,
    when: Callable[[Trace], bool] | None = None,
    **variants: str,
) -> BeatT | Callable[[BeatT], BeatT]:
    """Mark a method of a :class:`Stage` as a beat, bare or with arguments.

    Parameters
    ----------
    when
        A condition on the trace; the beat plays where it holds. Every trace by default.
    **variants
        The narration in several versions, instead of the docstring, each under a name of which
        :meth:`Stage.variant` chooses one.
    """

    def mark(method: BeatT) -> BeatT:
        method.__dict__["beat"] = _BeatMark(when or (lambda trace: True), variants)
        return method

    return mark if method is None else mark(method)


NOTE_GAP = 0.4  # least distance of the two notes on a line


class Stage(Scene):
    """A scene of the film.

    Parameters
    ----------
    trace
        The numbers.
    settings
        What the viewer chose.
    on_beat_end
        Called with a :class:`BeatRecord` and this stage whenever a beat has ended.
    sink
        Takes each picture of the film, and for how many frames it stands still. Without one
        nothing is drawn and the scene runs through in no time.
    beat_sink
        Instead of a sink: called with the name of each beat, for a context in which the beat is
        played. What the context gives takes the beat's pictures; None lets it run undrawn.

    Raises
    ------
    StageError
        When the trace cannot be shown as asked.
    """

    title: ClassVar[str] = ""
    tensors: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        trace: Trace,
        settings: StageSettings | None = None,
        *,
        on_beat_end: Callable[[BeatRecord, Stage], None] | None = None,
        sink: FrameSink | None = None,
        beat_sink: Callable[[str], AbstractContextManager[FrameSink | None]] | None = None,
    ) -> None:
        super().__init__(renderer=FilmRenderer(StageCamera, sink))
        self.trace = trace
        self.settings = settings or StageSettings()
        self.on_beat_end = on_beat_end
        self.beat_sink = beat_sink
        self.beats: list[BeatRecord] = []
        self.facts: dict[str, str] = {"prompt": trace.meta.prompt, "model": trace.meta.model}
        self.layer = LayerView.of_prompt(
            trace, self.settings.layer, show_first_token=self.settings.show_first_token
        )
        self.head = self.layer.head(self.settings.head)

    @cached_property
    def compared(self) -> LayerView:
        """The same layer of the second trace.

        Raises
        ------
        StageError
            When no second trace was named, or it cannot be shown.
        """
        if self.settings.compare is None:
            raise StageError("this scene compares two traces; name the second: --compare FILE")
        other = Trace.load(self.settings.compare)
        layer = LayerView.of_prompt(
            other, self.layer.layer, show_first_token=self.settings.show_first_token
        )
        return replace(layer, compared=True)

    # Beats

    @classmethod
    def beat_names(cls, trace: Trace | None = None) -> tuple[str, ...]:
        """Names of the beats in order; with a trace, of those that it makes play."""
        return tuple(name for name, mark in cls._marks() if not trace or mark.when(trace))

    @classmethod
    def _marks(cls) -> Iterator[tuple[str, _BeatMark]]:
        for parent in reversed(cls.__mro__):
            for name, member in vars(parent).items():
                if isinstance(getattr(member, "beat", None), _BeatMark):
                    yield name, getattr(cls, name).beat

    def prepare(self) -> None:
        """Build what more than one beat needs."""

    def variant(self, beat: str) -> str:
        """Choose among the variants of what a beat says.

        Parameters
        ----------
        beat
            Its name.

        Returns
        -------
        str
            The name of one of the variants that are given to :func:`beat`.
        """
        raise NotImplementedError(f"{type(self).__name__} has beats with variants and no variant()")

    def construct(self) -> None:
        """Play every beat in the order of the class body."""
        self.frame = frame = Frame(float(config.frame_width), float(config.frame_height))
        chosen = self.settings.theme, self.settings.palette
        with use_theme(*chosen, least_size=frame.least_text) as theme:
            self.theme = theme
            self.camera.background_color = self.settings.background or theme.background
            self.camera.background_opacity = 0.0 if self.settings.transparent else 1.0
            self.provenance = pin_to_frame(self._provenance())
            self.add(self.provenance)
            self.prepare()
            for name in self.beat_names(self.trace):
                self._play_beat(name)

    def _play_beat(self, name: str) -> None:
        method = getattr(self, name)
        self.next_section(name)
        start = self.time
        try:
            if self.beat_sink:
                with self.beat_sink(name) as self.renderer.sink:
                    method()
            else:
                method()
        except Exception as error:
            # Kept with the error, for whoever tells the user where it happened.
            error.add_note(f"in beat {name}")
            raise
        record = BeatRecord(name, self._narration(name), start, self.time)
        self.beats.append(record)
        if self.on_beat_end:
            self.on_beat_end(record, self)

    def _narration(self, beat: str) -> str:
        method = getattr(self, beat)
        variants = method.beat.variants
        said = variants[self.variant(beat)] if variants else method.__doc__ or ""
        # The facts are left as they are: a word of the prompt may hold an apostrophe.
        said = inspect.cleandoc(said).replace("\n", " ").replace("'", "’")
        return str(said.format(**self.facts))

    @classmethod
    def rehearse(cls, trace: Trace, settings: StageSettings | None = None) -> Rehearsal:
        """Run the scene without drawing anything."""
        stage = cls(trace, settings)
        stage.render()
        return Rehearsal(tuple(stage.beats), stage.time, cls.tensors)

    # The picture

    def snapshot(self) -> npt.NDArray[np.uint8]:
        """The picture as it stands, (height, width, 4) uint8, also while drawing is skipped."""
        self.camera.reset()
        self.camera.capture_mobjects(self.mobjects)
        return np.array(self.camera.pixel_array, dtype=np.uint8)

    def remove(self, *mobjects: Mobject) -> Stage:
        # Manim takes a group out only if the group itself was put in, not if its members were.
        return super().remove(*(member for mobject in mobjects for member in mobject.get_family()))

    def get_moving_mobjects(self, *animations: Animation) -> list[Mobject]:
        # What stands still is drawn once and kept as a picture below the rest. That is only true
        # while the camera stands still, and while nothing is sorted by depth.
        in_depth = any(
            hasattr(member, "card") for mobject in self.mobjects for member in mobject.get_family()
        )
        if in_depth or any(_moves_camera(animation) for animation in animations):
            return list(self.mobjects)
        return super().get_moving_mobjects(*animations)

    def hold(self, seconds: float | None = None, *, words: int = 0) -> None:
        """Stand still: for a time, or long enough to read so many words."""
        tempo = self.theme.tempo
        self.wait(max(tempo.breath, tempo.per_word * words) if seconds is None else seconds)

    def move_camera(self, shot: Shot, **kwargs: Any) -> MoveCamera:
        """An animation that takes the camera to a shot."""
        return MoveCamera(self.camera, shot, **kwargs)

    def look_at(self, *subjects: Mobject | Box, least: float = 0.55, **kwargs: Any) -> MoveCamera:
        """An animation that takes the camera near enough for some things to fill the stage.

        ``least`` keeps it from going nearer than that fraction of the full picture.
        """
        boxes = [
            s if isinstance(s, Box) else Box.between(s.get_corner(DL), s.get_corner(UR))
            for s in subjects
        ]
        seen, _ = shot_box(Box.around(boxes), self.frame, pad=1.03, least=least)
        return self.move_camera(Shot.of_box(seen), **kwargs)

    def on_show(self) -> list[Mobject]:
        """Every part of the scene that can be seen, but for what every picture says."""
        constant = set(self.provenance.get_family())
        return [
            member
            for mobject in self.mobjects
            for member in mobject.family_members_with_points()
            if member not in constant and presence(member) > 0
        ]

    def dim(self, *mobjects: Mobject, to: float | None = None, **kwargs: Any) -> list[Animation]:
        """Animations that push things into the background."""
        level = self.theme.dim if to is None else to
        return [Presence(mobject, level, **kwargs) for mobject in mobjects]

    def undim(self, *mobjects: Mobject, **kwargs: Any) -> list[Animation]:
        """Animations that bring things back to full strength."""
        return self.dim(*mobjects, to=1.0, **kwargs)

    # What is said on every picture

    def provenance_notes(self) -> tuple[str, str]:
        """Where the numbers are from and what is left out: small at the top left and right.

        A scene whose numbers are not the trace's says so here.
        """
        meta = self.trace.meta
        said = [meta.model, f"layer {self.layer.layer}, head {self.head.head}"]
        if meta.random_weights:
            said.insert(1, "random weights")
        hidden = ""
        if self.layer.hides_first:
            first = printable(meta.tokens[0])
            hidden = f"the beginning token {first} takes part but is not drawn"
        return "  ·  ".join(said), hidden

    def _provenance(self) -> VGroup:
        theme, frame = self.theme, self.frame
        lines, room = frame.note_lines, frame.stage.width

        def note(said: str, most: float) -> Label:
            return fit_word(said, most, size=theme.note_size, colour=theme.muted)

        model, hidden = self.provenance_notes()
        left = note(model, room)
        right = note(hidden, room if len(lines) > 1 else room - left.width - NOTE_GAP)
        left.move_to([frame.stage.left + left.width / 2, lines[0], 0])
        # In a narrow frame the second note stands below the first.
        x = frame.stage.right - right.width / 2
        if len(lines) > 1:
            x = frame.stage.left + right.width / 2
        right.move_to([x, lines[-1], 0])
        return VGroup(left, right)


def _moves_camera(animation: Animation) -> bool:
    inner = getattr(animation, "animations", ())
    return isinstance(animation, MoveCamera) or any(_moves_camera(a) for a in inner)
