"""The option --language: what it takes, what it refuses, and what commands then say."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from filmkit.commands import cli
from filmkit.core import fonts
from filmkit.tools import messages

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    cache: Path,
) -> Run:
    """Return a function that runs a command line and returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATTENTION_FILM_CACHE", str(cache))

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            cli.main(arguments)
        printed = capsys.readouterr()
        return int(str(end.value.code)), printed.out, printed.err

    return call


@pytest.mark.parametrize(
    ("language", "hint"),
    [
        ("it", "there are en, de, es, fr, zh; docs/translating.md tells how to add one"),
        ("pt-BR", "there are en, de, es, fr, zh; docs/translating.md tells how to add one"),
        ("", "there are en, de, es, fr, zh; docs/translating.md tells how to add one"),
        ("fr_FR", "did you mean fr?"),
        ("zh-Hans", "did you mean zh?"),
    ],
)
def test_a_language_that_is_not_there_is_refused_in_one_line(
    run: Run, language: str, hint: str
) -> None:
    code, _, errors = run("scene_question", "--language", language, "--list")
    assert code == 2
    told = f"there is no language '{language.replace('-', '_')}'; {hint}"
    assert errors.splitlines()[-1] == f"Error: Invalid value for --language: {told}"


OWN = '''
from filmkit import Stage, beat


class Mine(Stage):
    title = "My scene"

    @beat
    def opening(self):
        """A sentence of mine."""
        self.wait()

    @beat
    def ending(self):
        """It is said in English."""
        self.wait()
'''


def test_a_scene_of_ones_own_speaks_every_language_that_it_is_translated_into(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """English where a sentence is missing, and although the kit does not know the language."""
    (tmp_path / "mine.py").write_text(OWN)
    call = ("script", "mine.py", "--json", "--quiet", "--language", "it")
    assert run(*call)[0] == 2
    messages.main(["it", "mine.py"])
    capsys.readouterr()
    catalogue = tmp_path / "locale" / "it.po"
    written = 'msgid "A sentence of mine."\nmsgstr "'
    assert written in catalogue.read_text()
    catalogue.write_text(catalogue.read_text().replace(written, f"{written}Una frase mia."))
    code, output, errors = run(*call)
    assert (code, errors) == (0, "")
    beats = json.loads(output)[0]["beats"]
    assert [beat["narration"] for beat in beats] == ["Una frase mia.", "It is said in English."]
    # One that others of the scenes do not have is not there, nor is what is no language.
    assert run("script", "mine.py", "scene_question", *call[2:])[0] == 2
    catalogue.rename(catalogue.with_stem("nonsense"))
    code, _, errors = run(*call[:-1], "nonsense")
    assert (code, errors.splitlines()[-1].partition(";")[0]) == (
        2,
        "Error: Invalid value for --language: there is no language 'nonsense'",
    )


@pytest.mark.parametrize("command", [(), ("script",), ("deck",), ("check",)])
def test_chinese_without_its_fonts_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    lacking: Any = lambda name: None if name == fonts.EAST_ASIAN_FONTS else find_spec(name)  # noqa: E731
    monkeypatch.setattr(fonts, "find_spec", lacking)
    assert run(*command, "scene_question", "--language", "zh") == (
        1,
        "",
        "Error: --language zh needs fonts: pip install -e '.[cjk]'\n",
    )


@pytest.mark.parametrize(
    ("language", "title", "opening"),
    [
        ("en", "Can a model remember less?", "Give a language model"),
        ("fr", "Un modèle", "Donnez"),
        ("zh", "模型", "给"),
    ],
)
def test_titles_narration_and_captions_are_in_the_language(
    run: Run, language: str, title: str, opening: str
) -> None:
    code, output, errors = run(
        "script", "scene_question", "--json", "--quiet", "--language", language
    )
    assert (code, errors) == (0, "")
    (scene,) = json.loads(output)
    beat = scene["beats"][0]
    assert scene["title"].startswith(title)
    assert beat["narration"].startswith(opening)
    assert beat["captions"][0]["lines"][0].startswith(opening)
    assert scene["name"] == "scene_question"
    assert beat["name"] == "the_next_word"


def test_a_table_for_a_translator_holds_both(run: Run) -> None:
    code, output, _ = run("script", "scene_question", "--table", "csv", "--language", "fr")
    assert code == 0
    first = output.splitlines()[1]
    assert "Give a language model" in first
    assert first.index("Give a language model") < first.index("modèle de langage")


@pytest.mark.skipif(find_spec("piper") is None, reason="needs the extra [voice]")
def test_a_voice_that_speaks_another_language_is_refused(run: Run, tmp_path: Path) -> None:
    model = tmp_path / "voice.onnx"
    model.write_bytes(b"")
    model.with_name("voice.onnx.json").write_text('{"language": {"family": "en"}}')
    code, _, errors = run("scene_question", "--voice", "piper:voice.onnx", "--language", "fr")
    assert code == 2
    assert errors.splitlines()[-1] == (
        "Error: Invalid value for --voice: it speaks English, the film French: take another voice, "
        "--voice piper:VOICE.onnx (docs/voice.md names some)"
    )
