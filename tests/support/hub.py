"""A local server that imitates the Hugging Face hub, including failing downloads."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class FakeHub:
    """Server of one model, with settings for failures and a list of the requests it received.

    Parameters
    ----------
    folder : Path
        Folder with the model's files.
    name : str
        The model's name.
    cut : dict of str to int
        File name to the number of bytes after which its connection is closed, once.
    stall : set of str
        Names of files whose headers are sent and whose content is not.
    requests : list of (str, str, str or None)
        Method, path and Range header of each request.
    url : str
        Address of the running server.
    closing : threading.Event
        Set when the server stops, to end stalled responses.
    """

    folder: Path
    name: str
    cut: dict[str, int] = field(default_factory=dict)
    stall: set[str] = field(default_factory=set)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    url: str = ""
    closing: threading.Event = field(default_factory=threading.Event)

    def downloads(self, file: str) -> list[str | None]:
        """Return the Range header of each request for a file's content; None is the whole file."""
        return [
            byte_range
            for method, path, byte_range in self.requests
            if method == "GET" and path.endswith(f"/{file}") and "/resolve/" in path
        ]

    @contextmanager
    def running(self) -> Iterator[FakeHub]:
        """Run the server on a free port of this machine."""
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield self
        finally:
            self.closing.set()
            server.shutdown()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """Request handler for the model's files and the file list; error 404 for anything else."""

    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        """Do not log requests."""

    def _answer(self) -> None:
        path = self.path.split("?")[0]
        self.hub.requests.append((self.command, path, self.headers.get("Range")))
        name, _, file = path.lstrip("/").partition("/resolve/")
        if name == self.hub.name and file:
            self._send_file(self.hub.folder / file.partition("/")[2])
        elif path.startswith(f"/api/models/{self.hub.name}/tree/"):
            self._send_tree(path.split("/tree/")[1].partition("/")[2])
        elif path == f"/api/models/{self.hub.name}":
            self._send_json({"id": self.hub.name, "sha": COMMIT, "siblings": []})
        else:
            self._send_error("RepoNotFound", "Repository not found")

    def _send_tree(self, below: str) -> None:
        if below:
            self._send_error("EntryNotFound", "Entry not found")
            return
        files = sorted(self.hub.folder.iterdir())
        self._send_json(
            [
                {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": "0" * 40}
                for file in files
            ]
        )

    def _send_json(self, document: object) -> None:
        self._send(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _send_error(self, code: str, message: str) -> None:
        self._send(404, b"", {"X-Error-Code": code, "X-Error-Message": message})

    def _send_file(self, file: Path) -> None:
        if not file.is_file():
            self._send_error("EntryNotFound", "Entry not found")
            return
        content = file.read_bytes()
        headers = {
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": COMMIT,
            "Accept-Ranges": "bytes",
        }
        start = 0
        if byte_range := self.headers.get("Range"):
            start = int(byte_range.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        stalls = file.name in self.hub.stall
        end = self.hub.cut.pop(file.name, None) if self.command == "GET" else None
        self._send(206 if start else 200, content[start:], headers, end, stalls)

    def _send(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str],
        end: int | None = None,
        stalls: bool = False,
    ) -> None:
        """Send a body, or only `end` bytes of it; send no body at all if `stalls`."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if stalls:
            self.hub.closing.wait(60)
            self.close_connection = True
            return
        self.wfile.write(body[:end])
        if end is not None:
            self.wfile.flush()
            self.close_connection = True
