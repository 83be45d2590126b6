"""Alt texts of pictures."""

from __future__ import annotations

from typing import Any

import pytest

from filmkit.core.language import ENGLISH, _, known_languages, use_language
from filmkit.core.norm import SCALE
from filmkit.core.picture_map import picture_map
from filmkit.core.quantities import QUANTITIES
from filmkit.core.stage import Stage, beat
from filmkit.core.stage_settings import StageSettings
from filmkit.core.theme import use_theme
from filmkit.core.theme_names import THEMES
from filmkit.mobjects.marks import ColourBar
from filmkit.pictures.head_panel import HeadPanel
from filmkit.render.quality import QUALITIES
from filmkit.render.runner import manim_config
from filmkit.words.alt import MAX_LENGTH, alt_text
from tests.support.kinds import SHIPPED_KIND, trace_of_kind


def panel(tensor: str | None, *index: Any, expression: str = "", **others: Any) -> dict[str, Any]:
    """Return an entry of a picture map."""
    spans = [axis[1] - axis[0] for axis in index if isinstance(axis, list)]
    shape = [*([1] * (2 - len(spans))), *spans]
    entry = {
        "tensor": tensor,
        "expression": expression,
        "quantity": "",
        "given": {},
        "axes": [],
        "index": list(index),
        "transposed": False,
        "shape": shape,
        "cmap": "viridis",
        "vmin": -2.0,
        "vmax": 2.0,
        "opacity": 1.0,
    }
    return entry | others


def computed(quantity: str, *index: Any, given: dict[str, Any], **others: Any) -> dict[str, Any]:
    """Return the entry of a panel that shows something computed."""
    axes = list(QUANTITIES[quantity].axes)
    return panel(None, *index, quantity=quantity, given=given, axes=axes, **others)


def describe(*panels: dict[str, Any], texts: tuple[str, ...] = (), title: str = "") -> str:
    """Return the alt text of a picture map."""
    document = {
        "panels": list(panels),
        "texts": [{"text": text} for text in texts],
        "mosaic": None,
    }
    return alt_text(document, title)


def test_a_panel_is_named_with_its_layer_head_size_and_scale() -> None:
    queries = panel("q.11", [1, 10], 3, [0, 64], vmin=-2.1, vmax=1.8)
    assert describe(queries, title="A query") == (
        "A query. Heatmaps of layer 11 in viridis. "
        "Queries of head 3: 9 words by 64 columns, −2.1 to 1.8."
    )


def test_colours_of_roles_are_named_by_the_ends_of_their_scale() -> None:
    keys = panel("k.11", [1, 10], 1, [0, 64], cmap="#8f8876/#000000/#ffd35a")
    pattern = panel("pattern.11", 3, [0, 9], [0, 9], vmin=0.0, cmap="#ffffff/#8e8d8b/#1d1b18")
    assert describe(keys, pattern) == (
        "Heatmaps of layer 11. Keys of key/value head 1: 9 words by 64 columns, −2 to 2, "
        "grey to yellow. Attention pattern of head 3: 9 words by 9 words, 0 to 2, white to black."
    )


@pytest.mark.parametrize("theme", THEMES)
def test_every_colour_of_a_palette_has_a_true_name(theme: str) -> None:
    names = {}
    with use_theme(theme, "roles") as current:
        for role in ("query", "key", "value", "latent", "scores", "", "pattern"):
            described = describe(panel("x.0", [0, 1], [0, 1], cmap=current.colour_map(role)))
            names[role] = described.removesuffix(".").split(", ")[-1]
    paper = theme != "dark"
    assert names == {
        "query": "grey to cyan",
        "key": "grey to yellow",
        "value": "grey to red" if paper else "grey to coral",
        "latent": "grey to violet",
        "scores": "blue to black" if paper else "blue to white",
        "": "blue to black" if paper else "blue to white",
        "pattern": "white to black" if paper else "black to white",
    }


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


def test_what_is_computed_is_named_with_its_layers_and_heads() -> None:
    rows = [0, 9]
    cards = [
        computed("shared_pattern", rows, rows, given={"layer": 1, "head": head, "sets": 1})
        for head in (0, 2)
    ]
    block = computed("cached_keys", 7, [0, 60], [0, 64], given={"layers": [0, 19]})
    own = panel(None, expression="mean of all patterns", shape=[9, 9])
    assert describe(*cards, block, own) == (
        "Heatmaps in viridis. "
        "Attention pattern of layer 1, heads 0 and 2 with shared keys and values: "
        "2 panels, each 9 words by 9 words, −2 to 2. "
        "Keys of layers 0 to 19 in each layer’s own scale: 60 key/value heads by "
        "64 columns, −2 to 2. "
        "Mean of all patterns: 9 by 9 cells, −2 to 2."
    )
    turned = computed("latent_keys", rows, [0, 8], given={"layer": 1, "kv_head": 3})
    assert describe(turned | {"transposed": True, "shape": [8, 9]}) == (
        "Heatmaps of layer 1 in viridis. Transposed keys of key/value head 3 from the latent: "
        "8 columns by 9 words, −2 to 2."
    )


def test_colour_bars_are_left_out_and_faint_panels_only_named() -> None:
    bar = panel(None, quantity=SCALE, shape=[1, 128])
    faint = panel("k.2", [0, 4], 0, [0, 8], opacity=0.2)
    assert describe(bar, faint) == "Heatmaps of layer 2 in viridis. Faint: keys."
    assert describe(bar) == "A drawing without heatmaps."


def body(kind: str, words: str, *numbers: float, **others: Any) -> dict[str, Any]:
    """Return an entry of a body in a picture map."""
    entry = panel(None) | {
        "kind": kind,
        "words": words,
        "presence": 1.0,
        "count": len(numbers),
        "largest": max(numbers, key=abs, default=None),
    }
    return entry | others


def test_bodies_are_told_by_their_kinds_with_their_words_and_largest_numbers() -> None:
    slabs = [body("slab", word) for word in ("white", "red", "white")]
    named = body("relief", "query of white", 0.5, -3.021, 1.0)
    sourced = body("relief", "", 1.0, 2.0, tensor="v.11", index=[[5, 6], 1, [0, 2]])
    document = {
        "panels": [],
        "bodies": [
            *slabs,
            named,
            sourced,
            body("bars", "red", 6.0),
            body("arc", "white → red: 69 %", 0.69),
            body("relief", "faint", 1.0, presence=0.2),
            body("", "a floor"),
        ],
        "texts": [{"text": "white"}, {"text": "69 %"}, {"text": "Dot product"}],
        "mosaic": None,
    }
    assert alt_text(document) == (
        "A drawing of bodies in a room. Slabs: white; red. "
        "Rows of bars: query of white, 3 numbers, the largest −3.02; "
        "values of layer 11, key/value head 1, 2 numbers, the largest 2. "
        "Towers: red: 6. Arcs of light: white → red: 69 %. Words: Dot product."
    )


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


# In other languages


class OneHead(Stage):
    """A picture made of the kit's own words alone."""

    tensors = ("q", "pattern")

    @beat
    def softmax(self) -> None:
        """From scores to weights."""
        scores = HeadPanel(self.head, "scores", words=False)
        keys = HeadPanel(self.head, "k_t", words=False)
        pattern = HeadPanel(self.head, "pattern")
        keys.cells.set_opacity(0.2)
        bar = ColourBar(self.layer.norm("pattern"), pattern.tensor.name, pattern.cells.box)
        self.add(scores, keys, pattern, bar)
        self.hold(1.0)


def picture_of_one_head(code: str) -> str:
    """Return the alt text of a picture in a language."""
    found = []

    def note(_record: object, stage: Stage) -> None:
        found.append(alt_text(picture_map(stage.with_notes(), stage.camera), "Softmax"))

    settings = StageSettings(language=code)
    with manim_config(QUALITIES["draft"]):
        OneHead(trace_of_kind(SHIPPED_KIND), settings, on_beat_end=note).render()
    (alt,) = found
    return alt


PICTURES = {
    "en": (
        "Softmax. Heatmaps of layer 11. Scaled scores of head 3: 9 words by 9 words, "
        "−7.75 to 7.75, blue to white. Attention pattern of head 3: 9 words by 9 words, 0 to 1, "
        "black to white. Faint: transposed rotated keys. Words: scores; keys; K transposed; "
        "pattern; The; American; flag; is; red; white; and; "
        "SmolLM2-135M-Instruct (Q4_1) · layer 11, head 3."
    ),
    "de": (
        "Softmax. Heatmaps (Schicht 11). Skalierte Scores (Kopf 3): 9\u00a0Wörter mal "
        "9\u00a0Wörter, von −7,75 bis 7,75, Blau bis Weiß. Attention-Muster (Kopf 3): "
        "9\u00a0Wörter mal 9\u00a0Wörter, von 0 bis 1, Schwarz bis Weiß. Blass: rotierte "
        "Keys, transponiert. "
        "Texte: Scores; Keys; K transponiert; Muster; The; American; flag; is; red; white; and; "
        "SmolLM2-135M-Instruct (Q4_1) · Schicht 11, Kopf 3."
    ),
    "es": (
        "Softmax. Mapas de calor (capa 11). Puntuaciones escaladas (cabeza 3): 9 palabras por 9 "
        "palabras, de −7,75 a 7,75, del azul al blanco. Patrón de atención (cabeza 3): 9 palabras "
        "por 9 palabras, de 0 a 1, del negro al blanco. Tenue: claves rotadas, matriz transpuesta. "
        "Textos: puntuaciones; claves; K transpuesta; patrón; The; American; flag; is; red; "
        "white; and; SmolLM2-135M-Instruct (Q4_1) · capa 11, cabeza 3."
    ),
    "fr": (
        "Softmax. Cartes de chaleur (couche 11). Scores mis à l’échelle (tête "
        "3)\u00a0: 9 mots sur 9 mots, de −7,75 à 7,75, du bleu au blanc. Motif d’attention (tête "
        "3)\u00a0: 9 mots sur 9 mots, de 0 à 1, du noir au blanc. En retrait\u00a0: clés après "
        "rotation, matrice transposée. "
        "Textes\u00a0: scores\u202f; clés\u202f; K transposée\u202f; motif\u202f; The\u202f; "
        "American\u202f; flag\u202f; is\u202f; red\u202f; white\u202f; and\u202f; "
        "SmolLM2-135M-Instruct (Q4_1) · couche 11, tête 3."
    ),
    "zh": (
        "Softmax。第 11 层的热图。第 3 个头的缩放分数：9 个词 × 9 个词，"
        "取值 −7.75 到 7.75，从蓝色到白色。第 3 个头的注意力图：9 个词 × 9 个词，"
        "取值 0 到 1，从黑色到白色。淡显：旋转后的键（转置）。文字：分数；键；K 的转置；注意力图；"
        "The；American；flag；is；red；white；and；"
        "SmolLM2-135M-Instruct (Q4_1) · 第 11 层，第 3 个头。"
    ),
}


def test_a_picture_is_described_in_its_own_language_one_after_another() -> None:
    for code in ("fr", "zh", "de", "es", "en", "fr"):
        assert picture_of_one_head(code) == PICTURES[code]


FRENCH_AND_CHINESE = {
    "panels of one kind": (
        [
            *(panel("pattern.4", head, [0, 9], [0, 9], vmin=0.0, vmax=1.0) for head in range(9)),
            *(panel("k.4", [0, 9], 1, [0, 8], transposed=True) for _ in range(9)),
        ],
        (
            "Cartes de chaleur (couche 4), couleurs viridis. Motif d’attention (têtes 0 à "
            "8)\u00a0: 9 panneaux de 9 mots sur 9 mots, de 0 à 1. Clés, matrice transposée (tête "
            "clé/valeur 1)\u00a0: 9 panneaux de 8 colonnes sur 9 mots, de −2 à 2."
        ),
        (
            "第 4 层的热图，配色为 viridis。第 0 到 8 个头的注意力图：9 个面板，每个 9 个词 × 9 "
            "个词，取值 0 到 1。第 1 个键/值头的键（转置）：9 "
            "个面板，每个 8 列 × 9 个词，取值 −2 到 2。"
        ),
    ),
    "heads of few layers": (
        [panel(f"pattern.{layer}", head, [1, 2], [1, 2]) for layer, head in ((16, 0), (3, 5))],
        (
            "Cartes de chaleur, couleurs viridis. Motif d’attention (couche 3, tête 5 et couche "
            "16, tête 0)\u00a0: 2 panneaux de 1 mot sur 1 mot, de −2 à 2."
        ),
        (
            "热图，配色为 viridis。第 3 层第 5 个头、第 16 层第 0 个头的注意力图：2 个面板，每个 1 "
            "个词 × 1 个词，取值 −2 到 2。"
        ),
    ),
    "parts of a matrix": (
        [panel("x.0", [0, 4], [0, 8]), panel("x.0", [0, 4], [572, 576])],
        (
            "Cartes de chaleur (couche 0), couleurs viridis. Entrée X\u00a0: 4 mots sur 576 "
            "colonnes (dont 12 à l’image), de −2 à 2."
        ),
        "第 0 层的热图，配色为 viridis。输入 X：4 个词 × 576 列（画出 12），取值 −2 到 2。",
    ),
    "several scales": (
        [panel("q.7", [0, 4], head, [0, 8], vmax=head + 0.25) for head in (0, 2, 5)],
        (
            "Cartes de chaleur (couche 7), couleurs viridis. Requêtes (têtes 0, 2 et 5)\u00a0: 3 "
            "panneaux de 4 mots sur 8 colonnes, chacun à sa propre échelle."
        ),
        (
            "第 7 层的热图，配色为 viridis。第 0、2、5 个头的查询：3 个面板，每个 4 个词 × 8 列，"
            "各用自己的色标。"
        ),
    ),
    "large numbers": (
        [panel("out.1", [0, 4], [0, 4096], vmin=-1234.5, vmax=0.00025)],
        (
            "Cartes de chaleur (couche 1), couleurs viridis. Sortie de l’attention\u00a0: 4 mots "
            "sur 4\u202f096 colonnes, de −1\u202f230 à 0,00025."
        ),
        "第 1 层的热图，配色为 viridis。注意力的输出：4 个词 × 4,096 列，取值 −1,230 到 0.00025。",
    ),
    "faint": (
        [
            panel("k.2", [0, 4], 0, [0, 8], opacity=0.2),
            panel("v.2", [0, 4], 0, [0, 8], opacity=0.2),
        ],
        ("Cartes de chaleur (couche 2), couleurs viridis. En retrait\u00a0: clés\u202f; valeurs."),
        "第 2 层的热图，配色为 viridis。淡显：键；值。",
    ),
    "no panel": (
        [panel(None, quantity=SCALE, shape=[1, 128])],
        "Un dessin sans carte de chaleur.",
        "没有热图的示意图。",
    ),
}


@pytest.mark.parametrize("case", FRENCH_AND_CHINESE)
def test_sentences_in_french_and_chinese(case: str) -> None:
    panels, *expected = FRENCH_AND_CHINESE[case]
    for code, text in zip(("fr", "zh"), expected, strict=True):
        with use_language(code):
            assert describe(*panels, texts=("9 × 64",)) == text, code


def test_what_is_computed_is_named_with_its_heads_and_layers_in_every_language() -> None:
    expected = {
        "fr": (
            "Cartes de chaleur, couleurs viridis. "
            "Motif d’attention (couche 1, têtes 0 et 2) avec clés et valeurs partagées\u00a0: "
            "2 panneaux de 9 mots sur 9 mots, de −2 à 2. "
            "En retrait\u00a0: clés à l’échelle de chaque couche."
        ),
        "zh": (
            "热图，配色为 viridis。第 1 层第 0、2 个头的注意力图（共享键和值）：2 个面板，"
            "每个 9 个词 × 9 个词，取值 −2 到 2。淡显：键（每层用自己的色标）。"
        ),
    }
    for code, text in expected.items():
        with use_language(code):
            cards = [
                computed("shared_pattern", [0, 9], [0, 9], given={"layer": 1, "head": head})
                for head in (0, 2)
            ]
            place = {"layers": [0, 29]}
            block = computed("cached_keys", 7, [0, 90], [0, 64], given=place, opacity=0.2)
            assert describe(*cards, block) == text, code


@pytest.mark.parametrize("code", [code for code in known_languages() if code != ENGLISH.code])
def test_it_is_never_too_long_in_any_language(code: str) -> None:
    with use_language(code):
        crowd = [
            panel(f"{name}.{layer}", [0, 9], head, [0, 64])
            for name in ("q", "k", "v")
            for layer in range(0, 30, 3)
            for head in range(9)
        ]
        rest = [
            panel(None, expression=f"{number} × {number}", shape=[9, 9]) for number in range(40)
        ]
        text = describe(*crowd, *rest, title="A title", texts=("words on screen",) * 40)
        assert 0 < len(text) <= MAX_LENGTH
        assert text.endswith(_("And more."))
