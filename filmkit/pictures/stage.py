"""`PictureStage`: a stage whose beats name their pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy.typing as npt
from manim import Animation, Mobject, linear

from filmkit.core.animations import (
    AnimateWith,
    Appear,
    Reveal,
    TransposeFromCopy,
    Vanish,
    in_rows,
    set_presence,
)
from filmkit.core.stage import Stage
from filmkit.mobjects.marks import Highlight
from filmkit.pictures.become import Become, alike, same
from filmkit.pictures.parts import Around, Cells, Free, Part
from filmkit.pictures.picture import Mark, Picture, PlacedPart
from filmkit.pictures.tensors import HeadParts

__all__ = ["PictureStage"]

TURNS = {"Kt": "K", "K": "Kt"}
"""Parts that are the transpose of another one."""

FOLLOWS = {
    "scaled": ("dots",),
    "scores": ("scaled", "dots"),
    "pattern": ("scores", "scaled"),
}
"""Parts that come from another one in place, by a known step."""


class PictureStage(Stage):
    """A stage whose beats name their pictures as mosaics; see :meth:`show`.

    Attributes
    ----------
    parts : mapping
        The parts of the picture on screen by name: ``self.parts["Q"].cells.row(3)`` is a box.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._own: dict[str, Part] = {}
        self._picture: Picture | None = None

    def part(self, name: str, part: Part | Callable[[], Mobject]) -> None:
        """Add a part of your own under a name that mosaics can use.

        Parameters
        ----------
        name
            Its name in mosaics.
        part
            A :class:`~filmkit.pictures.parts.Matrix`, or a function that makes a mobject anew,
            such as ``lambda: Symbol("Q K^top")``.
        """
        self._own[name] = Free(part) if callable(part) else part

    @property
    def parts(self) -> Mapping[str, PlacedPart]:
        return self._picture.parts if self._picture else {}

    def show(
        self,
        mosaic: str,
        *,
        tall: str | None = None,
        square: str | None = None,
        reveal: str = "",
        later: str = "",
        focus: str | None = None,
        marks: tuple[Mark, ...] = (),
        lit: Mapping[str, npt.ArrayLike] | None = None,
        titles: str | bool = True,
        words: bool | str = True,
        bars: str = "",
        run_time: float | None = None,
    ) -> None:
        """Show a picture, and play the way from the picture before it.

        What has the same name glides to its place, what became something else by a known step does
        that step, what is new appears, and what is gone leaves.  Nothing is played if the picture
        is there already.

        Parameters
        ----------
        mosaic
            The names of its parts as they stand, a row in each line and ``.`` for nothing.
        tall, square
            Other mosaics for frames that are higher than wide, and for square ones.
        reveal
            Names of new parts whose cells are filled row by row.
        later
            Names of new parts that are not shown yet, because the beat brings them in itself.
        focus
            Names of the parts at full strength; the others are background. All by default.
        marks
            Frames around cells, rows and columns.
        lit
            Opacity of the cells of some parts, 0 to 1: arrays that broadcast to their shape.
        titles
            Whether parts have titles, or the names of those that do.
        words
            Whether the words of tokens stand at rows and columns; "rows" for rows alone.
        bars
            Names of the parts with a colour bar.
        run_time
            Seconds of the way; the theme's by default.
        """
        frame = self.frame
        text = (tall if frame.tall else square if frame.upright else None) or mosaic
        named = None if isinstance(titles, bool) else titles.split()
        parts = _Known(self._own, HeadParts(self.head))
        around = {
            name: Around(
                title=titles if isinstance(titles, bool) else name in (named or ()),
                bar=name in bars.split(),
            )
            for name in {*text.split()} - {"."}
        }
        picture = Picture(text, parts, frame, around=around, words=words, marks=marks, lit=lit)
        if focus is not None:
            for name, part in picture.parts.items():
                if name not in focus.split():
                    set_presence(part.whole, self.theme.dim)
        self._change_to(picture, reveal.split(), later.split(), run_time)

    def _change_to(
        self, picture: Picture, revealed: list[str], later: list[str], run_time: float | None
    ) -> None:
        """Play the way from the picture on screen to another one."""
        tempo = self.theme.tempo
        before = self._picture.pieces if self._picture else {}
        after = picture.pieces
        if before.keys() == after.keys() and all(
            alike(after[key], before[key]) and same(after[key], before[key]) for key in after
        ):
            return
        moves: list[Animation] = []
        arrivals: list[Animation] = []
        reveals: list[str] = []
        gone = dict(before)
        for key, piece in after.items():
            origin = self._origin(key, before)
            if origin is not None and alike(piece, before[origin]):
                old = gone.pop(origin, None)
                moves.append(Become(piece, before[origin]))
                if old is not None:
                    self.remove(old)
            elif (turned := self._turned(key, piece, before)) is not None:
                moves.append(turned)
                gone_key = (TURNS[key[0]], "cells")
                if gone_key not in after and gone_key in gone:
                    self.remove(gone.pop(gone_key))
            elif key[1] == "cells" and key[0] in revealed:
                reveals.append(key[0])
            elif key[0] not in later:
                arrivals.append(Appear(piece))
        known = {member for piece in before.values() for member in piece.get_family()}
        strangers = [m for m in self.mobjects if not known & set(m.get_family())]
        leaving = [Vanish(piece) for piece in (*gone.values(), *strangers)]
        self._picture = picture
        if leaving or moves:
            self.play(*leaving, *moves, run_time=run_time or tempo.large)
        if arrivals:
            self.play(*arrivals)
        for name in reveals:
            self._reveal(picture, name)

    def _reveal(self, picture: Picture, name: str) -> None:
        """Fill the cells of a part row by row, with a frame around the row that each comes from."""
        part, tempo = picture.parts[name], self.theme.tempo
        cells, rows = part.cells, picture.row_of(name)
        shown = [block.shown.copy() for block in cells.blocks]
        for block in cells.blocks:
            block.set_shown(0)
        self.add(cells)
        fills = [
            Reveal(b, in_rows(b.shape), to=s, rate_func=linear)
            for b, s in zip(cells.blocks, shown, strict=True)
        ]
        beam = Highlight(rows[0], colour=part.colour)
        count = len(rows)

        def step(alpha: float) -> None:
            beam.move_to(rows[min(int(alpha * count), count - 1)].center)

        self.play(Appear(beam))
        self.play(*fills, AnimateWith(beam, step, rate_func=linear), run_time=1.5 * tempo.large)
        self.play(Vanish(beam))

    @staticmethod
    def _origin(key: tuple[str, str], before: Mapping[tuple[str, str], Mobject]):
        """Return the key of what a piece was in the picture before, or None if it is new."""
        if key in before:
            return key
        for name in FOLLOWS.get(key[0], ()) if key[1] == "cells" else ():
            if (name, "cells") in before:
                return name, "cells"
        return None

    @staticmethod
    def _turned(
        key: tuple[str, str], piece: Mobject, before: Mapping[tuple[str, str], Mobject]
    ) -> Animation | None:
        """Return the animation of a piece that is the transpose of one before."""
        origin = before.get((TURNS.get(key[0], ""), "cells"))
        if key[1] != "cells" or origin is None:
            return None
        assert isinstance(piece, Cells)
        assert isinstance(origin, Cells)
        return TransposeFromCopy(origin.whole, piece.whole)


class _Known(Mapping[str, Part]):
    """All parts that mosaics can name: the scene's own first, then those that every scene has."""

    def __init__(self, own: Mapping[str, Part], tensors: HeadParts) -> None:
        self._own, self._tensors = own, tensors

    def __getitem__(self, name: str) -> Part:
        return self._own[name] if name in self._own else self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from self._tensors

    def __len__(self) -> int:
        return len(self._own) + len(self._tensors)
