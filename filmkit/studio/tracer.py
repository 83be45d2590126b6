"""Trace sentences for all pages of the studio, in one process; the session's side of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

from extract.models.at_hand import models_at_hand
from extract.models.loading import NO_PACKAGE, not_installed
from extract.support.assets import traces_folder
from filmkit.core.language import N_
from filmkit.render.asked import AskedProcess
from filmkit.render.processes import ERROR

__all__ = ["STEPS", "SentenceTracer", "Tell", "sentence_models"]

PROCESS = "filmkit.studio.sentences:trace_sentences"

IDLE_SECONDS = 600.0
"""How long the process keeps its model in memory after a sentence."""

RETURN_SECONDS = 30.0
"""How long the work for a page goes on after it was closed: it may only be loading again."""

MEMORY_HINT = "; if it ran out of memory, close other programs, or choose a smaller model"

STEPS = (
    N_("waiting for another run"),
    N_("loading libraries"),
    N_("reading weights"),
    N_("generating"),
    N_("running"),
    N_("checking"),
    N_("calibrating"),
    N_("fitting a latent"),
    N_("saving"),
    N_("reading texts"),
    N_("fitting"),
    N_("healing"),
    N_("checking on texts"),
    N_("checking what is stored"),
    N_("checking long texts"),
    N_("converting"),
)
"""What is done for a sentence, as an extraction calls it; the session translates it."""

OTHER_PAGE = N_("Another page has asked for a sentence, so this one was given up.")

Tell = Callable[[dict[str, Any]], None]
"""Takes the messages about a sentence; see :mod:`filmkit.studio.sentences`."""


def _tell_nobody(message: dict[str, Any]) -> None:
    """Stand for a page that was closed."""


def sentence_models() -> tuple[list[str], str]:
    """Return the models that can trace a sentence here; if there is none, also what to install."""
    if missing := not_installed():
        return [], missing
    models = models_at_hand()
    return models, "" if models else NO_PACKAGE


class SentenceTracer:
    """Traces one sentence at a time, the newest; for use in one event loop.

    The process belongs to the session that asked last. It ends some time after that session's last
    sentence, or a little after its page was closed, unless another page takes it over by then.
    """

    def __init__(self) -> None:
        self._process: AskedProcess | None = None
        self._owner: object = None
        self._number = 0
        self._tell: Tell | None = None  # None while nothing is being traced
        self._told: list[tuple[float, dict[str, Any]]] = []  # messages, and when they were new
        self._loading = 0  # the number of the last request that only loads a model
        self._loaded: dict[str, Any] = {}  # how far that is
        self._idle: asyncio.TimerHandle | None = None

    def prepare(self, owner: object, model: str) -> None:
        """Load a model ahead of somebody's sentence, unless there is a process already."""
        if self._process is None:
            self._owner = owner
            self._ask("", model)
            self._rest()

    def trace(
        self, owner: object, prompt: str, model: str, tell: Tell, *, control: str = "trace"
    ) -> None:
        """Trace a sentence, and end what is being traced for another one.

        Parameters
        ----------
        owner
            Who asks.
        prompt, model
            The sentence, and the name of a model.
        tell
            Takes messages until the trace is whole or refused.
        control
            What of a scene it will be: "trace" or "compare"; a page that takes it over is told so.
        """
        if self._tell and self._owner is not owner:
            self._tell({"kind": "refused", "text": OTHER_PAGE})
        self._keep_awake()
        self._owner, self._tell, self._told = owner, tell, []
        self._note({"kind": "asked", "prompt": prompt, "model": model, "control": control})
        self._ask(prompt, model)
        if self._loaded:
            self._note(self._loaded)
            tell(self._loaded)

    def resume(self, owner: object, tell: Tell) -> None:
        """Take over what a page has left that was closed a moment ago, if there is something.

        The messages about its sentence are sent again: first what was ``asked``, then the newest
        one of each step. Each has the number of seconds since it was first sent, ``ago``; those
        that the closed page had received have ``again``, which is true.
        """
        if self._process is None or self._owner is not None:
            return
        self._owner = owner
        if self._tell:
            self._keep_awake()
            self._tell = tell
        else:
            self._rest()
        for began, message in self._told:
            tell(message | {"ago": monotonic() - began})

    def give_up(self, owner: object, model: str) -> None:
        """End what is being traced for somebody; the model stays in memory."""
        if self._process and self._owner is owner:
            self._tell = None
            self._ask("", model)
            self._rest()

    def _ask(self, prompt: str, model: str) -> None:
        self._number += 1
        if self._process is None:
            loop = asyncio.get_running_loop()
            self._process = AskedProcess(
                PROCESS,
                [sentences_folder()],
                lambda *said: loop.call_soon_threadsafe(self._heard, *said),
                memory_hint=MEMORY_HINT,
            )
            self._loaded = {}
        if not prompt:
            self._loading = self._number
        self._process.ask(number=self._number, prompt=prompt, model=model)

    def leave(self, owner: object) -> None:
        """End somebody's process soon, unless it is taken over."""
        if self._process and self._owner is owner:
            had = [(began, message | {"again": True}) for began, message in self._told]
            self._owner, self._told = None, had if self._tell else []
            self._tell = self._tell and _tell_nobody
            self._end_after(RETURN_SECONDS)

    def _heard(self, process: AskedProcess, message: dict[str, Any]) -> None:
        """Pass on what the process says of the last sentence."""
        if process is not self._process:
            return
        kind, tell = message["kind"], self._tell
        if message.get("number") == self._loading:
            # A sentence that has come meanwhile waits for it.
            under_way = kind == "step" and message["done"] < message["total"]
            self._loaded = message if under_way else {}
            message["number"] = self._number if kind == "step" else self._loading
        if kind == ERROR:
            self.end()
            message = {"kind": "refused", "text": message["text"]}
        elif message.get("number") != self._number or tell is None:
            return
        elif kind == "refused" or (kind == "traced" and not message["more"]):
            self._tell = None
            self._rest()
        if tell:
            self._note(message)
            tell(message)

    def _note(self, message: dict[str, Any]) -> None:
        """Keep a message for a page that takes its sentence over; of each step, the newest."""
        began = monotonic()
        if self._told:
            since, before = self._told[-1]
            if (before["kind"], before.get("task")) == ("step", message.get("task")):
                self._told.pop()
                began = since
        self._told.append((began, message))

    def _rest(self) -> None:
        if self._owner is not None:  # else it ends sooner
            self._end_after(IDLE_SECONDS)

    def _end_after(self, seconds: float) -> None:
        self._keep_awake()
        self._idle = asyncio.get_running_loop().call_later(seconds, self.end)

    def _keep_awake(self) -> None:
        if self._idle:
            self._idle.cancel()
            self._idle = None

    def end(self) -> None:
        """End the process, also one that a session still uses."""
        self._keep_awake()
        if self._process:
            self._process.stop()
        self._process, self._owner, self._tell, self._told = None, None, None, []


def sentences_folder() -> Path:
    """Return the folder for traces of sentences, of which the page lists all traces.

    It is the folder "traces" where the studio was started, if there is one, else that of all
    traces.
    """
    here = Path("traces").resolve()
    return here if here.is_dir() else traces_folder().resolve()
