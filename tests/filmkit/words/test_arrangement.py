"""What alt texts say of mosaics: what stands where, what is framed, lit, faint and still empty."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from filmkit import Label, Mark, Stage
from tests.support.mosaics import Act, perform, shows

HEATMAPS = r"Heatmaps of layer 1( in viridis)?\. "


def alt_after(*acts: Act, **options: Any) -> str:
    return re.sub(HEATMAPS, "", perform(*acts, **options).alt)


@pytest.mark.parametrize(
    ("mosaic", "words"),
    [
        (". Kt\nQ scores", "Left to right: queries Q, then scores with keys K transposed above."),
        ("Q K V", "Left to right: queries Q, then keys K, then values V."),
        ("Q\nnote", "Top to bottom: queries Q, then “a note”."),
        (
            "Q Kt scores\nV pattern z",
            "Above: queries Q, then keys K transposed, then scores. "
            "Below: values V, then pattern A, then head output z.",
        ),
        (
            "Q K\nV z\nnote note",
            "From above, row 1: queries Q, then keys K; row 2: values V, then head output z; "
            "row 3: “a note”.",
        ),
        ("X mine\nX note", "Left to right: input X, then “a note” with mine above."),
    ],
)
def test_it_says_what_stands_where(mosaic: str, words: str) -> None:
    assert alt_after(shows(mosaic)).startswith(words)


def test_one_matrix_alone_stands_nowhere() -> None:
    assert alt_after(shows("Q")).startswith("Queries of head 3: 9 words by 8 columns, ")


def test_numbers_from_nowhere_have_the_name_of_their_part() -> None:
    assert "Mine: 9 by 1 cells, 0 to 1." in alt_after(shows("Q mine"))


def test_it_says_what_is_framed_and_what_is_at_full_strength() -> None:
    row, column = np.eye(9)[:, [4]], np.eye(9)[3]
    lit = {"Q": row, "pattern": column}
    marks = (Mark("Q", 4), Mark("pattern", None, 3))
    both = alt_after(shows("Q pattern", lit=lit, marks=marks))
    assert (
        "Framed, and alone at full strength: row “red” of queries Q and column “is” of pattern A."
        in both
    )
    assert "Alone at full strength: row “red” of queries Q" in alt_after(
        shows("Q K", lit={"Q": row})
    )
    framed = alt_after(shows("Q pattern", marks=(Mark("pattern", 4, 3), Mark("Q", None, 2))))
    assert "Framed: cell “red”, “is” of pattern A and column 3 of queries Q." in framed
    assert "full strength" not in framed
    assert "Framed: queries Q." in alt_after(shows("Q K", marks=(Mark("Q"),)))


def test_it_says_what_is_of_varying_strength_faint_or_empty() -> None:
    weighted = np.linspace(0.1, 0.9, 9)[:, None]
    assert "Of varying strength: values V." in alt_after(shows("Q V", lit={"V": weighted}))
    many = alt_after(shows("Q pattern", lit={"pattern": np.tri(9)}))
    assert "Of varying strength: pattern A." in many
    assert "Faint: queries Q." in alt_after(shows("Q K", focus="K"))
    assert "Still empty: scores." in alt_after(shows("Q scores", lit={"scores": 0.0}))


def test_a_part_of_a_scene_s_own_is_what_it_says_and_long_words_are_cut() -> None:
    def long(stage: Stage) -> None:
        stage.part("note", lambda: Label("word " * 30, size=0.02))
        stage.show("Q\nnote")

    assert f"then “{'word ' * 17}word…”." in alt_after(long)


def test_the_same_matrix_of_several_heads_is_told_apart() -> None:
    text = alt_after(shows("pattern[0] pattern[2]"))
    assert "head 0: pattern A, then head 2: pattern A." in text


TRANSLATED = {
    "de": (
        "Von links nach rechts: Queries Q, dann Scores (darüber: Keys K transponiert).",
        "Gerahmt: Queries Q (Zeile „red“).",
        "Blass: Scores.",
    ),
    "es": (
        "De izquierda a derecha: consultas Q, luego puntuaciones (encima: claves K transpuesta).",
        "Enmarcado: consultas Q (fila «red»).",
        "Tenue: puntuaciones.",
    ),
    "fr": (
        "De gauche à droite\u00a0: requêtes Q, puis scores (au-dessus\u00a0: clés K transposée).",
        "Encadré\u00a0: requêtes Q (ligne «\u00a0red\u00a0»).",
        "En retrait\u00a0: scores.",
    ),
    "zh": (
        "从左到右：查询 Q，然后是分数（上方：键 K 的转置）。",
        "加框的：查询 Q（行“red”）。",
        "淡显：分数。",
    ),
}


@pytest.mark.parametrize("code", TRANSLATED)
def test_it_is_said_in_the_scene_s_language(code: str) -> None:
    act = shows(". Kt\nQ scores", marks=(Mark("Q", 4),), focus="Q Kt")
    text = alt_after(act, language=code)
    assert [words for words in TRANSLATED[code] if words not in text] == []
