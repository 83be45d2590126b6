"""The film's scenes: pictures made from a trace."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scenes.stage import Stage

__all__ = ["SCENES", "SceneEntry", "show"]


@dataclass(frozen=True)
class SceneEntry:
    """One scene of the film.

    Attributes
    ----------
    slug
        What the command line calls it.
    title
        What people call it.
    module, cls
        Where its class is; imported only when asked for.
    """

    slug: str
    title: str
    module: str
    cls: str

    def load(self) -> type[Stage]:
        """The scene's class."""
        stage: type[Stage] = getattr(import_module(self.module), self.cls)
        return stage


SCENES: tuple[SceneEntry, ...] = (
    SceneEntry(
        "scene_attention",
        "One attention head, start to finish",
        "scenes.scene_attention",
        "Attention",
    ),
    SceneEntry(
        "scene_heads",
        "Many heads, one output",
        "scenes.scene_heads",
        "Heads",
    ),
    SceneEntry(
        "scene_patterns",
        "Every head’s pattern on one wall",
        "scenes.scene_patterns",
        "Patterns",
    ),
    SceneEntry(
        "scene_kv_cache",
        "Why keys and values are kept",
        "scenes.scene_kv_cache",
        "KVCache",
    ),
    SceneEntry(
        "scene_mqa",
        "One set of keys and values for all heads",
        "scenes.scene_sharing",
        "MultiQuery",
    ),
    SceneEntry(
        "scene_gqa",
        "A set of keys and values for each group",
        "scenes.scene_sharing",
        "GroupedQuery",
    ),
    SceneEntry(
        "scene_mla",
        "Multi-head latent attention",
        "scenes.scene_mla",
        "LatentAttention",
    ),
    SceneEntry(
        "scene_cache_size",
        "What the cache weighs",
        "scenes.scene_cache_size",
        "CacheSize",
    ),
)
"""Every scene, in the order of the story."""


def show(scene: str, beat: str | None = None, **options: Any) -> Any:
    """A scene, or one of its beats, for a notebook to display; see :func:`scenes.notebook.show`.

    Loads Manim only when called.
    """
    # By its name: an import statement would make the whole engine part of every beat's key.
    return import_module("scenes.notebook").show(scene, beat, **options)
