"""Words in another language: catalogues, their order, marks, and what the cache makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from filmkit.core.errors import StageError
from filmkit.core.language import (
    DEFAULT_LANGUAGE,
    N_,
    Language,
    _,
    beat_title,
    catalogue_folder,
    current_language,
    known_languages,
    narrated,
    ngettext,
    title_of_beat,
    use_language,
)
from filmkit.core.narration import Narration

HEADER = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=2; plural=(n > 1);\\n"

"""
CATALOGUE = """
msgid "queries and more"
msgstr "requêtes et plus"

#, fuzzy
msgid "keys and more"
msgstr "quelque chose"

msgid "{number} boat"
msgid_plural "{number} boats"
msgstr[0] "{number} bateau"
msgstr[1] "{number} bateaux"

msgid "in layer {layer}"
msgstr "dans la couche {layer}"

msgctxt "narration, opening"
msgid "The key of [red] is here."
msgstr "Voici la clé de [red|rouge]."

msgctxt "narration, opening, several"
msgid "The key of [red] is here."
msgstr "Voici plusieurs clés de [red|rouge]."

msgctxt "title of a beat"
msgid "One GPU"
msgstr "Un seul GPU"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "fr.po").write_text(HEADER + CATALOGUE, encoding="utf-8")
    return tmp_path


def test_english_needs_no_catalogue() -> None:
    assert current_language().code == DEFAULT_LANGUAGE
    assert _("in layer {layer}", layer=3) == "in layer 3"
    assert [ngettext("{number} boat", "{number} boats", n) for n in (0, 1, 2000)] == [
        "0 boats",
        "1 boat",
        "2,000 boats",
    ]
    assert N_("queries and more") == "queries and more"
    assert title_of_beat("one_gpu") == beat_title("one_gpu") == "One GPU"


def test_words_are_looked_up_and_facts_filled_in(folder: Path) -> None:
    with use_language("fr", folder):
        assert _("queries and more") == "requêtes et plus"
        assert _("in layer {layer}", layer=3) == "dans la couche 3"
        assert _("nothing of the kind") == "nothing of the kind"
        assert title_of_beat("one_gpu") == "Un seul GPU"
    assert _("queries and more") == "queries and more"


@pytest.mark.parametrize("french", ["couche {couche}", "couche {layer", "couche {}"])
def test_a_translation_that_does_not_fit_is_one_line(folder: Path, french: str) -> None:
    path = folder / "fr.po"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("dans la couche {layer}", french), encoding="utf-8")
    with (
        use_language("fr", folder),
        pytest.raises(StageError, match=r"does not fit: its facts are \{layer\}$"),
    ):
        _("in layer {layer}", layer=3)


def test_what_is_fuzzy_stays_english(folder: Path) -> None:
    with use_language("fr", folder):
        assert _("keys and more") == "keys and more"


def test_plural_forms_are_those_of_the_language(folder: Path) -> None:
    with use_language("fr", folder):
        said = [ngettext("{number} boat", "{number} boats", n) for n in (0, 1, 2, 2000)]
    assert said == ["0 bateau", "1 bateau", "2 bateaux", "2\u202f000 bateaux"]


def test_the_first_folder_that_knows_a_word_says_it(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "fr.po").write_text(f'{HEADER}msgid "in layer {{layer}}"\nmsgstr "couche {{layer}}"\n')
    with use_language("fr", other, folder):
        assert _("in layer {layer}", layer=1) == "couche 1"
        assert _("queries and more") == "requêtes et plus"
    with use_language("fr", folder, other):
        assert _("in layer {layer}", layer=1) == "dans la couche 1"


def test_a_mark_keeps_its_name(folder: Path) -> None:
    written = "The key of [red] is here."
    with use_language("fr", folder):
        said = Narration.of(narrated("opening", "", written), {})
        assert narrated("opening", "several", written).startswith("Voici plusieurs")
        assert narrated("another", "", written) == written
    assert said.text == "Voici la clé de rouge."
    assert said.text[said.marks["red"] :] == "rouge."


def test_a_changed_catalogue_is_read_again(folder: Path) -> None:
    path = folder / "fr.po"
    with use_language("fr", folder):
        assert _("queries and more") == "requêtes et plus"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("requêtes et plus", "questions"), encoding="utf-8")
    with use_language("fr", folder):
        assert _("queries and more") == "questions"


@pytest.mark.parametrize("content", ['msgid "a', 'msgid "a"\nmsgstr "b\nmore'])
def test_what_is_no_catalogue_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "fr.po").write_text(content)
    with (
        pytest.raises(StageError, match=r"fr\.po is not a catalogue of translations: ") as refused,
        use_language("fr", tmp_path),
    ):
        pass
    assert "\n" not in str(refused.value)


def test_what_is_different_in_a_language() -> None:
    assert {code: Language(code).name for code in ("en", "de", "es", "fr", "zh", "pt_BR")} == {
        "en": "English",
        "de": "Deutsch",
        "es": "español",
        "fr": "français",
        "zh": "中文",
        "pt_BR": "português (Brasil)",
    }
    assert [Language(code).tag for code in ("fr", "pt_BR")] == ["fr", "pt-BR"]
    assert [Language(code).three_letters for code in ("en", "fr", "de")] == ["eng", "fra", "deu"]
    assert [Language(code).letters_a_second for code in ("en", "fr", "zh")] == [17, 17, 9]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A key meets a query.", 5),
        ("每个词元都有一个键", 9 / 1.6),
        ("每个 token 有 3 个键", 2 + 5 / 1.6),
    ],
)
def test_chinese_characters_count_as_parts_of_words(text: str, words: float) -> None:
    assert Language("zh").word_count(text) == pytest.approx(words)


def test_a_language_is_known_by_the_kits_catalogue() -> None:
    assert known_languages()[0] == "en"
    assert {"de", "es", "fr", "zh"} <= set(known_languages())


def test_catalogues_lie_beside_the_code() -> None:
    assert catalogue_folder("/somewhere/scenes/mla/scene_mla.py") == Path(
        "/somewhere/scenes/mla/locale"
    )
