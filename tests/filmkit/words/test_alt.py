"""Alt texts of pictures."""

from __future__ import annotations

from typing import Any

from filmkit.words.alt import MAX_LENGTH, alt_text


def panel(tensor: str | None, *index: Any, expression: str = "", **others: Any) -> dict[str, Any]:
    """Return an entry of a picture map."""
    spans = [axis[1] - axis[0] for axis in index if isinstance(axis, list)]
    shape = [*([1] * (2 - len(spans))), *spans]
    entry = {
        "tensor": tensor,
        "expression": expression or None,
        "index": list(index),
        "transposed": False,
        "shape": shape,
        "cmap": "viridis",
        "vmin": -2.0,
        "vmax": 2.0,
        "opacity": 1.0,
    }
    return entry | others


def describe(*panels: dict[str, Any], texts: tuple[str, ...] = (), title: str = "") -> str:
    """Return the alt text of a picture map."""
    document = {"panels": list(panels), "texts": [{"text": text} for text in texts]}
    return alt_text(document, title)


def test_a_panel_is_named_with_its_layer_head_size_and_scale() -> None:
    queries = panel("q.11", [1, 10], 3, [0, 64], vmin=-2.1, vmax=1.8)
    assert describe(queries, title="A query") == (
        "A query. Heatmaps of layer 11 in viridis. "
        "Queries of head 3: 9 words by 64 columns, −2.1 to 1.8."
    )


def test_panels_of_one_kind_share_a_sentence() -> None:
    cards = [panel("pattern.4", head, [0, 9], [0, 9], vmin=0.0, vmax=1.0) for head in range(9)]
    turned = [panel("k.4", [0, 9], 1, [0, 8], transposed=True) for _ in range(9)]
    assert describe(*cards, *turned) == (
        "Heatmaps of layer 4 in viridis. "
        "Attention pattern of heads 0 to 8: 9 panels, each 9 words by 9 words, 0 to 1. "
        "Transposed keys of key/value head 1: 9 panels, each 8 columns by 9 words, −2 to 2."
    )


def test_heads_of_few_layers_are_named_one_by_one() -> None:
    wall = [panel(f"pattern.{layer}", head, [1, 2], [1, 2]) for layer, head in ((16, 0), (3, 5))]
    assert "Attention pattern of layer 3, head 5 and layer 16, head 0: 2 panels" in describe(*wall)
    many = [panel(f"pattern.{layer}", 2, [1, 2], [1, 2]) for layer in range(5)]
    assert (
        "Attention pattern of layers 0 to 4, head 2: 5 panels, each 1 word by 1 word"
        in describe(*many)
    )


def test_parts_of_a_matrix_are_described_as_one() -> None:
    ends = [panel("x.0", [0, 4], [0, 8]), panel("x.0", [0, 4], [572, 576])]
    assert "Input X: 4 words by 576 columns (12 drawn), −2 to 2." in describe(*ends)
    rows = [panel("q.0", [row, row + 1], 1, [0, 8]) for row in range(4)]
    assert "Queries of head 1: 4 words by 8 columns, −2 to 2." in describe(*rows)


def test_a_panel_of_several_heads_counts_them() -> None:
    keys = panel("k_rot.0", 9, [0, 3], [0, 64])
    assert "Rotated keys: 3 key/value heads by 64 columns, −2 to 2." in describe(keys)
    one = panel("k_rot.0", [0, 4], 2, [0, 64])
    assert "Rotated keys of key/value head 2: 2 panels" in describe(keys, one)


def test_computed_panels_keep_their_names() -> None:
    cards = [
        panel(None, expression=f"scaled scores of head {head} with shared keys", shape=[9, 9])
        for head in (0, 2)
    ]
    volume = [
        panel(None, expression=f"patterns of all heads of layers {a} to {a + 9}", shape=[99, 89])
        for a in (0, 10)
    ]
    assert describe(*cards, *volume) == (
        "Heatmaps in viridis. "
        "Scaled scores of heads 0 and 2 with shared keys: 2 panels, each 9 by 9 cells, −2 to 2. "
        "Patterns of all heads of layers 0 to 19: 2 panels, each 99 by 89 cells, −2 to 2."
    )


def test_colour_bars_are_left_out_and_faint_panels_only_named() -> None:
    bar = panel(None, expression="colour scale of queries", shape=[1, 128])
    faint = panel("k.2", [0, 4], 0, [0, 8], opacity=0.2)
    assert describe(bar, faint) == "Heatmaps of layer 2 in viridis. Faint: keys."
    assert describe(bar) == "A drawing without heatmaps."


def test_words_are_quoted_once_and_formulas_are_not() -> None:
    texts = ("The", "W_Q", "The", "9 × 64", "K^top", "e^(s_j)", "q dot k =", "W_(D K V)", "69 %")
    assert describe(texts=texts) == ("A drawing without heatmaps. Words: The; K transposed; W_DKV.")


def test_it_is_never_too_long_and_says_that_there_is_more() -> None:
    crowd = [
        panel(
            None, expression=f"something computed in one way or another, number {i}", shape=[9, i]
        )
        for i in range(1, 30)
    ]
    text = describe(*crowd, texts=("words on screen",) * 40)
    assert len(text) <= MAX_LENGTH
    assert text.endswith("And more.")
    assert len(describe(texts=tuple(f"sentence number {i}" for i in range(90)))) <= MAX_LENGTH
