"""Names of the film's looks. Needs nothing, so that it loads at once."""

from __future__ import annotations

__all__ = ["PALETTES", "THEMES"]

THEMES = ("dark", "light", "print")
"""What :func:`filmkit.core.theme.use` takes; the first is the default."""

PALETTES = ("film", "signed")
"""Pairs of colour maps; the first is the default."""
