"""A server on this machine that answers as the Hub does, with a second one to which it redirects, and their faults.

Source: https://huggingface.co/docs/hub/api and the requests of huggingface_hub 2.4: GET /api/datasets/OWNER/NAME and
.../revision/REV give {"sha"}; .../tree/COMMIT/FOLDER a page of files with Link: rel="next"; /datasets/OWNER/NAME/
resolve/COMMIT/FILE redirects (302, X-Linked-ETag) to a signed address on another host for what is in LFS, and gives a
small file itself.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

COMMIT = "c0ffee" * 6 + "beef"
REPOSITORY = "tester/corpus"
SIGNATURE = "X-Amz-Signature=signed-address"
_SMALL = 200  # bytes of a file that is not in LFS


@dataclass
class Fault:
    """What is done in place of the answer, `times` often, to requests whose path matches."""

    match: str
    method: str = ""  # of the requests; empty: any
    status: int = 0  # with these headers; 0: the answer as it should be, but...
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"no"  # of the answer with that status
    cut: int | None = None  # ...the connection ends after so many bytes of the body
    skip: int = 0  # requests that match before the first that has it
    times: int = 1
    is_done: bool = False  # the request is heeded all the same, and only its answer is this one


@dataclass
class Asked:
    """A request that came."""

    server: str  # "hub", "cdn", "web"
    path: str
    headers: dict[str, str]
    status: int = 0
    method: str = "GET"


class WithFaults:
    """Servers that note what they were asked, and have faults."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.faults: list[Fault] = []
        self._servers: list[ThreadingHTTPServer] = []

    def listen(self, handler: type[BaseHTTPRequestHandler], role: str) -> str:
        server = _Server(("127.0.0.1", 0), type("Handler", (handler,), {"hub": self, "role": role}))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self._servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def requests(self, pattern: str) -> list[Asked]:
        return [one for one in self.asked if re.search(pattern, one.path)]

    def fault_of(self, path: str, method: str) -> Fault | None:
        for fault in self.faults:
            if re.search(fault.match, path) and fault.method in ("", method):
                if fault.skip:
                    fault.skip -= 1
                elif fault.times:
                    fault.times -= 1
                    return fault
        return None


class HubServer(WithFaults):
    """Files of one dataset; `hub` and `cdn` are two hosts, and /web/FILE of the second a plain server."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}
        self.page = 1000  # files in a page of the tree
        self.ranges = True
        self.etags: dict[str, str] = {}  # of /web/, in place of those of the content
        self.stored: dict[str, bytes] = {}  # what the CDN gives in place of `files`: another version, or damaged
        self.token: str | None = None  # without it the Hub answers 401
        self.hub, self.cdn = self.listen(_Handler, "hub"), self.listen(_Handler, "cdn")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        """Who asked has closed the connection in the middle of an answer, as it may."""


class HandlerOfFaults(BaseHTTPRequestHandler):
    """Notes requests, and answers with the faults they have."""

    protocol_version = "HTTP/1.1"
    hub: Any
    role: str

    def log_message(self, *_: Any) -> None:
        """Tests read `asked`."""

    def note(self) -> str:
        path = unquote(self.path.partition("?")[0])
        self.fault: Fault | None = None
        self.seen = Asked(
            "web" if path.startswith("/web/") else self.role, unquote(self.path), dict(self.headers.items()),
            method=self.command,
        )  # fmt: skip
        self.hub.asked.append(self.seen)
        self.fault = self.hub.fault_of(path, self.command)
        return path

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.seen.status = status
        cut = self.fault.cut if self.fault is not None else None
        try:
            self.send_response(status)
            length = {} if "Transfer-Encoding" in headers else {"Content-Length": str(len(body))}
            for name, value in {**length, **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body if cut is None else body[:cut])
            self.wfile.flush()
        except OSError:
            self.close_connection = True  # who asked has enough
        if cut is not None:
            self.close_connection = True


class _Handler(HandlerOfFaults):
    hub: HubServer

    def do_GET(self) -> None:
        hub, path = self.hub, self.note()
        if self.fault is not None and self.fault.status:
            self.answer(self.fault.status, self.fault.body, **self.fault.headers)
        elif self.role == "cdn":
            self.give_file(path)
        elif hub.token is not None and self.headers.get("Authorization") != f"Bearer {hub.token}":
            self.answer(401, b"", **{"X-Error-Code": "RepoNotFound"})
        elif path.startswith("/api/datasets/"):
            self.give_list()
        else:
            self.resolve(path)

    def give_list(self) -> None:
        url = urlsplit(self.path)
        found = re.fullmatch(rf"/api/datasets/{REPOSITORY}(?:/(revision|tree)/([^/]+)(?:/(.*))?)?", url.path)
        if found is None:
            return self.answer(404, b"", **{"X-Error-Code": "RepoNotFound"})
        if found[2] and unquote(found[2]) not in (COMMIT, "main", "refs/convert/parquet"):
            return self.answer(404, b"", **{"X-Error-Code": "RevisionNotFound"})
        if found[1] != "tree":
            return self.answer(200, json.dumps({"id": REPOSITORY, "sha": COMMIT}).encode())
        query, folder = parse_qs(url.query), unquote(found[3] or "")
        below = [path for path in sorted(self.hub.files) if not folder or path.startswith(folder + "/")]
        if folder and not below:
            return self.answer(404, b"", **{"X-Error-Code": "EntryNotFound"})
        entries = []
        for path in below:
            rest = path[len(folder) + 1 if folder else 0 :]
            if query["recursive"] == ["True"] or "/" not in rest:
                entries.append(self.entry(path))
            elif (
                inner := {
                    "type": "directory",
                    "oid": "0" * 40,
                    "size": 0,
                    "path": path[: -len(rest)] + rest.split("/")[0],
                }
            ) not in entries:
                entries.append(inner)
        start = int(query.get("cursor", ["0"])[0])
        headers, stop = {}, start + self.hub.page
        if stop < len(entries):
            headers["Link"] = f'<{self.hub.hub}{url.path}?recursive={query["recursive"][0]}&cursor={stop}>; rel="next"'
        return self.answer(200, json.dumps(entries[start:stop]).encode(), **headers)

    def entry(self, path: str) -> dict[str, Any]:
        data = self.hub.files[path]
        oid = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        made: dict[str, Any] = {"type": "file", "oid": oid, "size": len(data), "path": path}
        if len(data) > _SMALL:
            made["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
        return made

    def resolve(self, path: str) -> None:
        found = re.fullmatch(rf"/datasets/{REPOSITORY}/resolve/{COMMIT}/(.*)", path)
        if found is None or found[1] not in self.hub.files:
            return self.answer(404, b"", **{"X-Error-Code": "EntryNotFound"})
        entry = self.entry(found[1])
        if "lfs" not in entry:
            return self.give(self.hub.files[found[1]], entry["oid"])
        linked = {"X-Linked-ETag": f'"{entry["lfs"]["oid"]}"', "X-Linked-Size": str(entry["size"])}
        if found[1] in self.hub.stored:
            del linked["X-Linked-ETag"]
        return self.answer(302, b"", Location=f"{self.hub.cdn}/lfs/{quote(found[1])}?{SIGNATURE}", **linked)

    def give_file(self, path: str) -> None:
        name = path.removeprefix("/lfs/").removeprefix("/web/")
        data = self.hub.stored.get(name, self.hub.files.get(name))
        if data is None:
            return self.answer(404, b"")
        return self.give(data, self.hub.etags.get(name) or hashlib.md5(data).hexdigest())

    def give(self, data: bytes, tag: str) -> None:
        headers = {"ETag": f'"{tag}"', "Accept-Ranges": "bytes"}
        wanted = re.fullmatch("bytes=([0-9]+)-([0-9]+)", self.headers.get("Range", ""))
        if wanted is None or not self.hub.ranges:
            return self.answer(200, data, **headers)
        first, last = int(wanted[1]), min(int(wanted[2]), len(data) - 1)
        if first > last:
            return self.answer(416, b"", **{"Content-Range": f"bytes */{len(data)}"})
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        return self.answer(206, data[first : last + 1], **headers)
