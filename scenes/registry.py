"""Lists of the scenes, in the order of the story, and of the posters."""

from __future__ import annotations

from filmkit.core.scene_entry import SceneEntry

__all__ = ["POSTERS", "SCENES", "THUMBNAIL"]


SCENES: tuple[SceneEntry, ...] = (
    SceneEntry(
        "scene_attention",
        "One attention head, start to finish",
        "scenes.attention.scene_attention",
        "Attention",
        cover="one_head",
    ),
    SceneEntry(
        "scene_heads",
        "Many heads, one output",
        "scenes.heads.scene_heads",
        "Heads",
        cover="around_the_rack",
    ),
    SceneEntry(
        "scene_patterns",
        "Every head’s pattern on one wall",
        "scenes.patterns.scene_patterns",
        "Patterns",
        cover="many_more",
    ),
    SceneEntry(
        "scene_kv_cache",
        "Why keys and values are kept",
        "scenes.kv_cache.scene_kv_cache",
        "KVCache",
        cover="the_whole_cache",
    ),
    SceneEntry(
        "scene_mqa",
        "One set of keys and values for all heads",
        "scenes.sharing.scene_sharing",
        "MultiQuery",
        cover="every_head_reads_it",
    ),
    SceneEntry(
        "scene_gqa",
        "A set of keys and values for each group",
        "scenes.sharing.scene_sharing",
        "GroupedQuery",
        cover="every_head_reads_it",
    ),
    SceneEntry(
        "scene_mla",
        "Multi-head latent attention",
        "scenes.mla.scene_mla",
        "LatentAttention",
        cover="one_latent_for_all",
    ),
    SceneEntry(
        "scene_cache_size",
        "What the cache weighs",
        "scenes.cache_size.scene_cache_size",
        "CacheSize",
        cover="how_often_it_fits",
    ),
)
"""Every scene, in the order of the story."""

POSTERS: tuple[SceneEntry, ...] = (
    SceneEntry("mha", "Multi-head attention", "scenes.posters.scene_posters", "MultiHeadPoster"),
    SceneEntry(
        "gqa", "Grouped-query attention", "scenes.posters.scene_posters", "GroupedQueryPoster"
    ),
    SceneEntry("mqa", "Multi-query attention", "scenes.posters.scene_posters", "MultiQueryPoster"),
    SceneEntry(
        "mla", "Multi-head latent attention", "scenes.posters.scene_posters", "LatentPoster"
    ),
)
"""Every poster, in the order of the sheet: the first two above the last two."""

THUMBNAIL = SceneEntry(
    "thumbnail", "One shared latent", "scenes.posters.scene_posters", "Thumbnail"
)
"""The picture that stands for the film in lists of films."""
