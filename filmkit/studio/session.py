"""What a page of the studio works on: one scene, kept up to date while it is edited."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from extract.limits import fault_of_prompt
from extract.support.plain_text import error_line
from extract.trace import Trace
from filmkit.core.language import _, use_language
from filmkit.core.project import PROJECT
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.digests import file_hash
from filmkit.render.errors import explain
from filmkit.render.request import RenderRequest
from filmkit.render.watch import EditWatcher, read_once, syntax_errors
from filmkit.studio.asked import AskedProcess
from filmkit.studio.controls import CONTROLS, Choices, ModelFacts, controls_of, requested
from filmkit.studio.tracer import STEPS, SentenceTracer, Tell, sentence_models

__all__ = ["MadeFiles", "Session"]

ARTIST = "filmkit.studio.artist:draw"
# Characters; the pictures have room for 24 tokens. The page cuts only what no message has room for.
LONGEST_SENTENCE = 500
KEPT_FRAMES = 64  # answers about frames that are kept while nothing is edited
KEPT_FILMS = 400  # films of beats that are kept, of all edits together

Handler = Callable[[Any], Awaitable[None]]


class MadeFiles:
    """The pictures and films that the studio made, by the names under which pages get them.

    Nothing else is ever served. A name is made from all that its file depends on, so a file never
    changes.

    Parameters
    ----------
    folder
        Where films of beats are kept; the oldest are removed when there are many.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: OrderedDict[str, Path] = OrderedDict()

    def with_addresses(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return a message with the addresses of its pictures and films, if it has any."""
        found = {kind: message[kind] for kind in ("still", "film") if message.get(kind)}
        addresses = {kind: self._address(Path(path)) for kind, path in found.items()}
        beats = (
            {"beats": [*map(self.with_addresses, message["beats"])]} if "beats" in message else {}
        )
        return message | addresses | beats

    def _address(self, file: Path) -> str:
        """Return the address of a file."""
        self._files[file.name] = file
        self._files.move_to_end(file.name)
        films = [name for name, kept in self._files.items() if kept.parent == self.folder]
        for name in films[:-KEPT_FILMS]:
            self._files.pop(name).unlink(missing_ok=True)
        return f"/made/{file.name}"

    def find(self, name: str) -> Path | None:
        """Return the file with a name, if the studio made one."""
        file = self._files.get(name)
        return file if file and file.is_file() else None


class Session:
    """Serves one page through its websocket, until that is closed.

    All that happens (a message of the page, of the artist, an edit) is handled one after another.

    Parameters
    ----------
    websocket
        To the page.
    entries
        The scenes that it may show, by name; titles are brought up to date.
    initial
        Name of the scene to begin with; "" to let the page choose.
    request
        How scenes are drawn; it keeps its cache. The page is in its language.
    choices
        What the controls begin with.
    made
        Receives what is drawn.
    tracer
        Traces sentences of the page.
    """

    def __init__(
        self,
        websocket: WebSocket,
        *,
        entries: dict[str, SceneEntry],
        initial: str,
        request: RenderRequest,
        choices: Choices,
        made: MadeFiles,
        tracer: SentenceTracer,
    ) -> None:
        self._websocket = websocket
        self._entries = entries
        self._initial = initial
        self._base = replace(request, quiet=True)
        self._choices = dict(choices)
        self._made = made
        self._tracer = tracer
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[tuple[Handler, Any]] = asyncio.Queue()
        self._entry: SceneEntry | None = None
        self._request: RenderRequest | None = None
        self._facts: ModelFacts | None = None
        self._broken: set[Path] = set()
        self._watching = ExitStack()
        self._watcher: EditWatcher | None = None
        self._artist: _DrawingProcess | None = None
        # Whether the scene could not be drawn; the trace of the page's sentence, and what is in it
        # once it is whole.
        self._failed = False
        self._own: tuple[Path, str] | None = None
        self._closed = False

    async def run(self) -> None:
        """Serve the page until it is closed; then nothing is drawn any more."""
        with use_language(self._base.settings.language):
            await self._serve()

    async def _serve(self) -> None:
        await self._websocket.accept()
        listener = asyncio.create_task(self._listen())
        try:
            models, missing = await asyncio.to_thread(sentence_models)
            await self._tell(
                "hello",
                scenes=self._scenes(),
                scene=self._initial,
                choices=self._choices,
                models=models,
                missing=missing,
            )
            while not self._closed:
                handler, content = await self._events.get()
                try:
                    await handler(content)
                except WebSocketDisconnect:
                    raise
                except Exception as error:
                    await self._tell_error(explain(error, verbose=None))
        except WebSocketDisconnect:
            pass  # the page was closed while it was told something
        finally:
            listener.cancel()
            self._tracer.leave(self)
            self._watching.close()
            self._stop_artist()

    def _scenes(self) -> list[dict[str, str]]:
        return [
            {"name": entry.slug, "title": entry.shown_title} for entry in self._entries.values()
        ]

    async def _tell(self, kind: str, **content: Any) -> None:
        await self._send(json.dumps({"kind": kind, **content}))

    async def _tell_error(self, *lines: str) -> None:
        await self._tell("error", text="\n".join(map(error_line, lines)))

    async def _send(self, text: str) -> None:
        """Send a JSON document, in ASCII: halves of characters have no other encoding."""
        try:
            await self._websocket.send_text(text)
        except RuntimeError as error:  # how Starlette says that the page was closed before
            raise WebSocketDisconnect from error

    def _post(self, handler: Handler, content: Any) -> None:
        """Let an event be handled; may be called by any thread."""
        # The loop is closed when the studio ends.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._events.put_nowait, (handler, content))

    # The page

    async def _listen(self) -> None:
        while (message := await self._websocket.receive())["type"] == "websocket.receive":
            self._post(self._on_page, message.get("text") or "")
        self._tracer.leave(self)  # at once: the page may be there again before what is handled now
        self._post(self._on_closed, None)

    async def _on_closed(self, nothing: None) -> None:
        self._closed = True

    async def _on_page(self, text: str) -> None:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            await self._tell_error("the page sent what is no JSON; load it again")
            return
        match message:
            case {"kind": "show", "scene": str(name), "choices": dict(choices)}:
                await self._show(name, choices)
            case {"kind": "frame", "beat": str(beat), "frame": int(frame), "picture": bool(too)}:
                if self._artist:
                    if answer := self._artist.known(beat, frame, picture=too):
                        await self._send(answer)
                    else:
                        self._artist.ask(beat=beat, frame=frame, picture=too)
            case {
                "kind": "trace",
                "number": int(number),
                "prompt": str(prompt),
                "model": str(model),
                "control": str(control),
            }:
                self._trace(number, prompt, model, control)
            case {"kind": "prepare", "model": str(model)}:
                self._tracer.prepare(self, model)
            case {"kind": "give_up", "model": str(model)}:
                self._own = None
                self._tracer.give_up(self, model)

    def _teller(self, number: int) -> Tell:
        """Return what tells the page about a sentence, to which the page has given a number."""

        def tell(message: dict[str, Any]) -> None:
            self._post(self._on_sentence, message | {"number": number})

        return tell

    def _trace(self, number: int, prompt: str, model: str, control: str) -> None:
        """Trace a sentence that was typed on the page; 0 numbers that of the page before."""
        tell = self._teller(number)
        self._own = None
        sentence = " ".join(prompt.split())
        fault = fault_of_prompt(sentence) if sentence else "write at least two words"
        if len(sentence) > LONGEST_SENTENCE:
            fault = f"it has {len(sentence):,} characters, and there is room for {LONGEST_SENTENCE}"
        if fault:
            tell({"kind": "refused", "text": fault})
        else:
            self._tracer.trace(self, sentence, model, tell, control=control)

    async def _on_sentence(self, message: dict[str, Any]) -> None:
        # What no catalogue has, as what an extraction notes or refuses, stays English.
        task, text = message.get("task"), message.get("text")
        if message["kind"] == "traced":
            await self._on_traced(message)
        elif message["kind"] == "refused":
            self._own = None
        if task in STEPS:
            message["task"] = _(task)
        if text is not None:
            message["text"] = _(text)
        if "notes" in message:
            message["notes"] = [*map(_, message["notes"])]
        await self._send(json.dumps(message))

    async def _on_traced(self, message: dict[str, Any]) -> None:
        """Say whether the scene waits for what is to come; keep whose edits may be passed over."""
        file, more = message["file"], message["more"]
        message["waits"] = message.pop("early", False) and bool(
            self._entry and self._entry.uses_latents
        )
        self._own = Path(file), "" if more else await asyncio.to_thread(file_hash, Path(file))

    async def _show(self, name: str, choices: Mapping[Any, Any]) -> None:
        """Show a scene with some choices."""
        self._watching.close()
        self._watcher = None
        self._stop_artist()
        is_first, self._entry = self._entry is None, self._entries.get(name)
        if self._entry is None:
            await self._tell_error(f"there is no scene {name}")
            return
        if is_first:  # not before: the scene may wait for what is told
            self._tracer.resume(self, self._teller(0))
        known = {control.name for control in CONTROLS}
        self._choices |= {
            key: value for key, value in choices.items() if key in known and isinstance(value, str)
        }
        try:
            self._request = requested(self._base, self._entry, self._choices)
        except ValueError as error:
            await self._tell_controls()
            await self._tell_error(str(error))
            return
        scene_file = [self._entry.file] if self._entry.file else []
        watcher = EditWatcher(PROJECT, self._request.trace_files, scene_file)
        self._watching.enter_context(watcher)
        self._watcher = watcher
        threading.Thread(target=self._watch, args=(watcher,), daemon=True).start()
        self._broken = set()
        await self._tell_controls()  # with which a trace that cannot be read is left again
        await self._draw(scene_file, edited=False)

    # Edits

    def _watch(self, watcher: EditWatcher) -> None:
        while edited := watcher.wait():
            self._post(self._on_edit, (watcher, edited))

    async def _on_edit(self, event: tuple[EditWatcher, list[Path]]) -> None:
        watcher, files = event
        if watcher is self._watcher and not await asyncio.to_thread(self._shows_nothing_of, files):
            await self._draw(files, edited=True)

    def _shows_nothing_of(self, files: list[Path]) -> bool:
        """Return whether an edit has only added a latent or a conversion to the trace."""
        if not self._own or not self._entry or self._failed or self._entry.uses_latents:
            return False
        file, whole = self._own
        return files == [file] and whole in ("", file_hash(file))

    async def _draw(self, files: list[Path], *, edited: bool) -> None:
        """Draw what is missing, unless one of these files is no valid Python: then say so."""
        lines = syntax_errors({*self._broken, *files})
        self._broken = set(lines)
        if lines:
            await self._tell_error(*lines.values())
            return
        assert self._request is not None
        self._stop_artist()
        self._failed = False
        started = time.monotonic()
        try:
            request, trace = await asyncio.to_thread(read_once, self._request)
        except Exception as error:
            await self._fail(started, explain(error, verbose=None))
            return
        self._artist = _DrawingProcess(
            (request, trace, self._made.folder), self._post_from, started
        )
        await self._tell("drawing", edited=edited)

    async def _fail(self, started: float, line: str) -> None:
        """Tell why a scene could not be drawn, unless a file was written since that began."""
        self._failed = True
        if self._watcher and self._watcher.last_event > started:
            # It was renamed and put back, say: what is drawn now tells what is so.
            await asyncio.to_thread(self._watcher.draw_again)
        else:
            await self._tell("error", text=line)

    def _stop_artist(self) -> None:
        if self._artist:
            self._artist.stop()
            self._artist = None

    # What is drawn

    def _post_from(self, artist: _DrawingProcess, message: dict[str, Any]) -> None:
        self._post(self._on_drawn, (artist, message))

    async def _on_drawn(self, event: tuple[_DrawingProcess, dict[str, Any]]) -> None:
        artist, message = event
        if artist is not self._artist:
            return  # of before the last edit
        match message["kind"]:
            case "beat":
                return
            case "frame":
                await self._send(artist.answered(message))
                return
            case "reads":
                if self._watcher:
                    await asyncio.to_thread(self._watcher.follow, message["files"])
                return
            case "error":
                await self._fail(artist.started, message["text"])
                return
            case "title":
                assert self._entry is not None
                if message["title"] != self._entry.title:
                    self._entry = replace(self._entry, title=message["title"])
                    self._entries[self._entry.slug] = self._entry
                    await self._tell("scenes", scenes=self._scenes())
                return
            case "model":
                self._facts = ModelFacts(**message["facts"])
                await self._tell_controls()
        await self._send(json.dumps(self._made.with_addresses(message)))

    async def _tell_controls(self) -> None:
        assert self._entry is not None
        await self._tell("controls", controls=controls_of(self._entry, self._choices, self._facts))


class _DrawingProcess(AskedProcess):
    """The processes that draw a scene as it is after an edit, and answer what frames show.

    Parameters
    ----------
    arguments
        Request, trace and folder for :func:`filmkit.studio.artist.draw`.
    hear
        Takes this object and each message of the processes.
    started
        When the session began to start them, by :func:`time.monotonic`.

    Attributes
    ----------
    started
        As above.
    """

    def __init__(
        self,
        arguments: tuple[RenderRequest, Trace, Path],
        hear: Callable[[_DrawingProcess, dict[str, Any]], None],
        started: float,
    ) -> None:
        super().__init__(ARTIST, arguments, hear)
        self.started = started
        self._frames: OrderedDict[tuple[str, int, bool], str] = OrderedDict()

    def answered(self, message: dict[str, Any]) -> str:
        """Keep an answer, and return it as text."""
        text = json.dumps(message)
        if "error" not in message:
            key = message["beat"], message["frame"], message["picture"] is not None
            self._frames[key] = text
            if len(self._frames) > KEPT_FRAMES:
                self._frames.popitem(last=False)
        return text

    def known(self, beat: str, frame: int, *, picture: bool) -> str | None:
        """Return an answer that is kept."""
        return self._frames.get((beat, frame, picture))
