"""Google Cloud Storage by its JSON API; who asks is found by google-auth, as Google's own tools find it.

Sources: https://cloud.google.com/storage/docs/json_api/v1/objects, list and get; `ifGenerationMatch` in "Request
preconditions". STORAGE_EMULATOR_HOST names another server, as for Google's libraries.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from oomguard.errors import BadInput, MissingExtra, Unreachable
from oomguard.preparation.remote.requesting import Client, TryAgain, receive_all
from oomguard.preparation.remote.stores import RemoteEntry, Store, path_pattern
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUCKET = re.compile("[a-z0-9][a-z0-9._-]{1,220}")
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"
_NAMED = "GOOGLE_APPLICATION_CREDENTIALS"
_PAGE = 1000  # objects in an answer
_FIELDS = "items(name,size,generation),nextPageToken"


class Gcs(Store):
    """Google's store, which gets a token that is good for an hour."""

    who = "Google Cloud Storage"
    check = "check the name: gcloud storage ls"
    login = "gcloud auth application-default login, as a user who may read it"
    has_secret = True

    def __init__(self) -> None:
        """Raises: MissingExtra; Unreachable where credentials are named, and cannot be had."""
        try:
            import google.auth
            import google.auth.exceptions
        except ImportError as error:
            raise MissingExtra("gs:// is read with google-auth, which finds the credentials", extra="gcs") from error
        host = os.environ.get("STORAGE_EMULATOR_HOST", "").rstrip("/")
        self._host = (host if "://" in host or not host else f"http://{host}") or "https://storage.googleapis.com"
        self._credentials: Any = None  # nobody, as for what is public
        if not host:
            try:
                self._credentials, _ = google.auth.default(scopes=[_SCOPE])
            except Exception as error:
                is_named = bool(os.environ.get(_NAMED))
                if is_named or not isinstance(error, google.auth.exceptions.DefaultCredentialsError):
                    do = f"ls -l ${_NAMED}; or unset it" if is_named else self.login
                    what = f"the credentials for Google cannot be obtained: {type(error).__name__}"
                    raise Unreachable(f"{what} ({_NAMED})" if is_named else what, do=do) from error

    def url(self, address: str, pin: str) -> str:
        """Of gs://BUCKET/NAME, in the generation that was pinned."""
        bucket, _, name = address.removeprefix("gs://").partition("/")
        query = urlencode({"alt": "media", "ifGenerationMatch": pin})
        return f"{self.bucket_url(bucket)}/{quote(name, safe='')}?{query}"

    def bucket_url(self, bucket: str) -> str:
        """Where the list of a bucket's objects is."""
        return f"{self._host}/storage/v1/b/{bucket}/o"

    def secret(self, url: str) -> dict[str, str]:  # noqa: ARG002
        """A token, renewed when it runs out. Raises: TryAgain where the network fails; Unreachable."""
        if self._credentials is None:
            return {}
        import google.auth.exceptions
        from google.auth.transport.requests import Request

        if not self._credentials.valid:
            try:
                self._credentials.refresh(Request())
            except Exception as error:  # its words may hold what a program of the user's has printed
                words = f"no token from Google: {type(error).__name__}"
                if isinstance(error, google.auth.exceptions.TransportError) or getattr(error, "retryable", False):
                    raise TryAgain(words) from error
                raise Unreachable(words, do=self.login) from error
        return {"Authorization": f"Bearer {self._credentials.token}"}

    def tag(self, pin: str) -> str:  # noqa: ARG002
        """The generation is in the address."""
        return ""


def find_in_google_bucket(address: str) -> Iterator[RemoteEntry]:
    """Give the objects that are named, or below a folder, or match a glob. Raises: OomguardError."""
    shown = printable(address)
    bucket, _, key = address.removeprefix("gs://").partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise BadInput(f"{shown} names no bucket", do="oomguard prepare gs://BUCKET/NAME, or a glob in quotes")
    pattern, store = path_pattern(key), Gcs()
    may_be_one = bool(pattern.path) and not pattern.has_magic and not key.endswith("/")
    start = pattern.folder if may_be_one or not pattern.folder else f"{pattern.folder}/"
    for where, size, generation in _objects(Client(shown, store), store.bucket_url(bucket), start, shown):
        is_it = may_be_one and where == pattern.path
        if is_it or (pattern.takes(where) and not where.endswith("/")):  # such a one stands for a folder
            yield RemoteEntry(address=f"gs://{bucket}/{where}", size=size, pin=generation, named=is_it)
        if is_it:
            return


def _objects(client: Client, url: str, start: str, shown: str) -> Iterator[tuple[str, int, str]]:
    """Give name, size and generation of those whose name begins so, in the order of their names."""
    more = ""
    while True:
        query = {"prefix": start, "maxResults": str(_PAGE), "fields": _FIELDS, **({"pageToken": more} if more else {})}
        try:
            page = json.loads(client.ask(f"{url}?{urlencode(query)}", {}, receive_all))
            for one in page.get("items", []):
                yield str(one["name"]), int(one["size"]), str(one["generation"])
            more = page.get("nextPageToken", "")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unreachable(f"{shown}: the server's answer is not one of the JSON API", do=Gcs.check) from error
        if not more:
            return
