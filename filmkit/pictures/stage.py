"""`Stage`: a stage whose beats name their pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import Group, Mobject, linear

from filmkit.core.animations import (
    AnimateWith,
    Appear,
    Reveal,
    Vanish,
    in_rows,
    set_presence,
)
from filmkit.core.camera import Shot
from filmkit.core.errors import SceneCodeError
from filmkit.core.heatmap import Heatmap
from filmkit.core.light import mirrored
from filmkit.core.picture_parts import MosaicItem
from filmkit.core.stage import Stage as PlainStage
from filmkit.mobjects.marks import Highlight
from filmkit.pictures.account import account
from filmkit.pictures.mosaic import Mosaic
from filmkit.pictures.parts import Around, Cells, Free, Part
from filmkit.pictures.picture import COLUMN_WORDS, LAMP, WORDS, Key, Mark, Picture, PlacedPart
from filmkit.pictures.standing import FLOOR, GLASS, seat_of
from filmkit.pictures.tensors import HeadParts
from filmkit.pictures.transition import Transition

__all__ = ["Stage"]

Array = npt.NDArray[np.float64]
Filled = Mapping[str, Sequence[Array]]
"""Parts that are to be filled, and the opacities of the cells of each of their heatmaps then."""


class Stage(PlainStage):
    """A stage whose beats name their pictures as mosaics; see :meth:`show`.

    Attributes
    ----------
    parts : mapping
        The parts of the picture on screen by name: ``self.parts["Q"].cells.row(3)`` is a box.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._own: dict[str, Part | None] = {}
        self._picture: Picture | None = None

    def part(self, name: str, part: Part | Mobject | Callable[[], Mobject] | None) -> None:
        """Add a part of your own under a name that mosaics can use.

        Parameters
        ----------
        name
            Its name in mosaics.
        part
            A :class:`~filmkit.pictures.parts.Matrix`; a mobject, of which copies are shown; or a
            function that makes one when it is shown, such as ``lambda: Symbol("Q K^top")``. One
            that is too large is made smaller, and a :class:`~filmkit.mobjects.plot.Chart` fills
            its place. None for nothing: mosaics leave it out.

        Raises
        ------
        SceneCodeError
            If it is something else.
        """
        if isinstance(part, Mobject):
            part = part.copy
        if not (part is None or callable(part) or hasattr(part, "pieces")):
            raise SceneCodeError(
                f"the part {name!r} cannot be a {type(part).__name__}; take Matrix(numbers), a "
                f"mobject, or a function that makes one"
            )
        self._own[name] = Free(part) if callable(part) else part

    @property
    def parts(self) -> Mapping[str, PlacedPart]:
        return self._picture.parts if self._picture else {}

    def show(
        self,
        mosaic: str,
        *,
        tall: str = "",
        reveal: str = "",
        later: str = "",
        focus: str | Mapping[str, npt.ArrayLike] | None = None,
        marks: tuple[Mark, ...] = (),
        lit: Mapping[str, npt.ArrayLike] | None = None,
        titles: str | bool = True,
        words: bool | str = True,
        bars: str = "",
        headline: Mobject | None = None,
        origins: Mapping[str, Heatmap] | None = None,
        into: Mapping[str, tuple[str, int]] | None = None,
        stands: str = "",
        seat: str = "",
        light: str = "",
        run_time: float | None = None,
    ) -> None:
        """Show a picture, and play the way from the picture before it.

        What has the same name glides to its place, what became something else by a known step does
        that step, what is new appears, and what is gone leaves.  Nothing is played if the picture
        is there already.

        Parameters
        ----------
        mosaic
            The names of its parts as they stand, a row in each line and ``.`` for nothing, which
            may be all; between the columns beside a column of ``|`` there is no gap. The signs
            ``×``, ``=``, ``≠``, ``→``, ``↓`` and ``Σ`` stand for themselves; a second one of a kind
            is written ``×2``.
        tall
            Another mosaic of the same parts, for frames that are no wider than high; it is taken if
            its cells are larger.
        reveal
            Names of parts whose cells are filled row by row. Of one that is there already, cells
            that are seen stay.
        later
            Names of new parts that are not shown yet, because the beat brings them in itself; if it
            brings all of them, then the headline too.
        focus
            Names of the parts at full strength, all by default; the others are background. With
            an array for each name, such as ``{"pattern": numbers > 0.5}``, so are the cells where
            it is False or 0.
        marks
            Frames around cells, rows and columns. Each goes to where the one of the same number is
            in the next picture.
        lit
            Opacity of the cells of some parts, 0 to 1: arrays that broadcast to their shape. Under
            the name "words" that of the words of each token, and under "column words" that of
            those above columns if it is another.
        titles
            Whether parts have titles, or the names of those that do.
        words
            Whether the words of tokens stand at rows and columns; "rows" for rows alone, "marked"
            for all, of which those of rows and columns that marks frame stand out.
        bars
            Names of the parts with a colour bar.
        headline
            Words at the top, such as a :class:`~filmkit.core.headline.Headline`, below which the
            mosaic fills what is left. Those that were there stay if they say the same.
        origins
            Heatmaps that become the cells of new parts, by the names of these: a row of another
            part, for instance, or the panels of a head in the room
            (:meth:`filmkit.world.world.World.panels`). Those of parts that this mosaic has not are
            left where they are.
        into
            Where the cells of parts go that leave: the name of a part, and which of its rows.
        stands
            How the picture stands in the room: "glass" upright on the floor, which mirrors it;
            "floor" laid there, with its upper side away from the eye. By default it is flat.
        seat
            Name of the seat from which a picture in the room is seen.
        light
            Name of the part over which the lamp hangs: other parts with cells have less light, each
            of them as a whole.
        run_time
            Seconds of the way; the theme's by default.

        Examples
        --------
        ::

            self.show("Q × Kt = scores", stands="glass", light="scores")
        """
        if run_time is not None and not 0 < run_time < np.inf:
            raise SceneCodeError(f"run_time={run_time} is no time that a way takes; give seconds")
        if (seat or light) and not stands:
            raise SceneCodeError(
                f"seat={seat!r} and light={light!r} are for pictures in the room; give "
                f"stands={GLASS!r} or stands={FLOOR!r} too"
            )
        drawn = Mosaic.parse(mosaic)
        variants = [drawn]
        if tall:
            upright = drawn.same_parts(Mosaic.parse(tall))
            variants += [upright] if self.frame.upright else []
        titled = drawn.names if titles is True else drawn.listed("titles", titles or "")
        barred = drawn.listed("bars", bars)
        around = {n: Around(title=n in titled, bar=n in barred) for n in drawn.names}
        lit, origins, into = lit or {}, origins or {}, into or {}
        drawn.listed("into", " ".join(target for target, _row in into.values()))
        if len(drawn.listed("light", light)) > 1:
            raise SceneCodeError(f"light={light!r}: there is one lamp; name one part")
        drawn.listed("marks", " ".join(mark.part for mark in marks))
        drawn.listed("lit", " ".join(name for name in lit if name not in (WORDS, COLUMN_WORDS)))
        if isinstance(focus, Mapping):
            dim = self.theme.dim
            lit = {**lit, **{name: np.where(cells, 1.0, dim) for name, cells in focus.items()}}
            focus = " ".join(focus)
        known = HeadParts(self.head, self._own)
        origins = {n: o for n, o in origins.items() if n in drawn.names or n not in known}
        picture = Picture(
            variants,
            known,
            self.frame,
            around=around,
            words=words,
            marks=marks,
            lit=lit,
            headline=headline,
            into=self.below_title,
            stands=stands,
            light=light,
        )
        if focus is not None:
            strong = drawn.listed("focus", focus)
            for name, part in picture.parts.items():
                if name not in strong:
                    set_presence(part.whole, self.theme.dim)
        before = self._seen()
        filled = _emptied(picture, before, drawn.listed("reveal", reveal))
        kept = {member for piece in before.values() for member in piece.get_family()}
        kept |= self.carried | self.title_parts
        # Animations of the camera have left empty ones there, which nobody sees leaving.
        self.remove(*(m for m in self.mobjects if not m.family_members_with_points()))
        way = Transition(
            before,
            picture,
            tuple(m for m in self.mobjects if not kept & set(m.get_family())),
            reveal=tuple(filled),
            later=drawn.listed("later", later),
            origins={name: origins[name] for name in drawn.listed("origins", " ".join(origins))},
            into=into,
            on_floor=FLOOR in (stands, self._stands),
        )
        if stands == GLASS:
            # So that there is no jump at the end of the way.
            mirrored(Group(*before.values()))
        self._play(way, filled, seat, run_time or self.theme.tempo.large)

    def steps(
        self,
        mosaic: str,
        at: Mapping[str, str | Mapping[str, Any]] | None = None,
        /,
        **given: Any,
    ) -> None:
        """Show a picture step by step: some of its parts appear as words of the narration are said.

        At first all is shown but the parts that are named. Each time the words of a mark are said,
        its parts appear: those with ``reveal`` are filled, and ``origins`` become cells.

        Parameters
        ----------
        mosaic
            As for :meth:`show`.
        at
            What happens at marks whose names cannot be written as keywords, or are those of options
            of :meth:`show`.
        **given
            Options of :meth:`show`, and for each mark the names of the parts that appear there; or
            a mapping of options of :meth:`show` that change there. Marks come in the order in which
            they are said.

        Raises
        ------
        SceneCodeError
            If a name is no part of the mosaic, or the narration has no such mark.

        Examples
        --------
        ::

            # Every [query] meets every [key].
            self.steps("Q × Kt = scores", query="Q", key="× Kt", stands="glass")
        """
        options = {name: given.pop(name) for name in [*given] if name in OPTIONS}
        drawn, said = Mosaic.parse(mosaic), self.narration(self.playing)
        happening = {**given, **(at or {})}
        missing = [
            name
            for mark, names in happening.items()
            if isinstance(names, str)
            for name in drawn.listed(mark, names)
        ]

        def show() -> None:
            """Show what is there by now."""
            revealed, origins = options.get("reveal", ""), options.get("origins") or {}
            there = {
                "later": " ".join(missing),
                "reveal": " ".join(name for name in revealed.split() if name not in missing),
                "origins": {name: one for name, one in origins.items() if name not in missing},
            }
            self.show(mosaic, **options | there)

        show()
        for mark in sorted(happening, key=lambda mark: said.marks.get(mark, 0)):
            self.wait_for(mark)
            if isinstance(changed := happening[mark], str):
                missing = [name for name in missing if name not in changed.split()]
            else:
                options |= changed
            show()

    @property
    def _stands(self) -> str:
        """How the picture on screen stands in the room."""
        return self._picture.standing.how if self._picture and self._picture.standing else ""

    def mosaic_on_screen(self) -> MosaicItem | None:
        return (
            account(self._picture, set(self.get_mobject_family_members()))
            if self._picture
            else None
        )

    def _seen(self) -> Mapping[tuple[str, str], Mobject]:
        """Return what is on the scene of the picture before."""
        on_scene = set(self.get_mobject_family_members())
        pieces = self._picture.pieces if self._picture else {}
        seen = {key: piece for key, piece in pieces.items() if on_scene & set(piece.get_family())}
        return seen | ({LAMP: self._lamp} if self._lamp in on_scene else {})

    def _play(self, way: Transition, filled: Filled, seat: str, run_time: float) -> None:
        """Play the way from the picture on screen to another one, also from and to space."""
        shot, end, standing = self.camera.shot, Shot(), way.after.standing
        moves = bool(shot.theta or shot.phi or shot.center[2] or self._stands)
        if standing is not None:
            end = seat_of(standing, self.frame, way.after.room, seat)
            moves = shot != end
        if moves:
            way.moves.append(self.move_camera(end))
        elif way.is_none and not filled:
            return
        self._picture, self.headline, self._lamp = way.after, way.after.headline, way.after.lamp
        for old, new in way.replaced:
            self._add_whole(old)
            self.replace(old, new)
        if way.moves:
            self.play(*way.crossfade, *way.moves, run_time=run_time)
            self.remove(*way.finished)
            for part in way.after.parts.values():
                self._add_whole(part.pieces.get("cells"))
        elif way.leaving or way.arrivals:
            self.play(*way.crossfade, run_time=self.theme.tempo.normal)
        for name, shown in filled.items():
            self._reveal(way.after, name, shown)

    def _add_whole(self, piece: Mobject | None) -> None:
        """Let a piece take the place of its parts, which animations have brought one by one."""
        if piece is None or piece in self.mobjects:
            return
        family = set(piece.get_family())
        found = [mobject for mobject in self.mobjects if mobject in family]
        if found:
            self.mobjects[self.mobjects.index(found[0])] = piece
            self.mobjects[:] = [mobject for mobject in self.mobjects if mobject not in found]

    def _reveal(self, picture: Picture, name: str, shown: Sequence[Array]) -> None:
        """Fill the cells of a part row by row, with a frame around the row that each comes from."""
        part, tempo = picture.parts[name], self.theme.tempo
        cells, rows = part.cells, picture.row_of(name)
        self.add(cells)
        count = len(rows)
        fills = []
        for block, (down, _across), seen in zip(cells.blocks, cells.cuts, shown, strict=True):
            # Rows of the last part are filled after those of the first one.
            start = 0 if down == cells.spans[0][0] else count - block.shape[0]
            times = in_rows((count, block.shape[1]))[start : start + block.shape[0]]
            fills.append(Reveal(block, times, to=seen, rate_func=linear))
        if picture.standing is not None:
            # In the room what is meant is lit, not framed.
            self.play(*fills, run_time=1.5 * tempo.large)
            return
        beam = Highlight(rows[0], colour=part.colour)

        def step(alpha: float) -> None:
            beam.move_to(rows[min(int(alpha * count), count - 1)].center)

        self.play(Appear(beam))
        self.play(*fills, AnimateWith(beam, step, rate_func=linear), run_time=1.5 * tempo.large)
        self.play(Vanish(beam))


OPTIONS = frozenset(signature(Stage.show).parameters) - {"self", "mosaic", "later"}
"""Names of what else is said of a picture that is shown."""


def _emptied(picture: Picture, before: Mapping[Key, Mobject], names: Sequence[str]) -> Filled:
    """Leave of parts that are to be filled only what is seen of them already.

    Those are returned of which more is to be seen.
    """
    filled = {}
    for name in names:
        if name not in picture.parts:
            continue
        blocks, seen = picture.parts[name].cells.blocks, before.get((name, "cells"))
        shown = [block.shown for block in blocks]
        for index, block in enumerate(blocks):
            start = np.zeros(block.shape)
            if isinstance(seen, Cells) and index < len(seen.blocks):
                old = seen.blocks[index].shown[: block.shape[0], : block.shape[1]]
                start[: old.shape[0], : old.shape[1]] = old
            block.set_shown(np.minimum(start, block.shown))
        if any((block.shown < end).any() for block, end in zip(blocks, shown, strict=True)):
            filled[name] = shown
    return filled
