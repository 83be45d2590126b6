"""Draw a small array of colours straight into its region of the frame.

Manim allocates and composites a whole frame for every image. Here only the region of the picture
is computed: by a table of the cell of each pixel if its sides are vertical and horizontal, else by
a perspective warp. Its inside is copied; only its edge pixels, and pictures that are not opaque,
are blended.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Texture", "outline", "paste"]

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

# Texels (pixels of a texture) per cell and side. Beyond this a cell's edge is a little softer than
# one pixel, which nobody sees on a cell that large.
MAX_TEXELS = 48
MAX_SIDE = 6144  # texels of a side of more than one a cell; OpenCV fails above 32767

# In pixels. Cells with a smaller side are drawn with hard edges inside a tilted picture: it is
# twice as fast, and stairs of one pixel between such cells cannot be seen.
SMALL_CELL = 10

# Steps per pixel with which OpenCV places the corners of polygons; a power of two.
SUBPIXELS = 64

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
        whole = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], dtype=np.float32)
        to_pixels = cv2.getPerspectiveTransform(whole, corners.astype(np.float32))
        edge = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]])
        cells = edge @ np.linalg.inv(to_pixels).T
        if cells[:, 2].min() <= 0:  # the frame reaches beyond the horizon of the plane
            return self, corners
        cells = cells[:, :2] / cells[:, 2:]
        left, top = np.clip(np.floor(cells.min(axis=0)).astype(int) - 1, 0, [columns, rows])
        right, bottom = np.clip(np.ceil(cells.max(axis=0)).astype(int) + 1, 0, [columns, rows])
        if left >= right or top >= bottom:
            return self, corners
        part = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        placed = np.column_stack([part, np.ones(4)]) @ to_pixels.T
        corners = np.asarray(placed[:, :2] / placed[:, 2:])
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
    if not texture.opaque:
        _blend(region, _warped(texture, placed, region, across, down, rim=1), opacity)
        return
    if a[1] == b[1] and c[1] == d[1] and a[0] == d[0] and b[0] == c[0] and a[0] < b[0]:
        drawn = _looked_up(texture.cells, placed, region)
    else:
        drawn = _warped(texture, placed, region, across, down, rim=0)
    _cover(region, drawn, placed, opacity)


def _warped(
    texture: Texture, corners: Points, region: Pixels, across: float, down: float, *, rim: int
) -> Pixels:
    """Return the texture in perspective, as large as the region.

    Beyond the texture's edges its edge cells are repeated, unless it has a transparent rim.
    """
    rows, columns = texture.cells.shape[:2]
    small = not rim and 1 <= min(across / columns, down / rows) < SMALL_CELL
    texels = texture.cells if small else texture.enlarged(across, down)
    # OpenCV has the centers of texels and pixels at whole numbers, hence the halves.
    start, right, bottom = rim - 0.5, texels.shape[1] - rim - 0.5, texels.shape[0] - rim - 0.5
    source = np.array([start, start, right, start, right, bottom, start, bottom], dtype=np.float32)
    target = (corners - 0.5).astype(np.float32)
    warp = cv2.getPerspectiveTransform(source.reshape(4, 2), target)
    drawn = cv2.warpPerspective(
        texels,
        warp,
        (region.shape[1], region.shape[0]),
        flags=cv2.INTER_NEAREST if small else cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT if rim else cv2.BORDER_REPLICATE,
    )
    return np.asarray(drawn, dtype=np.uint8)


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
