"""Themes: colours by role, text sizes, line widths and durations, all in one place.

Scenes and mobjects use roles such as ``theme.query``, never hex values. They call
:func:`current_theme` when they are made, never in a default argument, which Python evaluates only
once: then everything that is made after a change of theme has the new one.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from filmkit.core.holding import holding
from filmkit.core.theme_names import PALETTES, THEMES

__all__ = [
    "DARK",
    "LIGHT",
    "PRINT",
    "Palette",
    "Tempo",
    "Theme",
    "current_theme",
    "mixed",
    "use_theme",
]


PATTERN_STEPS = 8  # of the colour map of patterns, which is linear between them
GAMMA, MIDDLE = 2.2, 0.18  # of screens, and the light of what black and white stand out from
PATTERN_RISE = 0.5  # power by which it rises, so that small shares are seen beside large ones


@dataclass(frozen=True)
class Palette:
    """Colour maps of the heatmaps, by their matplotlib names.

    Where there is no name, each tensor has the colour of its role: zero is the background,
    positive numbers have the colour, and negative ones a greyish tint of it.

    Attributes
    ----------
    signed
        For values of either sign (x, q, k, v, scores, z), always with a symmetric norm.
    pattern
        For attention patterns, from 0 to 1.
    """

    signed: str = ""
    pattern: str = ""


@dataclass(frozen=True)
class Tempo:
    """Durations in seconds.

    Attributes
    ----------
    small, normal, large
        Animations of one thing, of several, and of a whole picture.
    swing
        Moves of the camera through space.
    breath
        The shortest pause.
    pause
        The pause in which a question waits for an answer.
    per_word
        Time to say one word: 0.43 s is 140 words a minute, the pace of a calm lecture.
    """

    small: float = 0.6
    normal: float = 1.0
    large: float = 1.6
    swing: float = 3.0
    breath: float = 0.8
    pause: float = 4.0
    per_word: float = 0.43


@dataclass(frozen=True)
class Theme:
    """Colours by role, text sizes, line widths and durations.

    Attributes
    ----------
    name
        Name of the theme.
    background
        Colour of the background, "#RRGGBB" as all colours.
    query, key, value, scores, pattern, z, latent
        A colour for each role, the same in labels, frames, formulas and charts, and in heatmaps
        if the palette has no colour maps of its own.
    ink, muted, faint
        Text to be read; secondary text; hairlines and empty outlines.
    flow
        Arrows and lines between panels.
    accent, highlight
        What stands out in charts; frames that point at something.
    tint
        The grey towards which a role's colour goes for negative numbers, and how far.
    counter
        Negative numbers of inputs and outputs, whose ink is a grey itself.
    masked
        Fill of cells that the causal mask removes.
    card
        Face of a card in space.
    glass
        Edges of a box of glass.
    stone
        Bodies of the room that stand for no role.
    lamp
        Light of a lamp (:class:`filmkit.core.body.Lamp`), and attention that is light.
    palette
        Colour maps of the heatmaps.
    tempo
        Durations.
    font
        Name of the font.
    name_size, shape_size, note_size
        The three text sizes: names of panels, labels and shapes, notes. Each is the height of a
        line of letters (top of "H" to bottom of "g") as a fraction of `FRAME_HEIGHT`.
    min_text_size
        Size of the smallest text that can be read.
    dim
        Presence of things in the background, 0 to 1
        (:class:`filmkit.core.animations.Presence`).
    shades
        How far two of the three lightnesses of a role's colour are from the colour itself: the
        first nearer to the ink's, the last nearer to the background's.
    thin, line, bold
        Line widths in points.
    lit
        Whether there is light: halos around what glows, and a floor that mirrors
        (:mod:`filmkit.core.light`).

    Examples
    --------
    ::

        theme = current_theme()
        Label("queries", size=theme.name_size, colour=theme.query)

        with use_theme("print"):
            ...  # what is made here is for paper
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
    scores: str = "#dcd8ce"
    pattern: str = "#ffffff"
    z: str = "#f2f0ea"
    latent: str = "#c77dff"
    tint: tuple[str, float] = ("#7b7b7b", 0.85)
    counter: str = "#7488b0"
    masked: str = "#08080b"
    card: str = "#0b0d10"
    glass: str = "#bfe3ff"
    stone: str = "#8d8b92"
    lamp: str = "#fff7ea"
    palette: Palette = Palette()
    tempo: Tempo = Tempo()
    font: str = "Source Sans Pro"
    name_size: float = 0.040
    shape_size: float = 0.028
    note_size: float = 0.024
    min_text_size: float = 0.02
    dim: float = 0.2
    shades: tuple[float, float] = (0.5, 0.4)
    thin: float = 1.2
    line: float = 2.4
    bold: float = 4.0
    lit: bool = True

    def over(self, rgb: Iterable[float]) -> str:
        """Return the ink or the background: what stands out more from a colour, 0 to 255."""
        darker, lighter = sorted(
            (self.ink, self.background), key=lambda colour: sum(bytes.fromhex(colour[1:]))
        )
        light = (sum(rgb) / (3 * 255)) ** GAMMA
        return darker if light > MIDDLE else lighter

    def role(self, name: str) -> str:
        """Return the colour of a role by its name, such as ``"query"``.

        Raises
        ------
        ValueError
            If there is no such role.
        """
        colour = getattr(self, name, None)
        if not isinstance(colour, str) or not colour.startswith("#"):
            raise ValueError(f"the theme has no colour role {name!r}")
        return colour

    def colour_map(self, role: str = "") -> str:
        """Return the colour map of a role's tensors for :class:`filmkit.core.norm.Norm`.

        Parameters
        ----------
        role
            "query", "key", "value", "latent", "scores" or "pattern"; "" for inputs, outputs and
            all that has no role.

        Returns
        -------
        str
            A matplotlib name, or colours at equal steps: "#RRGGBB/#RRGGBB/...".
        """
        if named := self.palette.pattern if role == "pattern" else self.palette.signed:
            return named
        if role == "pattern":
            return self.rising(self.pattern)
        hue = self.role(role or "ink")
        # What is as white as the ink needs a colour of its own below zero.
        negative = mixed(hue, *self.tint) if role not in ("", "scores") else self.counter
        return "/".join((negative, self.background, hue))

    def rising(self, colour: str) -> str:
        """Return the colour map of shares, from the background to a colour, "#RRGGBB"."""
        shares = (step / PATTERN_STEPS for step in range(PATTERN_STEPS + 1))
        return "/".join(mixed(self.background, colour, share**PATTERN_RISE) for share in shares)

    def group_colour(self, name: str, group: int) -> str:
        """Return the colour of a role in one of three lightnesses, for things in groups.

        Groups that share keys and values are told apart by it. Neighbouring groups differ, and
        the fourth has the lightness of the first.

        Parameters
        ----------
        name
            A role, such as ``"key"``.
        group
            Number of the group, from 0.

        Examples
        --------
        ::

            Outline(box, colour=theme.group_colour("key", 1))
        """
        nearer, farther = self.shades
        ends = (self.ink, nearer), (self.ink, 0.0), (self.background, farther)
        return mixed(self.role(name), *ends[group % 3])


def mixed(first: str, second: str, share: float) -> str:
    """Return the colour that is the share ``share``, 0 to 1, of the way from one to another.

    All are "#RRGGBB".
    """
    ends = [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in (first, second)]
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(*ends, strict=True))


DARK = Theme()
LIGHT = replace(
    DARK,
    name="light",
    lit=False,
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
    scores="#2b2823",
    pattern="#1d1b18",
    z="#1d1b18",
    latent="#7a2fc0",
    masked="#f6f3ec",
    card="#fcfaf6",
    shades=(0.5, 0.2),
    glass="#4682a8",
    stone="#d3cec4",
    lamp="#8a7a55",
    tint=("#c2c2c2", 0.85),
    counter="#5d76aa",
)

# For paper: black text, lines thick enough for a printer, and colours that are dark enough in grey.
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
    scores="#141210",
    pattern="#000000",
    z="#000000",
    latent="#5b1fa0",
    card="#faf9f7",
    glass="#2f6486",
    stone="#e4e1db",
    lamp="#6b5c36",
    thin=1.6,
    line=2.8,
    bold=4.5,
)

_THEMES = dict(zip(THEMES, (DARK, LIGHT, PRINT), strict=True))
# Viridis gets lighter all the way, so that it can be read in grey too. The colours of berlin and of
# magma can be told apart with every colour vision, but in grey both signs of berlin look alike.
_COLOUR_MAPS = Palette(), Palette("viridis", "viridis"), Palette("berlin", "magma")
_PALETTES = dict(zip(PALETTES, _COLOUR_MAPS, strict=True))
_current: ContextVar[Theme] = ContextVar("theme", default=DARK)


def current_theme() -> Theme:
    """Return the theme that is in use now."""
    return _current.get()


def use_theme(
    name: str = THEMES[0],
    palette: str = PALETTES[0],
    *,
    background: str | None = None,
    min_text_size: float = Theme.min_text_size,
) -> AbstractContextManager[Theme]:
    """Use a theme for everything that is made inside the ``with`` block, and yield it.

    Parameters
    ----------
    name
        "dark", "light" or "print".
    palette
        "roles", "film" or "signed".
    background
        Colour of the background, "#RRGGBB"; None for the theme's own.
    min_text_size
        The theme's ``min_text_size``, which depends on the shape of the frame
        (:attr:`filmkit.core.geometry.Frame.min_text_size`).

    Raises
    ------
    ValueError
        If there is no theme or palette of that name.
    """
    if name not in _THEMES:
        raise ValueError(f"no theme {name!r}; there are {', '.join(_THEMES)}")
    if palette not in _PALETTES:
        raise ValueError(f"no palette {palette!r}; there are {', '.join(_PALETTES)}")
    theme = _THEMES[name]
    used = replace(
        theme,
        palette=_PALETTES[palette],
        background=background or theme.background,
        min_text_size=min_text_size,
    )
    return holding(_current, used)
