"""Draw a small array of colours straight into its region of the frame.

Manim allocates and composites a whole frame for every image. Here only the region of the picture
is computed: by a table of the cell of each pixel if its sides are vertical and horizontal, else by
a map of the place of each pixel in the texture. Its inside is copied; only its edge pixels, and
pictures that are not opaque, are blended.

Pictures are the same, bit by bit, on every processor. OpenCV's own perspective warp is not: what it
rounds depends on the instructions that a processor has. So places are computed here, one rounded
operation after the other, in steps so coarse that OpenCV mixes colours without rounding.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Texture", "outline", "paste"]

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]
Reals = npt.NDArray[np.float32]
Row: TypeAlias = tuple[float, float, float]
Matrix: TypeAlias = tuple[Row, Row, Row]

# Texels (pixels of a texture) per cell and side. Beyond this a cell's edge is a little softer than
# one pixel, which nobody sees on a cell that large.
MAX_TEXELS = 48
MAX_SIDE = 6144  # texels of a side of more than one a cell; OpenCV fails above 32767

# In pixels. Cells with a smaller side are drawn with hard edges inside a tilted picture: it is
# twice as fast, and stairs of one pixel between such cells cannot be seen.
SMALL_CELL = 10

# Steps per pixel with which OpenCV places the corners of polygons; a power of two.
SUBPIXELS = 64

# Added to a place in a texture and taken off again, it rounds it to 32nds of a texel.
TO_32NDS = np.float32(1.5 * 2**18)

HORIZON = np.float32(1e-6)  # how near to it a perspective sees, as a share of the nearest

# In pixels. A smaller picture gets no outline, which would hide most of it.
MIN_OUTLINED = 8

# In widths or heights of the frame. A larger picture is cropped to its visible part first.
LARGE = 1.5


class Texture:
    """An image with one colour per cell, and its enlargement to about the size on screen.

    A cell is first repeated to about as many texels as it will cover pixels, then warped with
    linear interpolation: its inside keeps the exact colour and its edges are one pixel soft. A
    nearest-neighbour warp would show stairs, which tremble while the picture moves.

    Parameters
    ----------
    cells : (rows, columns, 4)
        RGBA, uint8, colours premultiplied by alpha.
    """

    def __init__(self, cells: Pixels) -> None:
        self.cells = cells
        self.opaque = bool(cells[..., 3].min() == 255)
        self._enlarged: dict[tuple[int, int], Pixels] = {}

    def enlarged(self, across: float, down: float) -> Pixels:
        """Return the enlarged texture, (height, width, 4); if not opaque, with a transparent rim.

        Parameters
        ----------
        across, down
            Size of the whole texture on screen, in pixels.
        """
        rows, columns = self.cells.shape[:2]
        size = (_texels(across, columns), _texels(down, rows))
        if size not in self._enlarged:
            texels = _resized(self.cells, size)
            if not self.opaque:
                texels = np.pad(texels, ((1, 1), (1, 1), (0, 0)))
            self._enlarged = {size: texels}
        return self._enlarged[size]

    def cropped(self, corners: Points, width: int, height: int) -> tuple[Texture, Points]:
        """Crop a texture that is far larger than the frame to the part that the frame shows.

        A close-up of one cell would else enlarge every cell of the picture.

        Parameters
        ----------
        corners
            As for :func:`paste`.
        width, height
            Size of the frame, in pixels.

        Returns
        -------
        Texture
            The visible part, or the texture itself if it is not that large.
        (4, 2)
            The corners of that part.
        """
        xs, ys = corners.T.tolist()
        if max(xs) - min(xs) <= LARGE * width and max(ys) - min(ys) <= LARGE * height:
            return self, corners
        rows, columns = self.cells.shape[:2]
        to_pixels = _perspective(corners, columns, rows)
        if to_pixels is None:
            return self, corners
        to_cells = _inverse(to_pixels)
        edge = np.array([_seen(to_cells, x, y) for x in (0, width) for y in (0, height)])
        if edge[:, 2].min() <= 0:  # the frame reaches beyond the horizon of the plane
            return self, corners
        cells = edge[:, :2] / edge[:, 2:]
        left, top = np.clip(np.floor(cells.min(axis=0)).astype(int) - 1, 0, [columns, rows])
        right, bottom = np.clip(np.ceil(cells.max(axis=0)).astype(int) + 1, 0, [columns, rows])
        if left >= right or top >= bottom:
            return self, corners
        part = [(left, top), (right, top), (right, bottom), (left, bottom)]
        placed = np.array([_seen(to_pixels, x, y) for x, y in part])
        corners = placed[:, :2] / placed[:, 2:]
        return Texture(self.cells[top:bottom, left:right]), corners


def _texels(extent: float, cells: int) -> int:
    """Return how many texels a side gets that has ``cells`` cells on ``extent`` pixels."""
    per_cell = extent / cells
    if per_cell < 1:
        return max(1, round(extent))
    return cells * min(MAX_TEXELS, int(np.ceil(per_cell)), max(1, MAX_SIDE // cells))


def _resized(cells: Pixels, size: tuple[int, int]) -> Pixels:
    """Repeat cells to a size (width, height), or average them if there are more than texels."""
    rows, columns = cells.shape[:2]
    shrinks = size[0] < columns or size[1] < rows
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(cells, size, interpolation=interpolation), dtype=np.uint8)


def paste(frame: Pixels, texture: Texture, corners: Points, opacity: float = 1.0) -> None:
    """Draw a texture into the frame, over what is there.

    Parameters
    ----------
    frame : (height, width, 4)
        RGBA, uint8, premultiplied; changed in place.
    texture
        What to draw.
    corners : (4, 2)
        Where its corners go, in pixels from the top left: outer corner of the first cell, then
        along its row, then clockwise.
    opacity
        Opacity of the whole texture, 0 to 1.
    """
    height, width = frame.shape[:2]
    texture, corners = texture.cropped(corners, width, height)
    a, b, c, d = corners.tolist()
    xs, ys = corners.T.tolist()
    left, top = max(math.floor(min(xs)) - 1, 0), max(math.floor(min(ys)) - 1, 0)
    right, bottom = min(math.ceil(max(xs)) + 1, width), min(math.ceil(max(ys)) + 1, height)
    if left >= right or top >= bottom or opacity <= 0:
        return
    across, down = max(math.dist(a, b), math.dist(c, d)), max(math.dist(b, c), math.dist(d, a))
    if min(across, down) < 0.5:
        return
    region = frame[top:bottom, left:right]
    placed = corners - (left, top)
    upright = a[1] == b[1] and c[1] == d[1] and a[0] == d[0] and b[0] == c[0] and a[0] < b[0]
    drawn: Pixels | None
    if texture.opaque and upright:
        drawn = _looked_up(texture.cells, placed, region)
    else:
        drawn = _warped(texture, placed, region, across, down)
    if drawn is None:
        return
    if texture.opaque:
        _cover(region, drawn, placed, opacity)
    else:
        _blend(region, drawn, opacity)


def _warped(
    texture: Texture, corners: Points, region: Pixels, across: float, down: float
) -> Pixels | None:
    """Return the texture in perspective, as large as the region; None if it is seen as a line.

    Beyond the texture's edges its edge cells are repeated, unless it has a transparent rim.
    """
    rows, columns = texture.cells.shape[:2]
    rim = 0 if texture.opaque else 1
    small = not rim and 1 <= min(across / columns, down / rows) < SMALL_CELL
    texels = texture.cells if small else texture.enlarged(across, down)
    height, width = texels.shape[0] - 2 * rim, texels.shape[1] - 2 * rim
    # OpenCV has the centers of texels at whole numbers.
    to_pixels = _perspective(corners, width, height, first=rim - 0.5)
    if to_pixels is None:
        return None
    places = _places(_inverse(to_pixels), region.shape[1], region.shape[0])
    for place in () if small else places:
        place += TO_32NDS
        place -= TO_32NDS
    drawn = cv2.remap(
        texels,
        *places,
        cv2.INTER_NEAREST if small else cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT if rim else cv2.BORDER_REPLICATE,
    )
    return np.asarray(drawn, dtype=np.uint8)


def _perspective(corners: Points, width: float, height: float, first: float = 0.0) -> Matrix | None:
    """Return the perspective from a rectangle to corners (4, 2); None if it is seen as a line.

    The rectangle begins at the number ``first`` in both directions.
    """
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners.tolist()
    right_x, right_y, bottom_x, bottom_y = x1 - x2, y1 - y2, x3 - x2, y3 - y2
    skew_x, skew_y = x0 - x1 + x2 - x3, y0 - y1 + y2 - y3
    area = right_x * bottom_y - bottom_x * right_y
    if area == 0:
        return None
    g = (skew_x * bottom_y - bottom_x * skew_y) / area
    h = (right_x * skew_y - skew_x * right_y) / area
    rows = (
        ((x1 - x0 + g * x1) / width, (x3 - x0 + h * x3) / height, x0),
        ((y1 - y0 + g * y1) / width, (y3 - y0 + h * y3) / height, y0),
        (g / width, h / height, 1.0),
    )
    x, y, ahead = ((a, b, c - first * (a + b)) for a, b, c in rows)
    return x, y, ahead


def _inverse(matrix: Matrix) -> Matrix:
    """Return the inverse of a perspective, times a number: what it sees lies ahead, above 0."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    columns = (
        (e * i - f * h, f * g - d * i, d * h - e * g),
        (c * h - b * i, a * i - c * g, b * g - a * h),
        (b * f - c * e, c * d - a * f, a * e - b * d),
    )
    sign = math.copysign(1.0, a * columns[0][0] + b * columns[0][1] + c * columns[0][2])
    x, y, ahead = ((sign * k, sign * m, sign * n) for k, m, n in zip(*columns, strict=True))
    return x, y, ahead


def _seen(matrix: Matrix, x: float, y: float) -> tuple[float, float, float]:
    """Return where a perspective shows a point: x and y, both to be divided by the third."""
    across, down, ahead = (a * x + b * y + c for a, b, c in matrix)
    return across, down, ahead


def _places(to_texels: Matrix, width: int, height: int) -> tuple[Reals, Reals]:
    """Return where a perspective sees the centers of pixels, across and down, (height, width)."""
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    by_x, by_y, start = np.array(to_texels).T[..., None]
    rows, columns = np.ones((3, 2, width), np.float32), np.ones((3, height, 2), np.float32)
    rows[:, 1], columns[..., 0] = by_x * x, by_y * y + start
    # With ones, products are sums, each rounded once; it is three times as fast as adding.
    across, down, ahead = columns @ rows
    # What lies at the horizon or beyond it is far outside of the texture.
    ends = ahead[:: max(height - 1, 1), :: max(width - 1, 1)]
    nearest = HORIZON * ends.max()
    if ends.min() < nearest:
        np.maximum(ahead, nearest, out=ahead)
    np.reciprocal(ahead, out=ahead)
    across *= ahead
    down *= ahead
    return across, down


def _looked_up(cells: Pixels, corners: Points, region: Pixels) -> Pixels:
    """Return the texture without rotation, as large as the region.

    A pixel on the edge between two cells gets a mixture of both. Beyond the texture's edges its
    edge cells are repeated.
    """
    left, top, right, bottom = (float(side) for side in (*corners[0], *corners[2]))
    size = (_texels(right - left, cells.shape[1]), _texels(bottom - top, cells.shape[0]))
    if size[0] < cells.shape[1] or size[1] < cells.shape[0]:
        cells = _resized(cells, (min(size[0], cells.shape[1]), min(size[1], cells.shape[0])))
    before, after, share = _taps(region.shape[1], left, right, cells.shape[1])
    wide = cells[:, before] + (cells[:, after].astype(np.float32) - cells[:, before]) * share
    before, after, share = _taps(region.shape[0], top, bottom, cells.shape[0])
    nearest = np.where(share[:, 0] < 0.5, before, after)
    drawn = np.take(np.rint(wide).astype(np.uint8), nearest, axis=0, mode="clip")
    divided = np.flatnonzero((share[:, 0] > 0) & (share[:, 0] < 1))
    start, end = wide[before[divided]], wide[after[divided]]
    drawn[divided] = np.rint(start + (end - start) * share[divided, None])
    return drawn


def _taps(
    pixels: int, start: float, end: float, cells: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Return for each pixel of a line which two cells it mixes, and how.

    Returns
    -------
    (pixels,), (pixels,)
        The cells before and after the edge that is nearest to the pixel.
    (pixels, 1)
        The share of the second of them in the pixel's colour, 0 to 1.
    """
    pitch = (end - start) / cells
    place = (np.arange(pixels) + 0.5 - start) / pitch
    edge = np.rint(place).astype(np.intp)
    share = np.clip(0.5 + (place - edge) * pitch, 0.0, 1.0).astype(np.float32)
    return (
        np.clip(edge - 1, 0, cells - 1),
        np.clip(edge, 0, cells - 1),
        share[:, None],
    )


def _cover(region: Pixels, drawn: Pixels, corners: Points, opacity: float) -> None:
    """Copy an opaque picture into the quadrilateral of its corners; blend its edge pixels."""
    mask = np.zeros(region.shape[:2], dtype=np.uint8)
    outline = np.rint((corners - 0.5) * SUBPIXELS).astype(np.int32)
    cv2.fillConvexPoly(mask, outline, 255, cv2.LINE_AA, SUBPIXELS.bit_length() - 1)
    edges = np.flatnonzero((mask - 1) < 254)
    at = np.divmod(edges, region.shape[1])
    share = mask.take(edges)[:, None] * np.float32(opacity / 255)
    # Pixels are read and written as one 32-bit number: three times as fast as four bytes.
    whole = region.view(np.uint32)[..., 0]
    under = whole[at].view(np.uint8).reshape(-1, 4).astype(np.float32)
    over = drawn.view(np.uint32).take(edges).view(np.uint8).reshape(-1, 4)
    mixed = np.rint(under + (over - under) * share).astype(np.uint8)
    if opacity < 1:
        drawn = np.asarray(cv2.addWeighted(drawn, opacity, region, 1 - opacity, 0), dtype=np.uint8)
    cv2.copyTo(drawn, (mask == 255).view(np.uint8), region)
    whole[at] = mixed.view(np.uint32)[:, 0]


def _blend(region: Pixels, drawn: Pixels, opacity: float) -> None:
    """Blend a picture with an alpha of its own over the region."""
    if opacity < 1:
        drawn = np.asarray(cv2.convertScaleAbs(drawn, alpha=opacity), dtype=np.uint8)
    # Products are rounded to the nearest byte, without ties: n / 255 is never k + 1/2.
    under = cv2.multiply(region, cv2.merge([255 - drawn[..., 3]] * 4), scale=1 / 255)
    cv2.add(under, drawn, dst=region)


def outline(frame: Pixels, corners: Points, colour: npt.ArrayLike, opacity: float = 1.0) -> None:
    """Draw a line of one pixel around a picture, just outside of its cells.

    Cells may have the colour of the background: the line shows where the picture ends.

    Parameters
    ----------
    frame, corners, opacity
        As for :func:`paste`.
    colour : (3,)
        RGB, 0 to 255.
    """
    height, width = frame.shape[:2]
    low, high = corners.min(axis=0), corners.max(axis=0)
    if opacity <= 0 or (high - low).min() < MIN_OUTLINED:
        return
    left, top = np.clip(np.floor(low).astype(int) - 2, 0, [width, height])
    right, bottom = np.clip(np.ceil(high).astype(int) + 3, 0, [width, height])
    if left >= right or top >= bottom:
        return
    region = frame[top:bottom, left:right]
    # OpenCV has the centers of pixels at whole numbers.
    line = corners - [left, top] - 0.5 + np.sign(corners - corners.mean(axis=0)) * 0.5
    points = [np.rint(line * SUBPIXELS).astype(np.int32)]
    under = region.copy() if opacity < 1 else region
    rgba = (*np.asarray(colour, dtype=float), 255.0)
    cv2.polylines(region, points, True, rgba, 1, cv2.LINE_AA, SUBPIXELS.bit_length() - 1)
    if opacity < 1:
        cv2.addWeighted(region, opacity, under, 1 - opacity, 0, dst=region)
