"""The way from one picture to the next: what stays, becomes, turns, appears and leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from manim import Animation, Mobject

from filmkit.core.animations import (
    Appear,
    Arrive,
    Settle,
    TransposeFromCopy,
    Vanish,
    first_half,
    presence,
    second_half,
    set_presence,
)
from filmkit.core.errors import SceneCodeError
from filmkit.core.heatmap import Heatmap
from filmkit.mobjects.plot import Chart
from filmkit.pictures.become import alike, before_it_grew, same
from filmkit.pictures.parts import Cells
from filmkit.pictures.picture import WORDS, Picture

__all__ = ["Transition"]

Key = tuple[str, str]

TURNS = {"Kt": "K", "K": "Kt"}
"""Parts that are the transpose of another one."""

FOLLOWS = {
    "scaled": ("dots",),
    "scores": ("scaled", "dots"),
    "pattern": ("scores", "scaled"),
}
"""Parts that come from another one in place, by a known step."""


@dataclass
class Transition:
    """What happens between two pictures.

    Parameters
    ----------
    before
        What is on the scene of the picture before, by its name and what it is.
    after
        The picture that comes.
    strangers
        What else is on the scene, and leaves.
    reveal, later
        Names of new parts that are filled row by row, and of those that are not shown yet. Where
        none is shown, the headline is not either.
    origins
        Heatmaps whose copies become the cells of new parts, by the names of these; one of
        transposed shape turns.
    into
        Where the cells of parts go that leave: the name of a part, and which of its rows.
    on_floor
        Whether one of the two pictures lies on the floor of the room, where nothing has a box.

    Attributes
    ----------
    moves, leaving, arrivals
        Animations of what stays or becomes something else, of what leaves, and of what is new.
    replaced
        Pairs of what is on the scene and what takes its place there when the moves begin.
    finished
        What is taken from it when they have ended.
    """

    before: Mapping[Key, Mobject]
    after: Picture
    strangers: tuple[Mobject, ...] = ()
    reveal: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    origins: Mapping[str, Heatmap] = field(default_factory=dict)
    into: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    on_floor: bool = False

    def __post_init__(self) -> None:
        self._new = self.after.pieces
        self._later: list[Mobject | None] = [
            piece
            for name in self.later
            if name in self.after.parts
            for piece in self.after.parts[name].pieces.values()
        ]
        if self.later and self.after.parts.keys() <= set(self.later):
            self._later.append(self.after.headline)
        self.moves: list[Animation] = []
        self.arrivals: list[Animation] = []
        self.replaced: list[tuple[Mobject, Mobject]] = []
        self.finished: list[Mobject] = []
        gone = dict(self.before)
        strange = {member for stranger in self.strangers for member in stranger.get_family()}
        self._leaving_origins = strange.intersection(self.origins.values())
        for key, piece in self._new.items():
            self._bring(key, piece, gone)
        for name, (target, row) in self.into.items():
            if (name, "cells") not in gone:
                raise SceneCodeError(
                    f"into={name!r} is no part with cells that leaves for the {self.after.mosaic}"
                )
            if target in self.after.parts:
                self._send(gone.pop((name, "cells")), self.after.parts[target].cells, row)
        self.leaving = [Vanish(piece) for piece in (*gone.values(), *self.strangers)]
        for name, origin in self.origins.items():
            # It is seen on its way, no longer in its place; one that turns leaves this itself.
            if origin in self._leaving_origins and origin.shape == self._new[name, "cells"].shape:
                set_presence(origin, 0.0)

    @property
    def is_none(self) -> bool:
        """Whether the picture is there already, and nothing else."""
        return (
            not self.strangers
            and self.before.keys() == self._new.keys()
            and all(
                alike(piece, self.before[key]) and same(piece, self.before[key])
                for key, piece in self._new.items()
            )
        )

    @property
    def crossfade(self) -> list[Animation]:
        """What leaves and what is new, one after the other in one animation."""
        for fading, rate in ((self.leaving, first_half), (self.arrivals, second_half)):
            for animation in fading:
                animation.rate_func = rate
        return [*self.leaving, *self.arrivals]

    def _bring(self, key: Key, piece: Mobject, gone: dict[Key, Mobject]) -> None:
        """Decide how a piece of the new picture comes; take from `gone` what it was."""
        name, kind = key
        was = self._was(key)
        look = None if was is None else self._look(piece, was)
        if kind == "cells" and name in self.origins:
            assert isinstance(piece, Cells)
            origin = self.origins[name]
            self.moves += (
                [
                    Arrive(b, origin.part(*cut))
                    for b, cut in zip(piece.blocks, piece.cuts, strict=True)
                ]
                if origin.shape == piece.shape
                else [self._flip(origin, piece.whole, origin in self._leaving_origins)]
            )
            self.arrivals += map(_appearing, piece.dots)
        elif was is not None and look is not None:
            if was not in gone or not same(piece, look):
                self.moves.append(Arrive(piece, look))
            if was in gone:
                self.replaced.append((gone.pop(was), piece))
        elif kind == "cells" and (TURNS.get(name, ""), kind) in self.before:
            self._turn(name, piece, gone)
        elif piece not in self._later and not (kind == "cells" and name in self.reveal):
            self.arrivals.append(_appearing(piece))

    def _look(self, piece: Mobject, was: Key) -> Mobject | None:
        """Return how a piece looks before it becomes what it is; None if it cannot."""
        before, (name, kind) = self.before[was], was
        if alike(piece, before):
            return before
        grows = (kind == "cells" or name == WORDS) and not self.on_floor
        return before_it_grew(piece, before) if grows else None

    def _was(self, key: Key) -> Key | None:
        """Return the key of what a piece was in the picture before, or None if it is new."""
        name, kind = key
        names = (name, *(FOLLOWS.get(name, ()) if kind == "cells" else ()))
        return next(((one, kind) for one in names if (one, kind) in self.before), None)

    def _turn(self, name: str, piece: Mobject, gone: dict[Key, Mobject]) -> None:
        """Let a matrix become its transpose; it stays if the new picture has it too."""
        key = TURNS[name], "cells"
        origin = self.before[key]
        assert isinstance(piece, Cells)
        assert isinstance(origin, Cells)
        leaves = key not in self._new and key in gone
        pairs = zip(origin.blocks_by_column, piece.blocks, strict=True)
        self.moves += [self._flip(old, new, leaves) for old, new in pairs]
        self.arrivals += map(_appearing, piece.dots)
        if leaves:
            self.finished.append(gone.pop(key))

    def _flip(self, old: Heatmap, new: Heatmap, leaves: bool) -> Animation:
        """Return the animation in which a matrix becomes its transpose: on the floor it folds."""
        if self.on_floor:
            return Arrive(new, old.transposed())
        return TransposeFromCopy(old, new, leaves=leaves)

    def _send(self, cells: Mobject, target: Cells, row: int) -> None:
        """Let cells go to a row of the new picture, where they are part of something else."""
        assert isinstance(cells, Cells)
        if self.on_floor:
            raise SceneCodeError("into: cells do not go into a picture on the floor; use glass")
        cut = len(cells.blocks) > 1
        places = target.of_row(row).items()
        boxes = [block.row(place) for block, place in places] if cut else [target.row(row)]
        self.moves += map(Settle, cells.blocks, boxes)
        self.finished.append(cells)


def _appearing(piece: Mobject) -> Animation:
    """Return the animation in which a piece appears, as background if it is that; bars grow."""
    levels = {presence(member) for member in piece.get_family()}
    if isinstance(piece, Chart):
        return Arrive(piece, set_presence(piece.flat, 0.0))
    if len(levels) > 1:
        return Arrive(piece, set_presence(piece.copy(), 0.0))
    return Appear(piece, to=levels.pop())
