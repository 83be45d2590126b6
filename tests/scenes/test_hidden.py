"""Cells of a heatmap are hidden at the end of a beat only where its story says so."""

from __future__ import annotations

import pytest

from extract.trace import Trace
from filmkit.core.animations import presence
from filmkit.core.beat_records import BeatRecord
from filmkit.core.heatmap import Heatmap
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage
from scenes.registry import SCENES
from tests.support.checkout import SHIPPED

EXPLAINED = {
    ("scene_attention", "make_the_queries"): "one row is meant",
    ("scene_attention", "all_dot_products"): "one row and one column are meant",
    ("scene_attention", "complete_circuit"): "one row is meant",
    ("scene_heads", "one_head_on_a_card"): "what the mask removes",
    ("scene_heads", "all_heads_slide_in"): "what the mask removes",
    ("scene_heads", "along_the_heads"): "what the mask removes",
    ("scene_heads", "one_output"): "what the mask removes, and rows of other words",
    ("scene_patterns", "one_of_many"): "the gaps between patterns",
    ("scene_patterns", "the_same_words"): "the gaps between patterns",
    ("scene_patterns", "a_place_to_rest"): "the gaps between patterns, and heads that do not rest",
    ("scene_patterns", "many_more"): "the field of a model without data",
    ("scene_sharing", "a_set_for_every_head"): "what the mask removes",
    ("scene_sharing", "a_set_for_each_group"): "what the mask removes",
    ("scene_sharing", "one_set_for_all"): "what the mask removes",
    ("scene_sharing", "attention_moves"): "words that are not meant, which are dim",
    ("scene_sharing", "what_else"): "what the mask removes",
    ("scene_answer", "into_the_latent"): "what the mask removes",
    ("scene_mla", "one_latent_for_all"): "what the mask removes",
    ("scene_mla", "the_same_budget"): "what the mask removes",
    ("scene_mla", "all_heads_compared"): "what the mask removes",
    ("scene_mla", "every_head_reads_it"): "what the mask removes",
    ("scene_mla", "the_cache"): "tokens that are not meant, which are a little dim",
}
"""Beats at whose end cells are hidden, and why."""


@pytest.mark.slow
@pytest.mark.parametrize("entry", SCENES, ids=lambda entry: entry.slug)
def test_hidden_cells_are_explained(entry: SceneEntry) -> None:
    found = set()

    def look(record: BeatRecord, stage: Stage) -> None:
        for part in stage.visible_parts():
            seen = isinstance(part, Heatmap) and part.opacity > 0 and presence(part) > 0
            if seen and (part.shown < 1).any():
                found.add((entry.slug, record.name))

    entry.load()(Trace.load(SHIPPED), on_beat_end=look).render()
    assert found == {beat for beat in EXPLAINED if beat[0] == entry.slug}
