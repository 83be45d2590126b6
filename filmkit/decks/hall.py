"""Everybody in a talk: the screen, the speaker's telephones, and the audience.

Each of them is a page with a websocket, through which go messages: JSON objects with a ``kind``.
The screen is the deck itself. It says where the talk is, and does what the speaker's telephones
say; the audience can do nothing but vote.

=========  ==========================================  ============================================
kind       what else it holds                          from, to
=========  ==========================================  ============================================
at         index, black, mode, elapsed, minutes        screen, speaker: where the talk is
           told: whether the answer was seen           screen
           screen: whether it is there                 speaker
step       by: 1 or -1, seen                           speaker, screen
go         index, seen                                 speaker, screen
black      on                                          speaker, screen: switch it on or off
play       mode                                        speaker, screen: again, pause, or resume
laser      at: [x, y] as shares of the picture; null   speaker, screen: where the pointer is
result                                                 screen or speaker: show it, or open the vote
vote       slide, choice                               audience: choose
vote       slide, question, choices, open, mine,       to the audience; slide is null without one
           right: once it is told
vote       slide, choices, open, count, counts, right  to screen and speaker
           shown: whether the result is
telephones count                                       to the screen: how many step it
hello      telephone, audience, network, place         to the screen: addresses and codes; where
                                                       the talk is, if it began on another page
here                                                   to all: the server is there
=========  ==========================================  ============================================

What a telephone asks may come late. It says what it has ``seen``: the number of the slide, or the
mode of its film; the screen does nothing if that is not so any more.
A page that sends anything else, or too much, is closed.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from filmkit.decks.votes import Question, Vote
from filmkit.serving.limits import Rate

__all__ = ["FULL", "MAX_AUDIENCE", "MAX_SPEAKERS", "REPLACED", "Hall"]

MAX_SPEAKERS, MAX_AUDIENCE = 8, 500  # telephones at a time

# Messages a second, and at once. A pointer that moves sends 30 a second.
SPEAKER, AUDIENCE = (60.0, 120.0), (4.0, 12.0)

# How a websocket is closed; see RFC 6455, and session.js for those from 4000 on.
REFUSED, REPLACED, FULL = 1008, 4000, 4001

HERE_SECONDS = 3.0  # after which a page is told that the server is there
COUNTING_SECONDS = 0.2  # between two counts of votes that are told
MAX_WAITING = 64  # messages for one page; it loses the oldest
MAX_SECONDS = 1e6
MODES = ("plays", "paused", "holds")  # of a film; see deck.js

Message = Mapping[str, Any]


class _Refused(ValueError):
    """A message that no page of ours sends."""


class _Line:
    """The websocket of a page.

    A page that reads slowly gets the newest message of each kind; nobody waits for it.
    """

    def __init__(self, websocket: WebSocket, *rate: float) -> None:
        self._websocket = websocket
        self._rate = Rate(*rate)
        self._waiting: deque[Message] = deque(maxlen=MAX_WAITING)
        self._news = asyncio.Event()
        self._closing: int | None = None

    def post(self, message: Message, *, replacing: bool = True) -> None:
        """Send a message soon, instead of one of the same kind that still waits."""
        if replacing:
            others = [each for each in self._waiting if each["kind"] != message["kind"]]
            self._waiting = deque(others, MAX_WAITING)
        self._waiting.append(message)
        self._news.set()

    def close(self, code: int) -> None:
        """Close the websocket soon."""
        self._closing = code
        self._news.set()

    async def run(self, hear: Callable[[Message], None]) -> None:
        """Hand over what the page sends, until it is closed."""
        writing = asyncio.create_task(self._write())
        try:
            while (received := await self._websocket.receive())["type"] == "websocket.receive":
                if not self._rate.allows():
                    raise _Refused
                hear(_parsed(received.get("text")))
        except _Refused:
            self.close(REFUSED)
            await writing
        finally:
            writing.cancel()

    async def _write(self) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):  # it is gone
            while self._closing is None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(HERE_SECONDS):
                        await self._news.wait()
                if not self._news.is_set():
                    self.post({"kind": "here"})
                self._news.clear()
                while self._waiting:
                    await self._websocket.send_text(json.dumps(self._waiting.popleft()))
            await self._websocket.close(self._closing)


def _parsed(text: str | None) -> Message:
    try:
        message = json.loads(text or "")
    except (ValueError, RecursionError) as error:
        raise _Refused from error
    if not isinstance(message, dict):
        raise _Refused
    return message


def _whole(value: Any, bound: int) -> int:
    """Return a whole number from 0 to below a bound."""
    if type(value) is not int or not 0 <= value < bound:
        raise _Refused
    return value


def _one_of(value: Any, known: Iterable[Any]) -> Any:
    """Return a value that is one of those known."""
    if not any(type(value) is type(each) and value == each for each in known):
        raise _Refused
    return value


def _seconds(value: Any) -> float | None:
    """Return a length that the screen tells; None if it tells none, or no sensible one."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= MAX_SECONDS else None


def _point(value: Any) -> list[float] | None:
    """Return a place on the picture, as shares of its width and height; None is no place."""
    if value is None:
        return None
    if not (isinstance(value, list) and len(value) == 2):
        raise _Refused
    if not all(isinstance(part, int | float) and 0 <= part <= 1 for part in value):
        raise _Refused
    return [float(part) for part in value]


class Hall:
    """Brings the pages of a talk together.

    Parameters
    ----------
    slides
        How many slides the deck has.
    questions
        The questions that it asks, by the numbers of their slides from 0.
    hello
        What the screen is told at first: how others may join.
    """

    def __init__(self, slides: int, questions: Mapping[int, Question], hello: Message) -> None:
        self._slides = slides
        self._votes = {slide: Vote(question) for slide, question in questions.items()}
        self._hello = hello
        self._screen: _Line | None = None
        self._speakers: set[_Line] = set()
        self._audience: dict[_Line, str] = {}
        self._index = 0
        self._black = False
        self._mode = "holds"
        self._is_told = False  # the answer, to those who see the screen
        self._is_hidden = False  # the result of a vote while the question is answered
        self._minutes: float | None = None
        self._began: float | None = None  # by the clock of time.monotonic
        self._counting = False
        slide = partial(_whole, bound=slides)
        # What a telephone of the speaker may ask of the screen.
        self._asked_of_screen: dict[str, dict[str, Callable[[Any], Any]]] = {
            "step": {"by": partial(_one_of, known=(1, -1)), "seen": slide},
            "go": {"index": slide, "seen": slide},
            "black": {"on": partial(_one_of, known=(True, False))},
            "play": {"mode": partial(_one_of, known=MODES)},
            "laser": {"at": _point},
        }

    # Those who come

    async def attend_screen(self, websocket: WebSocket) -> None:
        """Serve the page of the deck; an earlier one is left for it."""
        await websocket.accept()
        line = _Line(websocket, *SPEAKER)
        if self._screen is not None:
            self._screen.close(REPLACED)
        self._screen = line
        place = None if self._began is None else self._place()
        line.post({"kind": "hello", **self._hello, "place": place})
        self._tell_telephones()
        self._tell_votes()
        try:
            await line.run(lambda message: self._hear_screen(line, message))
        finally:
            if self._screen is line:
                self._screen = None
                self._tell_place()

    async def attend_speaker(self, websocket: WebSocket) -> None:
        """Serve a telephone of the speaker."""
        await websocket.accept()
        if len(self._speakers) >= MAX_SPEAKERS:
            await _turn_away(websocket, MAX_SPEAKERS)
            return
        line = _Line(websocket, *SPEAKER)
        self._speakers.add(line)
        line.post(self._place())
        line.post(self._vote_shown(counts=True))
        self._tell_telephones()
        try:
            await line.run(self._hear_speaker)
        finally:
            self._speakers.remove(line)
            self._post_screen({"kind": "laser", "at": None})
            self._tell_telephones()

    async def attend_audience(self, websocket: WebSocket, voter: str) -> None:
        """Serve a telephone of the audience, whose browser has this name."""
        await websocket.accept()
        if len(self._audience) >= MAX_AUDIENCE:
            await _turn_away(websocket, MAX_AUDIENCE)
            return
        line = _Line(websocket, *AUDIENCE)
        self._audience[line] = voter
        line.post(self._vote_asked(voter))
        try:
            address = websocket.client.host if websocket.client else ""
            await line.run(lambda message: self._hear_audience(line, voter, address, message))
        finally:
            del self._audience[line]

    # What they say

    def _hear_screen(self, line: _Line, message: Message) -> None:
        if self._screen is not line:
            return  # it was replaced, and may not know yet
        if message.get("kind") == "result":
            self._switch_result()
            return
        if message.get("kind") != "at":
            raise _Refused
        before, self._index = self._index, _whole(message.get("index"), self._slides)
        was_told, self._is_told = self._is_told, message.get("told") is True
        self._black = message.get("black") is True
        self._mode = _one_of(message.get("mode"), MODES)
        self._minutes = _seconds(message.get("minutes"))
        elapsed = _seconds(message.get("elapsed"))
        self._began = None if elapsed is None else time.monotonic() - elapsed
        self._tell_place()
        vote = self._votes.get(self._index)
        if before != self._index:
            self._is_hidden = False
            if before in self._votes:
                self._votes[before].is_open = False
        if vote and not vote.count:
            vote.is_open = True
        if (before, was_told) != (self._index, self._is_told) or (vote and vote.is_open):
            self._tell_votes()

    def _hear_speaker(self, message: Message) -> None:
        kind = message.get("kind")
        if kind == "result":
            self._switch_result()
            return
        checks = self._asked_of_screen[_one_of(kind, self._asked_of_screen)]
        wanted = {name: check(message.get(name)) for name, check in checks.items()}
        self._post_screen({"kind": kind, **wanted}, replacing=kind == "laser")

    def _hear_audience(self, line: _Line, voter: str, address: str, message: Message) -> None:
        if message.get("kind") != "vote":
            raise _Refused
        vote = self._votes.get(_whole(message.get("slide"), self._slides))
        if vote is None:
            raise _Refused
        vote.choose(voter, _whole(message.get("choice"), len(vote.question.choices)), address)
        self._count_soon()
        line.post(self._vote_asked(voter))

    def _switch_result(self) -> None:
        """Close the vote and show its result, or hide it and let everybody vote again.

        Where the question is answered, the result is shown or hidden, and nobody votes.
        """
        slide, vote = self._vote_here() or (None, None)
        if vote is None or not vote.count:
            return
        if slide == self._index:
            vote.is_open = not vote.is_open
        else:
            self._is_hidden = not self._is_hidden
        self._tell_votes()

    # Messages to the pages

    def _post_screen(self, message: Message, *, replacing: bool = True) -> None:
        if self._screen is not None:
            self._screen.post(message, replacing=replacing)

    def _place(self) -> Message:
        elapsed = None if self._began is None else time.monotonic() - self._began
        return {
            "kind": "at",
            "index": self._index,
            "black": self._black,
            "mode": self._mode,
            "minutes": self._minutes,
            "elapsed": elapsed,
            "screen": self._screen is not None,
        }

    def _tell_place(self) -> None:
        _post_all(self._speakers, self._place())

    def _tell_telephones(self) -> None:
        # One may come as another leaves: the screen puts the code away when they become more.
        self._post_screen({"kind": "telephones", "count": len(self._speakers)}, replacing=False)

    def _tell_votes(self) -> None:
        """Tell everybody of the vote, also the audience."""
        self._tell_counts()
        for line, voter in self._audience.items():
            line.post(self._vote_asked(voter))

    def _tell_counts(self) -> None:
        self._counting = False
        self._post_screen(self._vote_shown())
        _post_all(self._speakers, self._vote_shown(counts=True))

    def _count_soon(self) -> None:
        if not self._counting:
            self._counting = True
            asyncio.get_running_loop().call_later(COUNTING_SECONDS, self._tell_counts)

    def _vote_here(self) -> tuple[int, Vote] | None:
        """Return the slide of a question, and its vote: where it is asked, and where answered."""
        for slide, vote in self._votes.items():
            answered = slide + 1 == self._index and vote.question.is_answered_next
            if slide == self._index or (answered and vote.count):
                return slide, vote
        return None

    def _vote_shown(self, *, counts: bool = False) -> Message:
        """Return what is seen of a vote; without ``counts``, as all may see it.

        While people vote, the audience does not see what others have chosen.
        """
        if (found := self._vote_here()) is None:
            return {"kind": "vote", "slide": None}
        slide, vote = found
        question = vote.question
        return {
            "kind": "vote",
            "slide": slide,
            "choices": question.choices,
            "open": vote.is_open,
            "count": vote.count,
            "counts": None if vote.is_open and not counts else vote.counts,
            "right": question.answer if slide != self._index else None,
            "shown": not (vote.is_open or self._is_hidden),
        }

    def _vote_asked(self, voter: str) -> Message:
        """Return what a telephone of the audience shows."""
        found = self._vote_here()
        slide, vote = found if found else (None, None)
        is_told = self._is_told and slide != self._index
        return {
            "kind": "vote",
            "slide": slide,
            "question": vote.question.text if vote else "",
            "choices": vote.question.choices if vote else (),
            "open": vote is not None and vote.is_open,
            "mine": vote.choice_of(voter) if vote else None,
            "right": vote.question.answer if vote and is_told else None,
        }


async def _turn_away(websocket: WebSocket, places: int) -> None:
    """Close an open websocket, since so many places are taken: a page hears no reason before."""
    await websocket.close(FULL, str(places))


def _post_all(lines: Iterable[_Line], message: Message) -> None:
    for line in lines:
        line.post(message)
