"""Traces of typed sentences: what is written and told, and who is served; without a model."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from extract.errors import ExtractError, TraceError
from extract.models.loading import LoadedModel
from extract.trace import ModelSource, Trace
from filmkit.studio import sentences, tracer
from filmkit.studio.sentences import (
    CONVERTING,
    NO_MEMORY,
    WITHOUT_LATENT,
    _SentenceTracer,
    file_stem,
)
from filmkit.studio.tracer import OTHER_PAGE, SentenceTracer
from tests.support.traces import make_trace

MODEL = LoadedModel(None, None, "Org/tiny", ModelSource("hub", "Org/tiny", "a1"))
PROMPT = "The cat sat"
NAME = "the-cat-sat-tiny.safetensors"


@pytest.mark.parametrize(
    ("model", "prompt", "stem"),
    [
        ("Org/gpt2", "The cat, it sat.", "the-cat-it-sat-gpt2"),
        ("SmolLM2-135M (Q4_1)", "a/../b", "a-b-SmolLM2-135M-Q4_1"),
        ("gpt2", "...", "gpt2"),
        ("..", "« »", "sentence"),
        ("gpt2", "猫" * 40, f"{'猫' * 26}-gpt2"),
        ("gpt2", "word " * 30, f"{'word-' * 16}gpt2"),
    ],
)
def test_a_file_is_named_after_sentence_and_model(model: str, prompt: str, stem: str) -> None:
    assert file_stem(model, prompt) == stem
    assert len(file_stem(model * 300, prompt * 300).encode()) <= 161


class Told:
    """What the process tells, and whether there is another request."""

    def __init__(self, folder: Path) -> None:
        self.messages: list[dict[str, Any]] = []
        self.is_newer = False
        self.tracer = _SentenceTracer(folder, self._tell, self._has_newer)

    def _tell(self, kind: str, **content: Any) -> None:
        self.messages.append({"kind": kind, **content})

    def _has_newer(self) -> bool:
        return self.is_newer

    def answer(self, prompt: str = PROMPT, number: int = 1) -> list[dict[str, Any]]:
        """Return what is told about a sentence, without the steps."""
        self.messages.clear()
        self.tracer.answer(number, prompt, "Org/tiny")
        assert {message["number"] for message in self.messages} <= {number}
        return [message for message in self.messages if message["kind"] != "step"]


@pytest.fixture(scope="module")
def trace() -> Trace:
    made = make_trace(n_tokens=3, words=("The", " cat", " sat"))
    return replace_meta(made, prompt=PROMPT, source=MODEL.source)


def replace_meta(trace: Trace, **changes: Any) -> Trace:
    return Trace(replace(trace.meta, **changes), dict(trace.tensors))


@pytest.fixture
def told(tmp_path: Path, trace: Trace, monkeypatch: pytest.MonkeyPatch) -> Told:
    """A process whose model needs no time, gets a latent, and cannot be converted."""

    def traced(loaded: Any, prompt: str, progress: Any) -> Trace:
        progress("running", 0, 1)
        return replace_meta(trace, prompt=prompt)

    def fitted(trace: Trace, loaded: Any, text: Any, progress: Any, note: Any) -> Trace:
        progress("fitting a latent", 0, 1)
        # Stands for a latent: another trace.
        return replace_meta(trace, featured_criterion="fitted")

    def converted(trace: Trace, loaded: Any, progress: Any, note: Any, first: Any) -> Trace:
        note("no conversion is stored: it is tiny")
        return trace

    monkeypatch.setattr(sentences, "traced", traced)
    monkeypatch.setattr(sentences, "with_latent_if_any", fitted)
    monkeypatch.setattr(sentences, "with_conversion", converted)
    monkeypatch.setattr(_SentenceTracer, "_load", lambda *_: MODEL)
    return Told(tmp_path)


def test_a_sentence_is_traced_and_what_the_trace_lacks_is_told(told: Told, tmp_path: Path) -> None:
    file = tmp_path / NAME
    notes = ["no conversion is stored: it is tiny"]
    tell = {"kind": "traced", "number": 1, "file": str(file)}
    assert told.answer() == [
        {**tell, "notes": [WITHOUT_LATENT], "more": True, "early": True},
        {**tell, "notes": notes, "more": False, "early": False},
    ]
    meta = Trace.load(file).meta
    assert (meta.prompt, meta.featured_criterion) == (PROMPT, "fitted")
    # The trace is there before its latent, for which few scenes ask.
    assert [m.get("task", m["kind"]) for m in told.messages] == [
        "running", "saving", "saving", "traced", "fitting a latent", "saving", "saving", "traced"
    ]  # fmt: skip


def test_a_sentence_that_is_traced_already_is_only_shown(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.answer()
    before = (tmp_path / NAME).stat()
    monkeypatch.setattr(sentences, "with_latent_if_any", lambda trace, *_: trace)
    again = told.answer(number=2)
    file = str(tmp_path / NAME)
    assert [(one["file"], one["more"]) for one in again] == [(file, True), (file, False)]
    after = (tmp_path / NAME).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("other", ["prompt", "revision", "continued", "no trace", "link"])
def test_no_other_file_is_replaced(told: Told, trace: Trace, tmp_path: Path, other: str) -> None:
    file = tmp_path / NAME
    changes: dict[str, Any] = {
        "prompt": {"prompt": "The cat, sat!"},
        "revision": {"source": replace(MODEL.source, revision="b2")},
        "continued": {"continued": True},
    }
    if other in changes:
        replace_meta(trace, **changes[other]).save(file)
    elif other == "link":
        file.symlink_to(tmp_path / "nowhere")
    else:
        file.write_text("mine")
    before = None if other == "link" else file.read_bytes()
    for message in told.answer():
        assert Path(message["file"]).name == "the-cat-sat-tiny-2.safetensors"
    assert file.is_symlink() if before is None else file.read_bytes() == before


def test_a_file_that_comes_meanwhile_is_not_replaced_either(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traced: Callable[..., Trace] = vars(sentences)["traced"]

    def slowly(*arguments: Any) -> Trace:
        (tmp_path / NAME).write_text("mine")
        return traced(*arguments)

    monkeypatch.setattr(sentences, "traced", slowly)
    for message in told.answer():
        assert Path(message["file"]).name == "the-cat-sat-tiny-2.safetensors"
    assert (tmp_path / NAME).read_text() == "mine"


def test_a_newer_request_leaves_nothing_behind(told: Told, tmp_path: Path) -> None:
    told.is_newer = True
    assert told.answer() == []
    assert not list(tmp_path.iterdir())


def test_the_trace_is_there_before_its_model_is_converted(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is whole afterwards, in the same file; ended in between, it is made whole later."""
    file, ended = tmp_path / NAME, [True]

    def converted(trace: Trace, loaded: Any, progress: Any, note: Any, first: Any) -> Trace:
        first()
        if ended.pop():
            told.is_newer = True
        progress("converting", 0, 1)
        # Stands for a conversion: another trace that is not refused.
        return replace_meta(trace, featured_criterion="converted")

    monkeypatch.setattr(sentences, "with_conversion", converted)
    _, fitted = told.answer()
    assert (fitted["more"], fitted["early"], fitted["notes"]) == (True, False, [CONVERTING])
    assert Trace.load(file).meta.featured_criterion == "fitted"
    told.is_newer, ended[:] = False, [False]
    _, fitted, whole = told.answer(number=2)
    assert (fitted["more"], whole["more"], whole["notes"]) == (True, False, [])
    assert fitted["file"] == whole["file"] == str(file)
    assert Trace.load(file).meta.featured_criterion == "converted"
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ExtractError("no such model"), "no such model"),
        (TraceError("cannot write it"), "cannot write it"),
        (MemoryError("Unable to allocate 1 GiB"), NO_MEMORY),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 12"), NO_MEMORY),
        (ExtractError("it cannot be loaded: can't allocate memory"), NO_MEMORY),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    told: Told, monkeypatch: pytest.MonkeyPatch, error: Exception, text: str
) -> None:
    def fail(*_: Any) -> LoadedModel:
        raise error

    monkeypatch.setattr(_SentenceTracer, "_load", fail)
    assert told.answer() == [{"kind": "refused", "number": 1, "text": text}]


def test_a_model_that_is_not_here_is_never_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither on the hub nor in a folder, whoever asks for it."""
    monkeypatch.setattr(sentences, "models_at_hand", lambda: ["Org/other"])
    monkeypatch.setattr(sentences, "load_model", None)
    (message,) = Told(tmp_path).answer()
    assert message["text"] == "the model 'Org/tiny' is not on this machine; choose another"


@pytest.mark.parametrize(("prompt", "newer"), [("Hello", False), ("", True)])
def test_a_sentence_is_checked_before_what_takes_longest_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prompt: str, newer: bool
) -> None:
    """A model that is loaded ahead lets a sentence come first, which may be refused."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")

    def load_model(name: str, *, check_tokenizer: Any, progress: Any) -> None:
        progress("reading weights", 0, 1)
        check_tokenizer(lambda text, **_: {"input_ids": text.split()})
        pytest.fail("the weights are read")

    monkeypatch.setitem(sys.modules, "extract.models.capture", None)  # importing it is an error
    monkeypatch.setitem(sys.modules, "extract.conversion.convert", None)
    monkeypatch.setattr(sentences, "models_at_hand", lambda: ["Org/tiny"])
    monkeypatch.setattr(sentences, "load_model", load_model)
    told = Told(tmp_path)
    told.is_newer = newer
    texts = [message["text"] for message in told.answer(prompt)]
    assert [text.partition(",")[0] for text in texts] == ["the prompt has 1 token"] * (not newer)
    assert [message.get("task") for message in told.messages[:2]] == (
        ["loading libraries"] if newer else ["loading libraries", None]
    )


# The side of the sessions


class FakeProcess:
    """Stands for the process, which is heard at once; all that there were are in a list."""

    made: list[FakeProcess]

    def __init__(
        self,
        function: str,
        arguments: list[Path],
        hear: Callable[[Any, dict[str, Any]], None],
        **options: Any,
    ) -> None:
        self.requests: list[dict[str, Any]] = []
        self.stopped = False
        self._hear = hear
        loop: Any = asyncio.get_running_loop()
        loop.call_soon_threadsafe = lambda function, *arguments: function(*arguments)
        self.made.append(self)

    def ask(self, **request: Any) -> None:
        self.requests.append(request)

    def stop(self) -> None:
        self.stopped = True

    def tell(self, kind: str, **content: Any) -> None:
        """Tell something of the last request."""
        self._hear(self, {"kind": kind, "number": self.requests[-1]["number"], **content})


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[FakeProcess]:
    monkeypatch.setattr(FakeProcess, "made", [], raising=False)
    monkeypatch.setattr(tracer, "AskedProcess", FakeProcess)
    return FakeProcess.made


def in_loop(check: Callable[[SentenceTracer], None]) -> None:
    """Run a check in an event loop."""

    async def run() -> None:
        check(SentenceTracer())

    asyncio.run(run())


STEP = {"task": "running", "done": 0, "total": 1}
WHOLE = {"file": "a", "notes": [], "more": False}


def test_the_newest_sentence_counts_and_one_process_does_all(processes: list[FakeProcess]) -> None:
    def check(all_pages: SentenceTracer) -> None:
        one: list[dict[str, Any]] = []
        other: list[dict[str, Any]] = []
        all_pages.trace("one", "A cat", "m", one.append)
        (process,) = processes
        process.tell("step", **STEP)
        old = process.requests[-1]["number"]
        all_pages.trace("other", "A dog", "m", other.append)
        assert one[-1] == {"kind": "refused", "text": OTHER_PAGE}
        process._hear(process, {"kind": "traced", "number": old, **WHOLE})  # of before
        assert (len(one), other) == (2, [])
        process.tell("traced", **WHOLE | {"more": True})
        process.tell("traced", **WHOLE)
        process.tell("step", **STEP)  # nothing follows the whole trace
        assert [message["kind"] for message in other] == ["traced", "traced"]
        assert processes == [process]

    in_loop(check)


def test_the_process_ends_soon_after_its_page(
    processes: list[FakeProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracer, "RETURN_SECONDS", 0.0)

    async def run() -> None:
        all_pages = SentenceTracer()
        all_pages.trace("one", "A cat", "m", lambda message: None)
        all_pages.leave("other")
        await asyncio.sleep(0.01)
        assert [each.stopped for each in processes] == [False]
        all_pages.leave("one")
        processes[0].tell("traced", **WHOLE)
        await asyncio.sleep(0.01)
        assert [each.stopped for each in processes] == [True]
        again: list[dict[str, Any]] = []
        all_pages.resume("one", again.append)
        assert (again, len(processes)) == ([], 1)

    asyncio.run(run())


@pytest.mark.parametrize("finished", [False, True])
def test_a_page_that_is_loaded_again_finds_its_sentence(
    processes: list[FakeProcess], monkeypatch: pytest.MonkeyPatch, finished: bool
) -> None:
    """Its messages come again with their ages, and those that came while it was away."""
    monkeypatch.setattr(tracer, "RETURN_SECONDS", 0.05)
    clock = [100.0]
    monkeypatch.setattr(tracer, "monotonic", lambda: clock[0])

    async def run() -> None:
        all_pages = SentenceTracer()
        before: list[dict[str, Any]] = []
        after: list[dict[str, Any]] = []
        all_pages.trace("before", "A cat", "m", before.append, control="compare")
        (process,) = processes
        for clock[0], done in ((101.0, 0), (102.0, 3)):
            process.tell("step", task="checking", done=done, total=30)
        all_pages.leave("before")
        clock[0] = 103.0
        process.tell("step", **STEP)
        if finished:
            process.tell("traced", **WHOLE)
        all_pages.resume("after", after.append)
        all_pages.resume("another", lambda message: pytest.fail("it is of the first that came"))
        assert [(message["kind"], message["ago"]) for message in after[:3]] == [
            ("asked", 3.0), ("step", 2.0), ("step", 0.0)
        ]  # fmt: skip
        asked, checking, running, *rest = after
        assert (asked["prompt"], asked["model"], asked["control"]) == ("A cat", "m", "compare")
        assert (checking["done"], running["task"]) == (3, "running")
        assert ["again" in message for message in after[:3]] == [True, True, False]
        assert [message["kind"] for message in rest] == ["traced"] * finished
        await asyncio.sleep(0.1)
        assert not process.stopped
        if not finished:
            process.tell("traced", **WHOLE)
        assert len(before) == 2
        assert after[-1]["kind"] == "traced"
        all_pages.leave("after")  # by then there is nothing to be told again
        last: list[dict[str, Any]] = []
        all_pages.resume("last", last.append)
        assert (last, len(processes), process.stopped) == ([], 1, False)

    asyncio.run(run())


def test_a_model_is_loaded_ahead_and_who_comes_meanwhile_sees_it(
    processes: list[FakeProcess],
) -> None:
    def check(all_pages: SentenceTracer) -> None:
        heard: list[dict[str, Any]] = []
        all_pages.prepare("one", "m")
        all_pages.prepare("two", "n")
        (process,) = processes
        loading = process.requests[-1]["number"]
        reading = {"kind": "step", "number": loading, "task": "reading", "done": 0, "total": 1}
        process._hear(process, dict(reading))
        all_pages.trace("one", "A cat", "m", heard.append)
        assert [message["task"] for message in heard] == ["reading"]
        process._hear(process, reading | {"done": 1})
        assert heard[-1]["done"] == 1
        assert [request["prompt"] for request in process.requests] == ["", "A cat"]

    in_loop(check)


def test_what_is_given_up_is_told_no_more(processes: list[FakeProcess]) -> None:
    def check(all_pages: SentenceTracer) -> None:
        heard: list[dict[str, Any]] = []
        all_pages.give_up("one", "m")
        all_pages.trace("one", "A cat", "m", heard.append)
        (process,) = processes
        all_pages.give_up("other", "m")
        assert len(process.requests) == 1
        all_pages.give_up("one", "m")
        assert process.requests[-1]["prompt"] == ""
        process.tell("step", **STEP)
        assert (heard, process.stopped) == ([], False)

    in_loop(check)


def test_a_process_that_ends_is_told_and_started_again(processes: list[FakeProcess]) -> None:
    def check(all_pages: SentenceTracer) -> None:
        heard: list[dict[str, Any]] = []
        all_pages.trace("one", "A cat", "m", heard.append)
        ended = {"kind": "error", "text": "it has ended", "early": True}
        processes[0]._hear(processes[0], ended)
        assert heard == [{"kind": "refused", "text": "it has ended"}]
        all_pages.trace("one", "A cat", "m", heard.append)
        processes[0]._hear(processes[0], ended)  # which does not concern the new one
        assert (len(processes), len(heard), processes[1].stopped) == (2, 1, False)

    in_loop(check)


def test_the_model_leaves_the_memory_after_a_while(
    processes: list[FakeProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracer, "IDLE_SECONDS", 0.0)

    async def run() -> None:
        all_pages = SentenceTracer()
        all_pages.trace("one", "A cat", "m", lambda message: None)
        await asyncio.sleep(0.01)
        assert not processes[0].stopped  # it works
        processes[0].tell("refused", text="too short")
        await asyncio.sleep(0.01)
        assert processes[0].stopped

    asyncio.run(run())


def test_traces_are_where_the_page_lists_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    monkeypatch.setattr(tracer, "traces_folder", lambda: elsewhere)
    assert tracer.sentences_folder() == elsewhere
    (tmp_path / "traces").mkdir()
    assert tracer.sentences_folder() == tmp_path / "traces"
