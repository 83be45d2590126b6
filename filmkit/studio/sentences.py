"""Trace sentences for the studio, in a process that keeps its model from one to the next.

Torch and the other libraries of an extraction are imported here alone, so that the studio needs
none of them. A request is a JSON object with the ``number`` of the sentence, the ``prompt`` and the
``model``; without a prompt only the model is loaded. The answers are messages with a ``kind`` and
that ``number``:

``step``
    What is being done: a ``task``, and how many of how many steps of it are ``done`` of a
    ``total``.
``traced``
    The trace is in a ``file``. Its ``notes`` say what it does not hold, line by line; ``more`` is
    true if that will come, and a message like this one with it. ``early`` is true if a latent is
    to come too.
``refused``
    One line, the ``text``: why there is no trace.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Queue
from typing import Any

from extract.commands.extraction import traced, with_conversion, with_latent_if_any
from extract.commands.progress import wait_quietly
from extract.errors import ExtractError, TraceError, is_out_of_memory
from extract.latent.calibration import CALIBRATION_TEXT
from extract.models.at_hand import models_at_hand
from extract.models.loading import LoadedModel, load_model
from extract.trace import Trace
from filmkit.core.language import N_
from filmkit.render.processes import telling

__all__ = ["trace_sentences"]

CONVERTING = N_(
    "The model is being converted into MLA, once for all its sentences. Until that is done, this "
    "trace has no conversion, and scenes of one cannot show it."
)

WITHOUT_LATENT = N_("Scenes about latents wait for the steps that follow.")

NO_MEMORY = N_(
    "there is not enough memory for this model; close other programs, or choose a smaller"
)

LONGEST_NAME = 80
"""Bytes of a sentence, and of a model's name, in the name of a file."""


def trace_sentences(folder: Path, messages: Connection, requests: Connection) -> None:
    """Trace one sentence after another, until the other end of a connection is closed.

    A new request ends what is being done for the one before.

    Parameters
    ----------
    folder
        Where to write traces.
    messages
        Takes the answers.
    requests
        Brings the requests.
    """
    # No model is downloaded, and nobody asked whether there is a newer one.
    os.environ["HF_HUB_OFFLINE"] = "1"
    wait_quietly()
    waiting: Queue[dict[str, Any] | None] = Queue()

    def receive() -> None:
        """Take what comes at once, lest the studio waits until there is room for it."""
        with suppress(EOFError, OSError):
            while True:
                waiting.put(json.loads(requests.recv_bytes()))
        waiting.put(None)

    threading.Thread(target=receive, daemon=True).start()
    with telling(messages, verbose=None) as tell:
        tracer = _SentenceTracer(folder, tell, lambda: not waiting.empty())
        while request := waiting.get():
            if waiting.empty():
                tracer.answer(**request)


class _NewerRequestError(BaseException):
    """Another request has come; no Exception, which loading takes for a model that is wrong."""


class _SentenceTracer:
    """Traces sentences; see :func:`trace_sentences`."""

    def __init__(
        self, folder: Path, tell: Callable[..., None], has_newer: Callable[[], bool]
    ) -> None:
        self._folder, self._tell_any, self._has_newer = folder, tell, has_newer
        self._number = 0
        self._name = ""
        self._loaded: LoadedModel | None = None

    def answer(self, number: int, prompt: str, model: str) -> None:
        """Trace a sentence, and tell how it goes."""
        self._number = number
        try:
            loaded = self._load(model, prompt)
            if prompt:
                self._trace(loaded, prompt)
        except _NewerRequestError:
            pass
        except (ExtractError, TraceError, MemoryError, RuntimeError) as error:
            out_of_memory = is_out_of_memory(error)
            if out_of_memory:
                self._loaded = None
            elif not isinstance(error, ExtractError | TraceError):
                raise
            self._tell("refused", text=NO_MEMORY if out_of_memory else str(error))

    def _trace(self, loaded: LoadedModel, prompt: str) -> None:
        """Trace a sentence that has no trace yet, then add what few scenes need."""
        notes: list[str] = []
        file, trace = self._find(loaded, prompt)

        def write(trace: Trace) -> None:
            self._progress("saving", 0, 1)
            trace.save(file)
            self._report("saving", 1, 1)

        if trace is None:
            trace = traced(loaded, prompt, self._progress)
            file, _ = self._find(loaded, prompt)  # which others may have written meanwhile
            write(trace)
        elif trace.meta.conversion is not None:
            self._tell_traced(file, [])
            return
        written = trace
        if trace.meta.latent is None:
            self._tell_traced(file, [WITHOUT_LATENT], more=True, early=True)
            made = trace, loaded, CALIBRATION_TEXT, self._progress, notes.append
            trace = with_latent_if_any(*made)

        def before_converting() -> None:
            nonlocal written
            if trace is not written:
                write(trace)
                written = trace
            self._tell_traced(file, [*notes, CONVERTING], more=True)

        whole = with_conversion(trace, loaded, self._progress, notes.append, before_converting)
        if whole is not written:
            write(whole)
        self._tell_traced(file, notes)

    def _load(self, model: str, prompt: str) -> LoadedModel:
        """Return a model, unless the pictures have no room for the prompt."""
        if model not in models_at_hand():
            raise ExtractError(f"the model {model!r} is not on this machine; choose another")

        def check(tokenizer: Any) -> None:
            from extract.models.token_sequence import require_length_for_pictures

            if prompt:
                require_length_for_pictures(tokenizer, prompt)

        if self._loaded and self._name == model:
            check(self._loaded.tokenizer)
            return self._loaded
        self._report("loading libraries", 0, 1)
        has_libraries = False

        def load_more(tokenizer: Any) -> None:
            """Load what a model needs besides its tokenizer, unless the sentence is refused."""
            nonlocal has_libraries
            check(tokenizer)
            if not prompt and self._has_newer():
                raise _NewerRequestError  # whose sentence may be refused
            if not has_libraries:
                import extract.conversion.convert
                import extract.models.capture  # noqa: F401

                has_libraries = True
                self._report("loading libraries", 1, 1)
                self._report("reading weights", 0, 1)

        def progress(task: str, done: int, total: int) -> None:
            # The tokenizer comes with the weights, and is there long before them.
            if has_libraries or task != "reading weights":
                self._report(task, done, total)

        self._loaded = None  # never two in memory
        self._loaded = load_model(model, check_tokenizer=load_more, progress=progress)
        self._name = model
        return self._loaded

    def _find(self, loaded: LoadedModel, prompt: str) -> tuple[Path, Trace | None]:
        """Return a trace of this sentence that is there already and its file, or a new file."""
        stem = file_stem(loaded.name, prompt)
        number = 1
        while True:
            file = self._folder / f"{stem}{f'-{number}' if number > 1 else ''}.safetensors"
            if not os.path.lexists(file):
                return file, None
            with suppress(TraceError):
                trace = Trace.load(file)
                meta = trace.meta
                if (meta.prompt, meta.source) == (prompt, loaded.source) and not meta.continued:
                    return file, trace
            number += 1

    def _progress(self, task: str, done: int, total: int) -> None:
        """Tell how far a task is, and end it if there is another request."""
        if self._has_newer():
            raise _NewerRequestError
        self._report(task, done, total)

    def _report(self, task: str, done: int, total: int) -> None:
        self._tell("step", task=task, done=done, total=total)

    def _tell_traced(
        self, file: Path, notes: list[str], *, more: bool = False, early: bool = False
    ) -> None:
        self._tell("traced", file=str(file.resolve()), notes=notes, more=more, early=early)

    def _tell(self, kind: str, **content: Any) -> None:
        self._tell_any(kind, number=self._number, **content)


def file_stem(model: str, prompt: str) -> str:
    """Return the name of the file for a model and a sentence, without its ending.

    The sentence comes first, because a list of traces may have no room for more.

    >>> file_stem("Org/gpt2", "The cat, it sat.")
    'the-cat-it-sat-gpt2'
    """
    parts = (prompt.lower(), r"\w+"), (model.rsplit("/", 1)[-1], r"[\w.]+")
    names = ("-".join(re.findall(kind, text)).encode() for text, kind in parts)
    short = (name[:LONGEST_NAME].decode(errors="ignore").strip("-.") for name in names)
    return "-".join(filter(None, short)) or "sentence"
