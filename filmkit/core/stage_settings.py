"""What the user chose for a scene: plain data, in a module that loads fast."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from filmkit.core.language import DEFAULT_LANGUAGE

__all__ = ["StageSettings"]


@dataclass(frozen=True)
class StageSettings:
    """What the user chose on the command line for a scene.

    Attributes
    ----------
    layer, head
        Numbers of the layer and head to show, from 0; the trace's featured ones by default.
    show_first_token
        Whether to draw the beginning-of-sequence token.
    theme, palette
        Names for :func:`filmkit.core.theme.use_theme`.
    background
        A colour, "#RRGGBB", instead of the theme's.
    transparent
        Whether the background is transparent.
    compare
        File of a second trace, for scenes that compare two.
    calm
        Whether pictures stand still while they are talked about, instead of drifting slowly.
    caption_strip
        Whether the lowest part of the frame is kept free, for captions that are drawn into films.
    language
        Code of the language; see :mod:`filmkit.core.language`.
    questions
        Whether the questions of beats are asked.
    """

    layer: int | None = None
    head: int | None = None
    show_first_token: bool = False
    theme: str = "dark"
    palette: str = "roles"
    background: str | None = None
    transparent: bool = False
    compare: Path | None = None
    calm: bool = False
    caption_strip: bool = False
    language: str = DEFAULT_LANGUAGE
    questions: bool = True
