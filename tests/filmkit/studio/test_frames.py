"""The numbers of any frame are those of the trace, and belong to the picture of that frame."""

from __future__ import annotations

import json
from base64 import b64decode
from contextlib import AbstractContextManager, nullcontext
from io import BytesIO
from multiprocessing import Pipe
from threading import Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from extract.trace import Trace
from filmkit.core.errors import StageError
from filmkit.core.renderer import FrameReceiver
from filmkit.render.quality import QUALITIES
from filmkit.render.request import RenderRequest
from filmkit.studio import frames
from filmkit.studio.frames import answer_questions, read_frame
from tests.support.deck_scene import Cells
from tests.support.decoding import expected
from tests.support.traces import make_trace

REQUEST = RenderRequest(quality=QUALITIES["draft"])
BEATS = ["queries", "scores_over_them", "from_the_side"]


@pytest.fixture(scope="module")
def trace() -> Trace:
    return make_trace()


@pytest.fixture(scope="module")
def film(trace: Trace) -> dict[str, list[np.ndarray]]:
    """Every frame of each beat, as it is drawn for a film."""
    frames: dict[str, list[np.ndarray]] = {name: [] for name in BEATS}

    def receiver_of_beat(beat: str, tail: bool) -> AbstractContextManager[FrameReceiver]:
        return nullcontext(lambda pixels, n: frames[beat].extend([pixels[..., :3]] * n))

    Cells(trace, REQUEST.settings, receiver_of_beat=receiver_of_beat).render()
    return frames


def picture_of(answer: dict[str, Any]) -> np.ndarray:
    data = answer["picture"].removeprefix("data:image/png;base64,")
    return np.asarray(Image.open(BytesIO(b64decode(data))))


@pytest.mark.parametrize(("beat", "frame"), [(0, 0), (0, 7), (0, -1), (1, 5), (2, 6), (2, -1)])
def test_the_picture_of_a_frame_is_that_of_the_film(
    trace: Trace, film: dict[str, list[np.ndarray]], beat: int, frame: int
) -> None:
    name = BEATS[beat]
    number = frame % len(film[name])
    answer = read_frame(Cells, trace, REQUEST, name, number, picture=True)
    assert np.array_equal(picture_of(answer), film[name][number])


def test_the_numbers_of_a_frame_are_those_of_the_trace(trace: Trace) -> None:
    answer = read_frame(Cells, trace, REQUEST, "scores_over_them", 4)
    assert answer["picture"] is None
    panel = answer["panels"][0]
    assert panel["tensor"].startswith("q")
    values = np.frombuffer(b64decode(answer["arrays"][panel["values"]]), "<f4")
    assert values.reshape(panel["shape"]) == pytest.approx(expected(panel, trace), rel=1e-6)


def test_panels_are_where_they_are_on_that_frame(trace: Trace) -> None:
    def left(frame: int) -> float:
        answer = read_frame(Cells, trace, REQUEST, "scores_over_them", frame)
        return float(answer["panels"][1]["corners"][0][0])

    assert left(0) < left(6) - 1 < left(11) - 2


@pytest.mark.parametrize(("beat", "frame"), [("queries", 10_000), ("none", 0)])
def test_a_frame_that_is_not_there_is_refused(trace: Trace, beat: str, frame: int) -> None:
    with pytest.raises(StageError, match=f"no frame {frame} in beat {beat}"):
        read_frame(Cells, trace, REQUEST, beat, frame)


def test_a_frame_is_read_once_unless_there_was_an_error(
    trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []

    def read(*what: object, picture: bool) -> dict[str, Any]:
        reads.append(what[-1])
        if what[-1] == 9:
            raise StageError("there is no frame 9")
        return {"picture": picture}

    def ask(frame: int, picture: bool) -> dict[str, Any]:
        question = {"beat": "queries", "frame": frame, "picture": picture}
        connection.send_bytes(json.dumps(question).encode())
        answer: dict[str, Any] = json.loads(connection.recv_bytes())
        assert (answer["kind"], answer["beat"], answer["frame"]) == ("frame", "queries", frame)
        return answer

    def ask_all() -> None:
        answers.extend(ask(*each) for each in asked)
        connection.close()

    monkeypatch.setattr(frames, "stopping_with_parent", nullcontext)
    monkeypatch.setattr(frames, "read_frame", read)
    asked = [(3, False), (4, False), (3, False), (3, True), (9, False), (9, False), (4, False)]
    answers: list[dict[str, Any]] = []
    connection, theirs = Pipe()
    client = Thread(target=ask_all)
    client.start()
    scene: Any = SimpleNamespace(load=lambda: Cells)
    answer_questions(RenderRequest(scenes=(scene,), quality=REQUEST.quality), trace, theirs)
    client.join()
    assert reads == [3, 4, 3, 9, 9]
    assert [answer.get("picture") for answer in answers] == [
        False,
        False,
        False,
        True,
        None,
        None,
        False,
    ]
    assert answers[-2]["error"] == "there is no frame 9"
