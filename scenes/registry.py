"""The film's scenes: pictures made from a trace."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from filmkit.core.stage import Stage

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
        "scenes.attention.scene_attention",
        "Attention",
    ),
    SceneEntry(
        "scene_heads",
        "Many heads, one output",
        "scenes.heads.scene_heads",
        "Heads",
    ),
    SceneEntry(
        "scene_patterns",
        "Every head’s pattern on one wall",
        "scenes.patterns.scene_patterns",
        "Patterns",
    ),
    SceneEntry(
        "scene_kv_cache",
        "Why keys and values are kept",
        "scenes.kv_cache.scene_kv_cache",
        "KVCache",
    ),
    SceneEntry(
        "scene_mqa",
        "One set of keys and values for all heads",
        "scenes.sharing.scene_sharing",
        "MultiQuery",
    ),
    SceneEntry(
        "scene_gqa",
        "A set of keys and values for each group",
        "scenes.sharing.scene_sharing",
        "GroupedQuery",
    ),
    SceneEntry(
        "scene_mla",
        "Multi-head latent attention",
        "scenes.mla.scene_mla",
        "LatentAttention",
    ),
    SceneEntry(
        "scene_cache_size",
        "What the cache weighs",
        "scenes.cache_size.scene_cache_size",
        "CacheSize",
    ),
)
"""Every scene, in the order of the story."""


def show(scene: str, beat: str | None = None, **options: Any) -> Any:
    """A scene or one of its beats for a notebook; see :func:`filmkit.decks.notebook.show`.

    Loads Manim only when called.
    """
    # By its name: an import statement would make the whole engine part of every beat's key.
    return import_module("filmkit.decks.notebook").show(scene, beat, **options)
