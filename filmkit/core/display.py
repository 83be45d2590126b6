"""What a camera is given to draw, as one short key: where keys are equal, so are the pictures.

So nobody has to know how a scene came to what it shows: by which code, data or variables.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import VMobject

from filmkit.core.body import Lamp
from filmkit.core.camera import Part, StageCamera, presence
from filmkit.core.heatmap import Heatmap

__all__ = ["display_key"]

# What decides where any part is seen, and how much light it gives.
PLACE = "pinned", "glow_strength", "is_mirrored"


def display_key(camera: StageCamera, parts: Sequence[Part]) -> bytes:
    """Return a key of all that a camera would draw of some parts, in their order.

    It holds what the camera asks of them: corners and colours of cells, outlines and their colours,
    the light that they give, the shot and the background. Sizes in pixels are no part of it.

    Returns
    -------
    bytes
        16 of them.
    """
    background = camera.background[0, 0].tolist(), vars(camera).get("lit")
    whole = blake2b(repr((camera.shot, background)).encode(), digest_size=16)
    light = camera.light_shares(parts)
    for part in parts:
        own = vars(part)
        anchor = own.get("anchor")
        place = anchor(camera.shot) if callable(anchor) else anchor
        state: list[Any] = [presence(part), light.get(part), *map(own.get, PLACE)]
        if place is not None:
            state.append(np.asarray(place, dtype=float).tolist())
        arrays = _arrays(part, state)
        # With shapes, so that no number can be taken for one of another array.
        whole.update(repr((state, [array.shape for array in arrays])).encode())
        for array in arrays:
            whole.update(np.ascontiguousarray(array).data)
    return whole.digest()


def _arrays(part: Part, state: list[Any]) -> list[npt.NDArray[Any]]:
    """Return the arrays that say how a part is drawn, and add to its state what else does."""
    if isinstance(part, Heatmap):
        return _of_cells(part, state)
    if isinstance(part, VMobject):
        return _of_outline(part, state)
    if isinstance(part, Lamp):
        state += ["lamp", part.radius]
        return [part.points, part.rgb]
    state += ["body", part.shadow, part.is_light]
    shape = part.boxes, part.colours, part.layers, part.quads, part.quad_colours
    return [part.points, *shape]


def _of_cells(part: Heatmap, state: list[Any]) -> list[npt.NDArray[Any]]:
    """Return the arrays that say how a heatmap is drawn, and add to its state what else does."""
    state += ["cells", part.opacity, part.edged]
    return [part.points, part.texture().cells, part.edge_colour]


def _of_outline(part: VMobject, state: list[Any]) -> list[npt.NDArray[Any]]:
    """Return the arrays that say how an outline is drawn, and add to its state what else does."""
    colours = [part.get_fill_rgbas(), part.get_stroke_rgbas()]
    width, behind = float(part.get_stroke_width()), float(part.get_stroke_width(background=True))
    state += [width, behind, part.joint_type.value, part.cap_style.value]
    if behind:
        colours.append(part.get_stroke_rgbas(background=True))
    if max(map(len, colours)) > 1:
        colours.append(np.array(part.get_gradient_start_and_end_points()))
    return [part.points, *colours]
