"""Lists of the scenes, in the order of the story, and of the posters."""

from __future__ import annotations

from dataclasses import replace

from filmkit.core.scene_entry import SceneEntry

__all__ = ["FORMER_NAMES", "POSTERS", "SCENES", "SHORT", "THUMBNAIL"]


SCENES: tuple[SceneEntry, ...] = (
    SceneEntry(
        "scene_question",
        "Can a model remember less?",
        "scenes.question.scene_question",
        "Question",
        cover="until_it_bursts",
    ),
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
        cover="all_heads_slide_in",
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
        "scene_sharing",
        "Keys and values that heads share",
        "scenes.sharing.scene_sharing",
        "Sharing",
        cover="one_set_for_all",
    ),
    SceneEntry(
        "scene_mla",
        "Multi-head latent attention",
        "scenes.mla.scene_mla",
        "LatentAttention",
        cover="one_latent_for_all",
    ),
    SceneEntry(
        "scene_rotation",
        "Position in a few numbers",
        "scenes.rotation.scene_rotation",
        "RotationAndLatent",
        cover="two_parts",
    ),
    SceneEntry(
        "scene_cache_size",
        "What the cache weighs",
        "scenes.cache_size.scene_cache_size",
        "CacheSize",
        cover="how_often_it_fits",
    ),
    SceneEntry(
        "scene_sparse",
        "Which tokens to read?",
        "scenes.sparse.scene_sparse",
        "Sparse",
        cover="each_head_chooses",
    ),
    SceneEntry(
        "scene_answer",
        "Less to remember",
        "scenes.answer.scene_answer",
        "Answer",
        cover="into_the_latent",
    ),
)
"""Every scene, in the order of the story."""

SHORT: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "scene_question",
        ("the_next_word", "every_token_is_kept", "until_it_bursts", "the_question"),
    ),
    ("scene_attention", ("one_head",)),
    ("scene_kv_cache", ("what_is_kept",)),
    ("scene_sharing", ("what_else",)),
    ("scene_mla", ("one_latent_for_all",)),
    ("scene_mla", ("all_heads_compared",)),
    ("scene_answer", ("the_answer", "the_word")),
)
"""The short film: names of scenes, and the beats of them that it shows, without questions."""

FORMER_NAMES = {
    "scene_mqa": "scene_sharing",
    "scene_gqa": "scene_sharing",
    "scene_heads/around_the_rack": "scene_heads/along_the_heads",
    "scene_kv_cache/the_rest_is_known": "scene_kv_cache/one_new_row",
    "scene_cache_size/every_token_adds_a_box": "scene_cache_size/one_gpu",
    "scene_cache_size/throughput_too": "scene_cache_size/the_published_saving",
    "scene_cache_size/what_came_after": "scene_sparse/an_indexer_chooses",
    "scene_answer/four_ways": "scene_answer/into_the_latent",
    "scene_answer/what_each_costs": "scene_answer/into_the_latent",
    "scene_mla/flatten": "scene_mla/down_to_the_latent",
}
"""Names that scenes had, or beats ("scene_mla/flatten"), and what shows now what they showed."""


def _with_former_beats(entry: SceneEntry) -> SceneEntry:
    """Return a scene that knows which names its beats had."""
    names = (name.split("/") for name in FORMER_NAMES if "/" in name)
    former = {
        beat: FORMER_NAMES[f"{scene}/{beat}"]
        for scene, beat in names
        if FORMER_NAMES.get(scene, scene) == entry.slug
    }
    return replace(entry, former_beats=former)


SCENES = tuple(map(_with_former_beats, SCENES))

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
