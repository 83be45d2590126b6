"""Catalogues: what is extracted from the code, and that every translation is complete and fits."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import write_po

from filmkit.core.language import (
    DEFAULT_LANGUAGE,
    KIT_CATALOGUES,
    known_languages,
    read_catalogue,
    use_language,
)
from filmkit.decks.page_words import EXTRACTION, script_words
from filmkit.tools.messages import (
    catalogue_sources,
    faults_of,
    main,
    messages_of,
    update,
)

CODE = '''
from filmkit import Label, Stage, beat
from filmkit.core.language import N_, _, ngettext

NAMES = {"q": N_("the queries")}


class Mine(Stage):
    title = "My own scene"

    @beat(title="")
    def opening(self):
        """The key of [red] meets
        {count} queries."""
        self.add(Label(_("layer {layer}", layer=3)), Label(ngettext("one boat", "boats", 2)))

    @beat(
        when=None,
        ask="Has each [one] or [two]?",
        choice="{choice} of them",
        title="Keys of {model}",
        own="Each has its " "own.",
        shared="All share one.",
    )
    def keys_of_mla(self):
        self.add(Label("not translated"), Label(_("outer {inner}", inner=_("inner"))))


class Helper:
    title = "not a scene"
'''
MESSAGES = {
    (None, "the queries"),
    (None, "My own scene"),
    (None, "layer {layer}"),
    (None, ("one boat", "boats")),
    (None, "outer {inner}"),
    (None, "inner"),
    ("narration, opening", "The key of [red] meets {count} queries."),
    ("narration, ask_keys_of_mla", "Has each [one] or [two]?"),
    ("narration, ask_keys_of_mla, choice", "{choice} of them"),
    ("narration, keys_of_mla, title", "Keys of {model}"),
    ("narration, keys_of_mla, own", "Each has its own."),
    ("narration, keys_of_mla, shared", "All share one."),
    ("title of a beat", "Opening"),
    ("title of a beat", "Keys of MLA"),
}


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(CODE)
    return path


def test_every_marked_word_and_every_narration_is_found(scene: Path) -> None:
    found = messages_of([scene])
    assert {(message.context, message.id) for message in found if message.id} == MESSAGES


def test_every_word_that_a_script_says_is_found(tmp_path: Path) -> None:
    """Also where it is said in the middle of a text; a page translates what is found there."""
    script = tmp_path / "page.js"
    script.write_text(
        """
// say("nothing")
const told = count > 1 ? say("{count} “words”", { count }) : say(
  "One" +
    " word",
);
const place = `${say("Here")}: ${name}`;
"""
    )
    assert [each[1] for each in found_in(script)] == ["{count} “words”", "One word", "Here"]
    assert {text for _, text in ids_of(messages_of([script]))} >= {"One word", "Here"}
    with use_language("de"):
        assert script_words('tell(say("Resume"))') == {"Resume": "Weiter"}
    kit = catalogue_sources()[KIT_CATALOGUES]
    for path in (path for path in kit if path.suffix in (".js", ".typ")):
        code = re.sub(r"^ *//.*$|function say|#let say", "", path.read_text(), flags=re.MULTILINE)
        assert len(re.findall(r"\bsay\(", code)) == len(found_in(path)), path


def found_in(path: Path) -> list[Any]:
    with path.open("rb") as file:
        return [each for each in extract(fileobj=file, **EXTRACTION) if isinstance(each[1], str)]


def test_a_new_catalogue_has_everything_to_do(scene: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["es", str(scene)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(MESSAGES)
    assert all(line.startswith("locale/es.po: “") for line in lines)
    assert "locale/es.po: “inner”: is not translated" in lines


def test_a_message_of_several_lines_is_told_in_one(scene: Path, tmp_path: Path) -> None:
    scene.write_text(CODE + '\nLINES = N_("first\\nsecond")\n')
    assert "“first second”: is not translated" in update(tmp_path / "locale", [scene], "es")


@pytest.mark.parametrize("code", ["espanol", "pt-BR", "--help"])
def test_a_code_that_is_none_is_told(code: str, scene: Path, capsys: pytest.CaptureFixture) -> None:
    assert main([code, str(scene)]) == 2
    assert f"{code} is not the code of a language; give one such as es" in capsys.readouterr().out
    assert not (scene.parent / "locale").exists()


def translated(scene: Path, *pairs: tuple[str, str]) -> Path:
    """Write a catalogue in which every message is its own translation, but for some of them."""
    folder = scene.parent / "locale"
    update(folder, [scene], "fr")
    catalog = read_catalogue(folder / "fr.po")
    for message in catalog:
        one, *many = (message.id,) if isinstance(message.id, str) else message.id
        itself = (one, *many * (catalog.num_plurals - 1)) if many else one
        message.string = dict(pairs).get(message.id, itself)
    content = BytesIO()
    write_po(content, catalog)
    (folder / "fr.po").write_bytes(content.getvalue())
    return folder


@pytest.mark.parametrize(
    ("pairs", "fault"),
    [
        ([], None),
        ([("layer {layer}", "couche {couche}")], "its facts are {layer}, not {couche}"),
        ([("layer {layer}", "couche {layer")], "write a brace that is shown twice"),
        ([("inner", "")], "is not translated"),
        (
            [("The key of [red] meets {count} queries.", "La clé rencontre {count} requêtes.")],
            "its marks are [red]; write each as [name|words]",
        ),
        (
            [("The key of [red] meets {count} queries.", "{count} requêtes et [red|rouge].")],
            None,
        ),
    ],
)
def test_a_translation_that_does_not_fit_is_told(
    scene: Path, pairs: list[tuple[str, str]], fault: str | None
) -> None:
    folder = translated(scene, *pairs)
    faults = faults_of(read_catalogue(folder / "fr.po"))
    assert len(faults) == (fault is not None)
    assert fault is None or fault in faults[0]


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("locale/fr.po", b'msgid "x"\n', "is not a catalogue of translations: missing msgstr"),
        ("locale/fr.po", b"\xff\xfe", "is not a catalogue of translations: 'utf-8' codec"),
        ("mine.py", b"class Mine(\n", "mine.py line 1: '(' was never closed"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_in_one_line_and_stays(
    scene: Path, name: str, content: bytes, fault: str, capsys: pytest.CaptureFixture
) -> None:
    translated(scene)
    (scene.parent / name).write_bytes(content)
    before = {path: path.read_bytes() for path in scene.parent.rglob("*.*")}
    assert main(["fr", str(scene)]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert fault in line
    assert {path: path.read_bytes() for path in scene.parent.rglob("*.*")} == before


def test_a_scene_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["fr", str(tmp_path / "other.py")]) == 2
    assert "there is no file" in capsys.readouterr().out


def test_a_sentence_that_changes_has_to_be_looked_at_again(scene: Path) -> None:
    folder = translated(scene)
    scene.write_text(CODE.replace("All share one.", "All of them share one."))
    assert update(folder, [scene], "fr") == [
        "“All of them share one.”: look at it again: its English has changed"
    ]


def test_a_translation_that_is_not_used_any_more_is_kept(scene: Path) -> None:
    folder = translated(scene, ("inner", "dedans"))
    code = CODE.replace('_("inner")', '_("Nothing like it at all.")')
    for written in (code, code + "\n"):
        scene.write_text(written)
        assert update(folder, [scene], "fr") == ["“Nothing like it at all.”: is not translated"]
        text = (folder / "fr.po").read_text("utf-8")
        assert text.count('#~ msgstr "dedans"') == 1
    scene.write_text(CODE.replace('_("inner")', '"inner"'))
    update(folder, [scene], "fr")
    assert "Nothing like it" not in (folder / "fr.po").read_text("utf-8")


def test_an_update_without_a_change_writes_nothing(scene: Path) -> None:
    folder = translated(scene)
    assert update(folder, [scene], "fr") == []
    before = (folder / "fr.po").stat().st_mtime_ns
    assert update(folder, [scene], "fr") == []
    assert (folder / "fr.po").stat().st_mtime_ns == before


@pytest.mark.parametrize("folder", catalogue_sources(), ids=lambda folder: folder.parent.name)
def test_every_language_is_complete_and_up_to_date(folder: Path) -> None:
    """Nothing is missing, fuzzy or left over; facts and marks are those of the English."""
    wanted = ids_of(messages_of(catalogue_sources()[folder]))
    for code in {*known_languages()} - {DEFAULT_LANGUAGE}:
        written = read_catalogue(folder / f"{code}.po")
        assert faults_of(written) == []
        assert ids_of(written) == wanted, "run make messages"


def ids_of(catalog: Catalog) -> set[tuple[Any, Any]]:
    return {(message.context, message.id) for message in catalog if message.id}
