"""A server of the report for whoever sits at this machine, which follows sweeps that still run.

It listens on the loopback interface only, and answers nobody who does not know the random token in
the page's address: not other users of the machine, and no page of another site.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from mimetypes import guess_type
from pathlib import Path
from socket import SHUT_RDWR
from socket import socket as Socket  # noqa: N812  the type of connections
from threading import Lock
from time import monotonic
from types import MappingProxyType
from typing import Any, TypeAlias

from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.results.report.page import data, page
from pytest_hypersearch.results.report.payload import file_below
from pytest_hypersearch.results.report.runs import Judge
from pytest_hypersearch.results.study_history import Reported
from pytest_hypersearch.store.annotations import Target, annotate, targets_called
from pytest_hypersearch.store.reader import read_run
from pytest_hypersearch.store.runs import Run

Load: TypeAlias = Callable[[], Sequence[Reported]]

MOST_STRANGERS = 32
SECONDS_TO_ASK = 5.0

_HOST = "127.0.0.1"
_DATA = "data.json"
_ANNOTATIONS = "annotations"
MOST_BYTES = 256 * 1024
_FILES = "files"
_FIXED = {
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def serve(
    load: Load,
    stamp: Callable[[], str],
    announce: Callable[[str], None],
    judge: Judge | None = None,
) -> None:
    """Serve the report until interrupted.

    Args:
        load: Reads what is stored now.
        stamp: Tells cheaply what `load` would read; another text if there is more than before.
        announce: Told the address once the server listens.
        judge: Judges the gates of the newest runs; by default their thresholds.

    Raises:
        ModuleNotFoundError: plotly is not installed.
        OSError: There is no free port.
    """
    with server(load, stamp, judge) as listening, contextlib.suppress(KeyboardInterrupt):
        announce(listening.url)
        listening.serve_forever()


def server(load: Load, stamp: Callable[[], str], judge: Judge | None = None) -> Server:
    """Return a server that listens already, on a port that the system chose."""
    return Server(_Report(load, stamp, judge), secrets.token_urlsafe(16))


def stamp_of(stores: Iterable[Path]) -> str:
    """Return a text that changes whenever a file of records below stores' directories does."""
    known = []
    for file in sorted(file for store in stores for file in store.glob("*/*/*.jsonl")):
        with contextlib.suppress(OSError):
            about = file.stat()
            known.append((str(file), about.st_size, about.st_mtime_ns))
    return str(hash(tuple(known)))


class _Report:
    """The report as it was when it was last asked for."""

    def __init__(self, load: Load, stamp: Callable[[], str], judge: Judge | None) -> None:
        self._load = load
        self._judge = judge
        self._stamp = stamp
        self._lock = Lock()
        self._known: tuple[str, bytes] | None = None
        self._linked: dict[str, Path] = {}

    def page(self) -> bytes:
        return page(self._load(), self._link, live=_DATA, judge=self._judge).encode()

    def annotate(self, given: Mapping[str, Any]) -> None:
        """Take what somebody says of trials, or of the run.

        Raises:
            KeyError, TypeError, ValueError: It makes no sense.
            StoreError: It cannot be written.
        """
        wanted = given["nodeid"], given["run"]
        shown = (one for one in self._load() if (one.study.nodeid, one.study.run) == wanted)
        reported = next(shown, None)
        if reported is None:
            raise ValueError("this run is not there any more")
        changes = {"add": texts(given["add"]), "remove": texts(given["remove"])}
        note = given["note"] if isinstance(given["note"], str) else None
        for run, targets in _targets(reported, texts(given["trials"])).items():
            annotate(Run(run), targets, **changes, note=note)

    def tag(self) -> str:
        return f'"{self._stamp()}"'

    def data(self) -> bytes:
        with self._lock:
            tag = self.tag()
            if self._known is None or self._known[0] != tag:
                self._known = tag, data(self._load(), self._link, judge=self._judge)
            return self._known[1]

    def file(self, address: str) -> Path | None:
        """Return the file of an address below `_FILES`, None if the page has no link to it."""
        key, _, below = address.partition("/")
        return file_below(self._linked[key], below) if key in self._linked else None

    def _link(self, directory: Path) -> str:
        key = sha256(str(directory).encode(errors="surrogateescape")).hexdigest()[:16]
        self._linked[key] = directory
        return f"{_FILES}/{key}"


def texts(value: object) -> list[str]:
    """Return a list of texts.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise TypeError(f"{value!r}: expected a list of texts")
    return value


def _targets(reported: Reported, names: Iterable[str]) -> dict[Path, list[Target]]:
    """Return what the page calls by names, by the run that has it.

    Raises:
        ValueError: There is no such trial.
    """
    found: dict[Path, list[Target]] = {}
    for name in names:
        for target in targets_called(reported.study, name):
            run = next(run for run in reversed(reported.runs) if _has(run, target))
            found.setdefault(run, []).append(target)
    return found


def _has(run: Path, target: Target) -> bool:
    return target is None or any(one.key == target for one in read_run(Run(run)).trials)


class Server(ThreadingHTTPServer):
    """Answers at one secret address.

    Connections that have not shown the token have seconds to do so, and only so many of them are
    kept, the newest: nobody else on the machine uses up its threads and open files.

    Attributes:
        url: The address of the page.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, report: _Report, token: str) -> None:
        super().__init__((_HOST, 0), _Handler)
        self.report = report
        self.token = token
        self.url = f"http://{_HOST}:{self.server_port}/{token}/"
        self._strangers: dict[Socket, float] = {}
        self._strangers_lock = Lock()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  as the base class
        """Take a connection, if need be in the place of the oldest that shows no token."""
        with self._strangers_lock:
            self._strangers[request] = monotonic() + SECONDS_TO_ASK
            while len(self._strangers) > MOST_STRANGERS:
                self._drop(next(iter(self._strangers)))
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """Drop the connections whose time is up; called every half second."""
        super().service_actions()
        with self._strangers_lock:
            late = [request for request, end in self._strangers.items() if end < monotonic()]
            for request in late:
                self._drop(request)

    def _drop(self, request: Socket) -> None:
        """Let the thread of a connection find it closed."""
        del self._strangers[request]
        with contextlib.suppress(OSError):
            request.shutdown(SHUT_RDWR)

    def admit(self, request: Socket) -> None:
        """Let a connection live that has shown the token, or is about to end."""
        with self._strangers_lock:
            self._strangers.pop(request, None)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401  as the base class
        """End a connection."""
        self.admit(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  as the base class
        """Say nothing of connections that break."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        known, rest = self._admitted()
        if not known:
            self._answer(HTTPStatus.NOT_FOUND, b"", "text/plain")
            return
        try:
            self._known(rest)
        except (LookupError, OSError, StoreError) as error:  # runs may be removed meanwhile
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, str(error).encode(), "text/plain")

    def do_POST(self) -> None:
        """Take tags and notes from the page itself."""
        known, path = self._admitted()
        own = self.headers.get("Origin", "").removeprefix("http://") in self._names()
        size = self.headers.get("Content-Length", "")
        if not known or path != _ANNOTATIONS or not own:
            self._answer(HTTPStatus.NOT_FOUND, b"", "text/plain")
        elif not size.isdecimal() or int(size) > MOST_BYTES:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"too long", "text/plain")
        else:
            self._annotate(self.rfile.read(int(size)))

    def _annotate(self, body: bytes) -> None:
        try:
            self.server.report.annotate(json.loads(body))
        except (KeyError, TypeError, ValueError) as error:
            self._answer(HTTPStatus.BAD_REQUEST, str(error).encode(), "text/plain; charset=utf-8")
        except (LookupError, OSError, StoreError) as error:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, str(error).encode(), "text/plain")
        else:
            self._answer(HTTPStatus.NO_CONTENT, b"", "text/plain")

    def _names(self) -> set[str]:
        return {f"{name}:{self.server.server_port}" for name in (_HOST, "localhost")}

    def _admitted(self) -> tuple[bool, str]:
        """Whether a request shows the token, and what it asks for."""
        token, _, rest = self.path.removeprefix("/").partition("/")
        known = secrets.compare_digest(token.encode(), self.server.token.encode())
        admitted = known and self.headers.get("Host") in self._names()
        if admitted:
            self.server.admit(self.connection)
        return admitted, rest

    def _known(self, rest: str) -> None:
        if rest == "":
            self._answer(HTTPStatus.OK, self.server.report.page(), "text/html; charset=utf-8")
        elif rest == _DATA:
            self._data()
        elif rest.startswith(f"{_FILES}/") and (
            file := self.server.report.file(rest.removeprefix(f"{_FILES}/"))
        ):
            self._file(file)
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"", "text/plain")

    def _data(self) -> None:
        tag = self.server.report.tag()
        if self.headers.get("If-None-Match") == tag:
            self._answer(HTTPStatus.NOT_MODIFIED, b"", "application/json", {"ETag": tag})
            return
        encoding = {"ETag": tag, "Content-Encoding": "gzip"}
        self._answer(HTTPStatus.OK, self.server.report.data(), "application/json", encoding)

    def _file(self, file: Path) -> None:
        """Send what a trial saved; whatever it is, the browser runs nothing in it."""
        kind, how = _shown(file)
        with file.open("rb") as source:
            size = str(os.fstat(source.fileno()).st_size)
            headers = {"Content-Disposition": how, "Content-Security-Policy": "sandbox"}
            self._head(HTTPStatus.OK, {"Content-Type": kind, "Content-Length": size, **headers})
            shutil.copyfileobj(source, self.wfile)

    def _answer(
        self,
        status: HTTPStatus,
        body: bytes,
        kind: str,
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._head(status, {"Content-Type": kind, "Content-Length": str(len(body)), **more})
        self.wfile.write(body)

    def _head(self, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**_FIXED, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing: the address is secret."""


def _shown(file: Path) -> tuple[str, str]:
    """The type of a file and whether it is shown: pictures as they are, other text plain."""
    kind = guess_type(file.name)[0] or ""
    if kind.startswith("image/"):
        return kind, "inline"
    if kind.startswith("text/") or kind == "application/json":
        return "text/plain; charset=utf-8", "inline"
    return "application/octet-stream", "attachment"
