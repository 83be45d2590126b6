"""Light under a picture: halos around what glows, and a floor that mirrors softly.

What glows and what the floor mirrors is marked (:func:`glow`, :func:`mirrored`). Before the camera
draws a picture, it lays the light of these parts on the background, so that light never changes
what is drawn: no cell of a panel, no letter.

Light adds up where it is linear, not in the levels of a screen. A level is taken as the square root
of its light, which is close to what screens do and exact in integers. All of it is computed at
about a quarter of the size and enlarged, with whole numbers or in steps that floating point does
without rounding: so it is the same, bit by bit, on every processor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import cv2
import numpy as np
import numpy.typing as npt
from manim import Mobject, VMobject

from filmkit.core.body import Body, Lamp
from filmkit.core.camera import Part, Shot, StageCamera, is_fixed
from filmkit.core.floor import cast_light, contact_shadows
from filmkit.core.heatmap import Heatmap
from filmkit.core.raster import Texture, paste

__all__ = ["LitCamera", "change_light", "glow", "mirrored"]

M = TypeVar("M", bound=Mobject)
Pixels = npt.NDArray[np.uint8]
Light = npt.NDArray[np.floating[Any]]
Points = npt.NDArray[np.float64]

MIN_SIDE = 240  # of the picture in which light is computed: its shorter side has at least as many

STRONGEST = 4.0
"""The largest strength of a glow."""

LIGHT_OF_LEVELS = np.arange(256, dtype=np.float32) ** 2

# The halos: standard deviation in pixels of a picture of 1080 lines, and how much of the light each
# has, in 256ths. The first is what a blur over 3 x 3 pixels of the small picture makes.
FIRST, NEAR = 5, 72
SOFT = 3**4
WIDER = ((20, 51), (64, 31), (180, 12))

REFLECTED = 24  # how much of its light the floor gives back, in 256ths
FADE = 1.6  # height above the floor at which it gives back half of that, in scene units
STEEP = 3.0  # tilt of the eye, in degrees, from which on the floor mirrors in full

TILE, DASH = 64, 8  # side of the dither's tile, and length of what it is made of, in pixels


def glow(mobject: M, strength: float = 1.0) -> M:
    """Let a mobject shine: a halo of its own colours surrounds it, behind all that is drawn.

    Parameters
    ----------
    mobject
        What shines, with all its parts as they are now.
    strength
        How much light it gives, as a multiple of what its colours say: 0, for none, to 4.

    Returns
    -------
    Mobject
        The mobject itself.

    Raises
    ------
    ValueError
        If the strength is outside of that range.

    Examples
    --------
    ::

        self.add(glow(Label("33 %", colour=theme.ink)))
    """
    if not 0 <= strength <= STRONGEST:
        raise ValueError(f"a glow has a strength from 0 to {STRONGEST:g}, not {strength:g}")
    for member in mobject.get_family():
        member.glow_strength = strength
    return mobject


def mirrored(mobject: M) -> M:
    """Let the floor, the plane y = 0, mirror a mobject with all its parts, and return it.

    What is pinned to the frame or kept upright has no place in space, and is not mirrored.
    """
    for member in mobject.get_family():
        member.is_mirrored = True
    return mobject


def change_light(mobject: Mobject, start: Mobject, end: Mobject, alpha: float) -> None:
    """Let a mobject, without its parts, shine and be mirrored as on the way between two others."""
    mobject.glow_strength = (1 - alpha) * _strength(start) + alpha * _strength(end)
    mobject.is_mirrored = _is_mirrored(end if alpha >= 1 else start)


def _strength(mobject: Mobject) -> float:
    return float(vars(mobject).get("glow_strength", 0.0))


def _is_mirrored(mobject: Mobject) -> bool:
    return bool(vars(mobject).get("is_mirrored", False)) and not is_fixed(mobject)


def gives_light(mobject: Mobject) -> bool:
    """Return whether a mobject glows or is mirrored, itself or one of its parts."""
    return any(_strength(m) > 0 or _is_mirrored(m) for m in mobject.get_family())


def has_bodies(mobject: Mobject) -> bool:
    """Return whether a mobject or one of its parts is a body or a lamp of the room."""
    return any(isinstance(member, Body | Lamp) for member in mobject.get_family())


class _Sketch(StageCamera):
    """Camera that draws parts small and darker, on black.

    Parameters
    ----------
    camera
        The camera of the picture.
    """

    def __init__(self, camera: StageCamera) -> None:
        factor = _factor(camera.pixel_width, camera.pixel_height)
        super().__init__(
            pixel_width=camera.pixel_width // factor,
            pixel_height=camera.pixel_height // factor,
            frame_width=camera.frame_width,
            frame_height=camera.frame_height,
            background_opacity=0.0,
        )
        # The texture of each heatmap as it was last drawn, how dark, and the darker texture.
        self._darker: WeakKeyDictionary[Heatmap, tuple[Texture, Points, Texture]] = (
            WeakKeyDictionary()
        )

    def shares(self, part: Part) -> Any:
        """Return how much of its level each cell of a part keeps: one number, or (rows, 1, 1)."""
        raise NotImplementedError

    def sketch(self, parts: Sequence[Part], shot: Shot) -> Pixels:
        """Draw parts as they are seen in a shot, and return the picture, (height, width, 4)."""
        self.shot = shot
        self.pixel_array[:] = 0
        self.draw_parts(self.in_depth(parts))
        return self.pixel_array

    def _paste(self, heatmap: Heatmap, corners: Points) -> None:
        texture, shares = heatmap.texture(), np.asarray(self.shares(heatmap))
        known, before, darker = self._darker.get(heatmap, (None, shares, texture))
        if known is not texture or not np.array_equal(before, shares):
            cells = texture.cells.astype(np.float64)
            cells[..., :3] *= shares
            darker = Texture(np.rint(cells).astype(np.uint8))
            self._darker[heatmap] = texture, shares, darker
        paste(self.pixel_array, darker, corners, self.drawn_opacity(heatmap))

    def face_colours(self, body: Body, colours: Points) -> Points:
        return super().face_colours(body, colours) * self.shares(body)

    def get_fill_rgbas(self, vmobject: VMobject) -> Points:
        return super().get_fill_rgbas(vmobject) * ([self.shares(vmobject)] * 3 + [1.0])

    def get_stroke_rgbas(self, vmobject: VMobject, background: bool = False) -> Points:
        rgbas = super().get_stroke_rgbas(vmobject, background)
        return rgbas * ([self.shares(vmobject)] * 3 + [1.0])


class _Emission(_Sketch):
    """What glows, with the levels of light of its strength."""

    def shares(self, part: Part) -> float:
        return float(np.sqrt(_strength(part) / STRONGEST))


class _Mirror(_Sketch):
    """What is mirrored, as the floor sees it: darker the higher it is, black below the floor."""

    def shares(self, part: Part) -> Any:
        if isinstance(part, Heatmap):
            rows = part.shape[0]
            a, b, c, d = part.corners[:, 1]
            down = ((np.arange(rows) + 0.5) / rows)[:, None, None]
            height = (a + b) / 2 * (1 - down) + (c + d) / 2 * down
        elif isinstance(part, Body):
            height = part.middle[1]
        else:
            height = part.points[:, 1].mean()
        return np.where(height < 0, 0.0, np.sqrt(1 / (1 + (height / FADE) ** 2)))


class LitCamera(StageCamera):
    """Camera that lays light under what it draws, and shadows where there is none."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._emission, self._mirror = _Emission(self), _Mirror(self)
        self._emission.share_paths(self)
        factor = _factor(self.pixel_width, self.pixel_height)
        self._ground = _Ground(self.pixel_height, self.pixel_width, factor)

    def ground(self, parts: Sequence[Part]) -> Pixels:
        lamps = [part for part in parts if isinstance(part, Lamp)]
        bodies = [part for part in parts if isinstance(part, Body) and part.shadow]
        size = self._ground.size
        if not self.lit:
            if not bodies or self.background_opacity < 1:
                return self.background
            shade = contact_shadows(self.shot, bodies, size, self.frame_height)
            return self._ground.lit(self.background[0, 0, :3], None, 0, None, shade=shade)
        shining = [part for part in parts if _strength(part) > 0]
        mirrors = [part for part in parts if _is_mirrored(part)]
        reflected = _floor_share(self.shot) if mirrors else 0
        if not (shining or reflected or lamps):
            return self.background
        below = _from_below(self.shot)
        image = self._mirror.sketch([*mirrors, *lamps], below)[::-1] if reflected else None
        emission = self._emission.sketch([*shining, *lamps], self.shot) if shining else None
        cast = cast_light(self.shot, lamps, bodies, size, self.frame_height) if lamps else None
        return self._ground.lit(self.background[0, 0, :3], image, reflected, emission, cast=cast)


class _Ground:
    """A background with light on it, in arrays that are used again: new ones take longer to get.

    Parameters
    ----------
    height, width
        Size of the picture, in pixels.
    factor
        How many times smaller light is computed.

    Attributes
    ----------
    size
        Rows and columns of the light.
    """

    def __init__(self, height: int, width: int, factor: int) -> None:
        self._picture = np.empty((height, width, 4), dtype=np.uint8)
        self.size = height // factor, width // factor
        self._light = np.empty((*self.size, 3), dtype=np.float32)
        self._strip = np.empty((TILE + 2 * factor, width, 3), dtype=np.float32)
        self._levels = np.empty((TILE, width, 3), dtype=np.uint8)
        self._factor = factor
        self._made_of: list[npt.NDArray[Any]] = []

    def lit(
        self,
        colour: Pixels,
        image: Pixels | None,
        reflected: int,
        emission: Pixels | None,
        *,
        cast: Light | None = None,
        shade: Light | None = None,
    ) -> Pixels:
        """Return the picture (height, width, 4), which is made again only if its light differs.

        Parameters
        ----------
        colour : (3,)
            The background's.
        image : (height, width, 4) or None
            What the floor mirrors, as small as light is computed.
        reflected
            How much of it, in 256ths.
        emission : (height, width, 4) or None
            What shines, of the same size.
        cast : (height, width, 3) or None
            Light that lamps cast on the floor.
        shade : (height, width) or None
            Which share of the background's light is left in shadows.
        """
        parts = colour, image, reflected, emission, cast, shade
        made_of = [np.asarray(part) for part in parts]
        if not self._made_of or not all(map(np.array_equal, made_of, self._made_of)):
            light = self._light
            light[:] = LIGHT_OF_LEVELS[colour]
            if shade is not None:
                light *= shade[..., None]
            if cast is not None:
                light += cast
            if image is not None:
                light += _times(_soft(image), reflected / 256 / SOFT)
            if emission is not None:
                light += _times(_halos(_soft(emission)), STRONGEST)
            self.enlarge(light)
            self._made_of = [part.copy() for part in made_of]
        return self._picture

    def enlarge(self, light: Light) -> Pixels:
        """Draw light (h, w, 3), which is overwritten, as large as the picture, and return that.

        A root is the same on every processor. Its levels are rounded down to 256ths, which are so
        few digits that interpolation by 8ths or 16ths of them is exact.
        """
        factor = self._factor
        np.minimum(light, LIGHT_OF_LEVELS[-1], out=light)
        levels = _times(np.sqrt(light, out=light), 256)
        levels = _times(np.floor(levels, out=levels), 1 / 256)
        padded = cv2.copyMakeBorder(levels, 1, 1, 0, 0, cv2.BORDER_REPLICATE)
        width = self._picture.shape[1]
        dither = _dither(width)
        rows = TILE // factor
        # In strips, which stay in the processor's cache.
        for top in range(0, len(light), rows):
            strip = padded[top : top + rows + 2]
            height = len(strip) * factor
            large = cv2.resize(
                strip, (width, height), dst=self._strip[:height], interpolation=cv2.INTER_LINEAR
            )[factor:-factor]
            shown = self._levels[: len(large)]
            cv2.add(large, dither[: len(large)], dst=shown, dtype=cv2.CV_8U)
            start = top * factor
            cv2.cvtColor(shown, cv2.COLOR_RGB2RGBA, dst=self._picture[start : start + len(large)])
        return self._picture


def _factor(width: int, height: int) -> int:
    """Return how many times smaller than the picture light is computed: a power of two."""
    factor = 1
    while min(width, height) >= 2 * factor * MIN_SIDE and not (width | height) % (2 * factor):
        factor *= 2
    return factor


def _from_below(shot: Shot) -> Shot:
    """Return the shot whose picture, upside down, is what the floor mirrors."""
    x, y, z = shot.center
    return replace(shot, center=(x, -y, z), phi=-shot.phi)


def _floor_share(shot: Shot) -> int:
    """Return the share of its light that the floor gives back, in 256ths.

    In a flat picture there is no floor; it comes as the eye begins to look down or up.
    """
    if shot.eye()[1] <= 0:
        return 0
    return round(REFLECTED * min(1.0, abs(shot.phi) / STEEP))


def _soft(picture: Pixels) -> Light:
    """Return the light of a picture (height, width, 4) without its alpha, a little blurred.

    It is a whole number, `SOFT` times as large.
    """
    light = cv2.LUT(cv2.cvtColor(picture, cv2.COLOR_RGBA2RGB), LIGHT_OF_LEVELS)
    return _summed(np.asarray(light), 3)


def _summed(light: Light, side: int) -> Light:
    """Return sums of light over a square, and the same sums of these.

    They are of whole numbers, and not too large for it, so that no sum is rounded.
    """
    total: Any = light
    for _ in range(2):
        total = cv2.boxFilter(
            total, -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT
        )
    return np.asarray(total)


def _halos(near: Light) -> Light:
    """Return the sum of all halos, (height, width, 3), of which the first is known.

    The others are so soft that they are computed at half the size once more.

    Parameters
    ----------
    near : (height, width, 3)
        The light of the first one, as :func:`_soft` returns it.
    """
    height, width = near.shape[:2]
    unit = min(height, width) / 1080 / 2
    even = cv2.copyMakeBorder(near, 0, height % 2, 0, width % 2, cv2.BORDER_CONSTANT)
    half = even.shape[1] // 2, even.shape[0] // 2
    wide: Any = 4 * cv2.resize(even.astype(np.float64), half, interpolation=cv2.INTER_AREA)
    far, before = np.zeros_like(wide), FIRST
    for sigma, share in WIDER:
        # A line of n pixels has the variance (n^2 - 1) / 12.
        side = math.sqrt(6 * (sigma**2 - before**2) * unit**2 + 1)
        side = 2 * round((side - 1) / 2) + 1
        wide = np.rint(_summed(wide, side) / side**4)
        far += wide * (share / 256)
        before = sigma
    # In 16ths, which are so few digits that interpolation by quarters is exact.
    far = (np.rint(far * (16 / 4 / SOFT)) / 16).astype(np.float32)
    light = cv2.resize(far, even.shape[1::-1], interpolation=cv2.INTER_LINEAR)[:height, :width]
    return np.asarray(cv2.add(light, _times(near, NEAR / 256 / SOFT), dst=light))


def _times(light: Light, factor: float) -> Light:
    """Return light multiplied in place."""
    return np.multiply(light, light.dtype.type(factor), out=light)


@cache
def _dither(width: int) -> npt.NDArray[np.float32]:
    """Return what is added to a strip before levels are rounded, -1/2 to 1/2, (TILE, width, 3).

    It is always the same noise, of short dashes, which films hold in fewer bytes than dots.
    """
    noise = np.random.default_rng(0).permutation(TILE**2 // DASH).reshape(TILE, -1)
    shares = (noise.repeat(DASH, axis=1) + 0.5) / noise.size
    row = np.tile(shares, -(-width // TILE))[:, :width, None]
    return np.ascontiguousarray(np.repeat(row - 0.5, 3, axis=2), dtype=np.float32)
