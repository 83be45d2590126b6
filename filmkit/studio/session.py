"""What a page of the studio works on: one scene, kept up to date while it is edited."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from extract.limits import fault_of_prompt
from extract.support.plain_text import error_line
from filmkit.core.language import _, use_language
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.digests import file_hash
from filmkit.render.edits import EditLoop
from filmkit.render.errors import explain
from filmkit.render.request import RenderRequest
from filmkit.studio.controls import CONTROLS, Choices, ModelFacts, controls_of, requested
from filmkit.studio.tracer import STEPS, SentenceTracer, Tell, sentence_models

__all__ = ["MadeFiles", "Session"]

ARTIST = "filmkit.studio.artist:draw"
# Characters; the pictures have room for 24 tokens. The page cuts only what no message has room for.
LONGEST_SENTENCE = 500
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

    All that happens (a message of the page, of the artist) is handled one after another.

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
        self._base = replace(request, quiet=True, verbose=request.verbose or None, captions="none")
        self._choices = dict(choices)
        self._made = made
        self._tracer = tracer
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[tuple[Handler, Any]] = asyncio.Queue()
        self._entry: SceneEntry | None = None
        self._facts: ModelFacts | None = None
        self._drawing: EditLoop | None = None
        # The trace of the page's sentence, and what is in it once it is whole.
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
            self._end_drawing()

    def _scenes(self) -> list[dict[str, str]]:
        return [
            {"name": entry.slug, "title": entry.shown_title} for entry in self._entries.values()
        ]

    async def _tell(self, kind: str, **content: Any) -> None:
        await self._send(json.dumps({"kind": kind, **content}))

    async def _tell_error(self, line: str) -> None:
        await self._tell("error", text=error_line(line))

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
                if self._drawing:
                    self._drawing.ask(beat=beat, frame=frame, picture=too)
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
        self._end_drawing()
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
            request = requested(self._base, self._entry, self._choices)
        except ValueError as error:
            await self._tell_controls()
            await self._tell_error(str(error))
            return

        def hear(message: dict[str, Any]) -> None:
            self._post(self._on_drawn, (drawing, message))

        made = [self._made.folder]
        self._drawing = drawing = EditLoop(request, ARTIST, made, hear, self._shows_nothing_of)
        await self._tell_controls()  # with which a trace that cannot be read is left again
        threading.Thread(target=drawing.run).start()

    def _shows_nothing_of(self, files: list[Path]) -> bool:
        """Return whether an edit has only added a latent or a conversion to the trace."""
        if not self._own or not self._entry or self._entry.uses_latents:
            return False
        file, whole = self._own
        return files == [file] and whole in ("", file_hash(file))

    def _end_drawing(self) -> None:
        if self._drawing:
            self._drawing.end()
            self._drawing = None

    async def _on_drawn(self, event: tuple[EditLoop, dict[str, Any]]) -> None:
        drawing, message = event
        if drawing is not self._drawing:
            return  # of another scene, or of other choices
        match message["kind"]:
            case "error":
                await self._tell("error", text=message["text"])
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
