"""`Stage`, the base class of scenes: beats, narration, the camera, and notes on every picture.

A scene is a class whose methods are *beats*: a beat is one step of the story, with one passage of
narration. Beats are played in the order in which they are written::

    class Hello(Stage):
        title = "Hello"
        tensors = ("x",)

        def prepare(self):
            self.label = Label(self.trace.meta.prompt)

        @beat
        def words(self):
            \"""These are the words: {prompt}.\"""
            self.play(Appear(self.label))

A beat's docstring is its narration; names in braces are looked up in :attr:`Stage.facts`. When the
beat's own animations have ended, its last picture stays until the narration has been said: this
*tail* needs no line of code. Square brackets mark the words at which something happens::

        @beat
        def a_score(self):
            \"""The query of [white] meets the key of [red].\"""
            self.play(Appear(self.query))
            self.wait_for("red")
            self.play(Appear(self.key))

If the narration depends on the model, it is given in several variants instead, of which
:meth:`Stage.variant` chooses one::

        @beat(own="Every head has keys of its own.", shared="{sets} sets serve all heads.")
        def keys(self):
            ...

A beat may ask before it shows. The question is said, and written over the picture; then a film
waits for some seconds, and a deck for a key. The beat's own narration is the answer::

        @beat(ask="Which of {heads} heads looks back?")
        def looking_back(self):
            \"""Head {head} does.\"""
            ...

Square brackets in a question mark the answers that it offers; ``answer`` names the fact that is
right, so that pages can show it beside what was guessed::

        @beat(ask="How many heads look back? [{few}], [{some}] or [{many}]?", answer="few")

A beat may have a title, the short name of its picture. It comes last, half a second after the
beat's own animations have ended, and stays at the upper left until a beat has another one, or
``title=""`` for none; facts in braces are filled in. Pictures fill what is left below it, which is
:attr:`Stage.below_title`::

        @beat(title="Dot product")
        def dot_product(self):
            ...

Things in the room are seen from a named seat, under the one light of their picture::

            self.play(self.see_from("bench", row, tower), self.light_up(tower))

Whatever several beats need is made in :meth:`Stage.prepare` and kept as an attribute. Beats must be
deterministic and use no time-based updaters: then the picture at which a beat begins depends on
the trace, the settings and the theme alone, and each beat can be rendered by itself.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast, overload

import numpy as np
import numpy.typing as npt
from manim import (
    BLACK,
    DL,
    UR,
    Animation,
    Group,
    Mobject,
    Scene,
    VGroup,
    config,
    smooth,
    squish_rate_func,
)

from extract.trace import Trace
from extract.trace.contents.tensors import LAYER_TENSORS
from filmkit.core.animations import (
    Appear,
    Drift,
    MoveCamera,
    MoveLamp,
    Presence,
    Vanish,
    first_half,
    presence,
    second_half,
    visible_parts,
)
from filmkit.core.beat_records import BeatRecord, Rehearsal, Speech
from filmkit.core.body import Body, Lamp
from filmkit.core.camera import Shot, is_fixed, pin_to_frame
from filmkit.core.card import faded
from filmkit.core.display import display_key
from filmkit.core.errors import (
    SceneCodeError,
    StageError,
    place_of_code,
    require_call,
    running_scene_code,
)
from filmkit.core.facts import Fact, claim, keep_facts
from filmkit.core.geometry import CAPTION_STRIP, Box, Frame, shot_box
from filmkit.core.headline import Headline
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import (
    CHOICE,
    QUESTION,
    TITLE,
    _,
    catalogue_folder,
    narrated,
    ngettext,
    title_of_beat,
    use_language,
)
from filmkit.core.light import LitCamera, gives_light, has_bodies
from filmkit.core.model_places import origin_notes, place_in_words
from filmkit.core.narration import Narration, NarrationError, one_line
from filmkit.core.norm import TensorSource
from filmkit.core.picture_bodies import outline_of
from filmkit.core.picture_parts import MosaicItem
from filmkit.core.playing import beat_begins
from filmkit.core.quantities import draws_before, has_keys, place_of
from filmkit.core.question import BEHIND, Question
from filmkit.core.renderer import LONGEST_PIECE, FilmRenderer, FrameReceiver
from filmkit.core.seats import Seat, seat_shot
from filmkit.core.stage_settings import StageSettings
from filmkit.core.text import Label, fit_word
from filmkit.core.theme import Theme, current_theme, use_theme
from filmkit.core.title import COMES, LONGEST_TITLE, Title
from filmkit.core.token_text import printable
from filmkit.core.view import HeadView, LayerView

__all__ = ["ReceiverOfBeat", "SceneCodeError", "Stage", "StageError", "beat", "notes_at_top"]


T = TypeVar("T")
BeatT = TypeVar("BeatT", bound=Callable[[Any], None])
WAITING = (
    inspect.isasyncgenfunction,
    inspect.iscoroutinefunction,
    inspect.isgeneratorfunction,
)
"""Kinds of functions whose code does not run when they are called."""

ReceiverOfBeat = Callable[[str, bool], AbstractContextManager[FrameReceiver | None]]
"""Called with the name of a beat, and whether its tail is meant, not its own animations.

It returns a context manager inside which these are played. The context manager yields the receiver
of their pictures, or None to run them without drawing.
"""


@dataclass(frozen=True)
class _BeatMark:
    """Arguments of the decorator :func:`beat`.

    Attributes
    ----------
    when
        Tells whether the beat plays for a trace.
    variants
        Narration by the names of :meth:`Stage.variant`; if empty, the docstring is the narration.
    questions
        What it asks, by the same names, or "" if it asks the same in all; empty if it asks nothing.
    answer
        Name of the fact that is the right one of the answers that it offers; "" if none is.
    choice
        How such an answer is written where it stands alone.
    loop
        Whether a deck repeats it.
    title
        Name of its picture; "" for none, and None for that of the beat before.
    """

    when: Callable[[Trace], bool]
    variants: Mapping[str, str]
    questions: Mapping[str, str]
    answer: str
    choice: str
    loop: bool
    title: str | None


@overload
def beat(method: BeatT, /) -> BeatT: ...


@overload
def beat(
    *,
    when: Callable[[Trace], bool] | None = None,
    ask: str | Mapping[str, str] = "",
    answer: str = "",
    choice: str = "{choice}",
    loop: bool = False,
    title: str | None = None,
    **variants: str,
) -> Callable[[BeatT], BeatT]: ...


def beat(
    method: BeatT | None = None,
    /,
    *,
    when: Callable[[Trace], bool] | None = None,
    ask: str | Mapping[str, str] = "",
    answer: str = "",
    choice: str = "{choice}",
    loop: bool = False,
    title: str | None = None,
    **variants: str,
) -> BeatT | Callable[[BeatT], BeatT]:
    """Mark a method of a :class:`Stage` as a beat; a decorator with or without arguments.

    Parameters
    ----------
    when
        Called with the trace; the beat is left out if it returns False. By default it always
        plays.
    ask
        A question that is asked before the beat, with facts in braces; or one for each variant, by
        its name. It is a step of its own, which is called "ask\\_" and the beat's name. Words in
        square brackets are answers that it offers; a fact that lists several words offers each. It
        has at most 600 letters.
    answer
        Name of the fact that is the right one of these answers.
    choice
        How an answer is written on a button or on paper, such as "{choice} tokens": there a number
        needs its unit.
    loop
        Whether a deck plays the beat over and over until the next step.
    title
        Short name of its picture, with facts in braces, of at most 80 letters; "" for none. By
        default that of the beat before stays.
    **variants
        Several versions of the narration, instead of the docstring; :meth:`Stage.variant` returns
        the name of the one to use.

    Examples
    --------
    ::

        @beat
        def scores(self):
            \"""Every query meets every key.\"""
            self.play(Reveal(self.scores, in_rows(self.scores.shape)))

        @beat(when=lambda trace: trace.rotates, ask="And where is the position?")
        def rotation(self):
            \"""Queries and keys are rotated by their position.\"""
            ...
    """
    questions = ask if isinstance(ask, Mapping) else {"": ask} if ask != "" else {}
    asked = (("ask", text) for text in questions.values())
    named = ("answer", answer), ("choice", choice), ("title", title or "")
    for option, text in [*asked, *named, *variants.items()]:
        if not isinstance(text, str):
            raise SceneCodeError(
                f"{option}={text!r} is no text; @beat takes when, ask, answer, choice, loop, "
                "title, and the texts of variants by their names"
            )

    def mark(method: BeatT) -> BeatT:
        if not inspect.isfunction(method):
            raise SceneCodeError(
                f"@beat takes a method, not {method!r}; write it directly above def, and name its "
                "options: @beat(ask=...)"
            )
        name = method.__name__
        if name.startswith(QUESTION):
            raise SceneCodeError(
                f"{name} would be a question's name: rename it, or write @beat(ask=...) above "
                "the beat that answers",
                place_of_code(method),
            )
        if any(waits(method) for waits in WAITING):
            raise SceneCodeError(
                f"the beat {name} does nothing when it is called; write it without async and yield",
                place_of_code(method),
            )
        asked = max(map(len, questions.values()), default=0)
        for what, letters, most, advice in (
            ("question", asked, MOST_LETTERS, "ask shorter, and say the rest in the beat before"),
            ("title", len(title or ""), LONGEST_TITLE, "name it in a few words"),
        ):
            if letters > most:
                raise SceneCodeError(
                    f"the {what} of {name} has {letters} letters, and a picture has room for "
                    f"{most}: {advice}",
                    place_of_code(method),
                )
        # In the body of a class the second method of a name would replace the first.
        if _is_beat(body.get(name)):
            raise SceneCodeError(f"two beats are called {name}; rename one", place_of_code(method))
        if when is not None:
            require_call(when, f"when of the beat {name}", None)

        method.__dict__["beat"] = _BeatMark(
            when or (lambda trace: True), variants, questions, answer, choice, loop, title
        )
        return method

    body = sys._getframe(1).f_locals
    return mark if method is None else mark(method)


def _is_beat(method: object) -> bool:
    return isinstance(getattr(method, "beat", None), _BeatMark)


def _require_call_like(
    name: str, method: Callable[..., object], replaced: Callable[..., object]
) -> None:
    """Refuse a method that cannot be called as the one of every stage that it replaces."""
    if any(waits(method) and not waits(replaced) for waits in WAITING):
        raise SceneCodeError(
            f"{name} does nothing when it is called; write it without async and yield",
            place_of_code(method),
        )
    parameters = inspect.signature(replaced).parameters.values()
    given = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    named = {each.name: None for each in parameters if each.kind is each.KEYWORD_ONLY}
    require_call(method, name, *given, **named)


def _misfit(said: str, written: str, error: NarrationError) -> StageError:
    """Return the error of a narration's translation that does not fit what is written."""
    return StageError(f"the translation “{said}” of “{written}” does not fit: {error}")


NOTED = 0.5  # what has a lower presence is background, which the notes do not tell of
NOTE_GAP = 0.4  # smallest distance between the two notes on a line, in scene units
MOST_LETTERS = 600  # of a question: more would be too small to read
SAID = {"title": str, "tensors": tuple, "draws_start": bool, "asker": str, "live": str}
"""What a scene says by its class, and the type of each."""
TENSORS = (*LAYER_TENSORS, "latent", "shared", "conversion")  # that a class may name
# What each stage has of its own, which a scene may change but not replace by something else.
OWN = {
    "trace": Trace,
    "settings": StageSettings,
    "layer": LayerView,
    "head": HeadView,
    "facts": dict,
    "ledger": list,
    "frame": Frame,
    "theme": Theme,
    "beats": list,
    "speech": Mapping,
    "mobjects": list,
}
LONGEST_QUESTION = 7.0  # if it can be, with the pause for an answer, in seconds
LEAST_PAUSE = 2.0  # for an answer, in seconds
BEAT_STEP = 0.2  # every beat is a multiple of this long, in seconds: a whole number of frames


class Stage(Scene):
    """Base class of scenes.

    A subclass sets ``title`` and ``tensors``, makes its mobjects in :meth:`prepare`, and has
    methods marked with :func:`beat`; see the top of this module for an example.

    Parameters
    ----------
    trace
        What a model computed for a prompt: all numbers of the scene.
    settings
        What the user chose.
    on_beat_end
        Called with a :class:`BeatRecord` and this stage whenever a beat has ended.
    receiver_of_beat
        Gives the receiver of the pictures of each part of each beat; see :data:`ReceiverOfBeat`.
        Without it nothing is drawn, and the scene runs as fast as it can.
    speech
        What a voice says during each beat, by the names of beats. It sets the time: a beat lasts at
        least as long, and marks are waited for until the voice says them.

    Attributes
    ----------
    title : str
        Title of the scene, set by the subclass.
    tensors : tuple of str
        Names of the tensors of the trace that the scene shows, set by the subclass.
    draws_start : bool
        Whether the beginning token is drawn, as "start", whatever the settings say; set by the
        subclass.
    asker : str
        Name of the fact that is the word its questions are about, and of the role whose colour that
        has, such as "query"; none if empty. It stands over the choices, with a line to each.
    live : str
        The live picture that web decks offer beside its beats, one of
        ``filmkit.decks.live.LIVE_PICTURES``; none if empty.
    trace, settings
        As above.
    layer : LayerView
        The chosen layer, cut to the positions that are drawn.
    head : HeadView
        The chosen head of it.
    facts : dict of str
        Text for the names in braces in the narration: "prompt", "model", and what the scene adds.
    ledger : list of Fact
        The facts and claims that were made so far (:mod:`filmkit.core.facts`), in the narration
        and on screen; variants of narrations are claims too.
    frame : Frame
        The frame that is filled; known from :meth:`prepare` on.
    theme : Theme
        Colours, sizes and durations; known from :meth:`prepare` on.
    beats : list of BeatRecord
        The beats played so far.
    playing : str
        Name of the beat that plays now.
    headline : Mobject, optional
        The words that were said last; see :meth:`say`.

    Raises
    ------
    StageError
        If the trace cannot be shown with these settings.
    """

    title: ClassVar[str] = ""
    tensors: ClassVar[tuple[str, ...]] = ()
    draws_start: ClassVar[bool] = False
    asker: ClassVar[str] = ""
    live: ClassVar[str] = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse what cannot be run as it is written.

        Beats must not replace what a base class has, other than a beat; other methods may, and are
        called as those of the base class.
        """
        super().__init_subclass__(**kwargs)
        for name, kind in SAID.items():
            if not isinstance(getattr(cls, name), kind):
                raise SceneCodeError(
                    f"{name} is {getattr(cls, name)!r}, and must be of type {kind.__name__}"
                )
        if unknown := [name for name in cls.tensors if name not in TENSORS]:
            raise SceneCodeError(
                f"tensors of {cls.__name__} names {unknown[0]!r}; take of {', '.join(TENSORS)}"
            )
        for name in vars(cls):
            inherited, own = getattr(super(cls, cls), name, None), getattr(cls, name)
            if _is_beat(own):
                if inherited is not None and not _is_beat(inherited):
                    raise SceneCodeError(
                        f"every stage has a {name} already; rename the beat", place_of_code(own)
                    )
                require_call(own, f"the beat {name}", None)
            elif name in OWN or (callable(inherited) and not callable(own)):
                raise SceneCodeError(f"every stage has its own {name}; rename this one")
            elif inspect.isfunction(replaced := vars(Stage).get(name)):
                _require_call_like(name, own, replaced)

    def __init__(
        self,
        trace: Trace,
        settings: StageSettings | None = None,
        *,
        on_beat_end: Callable[[BeatRecord, Stage], None] | None = None,
        receiver_of_beat: ReceiverOfBeat | None = None,
        speech: Mapping[str, Speech] | None = None,
        hashed: bool = False,
    ) -> None:
        super().__init__(renderer=FilmRenderer(LitCamera))
        self._require_tensors(trace)
        self.trace = trace
        self.settings = settings or StageSettings()
        self.on_beat_end = on_beat_end
        self.receiver_of_beat = receiver_of_beat
        self.speech = speech or {}
        self._hashed = hashed
        self.beats: list[BeatRecord] = []
        self._part_keys = {False: "", True: ""}
        self.playing = ""
        self._waited_for: dict[str, float] = {}
        self._question: Question | None = None
        self._title: Title | None = None
        self._title_written = ""
        self._lamp: Lamp | None = None
        self.headline: Mobject | None = None
        self._behind: dict[Mobject, float] = {}
        self.facts: dict[str, str] = {"prompt": trace.meta.prompt, "model": trace.meta.model}
        self.ledger: list[Fact] = []
        drawn = self.draws_start or self.settings.show_first_token
        self.layer = LayerView.of_prompt(trace, self.settings.layer, show_first_token=drawn)
        count, head = trace.meta.n_heads, self.settings.head
        if head is not None and not 0 <= head < count:
            raise StageError(
                f"{trace.meta.model} has no head {head}; choose --head 0 to {count - 1}"
            )
        self.head = self.layer.head(head)

    def _require_tensors(self, trace: Trace) -> None:
        """Refuse published or imported tensors for a scene that shows others too."""
        if trace.meta.published is None:
            return
        more = [name for name in self.tensors if not trace.has(name, 0)]
        imported = trace.meta.source.kind == "imported"
        what = "was imported without them" if imported else "has published patterns only"
        advice = "import them too" if imported else f"extract the model with: {trace.command}"
        if more:
            raise StageError(
                f"{trace.meta.model} {what}, and this scene also shows {', '.join(more)}; {advice}"
            )

    @cached_property
    def compared(self) -> LayerView:
        """The same layer of the second trace, which ``--compare FILE`` names.

        Raises
        ------
        StageError
            If no second trace was named, or it cannot be shown.
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
    def beat_names(cls, trace: Trace | None = None, *, questions: bool = True) -> tuple[str, ...]:
        """Return the names of the beats in order, with their questions.

        Parameters
        ----------
        trace
            If given, only those that play for it.
        questions
            Whether questions are asked.
        """
        return tuple(
            step
            for name, mark in cls._marks()
            if not trace or mark.when(trace)
            for step in ([QUESTION + name, name] if questions and mark.questions else [name])
        )

    @classmethod
    def answering_beat(cls, question: str, trace: Trace) -> str:
        """Return the name of the beat that answers a question.

        Several beats may lead to an answer: it is the last one that says the right one, named by
        its fact. If none does, it is the one that follows the question.
        """
        own = question.removeprefix(QUESTION)
        names = cls.beat_names(trace, questions=False)
        marks = dict(cls._marks())
        right = "{" + marks[own].answer + "}"
        saying = [
            name
            for name in names[names.index(own) :]
            if name in marks  # an arrival says nothing
            for text in marks[name].variants.values() or [getattr(cls, name).__doc__ or ""]
            if right in text
        ]
        return saying[-1] if saying else own

    @classmethod
    def _marks(cls) -> Iterator[tuple[str, _BeatMark]]:
        """Yield the name and the mark of each beat, those of base classes first.

        One that replaces a beat of a base class plays in its place.
        """
        names = (name for parent in reversed(cls.__mro__) for name in vars(parent))
        for name in dict.fromkeys(names):
            mark = getattr(getattr(cls, name), "beat", None)
            if isinstance(mark, _BeatMark):
                yield name, mark

    @classmethod
    def catalogues(cls) -> list[Path]:
        """Return the folders in which the translations of its words may be.

        These are folders ``locale`` beside its file, and beside those of its base classes.
        """
        files = (
            getattr(sys.modules.get(base.__module__), "__file__", None) for base in cls.__mro__
        )
        return list(dict.fromkeys(catalogue_folder(file) for file in files if file))

    def prepare(self) -> None:
        """Make the mobjects that several beats need, and fill in ``self.facts``.

        It is called once, before the first beat; does nothing by default.
        """

    def variant(self, beat: str) -> str:
        """Choose one of the variants of a beat's narration.

        A scene with such beats must implement it.

        Parameters
        ----------
        beat
            Name of the beat.

        Returns
        -------
        str
            Name of one of the variants given to :func:`beat`.
        """
        raise SceneCodeError(
            f"{type(self).__name__} has a beat with variants; add variant()",
            place_of_code(getattr(self, beat)),
        )

    def render(self, *args: Any, **kwargs: Any) -> Any:
        """Run the scene, as Manim's scenes do; refuse one that was not made as a stage."""
        if not self.__dict__.keys() >= {"trace", "renderer"}:
            raise SceneCodeError(
                "__init__ does not make a stage: call super().__init__(*args, **kwargs) first, "
                "or make in prepare() what beats need",
                place_of_code(type(self).__init__),
            )
        return super().render(*args, **kwargs)

    def construct(self) -> None:
        """Prepare the scene and play every beat in the order of the class body."""
        settings = self.settings
        self.frame = frame = Frame(
            float(config.frame_width),
            float(config.frame_height),
            captions=CAPTION_STRIP if settings.caption_strip else 0.0,
        )
        with (
            running_scene_code(),
            use_language(settings.language, *self.catalogues()),
            use_theme(
                settings.theme,
                settings.palette,
                background=settings.background,
                min_text_size=frame.min_text_size,
            ) as theme,
            keep_facts(self.ledger),
            # Without warnings: what comes of it is refused where it is drawn.
            np.errstate(over="ignore", invalid="ignore"),
        ):
            self.theme = theme
            # Pixels are premultiplied, so a transparent one is black: any other colour would be
            # added to every soft edge.
            clear = settings.transparent
            colour = BLACK if clear else theme.background
            self.camera.background_color = colour
            self.camera.background_opacity = 0.0 if clear else 1.0
            self.camera.lit = theme.lit and not clear
            self._run(type(self).prepare)
            names = self.beat_names(self.trace, questions=self.settings.questions)
            if not names:
                scene = type(self)
                file = Path(inspect.getsourcefile(scene) or "").name
                raise SceneCodeError(
                    f"{scene.__name__} has no beat to play; write @beat above a method",
                    f"{file} line {inspect.getsourcelines(scene)[1]}",
                )
            for name in names:
                self._play_beat(name)

    def _run(self, method: Callable[[Any], None]) -> None:
        """Run prepare or a beat, and refuse that it leaves something else of what a stage has."""
        method(self)
        for name, kind in OWN.items():
            if not isinstance(found := getattr(self, name), kind):
                raise SceneCodeError(
                    f"{method.__name__} sets self.{name} to {found!r}, and every stage has its own "
                    f"{name}; take another name",
                    place_of_code(method),
                )

    def _returned(self, method: Callable[..., T], kind: type[T], *given: object) -> T:
        """Return what a method returns that a scene may replace; refuse what is of another kind."""
        found = method(*given)
        if not isinstance(found, kind):
            raise SceneCodeError(
                f"{method.__name__} returns {found!r}, and must return one of type {kind.__name__}",
                place_of_code(method),
            )
        return found

    def _play_beat(self, name: str) -> None:
        """Play a beat or a question, and its tail, record it, and report it to ``on_beat_end``."""
        asks = name.startswith(QUESTION)
        method = type(self)._ask if asks else getattr(type(self), name)
        if name in vars(self):
            raise SceneCodeError(
                f"the scene has an attribute {name}, and a beat of that name; rename one",
                place_of_code(method),
            )
        beat_begins(name)
        self.next_section(name)
        self.renderer.begin_piece()
        start, self.playing, self._waited_for = self.time, name, {}
        try:
            with self._part(name, tail=False), running_scene_code():
                self._put_away_question()
                self._run(method)
            # The clock of a beat starts at 0, so that how long it has played has the same bits in
            # whichever film it is.
            tail, played = self.time, self.renderer.piece_time
            if not played:
                raise SceneCodeError(
                    "it plays nothing; add self.play(...) or self.hold(seconds)",
                    place_of_code(method),
                )
            said, speech = self.narration(name), self.speech.get(name)
            self._claim_variant(name)
            spoken = speech.seconds if speech else said.seconds(self.theme.tempo.per_word)
            if spoken > LONGEST_PIECE:
                raise SceneCodeError(
                    f"it takes {spoken:,.0f} seconds to say; let several beats say it",
                    place_of_code(method),
                )
            # A little longer than what happens, so that the last of it can be seen.
            wait = COMES[1] if self._title_to_come() else 0.0
            length = max(spoken, played + wait + self.theme.tempo.breath)
            length = math.ceil(length / BEAT_STEP - 1e-6) * BEAT_STEP
            left = max(LEAST_PAUSE, LONGEST_QUESTION - length)
            pause = min(self.theme.tempo.pause, left) if asks else 0.0
            with self._part(name, tail=True):
                self._play_tail(length - played + pause)
        except BaseException as error:
            # Error messages print this note, so that the user knows where it happened.
            error.add_note(f"in beat {name}")
            raise
        marks = tuple(self._waited_for.items())
        choices, answer = self._answers(name, said) if asks else ((), None)
        record = BeatRecord(
            name,
            said.text,
            start,
            self.time,
            tail,
            marks,
            self._returned(self.provenance_notes, tuple),
            () if asks else tuple(said.marks.items()),
            speech,
            title_of_beat(name),
            pause=pause,
            choices=choices,
            answer=answer,
            loop=_is_beat(method) and cast(Any, method).beat.loop,
            seen=(self._part_keys[False], self._part_keys[True]),
            last=display_key(self.camera, self.camera.drawing_order(self.with_notes())).hex(),
        )
        self.beats.append(record)
        if self.on_beat_end:
            self.on_beat_end(record, self)

    @contextmanager
    def _part(self, name: str, *, tail: bool) -> Iterator[None]:
        """Let the receiver of a part of a beat take the pictures in the ``with`` block."""
        with (
            self.receiver_of_beat(name, tail)
            if self.receiver_of_beat
            else nullcontext() as self.renderer.receiver
        ):
            keyed = self._hashed or self.renderer.receiver is not None
            self.renderer.seen = seen = blake2b(digest_size=16) if keyed else None
            yield
            self._part_keys[tail] = seen.hexdigest() if seen else ""

    def _play_tail(self, seconds: float) -> None:
        """Keep the last picture of a beat for a while."""
        moves = [] if self.settings.calm else [self._returned(self.drift, Animation)]
        moves += self._question.wait() if moves and self._question else []
        if title := self._title_to_come():
            rate = squish_rate_func(smooth, *(time / seconds for time in COMES))
            moves += [Vanish(self._title, rate_func=rate)] if self._title else []
            moves.append(Appear(title, rate_func=rate))
            self._title, self._title_written = title, self._own_title or ""
        if moves:
            self.play(*moves, run_time=seconds)
        else:
            self.wait(seconds)

    # Titles

    @property
    def below_title(self) -> Box:
        """The free part of the frame, below the title with which the beat that plays now ends."""
        title = self._last_title()
        return title.below if title else self.frame.free

    @property
    def title_parts(self) -> set[Mobject]:
        """The title that is there now, with its lines, which picture after picture leaves alone."""
        return set(self._title.get_family()) if self._title else set()

    @property
    def _own_title(self) -> str | None:
        """The title that the beat that plays now has of its own, in English and on one line."""
        method = getattr(type(self), self.playing, None)
        title = cast(Any, method).beat.title if _is_beat(method) else None
        return None if title is None else one_line(title)

    def _last_title(self) -> Title | None:
        """Return the title that is seen when the beat that plays now has ended."""
        if (written := self._own_title) is None:
            return self._title
        said = narrated(self.playing, TITLE, written)
        text = self._filled_in(self.playing, written, said).text
        there = self._title is not None and self._title.text == text
        return self._title if there else Title(text, self.frame) if text else None

    def _title_to_come(self) -> Title | None:
        """Return the title that appears at the end of the beat; None if it needs not."""
        title = None if self._question else self._last_title()
        return None if title in self.get_mobject_family_members() else title

    def _title_leaving(self, animations: Sequence[Any]) -> list[Animation]:
        """Return the animation in which a title leaves that is not that of the beat, if it does.

        It takes no longer than what it goes along with.
        """
        title, small = self._title, self.theme.tempo.small
        if title is None or self._own_title in (None, self._title_written):
            return []
        self._title = None
        times = (each.run_time for each in animations if isinstance(each, Animation))
        return [Vanish(title, run_time=min(small, max(times, default=small)))]

    # Words over a picture

    def headline_of(self, figure: str, line: str, *, colour: str | None = None) -> Headline:
        """Return a headline for this frame; parameters are those of :class:`Headline`."""
        return Headline(figure, line, self.frame, colour=colour)

    def say(self, words: Mobject | None = None) -> list[Animation]:
        """Return animations in which words take the place of those that were said before.

        Parameters
        ----------
        words
            The new words, such as a headline; without any, those that are there leave.

        Examples
        --------
        ::

            self.play(*self.say(self.headline_of("GQA", line)), world.slide_together(3))
        """
        before = set(self.headline.get_family()) if self.headline is not None else set()
        there = [part for part in self.visible_parts() if part in before]
        leaving = [Vanish(Group(*there), rate_func=first_half)] if there else []
        self.headline = words
        return leaving if words is None else [*leaving, Appear(words, rate_func=second_half)]

    def _put_away_question(self) -> None:
        """Let a question go, and the picture come back, if one was asked."""
        if (question := self._question) is None:
            return
        if self._own_title not in (None, self._title_written):
            self._behind = {p: v for p, v in self._behind.items() if p not in self.title_parts}
        answered, tempo = question.right is not None, self.theme.tempo
        back = faded(self._behind, 1.0, rate_func=second_half if answered else smooth)
        self.play(*question.leave(), *back, run_time=tempo.large if answered else tempo.small)
        self._question = None

    def _ask(self) -> None:
        """Let the picture step back, and ask the question of the beat that follows before it."""
        said, camera = self.narration(self.playing), self.camera
        choices, answer = self._answers(self.playing, said)
        about = (self.facts[self.asker], self.asker) if self.asker else None
        question = Question(said, choices, camera.shot, self.frame, about)
        # No choice is marked as right if another beat than the next one answers.
        if QUESTION + self.answering_beat(self.playing, self.trace) == self.playing:
            question.right = answer
        self._question, self._behind = question, {p: presence(p) for p in self.visible_parts()}
        question.set_z_index(1 + max((part.z_index for part in self._behind), default=0))
        levels = {p: 0.0 if question.hides(p, camera) else v for p, v in self._behind.items()}
        self.play(*faded(levels, BEHIND), *question.arrive(), run_time=self.theme.tempo.large)

    def _answers(self, question: str, said: Narration) -> tuple[tuple[str, ...], int | None]:
        """Return the answers that a question offers, its marked words, and which is right.

        Each is written so that it can stand alone. None is right if the scene does not say so.
        """
        words: list[str] = []
        for name, marked in said.words.items():
            value = getattr(self.facts.get(name), "value", None)
            words += value if isinstance(value, tuple) else [marked]
        offered = tuple(dict.fromkeys(words))
        method = getattr(self, question.removeprefix(QUESTION))
        name, written = method.beat.answer, method.beat.choice
        translated = narrated(question, CHOICE, written)
        alone = tuple(
            self._filled_in(question, written, translated, choice=one).text for one in offered
        )
        if not (offered and name):
            return alone, None
        if self.facts.get(name) not in offered:
            raise SceneCodeError(
                f"answer={name!r} is no fact that the question offers; it offers "
                + ", ".join(offered),
                place_of_code(method),
            )
        return alone, offered.index(self.facts[name])

    def drift(self) -> Animation:
        """Return the motion of a picture while it is talked about.

        It must end with the picture that it begins with. By default the camera drifts a little; a
        scene may override it.
        """
        return Drift(self.camera)

    def narration(self, beat: str) -> Narration:
        """Return the narration of a beat, with the facts that are known by now.

        Raises
        ------
        SceneCodeError
            If a fact is missing.
        StageError
            If a translation does not fit.
        """
        return self._filled_in(beat, *self._told(beat))

    def _filled_in(self, beat: str, written: str, said: str, **more: str) -> Narration:
        """Read a text of a beat, written in English and said in the language in use."""
        try:
            return Narration.of(said, self.facts | more)
        except NarrationError as error:
            if said != written:
                raise _misfit(said, written, error) from error
            method = getattr(self, beat.removeprefix(QUESTION))
            raise SceneCodeError(str(error), place_of_code(method)) from error

    def _claim_variant(self, beat: str) -> None:
        """Note that of the variants of a narration the one that is said is true, and no other."""
        texts, chosen = self._texts_of(beat)
        for variant, text in texts.items():
            if variant:
                claim(variant == chosen, one_line(text), beat=beat.removeprefix(QUESTION))

    def _texts_of(self, beat: str) -> tuple[Mapping[str, str], str]:
        """Return the variants of a narration in English by their names, and the one to use."""
        name = beat.removeprefix(QUESTION)
        method = getattr(self, name)
        mark = method.beat
        texts = mark.variants or {"": method.__doc__ or ""} if beat == name else mark.questions
        return texts, "" if "" in texts else self._returned(self.variant, str, name)

    def _told(self, beat: str) -> tuple[str, str]:
        """Return a narration in English, and in the language in use; with its marks and braces."""
        texts, variant = self._texts_of(beat)
        if variant not in texts:
            method = getattr(self, beat.removeprefix(QUESTION))
            raise SceneCodeError(
                f"variant() chooses {variant!r}; {beat} has {', '.join(texts)}",
                place_of_code(method),
            )
        written = one_line(texts[variant])
        return written, narrated(beat, variant, written)

    def wait_for(self, mark: str) -> None:
        """Hold the picture until the words of a mark are said.

        Parameters
        ----------
        mark
            What stands in square brackets in the narration of the beat that plays now; of a fact in
            braces its name.

        Raises
        ------
        SceneCodeError
            If the narration has no such mark.
        """
        said, speech = self.narration(self.playing), self.speech.get(self.playing)
        try:
            seconds = said.mark_seconds(mark, self.theme.tempo.per_word)
        except NarrationError as error:
            written, translated = self._told(self.playing)
            if mark in Narration.of(written, self.facts).marks:
                raise _misfit(translated, written, error) from error
            raise SceneCodeError(str(error)) from error
        if speech:
            seconds = speech.time_at(said.marks[mark], len(said.text))
        self._waited_for[mark] = seconds
        rest = seconds - self.renderer.piece_time
        if rest > 0:
            self.wait(rest)

    @classmethod
    def rehearse(
        cls,
        trace: Trace,
        settings: StageSettings | None = None,
        speech: Mapping[str, Speech] | None = None,
    ) -> Rehearsal:
        """Run the scene without drawing anything, and return its beats and its length."""
        stage = cls(trace, settings, speech=speech)
        stage.render()
        return Rehearsal(tuple(stage.beats), stage.time, cls.tensors)

    # Pictures and motion

    def with_notes(self) -> list[Mobject]:
        """Return what is on screen, and the small notes at the top that a single picture has."""
        notes = notes_at_top(self.frame, *self.provenance_notes())
        return [*self.mobjects, pin_to_frame(notes)]

    @property
    def carried(self) -> set[Mobject]:
        """What a film has carried here from the scene before, until this one shows it too."""
        return set()

    def mosaic_on_screen(self) -> MosaicItem | None:
        """Return the mosaic from which the picture was made; None if there is none."""
        return None

    def snapshot(self, *, notes: bool = False) -> npt.NDArray[np.uint8]:
        """Draw the scene as it is now, even if nothing else is drawn.

        Parameters
        ----------
        notes
            Whether the small notes at the top are drawn too, as on every single picture.

        Returns
        -------
        (height, width, 4)
            The picture, uint8.
        """
        self.camera.reset()
        self.camera.capture_mobjects(self.with_notes() if notes else self.mobjects)
        return np.array(self.camera.pixel_array, dtype=np.uint8)

    def play(self, *animations: Any, **kwargs: Any) -> None:
        for animation in animations:
            if isinstance(animation, (Mobject, Box)):
                raise SceneCodeError(
                    f"play takes animations, not a {type(animation).__name__}: "
                    f"write self.play(Appear(...))"
                )
        super().play(*animations, *self._title_leaving(animations), **kwargs)

    def remove(self, *mobjects: Mobject) -> Stage:
        # Manim removes a group only if the group itself was added, not if its members were.
        return super().remove(*(member for mobject in mobjects for member in mobject.get_family()))

    def get_moving_mobjects(self, *animations: Animation) -> list[Mobject]:
        # Mobjects that do not move are drawn once, as a background for the others. That works only
        # while the camera does not move, while no light changes under all of them, and where none
        # of them can come to stand before what moves.
        if any(map(_moves_camera, animations)) or any(map(has_bodies, self.mobjects)):
            return list(self.mobjects)
        moving: list[Mobject] = super().get_moving_mobjects(*animations)
        lit = self.camera.lit and any(map(gives_light, moving))
        return list(self.mobjects) if lit else moving

    def hold(self, seconds: float | None = None) -> None:
        """Show the picture without motion for a while; at the end of a beat its tail does so.

        Parameters
        ----------
        seconds
            How long; the theme's shortest pause by default.
        """
        self.wait(self.theme.tempo.breath if seconds is None else seconds)

    def move_camera(self, shot: Shot, **kwargs: Any) -> MoveCamera:
        """Return an animation that moves the camera to a shot.

        Keyword arguments are those of :class:`~filmkit.core.animations.MoveCamera`, such as
        ``past``, shots that bend its way.
        """
        return MoveCamera(self.camera, shot, **kwargs)

    def look_at(
        self, *subjects: Mobject | Box, min_zoom: float = 0.55, **kwargs: Any
    ) -> MoveCamera:
        """Return an animation that moves the camera close, until some things fill the frame.

        Parameters
        ----------
        *subjects
            Mobjects or boxes of the flat picture, all of which stay visible.
        min_zoom
            The camera goes no closer than to see this fraction of the full picture's width.
        """
        boxes = [
            s if isinstance(s, Box) else Box.between(s.get_corner(DL), s.get_corner(UR))
            for s in subjects
        ]
        visible = shot_box(Box.around(boxes), self.frame, min_zoom=min_zoom)
        return self.move_camera(Shot.of_box(visible), **kwargs)

    def see_from(self, seat: str | Seat = "", *things: Mobject, **kwargs: Any) -> MoveCamera:
        """Return an animation that moves the camera to a seat from which things are well seen.

        They fill three quarters of the frame, below its title.

        Parameters
        ----------
        seat
            Name of the seat, one of :data:`filmkit.core.seats.SEATS`, or a
            :class:`~filmkit.core.seats.Seat` of your own; by default that of
            :func:`~filmkit.core.seats.default_seat`.
        *things
            What is seen: bodies, or whatever has its place in the room. By default all bodies on
            the scene.
        **kwargs
            For the animation, such as ``run_time``.

        Examples
        --------
        ::

            self.play(self.see_from("balcony", row, arcs), run_time=4)
        """
        parts = [part for thing in things for part in thing.get_family()]
        parts = parts or [part for part in self.visible_parts() if isinstance(part, Body)]
        words = [part for part in parts if isinstance(vars(part).get("anchor"), np.ndarray)]
        standing = [part for part in parts if not is_fixed(part)]
        points = [part.corners if isinstance(part, Body) else part.points for part in standing]
        corners = np.concatenate([np.zeros((0, 3)), *points])
        shot = seat_shot(seat, corners, self.frame, into=self.below_title, words=words)
        return self.move_camera(shot, **kwargs)

    def light_up(self, over: Mobject | npt.ArrayLike | None, **kwargs: Any) -> Animation:
        """Return an animation that moves the one light of a picture over something in the room.

        Parameters
        ----------
        over : Mobject or (3,) or None
            What it is aimed at, as for :class:`~filmkit.core.body.Lamp`. The first time it goes on
            there. None puts it out: then all bodies are seen in full light.
        **kwargs
            For the animation, such as ``run_time``.

        Examples
        --------
        ::

            self.play(self.light_up(tower))
        """
        if self._lamp is None or self._lamp not in self.get_mobject_family_members():
            self._lamp = Lamp((0.0, 0.0, 0.0))
            self._lamp.presence = 0.0
        return MoveLamp(self._lamp, over, **kwargs)

    def leave(self, *kept: Mobject, **kwargs: Any) -> list[Animation]:
        """Return animations in which all that is on the scene vanishes, but for some things.

        The title and the lamp stay too: beats change these themselves.

        Parameters
        ----------
        *kept
            What stays, with all that belongs to it.
        **kwargs
            For the animations, such as ``run_time``.

        Examples
        --------
        ::

            self.play(*self.leave(white), self.see_from("table", white, row), row.grow())
        """
        spared = {member for mobject in kept for member in mobject.get_family()}
        spared |= {*self.title_parts, *([self._lamp] if self._lamp else [])}
        return [Vanish(m, **kwargs) for m in self.mobjects if not spared & set(m.get_family())]

    def visible_parts(self) -> list[Mobject]:
        """Return every mobject with points and a presence above 0."""
        return visible_parts(self.mobjects)

    def dim(self, *mobjects: Mobject, to: float | None = None, **kwargs: Any) -> list[Animation]:
        """Return animations that fade mobjects into the background.

        ``to`` is their presence at the end, the theme's ``dim`` by default.
        """
        level = self.theme.dim if to is None else to
        return [Presence(mobject, level, **kwargs) for mobject in mobjects]

    def undim(self, *mobjects: Mobject, **kwargs: Any) -> list[Animation]:
        """Return animations that fade mobjects back to a presence of 1."""
        return self.dim(*mobjects, to=1.0, **kwargs)

    @contextmanager
    def focus(self, *kept: Mobject, to: float | None = None, **kwargs: Any) -> Iterator[None]:
        """Fade all but some mobjects into the background inside a ``with`` block.

        At the end of the block what was dimmed, and is still there, has its presence of before.

        Parameters
        ----------
        *kept
            What stays as it is.
        to
            Presence of the rest inside the block, the theme's ``dim`` by default.
        **kwargs
            For both animations, such as ``run_time``.

        Examples
        --------
        ::

            with self.focus(self.scores, self.pattern):
                self.play(Appear(label))
        """
        for place in kept:
            if isinstance(place, Box):
                raise SceneCodeError(
                    "focus keeps mobjects; a cell or a row is a place: dim the rest and add "
                    "Highlight(...)"
                )
        spared = {member for mobject in kept for member in mobject.get_family()}
        spared |= {*self.title_parts, *([self._lamp] if self._lamp else [])}
        before = {part: presence(part) for part in self.visible_parts() if part not in spared}
        if before:
            self.play(*self.dim(*before, to=to, **kwargs))
        yield
        there = {member for mobject in self.mobjects for member in mobject.get_family()}
        if back := [Presence(p, level, **kwargs) for p, level in before.items() if p in there]:
            self.play(*back)

    # Notes on single pictures; into films they are drawn when these are written

    def provenance_notes(self) -> tuple[str, str]:
        """Return the small notes at the top left and right of a picture.

        They say which layers and heads the panels on screen are of, and what is not drawn where
        queries look at keys: elsewhere nothing is missing from what is seen. There are none while a
        scene that names no tensors shows none of the trace; one whose numbers come from somewhere
        else overrides this.

        A picture of the second trace alone has notes on that one, without layers and heads.
        """
        shown = self._sources_in_view()
        if not (self.tensors or shown):
            return "", ""
        own = [source for source in shown if not source.model]
        others = dict.fromkeys(source.model for source in shown if source.model)
        if others and not own:
            if self.settings.compare is None:
                return "  ·  ".join(others), ""  # of another trace no more is known
            parts = [*origin_notes(self.compared.trace.meta), *others]
            lacking = _lacks_a_key(self.compared, shown)
            return "  ·  ".join(parts), hidden_note(self.compared) if lacking else ""
        meta = self.trace.meta
        places = [place_of(self.trace, source) for source in own]
        # The rest comes first, because a note that is too long for the frame loses its end.
        parts = [*origin_notes(meta), meta.model, *others, place_in_words(places, meta)]
        hidden = self.hidden_note() if _lacks_a_key(self.layer, own) else ""
        return "  ·  ".join(filter(None, parts)), hidden

    def _sources_in_view(self) -> list[TensorSource]:
        """Return the sources of all panels and bodies in the frame, but for the background."""
        width, height = self.camera.pixel_width, self.camera.pixel_height
        whole = Box.of(0.0, float(width), 0.0, float(height))
        sources = []
        for part in self.visible_parts():
            source = vars(part).get("source")
            if not isinstance(source, TensorSource) or presence(part) < NOTED:
                continue
            if isinstance(part, Heatmap) and not part.shown.any():
                continue
            _outline, box = outline_of(part, self.camera)
            if min(whole.overlap(box)) > 0 and (source.tensor or source.quantity):
                sources.append(source)
        return [source for source in dict.fromkeys(sources) if not source.is_scale]

    def hidden_note(self, *, short: bool = False) -> str:
        """Return what a note says of the positions that are not drawn; "" if all are.

        Parameters
        ----------
        short
            Whether there is little room.
        """
        return hidden_note(self.layer, short=short)


def _lacks_a_key(view: LayerView, shown: Sequence[TensorSource]) -> bool:
    """Return whether panels of a view show how keys are looked at, and not the first of them."""
    return any(has_keys(view.trace, source) for source in shown) and not any(
        draws_before(view.trace, source, view.first) for source in shown
    )


def hidden_note(view: LayerView, *, short: bool = False) -> str:
    """Return what a note says of the positions that a view does not draw; "" if it draws all."""
    if not view.hides_first:
        return ""
    if view.first == view.trace.meta.has_bos:
        token = printable(view.trace.meta.tokens[0])
        if short:
            return _("{token} takes part but is not drawn", token=token)
        return _("the beginning token {token} takes part but is not drawn", token=token)
    return ngettext(
        "the token before takes part but is not drawn",
        "the {number} tokens before take part but are not drawn",
        view.first,
    )


def _moves_camera(animation: Animation) -> bool:
    """Whether an animation, or one inside it, moves the camera."""
    inner = getattr(animation, "animations", ())
    return isinstance(animation, (MoveCamera, Drift)) or any(_moves_camera(a) for a in inner)


def notes_at_top(frame: Frame, model: str, hidden: str) -> VGroup:
    """Return the two notes at the top of a picture; see :meth:`Stage.provenance_notes`.

    Parameters
    ----------
    frame
        The frame.
    model, hidden
        The note on the left, and the one on the right; in a narrow frame it is below the first.
    """
    theme, lines, room = current_theme(), frame.note_lines, frame.free.width

    def note(text: str, width: float) -> Label:
        return fit_word(text, width, size=theme.note_size, colour=theme.muted)

    left = note(model, room)
    right = note(hidden, room if len(lines) > 1 else max(0.0, room - left.width - NOTE_GAP))
    left.move_to([frame.free.left + left.width / 2, lines[0], 0])
    x = frame.free.right - right.width / 2
    if len(lines) > 1:
        x = frame.free.left + right.width / 2
    right.move_to([x, lines[-1], 0])
    return VGroup(left, right)
