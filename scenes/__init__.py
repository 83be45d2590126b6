"""The film's scenes: pictures made from a trace."""

from __future__ import annotations

from scenes.registry import SCENES, SceneEntry, show

__all__ = ["SCENES", "SceneEntry", "show"]
