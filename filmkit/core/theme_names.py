"""Names of themes and palettes, in a module without imports, so that it loads fast."""

from __future__ import annotations

__all__ = ["PALETTES", "THEMES"]

THEMES = ("dark", "light", "print")
"""Themes for :func:`filmkit.core.theme.use_theme`; the first is the default."""

PALETTES = ("roles", "film", "signed")
"""Palettes (colour maps) for the same function; the first is the default."""
