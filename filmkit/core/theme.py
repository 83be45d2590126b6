"""The film's looks in one place: colours by role, type sizes, line widths, tempo.

Scenes and mobjects name roles (``theme.query``), never hex values, and ask for the theme when
they are built (``current_theme()``), never in a default argument, so that a change of theme reaches
everything that is drawn after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from filmkit.core.theme_names import PALETTES, THEMES

__all__ = ["DARK", "LIGHT", "PRINT", "Palette", "Tempo", "Theme", "current_theme", "use_theme"]


@dataclass(frozen=True)
class Palette:
    """Colour maps (matplotlib names) of the heatmaps.

    Attributes
    ----------
    signed
        For values of either sign (x, q, k, v, scores, z); always drawn with a symmetric norm.
    pattern
        For attention patterns, on [0, 1].
    """

    signed: str = "viridis"
    pattern: str = "viridis"


@dataclass(frozen=True)
class Tempo:
    """Durations in seconds."""

    small: float = 0.6
    normal: float = 1.0
    large: float = 1.6
    swing: float = 3.0
    stagger: float = 0.07
    breath: float = 0.8
    per_word: float = 0.3


@dataclass(frozen=True)
class Theme:
    """Colours by role, sizes as fractions of the frame's height, line widths in points.

    Attributes
    ----------
    query, key, value, scores, pattern, z, latent
        One colour for each role, the same in labels, frames, formulas and charts.
    ink, muted, faint
        Words to be read; quiet words; hairlines and empty outlines.
    flow
        Arrows and flow lines.
    highlight
        Frames that point at something.
    masked
        Fill of cells that the causal mask removes.
    name_size, shape_size, note_size
        The three text sizes, each the height of a line's letters (top of "H" to bottom of "g").
    least_size
        Nothing that is meant to be read is smaller.
    """

    name: str = "dark"
    background: str = "#000000"
    ink: str = "#f2f0ea"
    muted: str = "#a8a196"
    faint: str = "#625c55"
    flow: str = "#948979"
    accent: str = "#ffd35a"
    highlight: str = "#e85bd8"
    query: str = "#65c8d0"
    key: str = "#ffd35a"
    value: str = "#f28b66"
    scores: str = "#f2f0ea"
    pattern: str = "#ffffff"
    z: str = "#f2f0ea"
    latent: str = "#c77dff"
    masked: str = "#1b1a20"
    palette: Palette = Palette()
    tempo: Tempo = Tempo()
    font: str = "Source Sans Pro"
    name_size: float = 0.040
    shape_size: float = 0.028
    note_size: float = 0.024
    least_size: float = 0.02
    dim: float = 0.2
    thin: float = 1.2
    line: float = 2.4
    bold: float = 4.0

    def role(self, name: str) -> str:
        """Colour of a role by its name, such as ``"query"``."""
        colour = getattr(self, name, None)
        if not isinstance(colour, str) or not colour.startswith("#"):
            raise ValueError(f"the theme has no colour role {name!r}")
        return colour


DARK = Theme()
LIGHT = replace(
    DARK,
    name="light",
    background="#ffffff",
    ink="#1d1b18",
    muted="#6b655c",
    faint="#948c80",
    flow="#7d7263",
    accent="#8c7000",
    highlight="#b0209f",
    query="#0f7079",
    key="#8c7000",
    value="#8f1d2c",
    scores="#1d1b18",
    pattern="#1d1b18",
    z="#1d1b18",
    latent="#7a2fc0",
    masked="#e6e3dd",
)

# For paper: black words, lines that a printer does not lose, and roles dark enough for grey.
PRINT = replace(
    LIGHT,
    name="print",
    ink="#000000",
    muted="#444444",
    faint="#767676",
    flow="#5c5347",
    accent="#6f5900",
    highlight="#8a0f7d",
    query="#0b5a62",
    key="#6f5900",
    value="#8f1d2c",
    scores="#000000",
    pattern="#000000",
    z="#000000",
    latent="#5b1fa0",
    masked="#e8e8e8",
    thin=1.6,
    line=2.8,
    bold=4.5,
)

_THEMES = dict(zip(THEMES, (DARK, LIGHT, PRINT), strict=True))
# Viridis grows lighter all the way, so that it can be read in grey too. Berlin and magma are told
# apart with every colour vision, but in grey the two signs of berlin look alike.
_PALETTES = dict(zip(PALETTES, (Palette(), Palette(signed="berlin", pattern="magma")), strict=True))
_current: ContextVar[Theme] = ContextVar("theme", default=DARK)


def current_theme() -> Theme:
    """The theme in force now."""
    return _current.get()


@contextmanager
def use_theme(
    name: str = THEMES[0],
    palette: str = PALETTES[0],
    *,
    least_size: float = Theme.least_size,
) -> Iterator[Theme]:
    """Put a theme in force for what is built inside the ``with`` block.

    ``least_size`` is that of the frame's shape
    (:attr:`filmkit.core.geometry.Frame.least_text`).

    Raises
    ------
    ValueError
        For a name that does not exist.
    """
    if name not in _THEMES:
        raise ValueError(f"no theme {name!r}; there are {', '.join(_THEMES)}")
    if palette not in _PALETTES:
        raise ValueError(f"no palette {palette!r}; there are {', '.join(_PALETTES)}")
    token = _current.set(replace(_THEMES[name], palette=_PALETTES[palette], least_size=least_size))
    try:
        yield _current.get()
    finally:
        _current.reset(token)
