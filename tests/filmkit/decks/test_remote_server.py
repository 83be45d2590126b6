"""The server of a talk: who may do what, votes, and what others send."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import log2
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient, WebSocketTestSession
from starlette.websockets import WebSocket, WebSocketDisconnect

from filmkit.core.language import use_language
from filmkit.decks import hall, remote, votes
from filmkit.decks.hall import FULL, REPLACED
from filmkit.decks.remote import ROLES, TalkServer
from filmkit.decks.talk import Talk
from filmkit.serving.guard import Entrance
from tests.support.talks import CHOICES, QUESTION, talk_of

INSIDE, OUTSIDE = 50123, 50124
ADDRESS = "192.0.2.7"


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Talk:
    return talk_of(tmp_path_factory.mktemp("talk"))


@pytest.fixture
def server(talk: Talk) -> TalkServer:
    return TalkServer(talk, inside=INSIDE, outside=OUTSIDE, addresses=[ADDRESS])


@pytest.fixture
def client(server: TalkServer) -> Iterator[TestClient]:
    """A client of both applications, without any secret."""
    routes = [route for app in (server.inside(), server.outside()) for route in app.routes]
    with TestClient(Starlette(routes=routes), base_url="http://nowhere") as client:
        yield client


def headers_of(entrance: Entrance, **more: str) -> dict[str, str]:
    """What a page behind an entrance sends; names of further cookies are those of headers."""
    host = entrance.hosts[0]
    cookies = f"{entrance.cookie}={entrance.token}"
    return {"host": host, "origin": f"http://{host}", "cookie": cookies} | more


class Visitor:
    """A page with its websocket."""

    def __init__(self, websocket: WebSocketTestSession) -> None:
        self._websocket = websocket

    def send(self, kind: str, **more: Any) -> None:
        self._websocket.send_json({"kind": kind, **more})

    def send_text(self, text: str) -> None:
        self._websocket.send_text(text)

    def hear(self, kind: str, **expected: Any) -> dict[str, Any]:
        """Read until a message of a kind comes that says this, and return it."""
        while True:
            message = self._websocket.receive_json()
            if message["kind"] == kind and message.items() >= expected.items():
                return message

    def ended(self) -> int:
        """Read until the server closes the websocket, and return the code."""
        with pytest.raises(WebSocketDisconnect) as end:
            while True:
                self._websocket.receive_json()
        return end.value.code


@pytest.fixture
def visit(client: TestClient, server: TalkServer) -> Any:
    """Return a function that opens the websocket of a role, for a ``with`` block."""

    @contextmanager
    def visit(role: str, voter: str = "a", **more: str) -> Iterator[Visitor]:
        headers = headers_of(server.entrances[role]) | more
        if role == "vote":
            headers["cookie"] += f"; talk-{OUTSIDE}-voter={voter:a<22}"
        with client.websocket_connect(f"/{role}/session", headers=headers) as websocket:
            yield Visitor(websocket)

    return visit


class Clock:
    """Stands in for the module `time` in the hall. Only a test lets its time pass."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(hall, "time", clock)
    return clock


def at(index: int) -> dict[str, Any]:
    return {"index": index, "black": False, "elapsed": 65.0, "minutes": 10, "mode": "plays"}


# Who may enter


@pytest.mark.parametrize("role", ROLES)
def test_the_secret_opens_its_own_page_and_goes_to_a_cookie_for_it(
    client: TestClient, server: TalkServer, role: str
) -> None:
    entrance = server.entrances[role]
    (host, *_), other = entrance.hosts, [name for name in ROLES if name != role]
    answer = client.get(f"/{role}/{entrance.token}", headers={"host": host})
    assert answer.status_code == 200
    cookie = answer.headers.get_list("set-cookie")[0]
    assert cookie == (
        f"{entrance.cookie}={entrance.token}; HttpOnly; Path=/{role}/; SameSite=strict"
    )
    assert answer.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    for name in other:
        its_host = server.entrances[name].hosts[0]
        refused = client.get(f"/{name}/{entrance.token}", headers={"host": its_host})
        assert refused.status_code == 403
        assert "set-cookie" not in refused.headers


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("given", ["", "wrong", "ä", "%ff", "?token=", "?token=wrong", "?token=ä"])
def test_without_the_secret_all_is_refused(
    client: TestClient, server: TalkServer, role: str, given: str
) -> None:
    client.cookies.clear()
    host = server.entrances[role].hosts[0]
    for path in ("", "session", "anything", "pictures/x.webp"):
        answer = client.get(f"/{role}/{path}{given}", headers={"host": host})
        assert answer.status_code == 403
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["content-type"].startswith("text/html")
        assert '<meta name="viewport" content="width=device-width' in answer.text
        assert "Scan the code again" in answer.text


def test_the_refusal_is_in_the_language_of_the_deck(tmp_path: Path) -> None:
    with use_language("de"):
        refusal = talk_of(tmp_path).refusal
    assert '<html lang="de">' in refusal
    assert "Scannen Sie den Code" in refusal


def test_secrets_differ_from_each_other_and_from_talk_to_talk(talk: Talk) -> None:
    servers = [
        TalkServer(talk, inside=INSIDE, outside=OUTSIDE, addresses=[ADDRESS]) for _ in range(2)
    ]
    tokens = {each.token for server in servers for each in server.entrances.values()}
    assert len(tokens) == 2 * len(ROLES)
    assert min(map(len, tokens)) >= 8


def test_addresses_can_be_typed_and_secrets_cannot_be_guessed(server: TalkServer) -> None:
    assert len(set(remote.LETTERS)) == len(remote.LETTERS)
    assert not set(remote.LETTERS) & set("0o1li"), "which look alike"
    bits = {role: len(e.token) * log2(len(remote.LETTERS)) for role, e in server.entrances.items()}
    assert bits["screen"] >= 256
    assert bits["speaker"] >= 128
    assert 36 <= bits["vote"] < 42, "at 8 a second, a guess takes centuries"
    for role, entrance in server.entrances.items():
        assert set(entrance.token) <= set(remote.LETTERS)
        host = entrance.hosts[0]
        assert entrance.address == f"http://{host}/{role}/{entrance.token}"
    assert entrance.address == entrance.address.lower()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "wrong",
    [
        {"host": "example.com"},
        {"host": f"example.com:{OUTSIDE}"},
        {"host": ADDRESS},
        {"origin": "http://example.com"},
        {"origin": f"http://{ADDRESS}:8000"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"cookie": ""},
        {"cookie": f"talk-{INSIDE}-screen=wrong; talk-{OUTSIDE}-speaker=wrong"},
    ],
)
def test_other_pages_and_names_are_refused(
    client: TestClient, server: TalkServer, role: str, wrong: dict[str, str]
) -> None:
    """Also a name of somebody else that leads to this machine."""
    headers = headers_of(server.entrances[role])
    assert client.get(f"/{role}/", headers=headers).status_code == 200
    client.cookies.clear()
    assert client.get(f"/{role}/", headers=headers | wrong).status_code == 403
    connection = client.websocket_connect(f"/{role}/session", headers=headers | wrong)
    with pytest.raises(WebSocketDisconnect) as refusal, connection:
        pass
    assert refusal.value.code == 1008


@pytest.mark.parametrize("role", ROLES)
def test_the_cookie_of_another_role_opens_nothing(
    client: TestClient, server: TalkServer, role: str
) -> None:
    entrance = server.entrances[role]
    for name in ROLES:
        stolen = {
            "cookie": f"{entrance.cookie}={server.entrances[name].token}; "
            f"{server.entrances[name].cookie}={server.entrances[name].token}"
        }
        answer = client.get(f"/{role}/", headers=headers_of(entrance) | stolen)
        assert (answer.status_code == 200) == (name == role)
        client.cookies.clear()


def test_telephones_reach_nothing_of_the_screen(server: TalkServer) -> None:
    """Not even with its secret: it is on a server of its own, which this machine alone reaches."""
    paths = [{route.path for route in app.routes} for app in (server.inside(), server.outside())]
    assert paths == [{"/screen"}, {"/speaker", "/vote"}]
    assert not [host for host in server.entrances["screen"].hosts if ADDRESS in host]
    assert server.entrances["speaker"].address.startswith(f"http://{ADDRESS}:{OUTSIDE}/speaker/")


@pytest.mark.parametrize(
    "path",
    [
        *("/screen/deck.html", "/screen/../speaker/", "/screen/%2e%2e/%2e%2e/etc/passwd"),
        *("/screen/%2fetc%2fpasswd", "/speaker/pictures/..%2f..%2fpyproject.toml"),
        *("/speaker/pictures/", "/speaker/talk.py", "/vote/pictures/x.webp", "/vote/films/x.mp4"),
        *("/", "/etc/passwd", "/deck.html", "/favicon.ico"),
    ],
)
def test_no_other_file_is_served(client: TestClient, server: TalkServer, path: str) -> None:
    role = path.split("/")[1]
    headers = headers_of(server.entrances[role]) if role in ROLES else {}
    assert client.get(path, headers=headers).status_code in (403, 404)


def test_pictures_and_films_are_served_by_name(talk: Talk, tmp_path: Path) -> None:
    film = tmp_path / "deck_films" / "scene_01.mp4"
    film.parent.mkdir()
    film.write_bytes(b"0123456789")
    shown = replace(talk, films={"deck_films/scene_01.mp4": film})
    server = TalkServer(shown, inside=INSIDE, outside=OUTSIDE, addresses=())
    inside, outside = (TestClient(app) for app in (server.inside(), server.outside()))
    screen = headers_of(server.entrances["screen"])
    part = inside.get("/screen/deck_films/scene_01.mp4", headers=screen | {"range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    assert inside.get("/screen/deck_films/scene_02.mp4", headers=screen).status_code == 404
    for name, content in talk.pictures.items():
        speaker = headers_of(server.entrances["speaker"])
        answer = outside.get(f"/speaker/pictures/{name}", headers=speaker)
        assert answer.content == content
        assert answer.headers["content-type"] == "image/webp"
        assert "immutable" in answer.headers["cache-control"]
    film.unlink()
    assert inside.get("/screen/deck_films/scene_01.mp4", headers=screen).status_code == 404


@pytest.mark.parametrize("role", ROLES)
def test_nothing_can_be_sent_to_a_page(client: TestClient, server: TalkServer, role: str) -> None:
    answer = client.post(f"/{role}/", headers=headers_of(server.entrances[role]), content="x")
    assert answer.status_code == 405


def test_the_page_for_the_server_has_what_the_file_has_not(talk: Talk, tmp_path: Path) -> None:
    talk_of(tmp_path)
    text = (tmp_path / "deck.html").read_text()
    for word in ("connect-src", "WebSocket", 'id="vote"', 'id="telephone"', "remote-button"):
        assert word not in text
        assert word in talk.screen
    for page in (talk.screen, talk.telephone, talk.voting):
        assert page.count("connect-src ") == 1
        assert "default-src 'none'; script-src 'sha256-" in page
    # The audience's page has the title of the talk, and nothing else of it.
    assert "What to say" not in talk.voting
    assert CHOICES[0] not in talk.voting


# The speaker's telephone


def test_a_telephone_steps_the_deck_and_is_told_where_it_is(visit: Any, clock: Clock) -> None:
    with visit("screen") as screen, visit("speaker") as telephone:
        hello = screen.hear("hello")
        assert hello["telephone"]["address"].startswith(f"http://{ADDRESS}:{OUTSIDE}/speaker/")
        assert hello["audience"]["code"].startswith("data:image/svg+xml")
        assert hello["network"] is True
        screen.hear("telephones", count=1)
        for message in (
            *({"kind": "step", "by": by, "seen": 2} for by in (1, 1, -1)),
            {"kind": "go", "index": 3, "seen": 0},
            {"kind": "black", "on": True},
            {"kind": "play", "mode": "paused"},
            {"kind": "laser", "at": [0.25, 1.0]},
            {"kind": "laser", "at": None},
        ):
            telephone.send(**message)
            assert screen.hear(message["kind"]) == message
        screen.send("at", **at(2))
        place = telephone.hear("at", index=2, screen=True, black=False, minutes=10, mode="plays")
        assert place["elapsed"] == 65


def test_two_steps_at_once_are_two(visit: Any) -> None:
    with visit("screen") as screen, visit("speaker") as telephone:
        for _ in range(2):
            telephone.send("step", by=1, seen=0)
        for _ in range(2):
            screen.hear("step", by=1)


def test_a_telephone_that_comes_later_or_again_catches_up(visit: Any) -> None:
    with visit("screen") as screen:
        with visit("speaker") as telephone:
            telephone.hear("at", index=0)
            screen.send("at", **at(3) | {"black": True})
            telephone.hear("at", index=3, black=True)
        screen.hear("telephones", count=0)
        with visit("speaker") as telephone:
            telephone.hear("at", index=3, black=True)


def test_a_telephone_is_told_that_the_deck_is_closed(visit: Any) -> None:
    with visit("speaker") as telephone:
        telephone.hear("at", screen=False)
        with visit("screen") as screen:
            screen.send("at", **at(1))
            telephone.hear("at", screen=True, index=1)
        telephone.hear("at", screen=False, index=1)
        telephone.send("step", by=1, seen=0)  # is nobody's
        with visit("screen") as screen:
            screen.send("at", **at(1))
            telephone.hear("at", screen=True)


def test_a_deck_that_is_opened_again_replaces_the_one_before(visit: Any) -> None:
    with visit("screen") as first, visit("speaker") as telephone, visit("screen") as second:
        assert first.ended() == REPLACED
        telephone.send("step", by=1, seen=0)
        second.hear("step")
        second.send("at", **at(2))
        telephone.hear("at", index=2, screen=True)


def test_a_deck_on_another_page_is_told_where_the_talk_is(visit: Any, clock: Clock) -> None:
    with visit("screen") as first, visit("speaker") as telephone:
        assert first.hear("hello")["place"] is None, "it has not begun"
        first.send("at", **at(2))
        telephone.hear("at", index=2)
        clock.now += 7
        with visit("screen") as second:
            place = second.hear("hello")["place"]
            assert (place["index"], place["elapsed"]) == (2, 72)


def test_the_pointer_goes_with_its_telephone(visit: Any) -> None:
    with visit("screen") as screen:
        with visit("speaker") as telephone:
            telephone.send("laser", at=[0.5, 0.5])
            screen.hear("laser", at=[0.5, 0.5])
        screen.hear("laser", at=None)


# Votes


def test_a_vote_is_open_on_its_slide_and_can_be_changed(visit: Any) -> None:
    with (
        visit("screen") as screen,
        visit("speaker") as telephone,
        visit("vote", "a") as one,
        visit("vote", "b") as other,
    ):
        one.hear("vote", slide=None, choices=[])
        screen.send("at", **at(QUESTION))
        asked = one.hear("vote", slide=QUESTION, open=True, mine=None)
        assert asked["choices"] == list(CHOICES)
        assert asked["question"] == "Which token does it look at?"
        one.send("vote", slide=QUESTION, choice=0)
        one.hear("vote", mine=0)
        one.send("vote", slide=QUESTION, choice=2)
        one.hear("vote", mine=2)
        other.send("vote", slide=QUESTION, choice=2)
        telephone.hear("vote", counts=[0, 0, 2], count=2)
        seen = screen.hear("vote", count=2)
        assert seen["counts"] is None, "nobody copies"
        assert seen["right"] is None


def test_the_result_is_shown_when_the_speaker_says_so(visit: Any) -> None:
    with visit("screen") as screen, visit("speaker") as telephone, visit("vote") as one:
        screen.send("at", **at(QUESTION))
        one.hear("vote", open=True)
        telephone.send("result")
        telephone.send("step", by=1, seen=QUESTION)
        screen.hear("step")  # and has said that before
        one.send("vote", slide=QUESTION, choice=1)
        screen.hear("vote", count=1, open=True)  # no vote, no result
        telephone.send("result")
        screen.hear("vote", open=False, counts=[0, 1, 0], right=None)
        one.hear("vote", open=False, mine=1)
        one.send("vote", slide=QUESTION, choice=0)
        one.hear("vote", open=False, mine=1)
        screen.send("result")  # with its own key: people talk, and vote again
        one.hear("vote", open=True, mine=1)
        one.send("vote", slide=QUESTION, choice=0)
        telephone.hear("vote", open=True, counts=[1, 0, 0])


def test_a_vote_is_closed_by_the_next_step_and_its_result_is_kept(visit: Any) -> None:
    with visit("screen") as screen, visit("speaker") as telephone, visit("vote") as one:
        screen.send("at", **at(QUESTION))
        one.hear("vote", open=True)
        one.send("vote", slide=QUESTION, choice=1)
        screen.hear("vote", count=1)
        screen.send("at", **at(QUESTION + 1))
        screen.hear("vote", slide=QUESTION, open=False, counts=[0, 1, 0], right=1)
        one.hear("vote", open=False)
        one.send("vote", slide=QUESTION, choice=0)
        one.hear("vote", open=False, mine=1)
        screen.send("at", **at(QUESTION + 2))
        screen.hear("vote", slide=None)
        one.hear("vote", slide=None)
        screen.send("at", **at(QUESTION))
        screen.hear("vote", open=False, counts=[0, 1, 0], right=None)
        telephone.hear("vote", slide=QUESTION, open=False)


def test_the_result_can_be_hidden_where_the_question_is_answered(visit: Any) -> None:
    with visit("screen") as screen, visit("speaker") as telephone, visit("vote") as one:
        screen.send("at", **at(QUESTION))
        one.hear("vote", open=True)
        one.send("vote", slide=QUESTION, choice=1)
        screen.hear("vote", count=1, shown=False)
        screen.send("at", **at(QUESTION + 1))
        screen.hear("vote", shown=True)
        telephone.send("result")
        screen.hear("vote", shown=False, open=False, right=1)
        one.send("vote", slide=QUESTION, choice=0)
        one.hear("vote", open=False, mine=1)
        screen.send("result")
        screen.hear("vote", shown=True)
        telephone.send("result")
        screen.hear("vote", shown=False)
        for index in (QUESTION, QUESTION + 1):
            screen.send("at", **at(index))
            screen.hear("vote", shown=True)


def test_who_votes_is_told_the_answer_once_the_screen_has_shown_it(visit: Any) -> None:
    with visit("screen") as screen, visit("vote") as one:
        screen.send("at", **at(QUESTION) | {"told": True})
        one.hear("vote", open=True, right=None)
        one.send("vote", slide=QUESTION, choice=2)
        one.hear("vote", mine=2)
        screen.send("at", **at(QUESTION + 1))
        one.hear("vote", open=False, right=None)
        screen.send("at", **at(QUESTION + 1) | {"told": True})
        one.hear("vote", mine=2, right=1)
        screen.send("at", **at(QUESTION))
        one.hear("vote", right=None)


def test_a_question_without_votes_is_asked_again(visit: Any) -> None:
    with visit("screen") as screen:
        screen.send("at", **at(QUESTION))
        screen.hear("vote", open=True)
        screen.send("at", **at(QUESTION + 1))
        screen.hear("vote", slide=None)
        screen.send("at", **at(QUESTION))
        screen.hear("vote", open=True, count=0)


def test_a_browser_has_one_vote(client: TestClient, server: TalkServer, visit: Any) -> None:
    entrance = server.entrances["vote"]
    headers = {"host": entrance.hosts[0]}
    address = f"/vote/{entrance.token}"
    first = client.get(address, headers=headers)
    names = [cookie.partition("=")[0] for cookie in first.headers.get_list("set-cookie")]
    assert names == [entrance.cookie, f"talk-{OUTSIDE}-voter"]
    given = first.headers.get_list("set-cookie")[1]
    assert given.endswith("; HttpOnly; Path=/vote/; SameSite=strict")
    voter = given.partition("=")[2].partition(";")[0]
    known = {"cookie": f"talk-{OUTSIDE}-voter={voter}"}
    again = client.get(address, headers=headers | known)
    assert len(again.headers.get_list("set-cookie")) == 1, "it keeps its name"
    with visit("screen") as screen:
        screen.send("at", **at(QUESTION))
        for choice in (0, 2):
            with visit("vote", "a") as one:
                one.hear("vote", open=True)
                one.send("vote", slide=QUESTION, choice=choice)
                one.hear("vote", mine=choice)
        screen.send("result")
        screen.hear("vote", counts=[0, 0, 1])


@pytest.mark.parametrize("voter", ["", "short", "x" * 5000, "." * 22, "../../../../../../../"])
def test_without_a_name_of_ours_nobody_votes(
    client: TestClient, server: TalkServer, voter: str
) -> None:
    headers = headers_of(server.entrances["vote"])
    headers["cookie"] += f"; talk-{OUTSIDE}-voter={voter}"
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/vote/session", headers=headers),
    ):
        pass


def test_a_question_has_at_most_so_many_voters(monkeypatch: pytest.MonkeyPatch, talk: Talk) -> None:
    monkeypatch.setattr(votes, "MAX_VOTERS", 2)
    vote = votes.Vote(talk.questions[QUESTION])
    vote.is_open = True
    for voter, choice in (("a", 0), ("b", 0), ("c", 0), ("b", 1)):
        vote.choose(voter, choice, ADDRESS)
    assert (vote.counts, vote.choice_of("c")) == ([1, 1, 0], None)


def test_an_address_has_at_most_so_many_votes(visit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program can call itself what it likes, and would keep everybody else from voting."""
    monkeypatch.setattr(votes, "MAX_VOTERS_EACH", 2)
    with visit("screen") as screen:
        screen.send("at", **at(QUESTION))
        for voter, mine in (("a", 0), ("b", 0), ("c", None), ("a", 0)):
            with visit("vote", voter) as one:
                one.hear("vote", open=True)
                one.send("vote", slide=QUESTION, choice=0)
                one.hear("vote", mine=mine)
        screen.send("result")
        screen.hear("vote", counts=[2, 0, 0])


def test_only_the_beat_that_answers_shows_which_is_right(talk: Talk, visit: Any) -> None:
    (question,) = talk.questions.values()
    assert question.is_answered_next
    assert question.answer == 1
    alone = hall.Hall(4, {QUESTION: replace(question, is_answered_next=False)}, {})
    alone._votes[QUESTION].is_open = True
    alone._votes[QUESTION].choose("a", 1, ADDRESS)
    alone._index = QUESTION + 1
    assert alone._vote_shown(counts=True)["slide"] is None


# What others send

GARBAGE = [
    *("", "{", "null", "[]", "3", '"vote"', "[" * 900 + "]" * 900, "9" * 900, '{"kind": NaN}'),
    *('{"kind": "nothing"}', '{"kind": ["vote"]}', "{}"),
]
WRONG = {
    "screen": [
        *(at(0) | {"kind": "at", "index": n} for n in (-1, 4, "1", None, 1.0, True, 10**30)),
        *(at(0) | {"kind": "at", "mode": mode} for mode in ("", None, ["plays"], {})),
        *({"kind": kind} for kind in ("step", "go", "black", "laser", "vote", "hello")),
    ],
    "speaker": [
        *({"kind": "step", "by": by, "seen": 0} for by in (0, 2, "1", None, [1], True, 1.0)),
        *({"kind": "step", "by": 1, "seen": seen} for seen in (-1, 4, None, True)),
        *({"kind": "go", "index": index, "seen": 0} for index in (-1, 4, "x", None)),
        *({"kind": "go", "index": 0, "seen": seen} for seen in (-1, 4, None)),
        *({"kind": "black", "on": on} for on in (None, 1, "true")),
        *({"kind": "play", "mode": mode} for mode in (None, "", ["plays"])),
        *({"kind": "laser", "at": at} for at in ([2, 0], [0], "x", [0, "1"], {"x": 1}, [0, -1])),
        *({"kind": kind} for kind in ("at", "vote", "hello", "telephones")),
    ],
    "vote": [
        *({"kind": kind, "by": 1, "index": 1} for kind in ("step", "go", "black", "laser", "at")),
        {"kind": "result"},
        *({"kind": "vote", "slide": QUESTION, "choice": n} for n in (-1, 3, "0", None, True)),
        *({"kind": "vote", "slide": slide, "choice": 0} for slide in (0, 4, -1, None, "1")),
    ],
}


@pytest.mark.parametrize("role", ROLES)
def test_a_page_that_sends_what_it_may_not_is_closed(visit: Any, role: str) -> None:
    """And nobody else hears of it."""
    texts = [*GARBAGE, *map(json.dumps, WRONG[role])]
    others = [name for name in ("screen", "speaker") if name != role]
    with visit(others[0]) as listener:
        for text in texts:
            with visit(role) as visitor:
                visitor.send_text(text)
                assert visitor.ended() == 1008, text
        with visit("vote" if role != "vote" else "speaker"):
            pass
        told = listener.hear("telephones" if others[0] == "screen" else "at")
        assert told.get("index", 0) == 0


def test_bytes_are_no_message(client: TestClient, server: TalkServer) -> None:
    headers = headers_of(server.entrances["speaker"])
    with client.websocket_connect("/speaker/session", headers=headers) as websocket:
        websocket.send_bytes(b'{"kind": "black"}')
        assert Visitor(websocket).ended() == 1008


def test_a_flood_of_the_audience_ends_itself_and_nothing_else(
    visit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Or it would be no flood on a machine that stands still.
    monkeypatch.setattr(hall, "AUDIENCE", (0.0, hall.AUDIENCE[1]))
    with visit("screen") as screen, visit("speaker") as telephone, visit("vote", "b") as quiet:
        screen.send("at", **at(QUESTION))
        with visit("vote", "a") as flood:
            for number in range(60):
                flood.send("vote", slide=QUESTION, choice=number % 3)
            assert flood.ended() == 1008
        telephone.send("step", by=1, seen=0)
        screen.hear("step")
        quiet.hear("vote", open=True)
        quiet.send("vote", slide=QUESTION, choice=0)
        quiet.hear("vote", mine=0)


@pytest.mark.parametrize(("role", "bound"), [("speaker", "MAX_SPEAKERS"), ("vote", "MAX_AUDIENCE")])
def test_each_role_has_so_many_places(
    visit: Any, monkeypatch: pytest.MonkeyPatch, role: str, bound: str
) -> None:
    monkeypatch.setattr(hall, bound, 1)
    with visit("screen") as screen, visit(role) as first:
        first.hear("vote")
        with visit(role) as late, pytest.raises(WebSocketDisconnect) as end:
            late.hear("at")
        # Browsers tell a page this only of a websocket that was open.
        assert (end.value.code, end.value.reason) == (FULL, "1")
        screen.send("at", **at(1))
        screen.hear("vote")


def test_a_slow_reader_gets_every_step_and_the_newest_of_all_else() -> None:
    talk = hall.Hall(4, {}, {})
    talk._screen = line = hall._Line(_Slow(), 1.0, 1.0)
    for place in (0.1, 0.2, 0.3):
        talk._hear_speaker({"kind": "laser", "at": [place, place]})
        talk._hear_speaker({"kind": "step", "by": 1, "seen": 0})
    kinds = [message["kind"] for message in line._waiting]
    assert sorted(kinds) == ["laser", "step", "step", "step"]
    assert {"kind": "laser", "at": [0.3, 0.3]} in line._waiting
    for telephones in (0, 1):  # the screen puts the code away when there are more
        talk._speakers = {hall._Line(_Slow(), 1.0, 1.0) for _ in range(telephones)}
        talk._tell_telephones()
    assert [each["count"] for each in line._waiting if each["kind"] == "telephones"] == [0, 1]
    for _ in range(1000):
        talk._hear_speaker({"kind": "step", "by": 1, "seen": 0})
    assert len(line._waiting) == hall.MAX_WAITING


class _Slow(WebSocket):
    """A websocket through which nothing goes."""

    def __init__(self) -> None:
        pass


def test_a_silent_server_says_that_it_is_there(visit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hall, "HERE_SECONDS", 0.05)
    with visit("vote") as one:
        one.hear("here")


# What the terminal says


@pytest.mark.parametrize("addresses", [[], ["192.0.2.7", "10.0.0.3"]])
@pytest.mark.parametrize("quiet", [False, True])
def test_the_terminal_says_who_can_enter_and_how(
    talk: Talk,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    addresses: list[str],
    quiet: bool,
) -> None:
    listened: list[str] = []
    opened: list[str] = []
    monkeypatch.setattr(
        remote, "run", lambda *servers: listened.extend(s.place.getsockname()[0] for s in servers)
    )
    monkeypatch.setattr(remote, "open_in_browser", opened.append)
    remote.serve_talk(talk, addresses, quiet=quiet)
    out, err = capsys.readouterr()
    deck, *telephones = [line.partition(": ")[2] for line in out.splitlines() if "://" in line]
    assert listened == ["127.0.0.1", "0.0.0.0" if addresses else "127.0.0.1"]
    assert opened == [deck]
    assert deck.startswith("http://127.0.0.1:")
    assert [line.split("/")[2].partition(":")[0] for line in telephones] == (
        addresses or ["127.0.0.1"]
    )
    assert all("/speaker/" in line for line in telephones)
    assert "/vote/" not in out
    assert ("█" in out) == (bool(addresses) and not quiet), "a code, where one can be scanned"
    if quiet:
        assert err == ""
    else:
        assert ("not encrypted" if addresses else "only this machine") in err.replace("\n", " ")
