"""What a picture says of its mosaic; :mod:`filmkit.core.picture_parts` has the items."""

from __future__ import annotations

from collections.abc import Container

from manim import Mobject, VMobject

from filmkit.core.picture_parts import MosaicItem, PartItem, SideItem
from filmkit.pictures.mosaic import TOKEN, Axis
from filmkit.pictures.parts import Cells, Matrix
from filmkit.pictures.picture import Picture, PlacedPart

__all__ = ["account"]


def account(picture: Picture, on_scene: Container[Mobject]) -> MosaicItem | None:
    """Return the mosaic of a picture, with the parts that are on the scene; None if none is.

    Parameters
    ----------
    picture
        The picture.
    on_scene
        All mobjects on the scene, and all of which they are made.
    """
    items = []
    for part in picture.parts.values():
        own = [piece for kind, piece in part.pieces.items() if "words" not in kind]
        if any(_is_shown(piece, on_scene) for piece in own or part.pieces.values()):
            items.append(_item(picture, part))
    if not items:
        return None
    grid, fields = picture.mosaic.grid, picture.arrangement.fields
    marks = zip(picture.marked, picture.marks, strict=True)
    return MosaicItem(
        grid,
        tuple(tuple(fields[r, c] for c in range(len(row))) for r, row in enumerate(grid)),
        tuple(items),
        tuple((m.part, m.row, m.column) for m, frame in marks if _is_shown(frame, on_scene)),
        picture.left_out,
        *((picture.standing.how, picture.standing.at) if picture.standing else ()),
    )


def _is_shown(piece: Mobject, on_scene: Container[Mobject]) -> bool:
    return any(member in on_scene and _has_ink(member) for member in piece.get_family())


def _has_ink(mobject: Mobject) -> bool:
    """Return whether a mobject can be seen: some shapes only keep a place free."""
    if not isinstance(mobject, VMobject) or not mobject.has_points():
        return True
    stroke = mobject.get_stroke_width() > 0 and mobject.get_stroke_opacity() > 0
    return bool(stroke or mobject.get_fill_opacity() > 0)


def _item(picture: Picture, placed: PlacedPart) -> PartItem:
    """Return what maps of pictures and alt texts say of a part."""
    name, part, span = placed.name, placed.part, picture.mosaic.spans[placed.name]
    size, cells = part.size(picture.dressing[name]), placed.pieces.get("cells")
    counts = cells.shape if isinstance(cells, Cells) else (None, None)
    words = part.words if isinstance(part, Matrix) else ()
    called = (part.name, part.symbol) if isinstance(part, Matrix) else ()

    def side(number: int, axis: Axis | None) -> SideItem | None:
        if axis is None:
            return None
        texts = tuple(words) if axis.name == TOKEN else ()
        pitch, count = picture.pitches[axis.name], counts[number] or axis.count
        first = None
        if isinstance(part, Matrix) and part.title_of(number):
            first = part.numbers(number)[0]
        return SideItem(axis.name, count, axis.count, pitch, texts, first)

    return PartItem(
        name,
        " ".join(filter(None, called)),
        (span.rows, span.columns),
        picture.arrangement.boxes[name],
        (side(0, size.rows), side(1, size.columns)),
        frozenset(member for piece in placed.pieces.values() for member in piece.get_family()),
    )
