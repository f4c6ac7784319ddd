"""moto's S3 on this machine, behind a proxy that counts the requests and has faults."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import re
from urllib.parse import quote, unquote
from xml.etree import ElementTree as ET

from tests.preparation.remote.hub_server import HandlerOfFaults, WithFaults

BUCKET = "corpus"
SECRET = "testers/secret+key"


class S3Server(WithFaults):
    """A bucket; `url` is what AWS_ENDPOINT_URL has to say."""

    def __init__(self) -> None:
        from moto.server import ThreadedMotoServer

        super().__init__()
        self._moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._moto.start()
        self.behind = self._moto.get_host_and_port()
        self.url = self.listen(_Proxy, "s3")
        self._direct("POST", "/moto-api/reset", b"")  # what it has is the process's, and not the server's
        self._direct("PUT", f"/{BUCKET}", b"")

    def put(self, key: str, data: bytes) -> None:
        self._direct("PUT", f"/{BUCKET}/{key}", data)

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        """What is in the bucket, by key."""
        listed = self._direct("GET", f"/{BUCKET}?list-type=2&max-keys=1000&prefix={quote(prefix)}", b"")
        keys = [one.text or "" for one in ET.fromstring(listed).iterfind("{*}Contents/{*}Key")]
        return {key: self._direct("GET", f"/{BUCKET}/{quote(key)}", b"") for key in keys}

    def _direct(self, method: str, path: str, data: bytes) -> bytes:
        connection = http.client.HTTPConnection(*self.behind)
        connection.request(
            method,
            path,
            body=data,
            headers={"Authorization": "AWS4-HMAC-SHA256 Credential=a/b/us-east-1/s3/aws4_request"},
        )
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status in (200, 204), (method, path, answer.status)
        return body

    def remove(self, key: str) -> None:
        self._direct("DELETE", f"/{BUCKET}/{key}", b"")

    def close(self) -> None:
        super().close()
        self._moto.stop()


class _Proxy(HandlerOfFaults):
    hub: S3Server

    def do_GET(self) -> None:  # noqa: N802 - as http.server calls it
        self.note()
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if not self._is_signed() or self.headers.get("X-Amz-Content-SHA256", "") not in _sums(body):
            return self.answer(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
        if self.fault is not None and self.fault.status and not self.fault.is_done:
            return self.answer(self.fault.status, self.fault.body, **self.fault.headers)
        connection = http.client.HTTPConnection(*self.hub.behind)
        connection.request(self.command, self.path, body=body or None, headers=dict(self.headers.items()))
        answer = connection.getresponse()
        kept = {name: value for name, value in answer.getheaders() if name.lower() in _KEPT}
        if self.command == "HEAD":
            kept["Content-Length"] = answer.getheader("Content-Length", "0")
        given = answer.read()
        connection.close()
        if self.fault is not None and self.fault.is_done:
            return self.answer(self.fault.status, self.fault.body, **self.fault.headers)
        return self.answer(answer.status, given, **kept)

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815

    def _is_signed(self) -> bool:
        """Whether the signature, if there is one, is of the request as it came: moto looks at none.

        Source: "Create a signed AWS API request" in the IAM user guide, with S3's paths, which are encoded once.
        """
        given = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=[^/]+/((\d+)/([^/]+)/s3/aws4_request), SignedHeaders=([^,]+), Signature=(\w+)",
            self.headers.get("Authorization", ""),
        )
        if given is None:
            return "Authorization" not in self.headers
        scope, day, region, names, signature = given.groups()
        path, _, query = self.path.partition("?")
        pairs = sorted(tuple(quote(unquote(one), safe="-_.~") for one in pair.split("=", 1))
                       for pair in query.split("&") if pair)  # fmt: skip
        headers = "".join(f"{name}:{self.headers[name].strip()}\n" for name in names.split(";"))
        payload = self.headers["X-Amz-Content-SHA256"]
        asked = "\n".join([self.command, path, "&".join("=".join(pair) for pair in pairs), headers, names, payload])
        text = f"AWS4-HMAC-SHA256\n{self.headers['X-Amz-Date']}\n{scope}\n{hashlib.sha256(asked.encode()).hexdigest()}"
        key = f"AWS4{SECRET}".encode()
        for part in (day, region, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return "host" in names.split(";") and hmac.digest(key, text.encode(), "sha256").hex() == signature


def _sums(body: bytes) -> tuple[str, ...]:
    """What the signature may say of the body; of nothing also nothing."""
    return (hashlib.sha256(body).hexdigest(), *(() if body else ("",)))


_KEPT = {"etag", "content-range", "content-type", "last-modified", "accept-ranges", "x-amz-meta-sha256"}
