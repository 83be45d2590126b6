"""Drawing a small array of colours straight into its region of the frame."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Texture", "paste"]

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

# Texels per cell never exceed this: beyond it a cell's edge is a little softer than one pixel,
# which nobody sees on a cell that large.
MOST_TEXELS = 48

# A picture that spreads over more frames than this is cut to what can be seen before it is drawn.
LARGE = 1.5


class Texture:
    """One colour per cell, with alpha, and its enlargements.

    A cell is first repeated to about as many texels as it will cover pixels, then warped with
    linear interpolation: its inside keeps the exact colour and its edges are one pixel soft,
    where a nearest-neighbour warp would show stairs and tremble while it moves.

    Parameters
    ----------
    cells
        (rows, columns, 4) uint8, colours premultiplied by alpha.
    """

    def __init__(self, cells: Pixels) -> None:
        self.cells = cells
        self._enlarged: dict[tuple[int, int], Pixels] = {}

    def enlarged(self, across: float, down: float) -> tuple[Pixels, int, int]:
        """Texels with a transparent rim, and how many of them are columns and rows of cells.

        Parameters
        ----------
        across, down
            Extent of the whole texture in pixels.
        """
        rows, columns = self.cells.shape[:2]
        size = (_texels(across, columns), _texels(down, rows))
        if size not in self._enlarged:
            shrinks = size[0] < columns or size[1] < rows
            texels = cv2.resize(
                self.cells, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST
            )
            rim = cv2.copyMakeBorder(texels, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
            self._enlarged = {size: np.asarray(rim, dtype=np.uint8)}
        return self._enlarged[size], size[0], size[1]

    def seen(self, corners: Points, width: int, height: int) -> tuple[Texture, Points]:
        """The part of it that a frame can show, with that part's corners, if it is far larger.

        Going near one cell of a wall would else enlarge every cell of the wall.

        Parameters
        ----------
        corners
            As for :func:`paste`.
        width, height
            Of the frame, in pixels.
        """
        spread = np.ptp(corners, axis=0) / [width, height]
        if spread.max() <= LARGE:
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
    per_cell = extent / cells
    if per_cell < 1:
        return max(1, round(extent))
    return cells * min(MOST_TEXELS, int(np.ceil(per_cell)))


def paste(frame: Pixels, texture: Texture, corners: Points, opacity: float = 1.0) -> None:
    """Warp a texture onto four corners of the frame, over what is there.

    Parameters
    ----------
    frame
        (height, width, 4) uint8, premultiplied; changed in place.
    texture
        What to draw.
    corners
        (4, 2) pixel positions from the top left: outer corner of the first cell, then along its
        row, then clockwise.
    opacity
        In [0, 1].
    """
    height, width = frame.shape[:2]
    texture, corners = texture.seen(corners, width, height)
    left, top = np.floor(corners.min(axis=0)).astype(int) - 1
    right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 1
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, width), min(bottom, height)
    if left >= right or top >= bottom or opacity <= 0:
        return
    edges = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    across, down = max(edges[0], edges[2]), max(edges[1], edges[3])
    if min(across, down) < 0.5:
        return
    texels, columns, rows = texture.enlarged(across, down)
    # Texel and pixel centers sit at whole numbers for cv2, hence the halves; 1 is the rim.
    source = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]]) + 0.5
    target = corners - [left, top] - 0.5
    warp = cv2.getPerspectiveTransform(source.astype(np.float32), target.astype(np.float32))
    drawn = cv2.warpPerspective(
        texels, warp, (int(right - left), int(bottom - top)), flags=cv2.INTER_LINEAR
    )
    if opacity < 1:
        drawn = cv2.convertScaleAbs(drawn, alpha=opacity)
    region = frame[top:bottom, left:right]
    # Rounded to the nearest: no product of two bytes is 255 times a half.
    under = cv2.multiply(region, cv2.merge([255 - drawn[..., 3]] * 4), scale=1 / 255)
    cv2.add(under, drawn, dst=region)
