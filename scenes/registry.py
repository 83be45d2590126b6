"""Lists of the scenes, in the order of the story, and of the posters."""

from __future__ import annotations

from filmkit.core.scene_entry import SceneEntry

__all__ = ["FORMER_NAMES", "POSTERS", "SCENES", "SHORT", "THUMBNAIL"]


FORMER_NAMES = {
    "scene_mqa": "scene_sharing",
    "scene_gqa": "scene_sharing",
    "scene_attention/all_scores": "scene_attention/all_dot_products",
    "scene_attention/transpose_the_keys": "scene_attention/all_dot_products",
    "scene_attention/one_cell": "scene_attention/a_query_meets_a_key",
    "scene_attention/rotate_by_position": "scene_rotation/rotation_in_between",
    "scene_attention/values": "scene_attention/a_weighted_mix",
    "scene_attention/every_row": "scene_attention/complete_circuit",
    "scene_heads/around_the_rack": "scene_heads/along_the_heads",
    "scene_heads/some_share_keys_and_values": "scene_heads/along_the_heads",
    "scene_heads/outputs_line_up": "scene_heads/one_output",
    "scene_patterns/through_the_model": "scene_patterns/one_of_many",
    "scene_patterns/one_word_back": "scene_patterns/one_of_many",
    "scene_kv_cache/the_rest_is_known": "scene_kv_cache/one_new_row",
    "scene_kv_cache/one_row_of_each": "scene_kv_cache/what_is_kept",
    "scene_kv_cache/cache_of_a_layer": "scene_kv_cache/the_whole_cache",
    "scene_kv_cache/bytes_of_a_token": "scene_kv_cache/a_large_model",
    "scene_kv_cache/memory_is_time": "scene_cache_size/one_number_for_all_heads",
    "scene_cache_size/every_token_adds_a_box": "scene_cache_size/one_gpu",
    "scene_cache_size/throughput_too": "scene_cache_size/the_published_saving",
    "scene_cache_size/what_came_after": "scene_sparse/an_indexer_chooses",
    "scene_answer/four_ways": "scene_answer/into_the_latent",
    "scene_answer/what_each_costs": "scene_answer/into_the_latent",
    "scene_mla/flatten": "scene_mla/down_to_the_latent",
}
"""Names that scenes had, or beats ("scene_mla/flatten"), and what shows now what they showed."""


def _scene(subject: str, title: str, cls: str, cover: str) -> SceneEntry:
    """Return the scene of a subject, which has a folder; it knows which names its beats had."""
    slug = f"scene_{subject}"
    names = (name.split("/") for name in FORMER_NAMES if "/" in name)
    former = {
        beat: FORMER_NAMES[f"{scene}/{beat}"]
        for scene, beat in names
        if FORMER_NAMES.get(scene, scene) == slug
    }
    return SceneEntry(slug, title, f"scenes.{subject}.{slug}", cls, cover, former_beats=former)


def _poster(slug: str, title: str, cls: str) -> SceneEntry:
    return SceneEntry(slug, title, "scenes.posters.scene_posters", cls)


SCENES: tuple[SceneEntry, ...] = (
    _scene("question", "Can a model remember less?", "Question", "until_it_bursts"),
    _scene("attention", "One attention head, start to finish", "Attention", "one_head"),
    _scene("heads", "Many heads, one output", "Heads", "all_heads_slide_in"),
    _scene("patterns", "Every head’s pattern on one wall", "Patterns", "many_more"),
    _scene("kv_cache", "Why keys and values are kept", "KVCache", "the_whole_cache"),
    _scene("sharing", "Keys and values that heads share", "Sharing", "one_set_for_all"),
    _scene("mla", "Multi-head latent attention", "LatentAttention", "one_latent_for_all"),
    _scene("rotation", "Position in a few numbers", "RotationAndLatent", "two_parts"),
    _scene("cache_size", "What the cache weighs", "CacheSize", "how_often_it_fits"),
    _scene("sparse", "Which tokens to read?", "Sparse", "each_head_chooses"),
    _scene("answer", "Less to remember", "Answer", "into_the_latent"),
)
"""Every scene, in the order of the story."""

SHORT: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "scene_question",
        ("the_next_word", "every_token_is_kept", "until_it_bursts", "the_question"),
    ),
    ("scene_attention", ("one_head",)),
    ("scene_sharing", ("what_else",)),
    ("scene_mla", ("one_latent_for_all",)),
    ("scene_mla", ("all_heads_compared",)),
    ("scene_answer", ("the_answer", "the_word")),
)
"""The short film: names of scenes, and the beats of them that it shows, without questions."""

POSTERS: tuple[SceneEntry, ...] = (
    _poster("mha", "Multi-head attention", "MultiHeadPoster"),
    _poster("gqa", "Grouped-query attention", "GroupedQueryPoster"),
    _poster("mqa", "Multi-query attention", "MultiQueryPoster"),
    _poster("mla", "Multi-head latent attention", "LatentPoster"),
)
"""Every poster, in the order of the sheet: the first two above the last two."""

THUMBNAIL = _poster("thumbnail", "One shared latent", "Thumbnail")
"""The picture that stands for the film in lists of films."""
