"""The words of the studio's page: in the language that the studio is started with, all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from filmkit.core.language import use_language
from filmkit.core.project import PROJECT
from filmkit.decks import web
from filmkit.decks.cells import cell_words
from filmkit.serving.running import listening, server_of
from filmkit.studio.controls import CONTROLS, choices_of, controls_of
from filmkit.studio.sentences import CONVERTING
from filmkit.studio.server import Studio, application
from filmkit.studio.session import MadeFiles
from filmkit.studio.tracer import OTHER_PAGE, STEPS, SentenceTracer
from scenes.registry import SCENES
from tests.support.browsing import browser
from tests.support.filming import render_request
from tests.support.serving import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["browser"]

PORT, TOKEN = 50124, "a-secret"
HOME = f"http://127.0.0.1:{PORT}"
OWN = {"host": f"127.0.0.1:{PORT}", "origin": HOME, "cookie": f"studio-{PORT}={TOKEN}"}
TEXTS = {"title", "aria-label", "placeholder", "alt"}
WORD = re.compile(r"[^\W\d_]{2,}")


class StandIn(SentenceTracer):
    """Tells of a sentence what a tracer may tell."""

    def trace(self, owner: object, prompt: str, model: str, tell: Any, **asked: str) -> None:
        tell({"kind": "step", "task": "loading libraries", "done": 0, "total": 1})
        notes = ["no conversion is stored: it is tiny", CONVERTING]
        tell({"kind": "traced", "file": "a.safetensors", "notes": notes, "more": True})
        tell({"kind": "refused", "text": OTHER_PAGE})


def studio_in(code: str, folder: Path, port: int = PORT) -> Studio:
    """Return a studio in a language, which begins without a scene."""
    request = render_request((), folder / "none.safetensors", folder)
    return Studio(
        entries={entry.slug: entry for entry in SCENES},
        initial="",
        request=replace(request, settings=replace(request.settings, language=code)),
        aspect="16:9",
        made=MadeFiles(folder / "films"),
        token=TOKEN,
        port=port,
        tracer=StandIn(),
    )


def client_in(code: str, folder: Path) -> TestClient:
    return TestClient(application(studio_in(code, folder)), base_url=HOME)


class Texts(HTMLParser):
    """Collects what a page shows or reads out, scripts and styles left out."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tag = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tag = tag
        self.found += [value for name, value in attrs if name in TEXTS and value]

    def handle_data(self, data: str) -> None:
        if self.tag not in ("script", "style"):
            self.found.append(data)


def test_the_page_is_in_the_language_of_the_studio(tmp_path: Path) -> None:
    page = client_in("de", tmp_path).get(f"/?token={TOKEN}").text
    assert '<html lang="de">' in page
    texts = Texts(page).found
    assert {"Ihr eigener Satz", "Trace erstellen", "Voriger Schritt (↑)", "Pos1"} <= {*texts}
    assert '"there is a mistake":"es gibt einen Fehler"' in page


def test_no_text_of_the_page_stands_outside_the_catalogues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "_", lambda text: f"⟦{text}⟧")
    texts = Texts(client_in("en", tmp_path).get(f"/?token={TOKEN}").text).found
    assert "⟦Your own sentence⟧" in texts
    assert [text for text in texts if WORD.search(re.sub("⟦.*?⟧", "", text))] == []


def test_no_text_of_the_script_stands_outside_the_catalogues() -> None:
    """A text begins with a capital or has several words; so do names of keys, and selectors."""
    script = (PROJECT / "filmkit/studio/templates/studio.js").read_text(encoding="utf-8")
    code = re.sub(r"^ *(//|/\*\*).*$|(?<= )// .*$", "", script, flags=re.MULTILINE)
    code = re.sub(r'\bsay\(\s*"[^"]*"', "", code)
    literals = re.findall(r'"([^"\n]*)"', code)
    literals += [re.sub(r"\$\{[^}]*\}", "", text) for text in re.findall(r"`([^`]*)`", code)]
    texts = {text for text in literals if re.search(r"^[A-Z][a-z]|[a-z]{2,}[,.…]? [a-z]", text)}
    assert texts == {"use strict", "select, input[type=text], textarea", "Enter"}
    assert not re.search(r"[\w)]\.toFixed", code.replace("number.toFixed", "")), "use written()"


def test_every_step_of_an_extraction_has_its_words() -> None:
    calls = re.compile(r'(?:[._ ](?:progress|report)|_counted)\(\s*"([a-z ]+)"')
    named = re.compile(r'^_READING = "(.*)"', re.MULTILINE)
    files = [*PROJECT.glob("extract/**/*.py"), PROJECT / "filmkit/studio/sentences.py"]
    texts = [file.read_text(encoding="utf-8") for file in files]
    found = {step for text in texts for kind in (calls, named) for step in kind.findall(text)}
    assert found == {*STEPS}


def test_what_a_page_is_told_is_in_its_language(tmp_path: Path) -> None:
    client = client_in("de", tmp_path)
    with client.websocket_connect("/session", headers=OWN) as websocket:
        titles = [scene["title"] for scene in websocket.receive_json()["scenes"]]
        with use_language("de"):
            assert titles == [entry.shown_title for entry in SCENES]
        assert titles != [entry.title for entry in SCENES]
        websocket.send_json(
            {
                "kind": "show",
                "scene": SCENES[0].slug,
                "choices": {"theme": "none", "language": "fr"},
            }
        )
        controls = {each["name"]: each for each in websocket.receive_json()["controls"]}
        assert [controls[name]["label"] for name in ("layer", "theme")] == ["Schicht", "Design"]
        assert ["dark", "dunkel"] in controls["theme"]["options"]
        assert controls["layer"]["options"] == [["", "Vorgabe"]]
        assert "there is no theme" in websocket.receive_json()["text"]
        sentence = {"kind": "trace", "number": 1, "prompt": "The flag", "model": "gpt2"}
        sentence |= {"control": "trace"}
        websocket.send_json(sentence)
        assert websocket.receive_json()["task"] == "Bibliotheken laden"
        english, german = websocket.receive_json()["notes"]
        assert english == "no conversion is stored: it is tiny"
        assert german.startswith("Das Modell wird in MLA umgewandelt")
        assert websocket.receive_json()["text"].startswith("Eine andere Seite")


def test_controls_have_no_english_word(tmp_path: Path) -> None:
    request = render_request((), tmp_path / "none.safetensors", tmp_path)
    with use_language("zh"):
        controls = controls_of(SCENES[0], choices_of(request, "16:9"), None)
    assert len(controls) >= len(CONTROLS) - 1
    words = [each["label"] for each in controls]
    words += [
        text for c in controls if c["name"] in ("theme", "palette") for _, text in c["options"]
    ]
    assert [word for word in words if re.search("[a-z]", word)] == []


@pytest.fixture(scope="module")
def german(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page of a studio in German, which has no scene yet."""
    with listening() as place:
        studio = studio_in("de", tmp_path_factory.mktemp("de"), place.getsockname()[1])
        with serving(server_of(application(studio), place)):
            page = browser.new_page()
            page.goto(studio.entrance.address)
            page.wait_for_selector("#scenes button")
            yield page
            page.close()


def test_the_script_writes_words_and_numbers_of_the_language(german: Page) -> None:
    assert german.inner_text("#welcome h2") == "Welche Szene?"
    beat = {"name": "one", "title": "Eins", "still": None}
    plan = {"name": "one", "frames": 30, "seconds": 1.5, "narration": "Da steht es.", "film": None}
    plan |= {"words_per_minute": 120, "marks": [{"letters": 3, "seconds": 0.5, "waited": True}]}
    german.evaluate(
        """([beat, plan]) => {
          HANDLERS.beats({ beats: [beat], frame: [16, 9], frame_rate: 15, touched: null });
          HANDLERS.plan({ beats: [plan] });
          HANDLERS.done();
        }""",
        [beat, plan],
    )
    shown = {name: german.text_content(f"#{name}") for name in ("facts", "now", "frame", "status")}
    assert shown["facts"] == "Schritt 1 von 1  ·  1,5\u00a0s  ·  120 Wörter pro Minute"
    assert shown["now"] == "1,93 / 2,0\u00a0s"
    assert shown["frame"] == "Einzelbild 30 von 30"
    assert re.fullmatch(r"alles gezeichnet nach \d+,\d\u00a0s", shown["status"] or "")
    mark = german.get_attribute("#narration button", "title")
    assert mark
    assert mark.startswith("Wird 0,5\u00a0s nach Beginn")


def test_what_the_pointer_reads_has_the_quotation_marks_of_the_language(german: Page) -> None:
    """In the studio as in decks, which share it."""
    panel = {"axes": ["query_pos", "key_pos"], "index": [[0, 2], [0, 2]], "transposed": False}
    given = {"tokens": ["The", "flag"], "axes": {"query_pos": "Query", "key_pos": "Key"}}
    with use_language("de"):
        given |= {"words": cell_words()}
    lines = german.evaluate(
        """([given, panel]) => new CellReader({ arrays: [], ...given })
            .describe({ panel, row: 1, column: 0, value: 0.25, masked: false })""",
        [given, panel | {"name": "Muster", "tensor": "pattern.1"}],
    )
    assert lines[:2] == ["0,2500", "Query „flag“ (1)  ·  Key „The“ (0)"]
