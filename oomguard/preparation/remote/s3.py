"""Object stores that speak S3: Amazon's, and others by AWS_ENDPOINT_URL.

Credentials are found, and requests signed, by botocore; the bytes come as from any server, by few long requests. No
client of botocore is made: it takes 15 MiB for a description of all that S3 can do. Source: the API reference of
Amazon S3, ListObjectsV2, GetObject and "Error responses"; the addresses as in "Virtual hosting of buckets".
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree as ET

from oomguard.errors import BadInput, MissingExtra, NothingFound, OomguardError, Unreachable
from oomguard.preparation.remote.requesting import Client, ask_extent, receive_all
from oomguard.preparation.remote.stores import RemoteEntry, Store, path_pattern
from oomguard.text import printable, shell_word

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUCKET = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{1,254}")  # the oldest buckets, and other stores, have longer names
_REGION = re.compile("[a-z0-9-]{1,40}")
_CODE = re.compile(rb"<Code>([A-Za-z0-9]{1,60})</Code>")
_PAGE = 1000  # objects in an answer: the most that S3 gives
_WHO = "aws sts get-caller-identity"
# What S3 says in the body of a refusal.
_REFUSALS: dict[str, tuple[type[OomguardError], str, str]] = {
    "NoSuchBucket": (NothingFound, "there is no such bucket", "check the name (and AWS_ENDPOINT_URL): aws s3 ls"),
    "NoSuchKey": (NothingFound, "it is not there", "check the name: aws s3 ls"),
    "AccessDenied": (Unreachable, "", ""),  # by what was to be done
    "InvalidAccessKeyId": (Unreachable, "S3 does not know the access key", _WHO),
    "SignatureDoesNotMatch": (Unreachable, "the secret key is not that of the access key", _WHO),
    "ExpiredToken": (Unreachable, "the credentials have expired", "renew them (aws sso login), then the same command"),
    "RequestTimeTooSkewed": (Unreachable, "this machine's clock is wrong", "set it: timedatectl"),
    "InvalidObjectState": (Unreachable, "it is archived (Glacier)", "aws s3api restore-object, then the same command"),
}  # fmt: skip


class S3(Store):
    """S3, which is told who asks by a signature of each request."""

    who = "S3"
    check = "check the name (and AWS_ENDPOINT_URL, AWS_PROFILE)"
    login = _WHO
    has_secret = True

    def __init__(self, *, writes: bool = False) -> None:
        """`writes`: objects, too. Raises: MissingExtra; Unreachable where the configuration is wrong."""
        self._writes = writes
        try:
            import botocore.session
        except ImportError as error:
            raise MissingExtra("s3:// needs botocore, which finds the credentials", extra="s3") from error
        try:
            session = botocore.session.Session()
            profile: dict[str, Any] = session.get_scoped_config()
            self._credentials: Any = session.get_credentials()  # None: nobody, as for what is public
            if self._credentials is not None:
                self._credentials.get_frozen_credentials()
            region = session.get_config_variable("region") or os.environ.get("AWS_REGION")
        except Exception as error:
            raise _without_credentials(error) from error
        self._region: str = region or "us-east-1"
        self._endpoint = _endpoint(profile, session.full_config)
        self._by_path = _section(profile, "s3").get("addressing_style") != "virtual"

    def url(self, address: str, pin: str) -> str:  # noqa: ARG002
        """Of s3://BUCKET/KEY."""
        bucket, _, key = address.removeprefix("s3://").partition("/")
        return f"{self.bucket_url(bucket)}/{quote(key, safe='/~')}"

    def bucket_url(self, bucket: str) -> str:
        """Where a bucket is: by its own host name, or below the path of an endpoint."""
        if self._endpoint:
            scheme, _, host = self._endpoint.partition("://")
            return f"{self._endpoint}/{bucket}" if self._by_path else f"{scheme}://{bucket}.{host}"
        domain = f"s3.{self._region}.amazonaws.com{'.cn' if self._region.startswith('cn-') else ''}"
        return f"https://{domain}/{bucket}" if "." in bucket else f"https://{bucket}.{domain}"  # dots: no certificate

    def sign(self, method: str, url: str, headers: dict[str, str], data: Any) -> dict[str, str]:
        """A signature of this request and what it sends, good for a quarter of an hour. Raises: Unreachable."""
        if self._credentials is None:
            return {}
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest

        own = {name: value for name, value in headers.items() if name.lower().startswith("x-amz-")}
        request = AWSRequest(method, url, headers=own, data=data)
        try:
            S3SigV4Auth(self._credentials.get_frozen_credentials(), "s3", self._region).add_auth(request)
        except Exception as error:  # they have run out, and new ones cannot be had
            raise _without_credentials(error) from error
        return dict(request.headers.items())

    def tag(self, pin: str) -> str:
        """As headers have it; some servers leave the quotes out in lists."""
        return f'"{pin}"' if pin and '"' not in pin else pin

    def elsewhere(self, url: str, answer: Any) -> str | None:
        """A bucket is in one region, and who asks in another is told which."""
        region = answer.headers.get("x-amz-bucket-region", "")
        is_here = answer.status_code < 300 or region == self._region or self._endpoint
        if is_here or not _REGION.fullmatch(region) or answer.status_code not in (301, 307, 400, 403):
            return None
        before, self._region = self._region, region
        parts = urlsplit(url)
        return parts._replace(netloc=parts.netloc.replace(f"s3.{before}.", f"s3.{region}.")).geturl()

    def refusal(self, name: str, status: int, headers: Any, body: bytes) -> OomguardError:  # noqa: D102
        found = _CODE.search(body)
        code = found[1].decode() if found else ""
        if code not in _REFUSALS:
            return super().refusal(name, status, headers, body)
        kind, what, do = _REFUSALS[code]
        if code == "AccessDenied":
            verb = "read and written" if self._writes else "read"
            more = ", s3:PutObject and s3:DeleteObject" if self._writes else ""
            what = f"may not be {verb} with these credentials"
            do = f"s3:GetObject, s3:ListBucket{more} are needed: {_WHO} shows whose credentials these are"
            if self._credentials is None:
                what = f"may not be {verb} without credentials, and none were found"
                do = "aws configure, or AWS_PROFILE"
        return kind(f"{name}: {what} ({self.who} answers {status} {code})", do=do)


def _without_credentials(error: Exception) -> Unreachable:
    """Of any kind: a program of the user's, a server, or what they answer. Its words may hold a secret."""
    return Unreachable(f"the credentials for S3 cannot be obtained: {type(error).__name__}", do=_WHO)


def _section(config: dict[str, Any], name: str) -> dict[str, Any]:
    """A section of the configuration; empty: there is none, or a word in its place."""
    found = config.get(name)
    return found if isinstance(found, dict) else {}


def _endpoint(profile: dict[str, Any], config: dict[str, Any]) -> str:
    """Another server than Amazon's, from where its tools look for one; empty: none."""
    ignored = os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true"
    services = _section(_section(config, "services"), profile.get("services") or "")
    found = (
        os.environ.get("AWS_ENDPOINT_URL_S3")
        or os.environ.get("AWS_ENDPOINT_URL")
        or _section(services, "s3").get("endpoint_url")
        or profile.get("endpoint_url")
        or ""
    )
    if ignored or not found:
        return ""
    if not re.fullmatch(r"https?://[^/@?#]+(/[^@?#]*)?", found):  # with a password: it would be told
        raise BadInput("AWS_ENDPOINT_URL is not an address like https://HOST[:PORT]", do="echo $AWS_ENDPOINT_URL")
    return str(found).rstrip("/")


def bucket_and_key(address: str) -> tuple[str, str]:
    """Take s3://BUCKET/KEY apart. Raises: BadInput if that is no bucket's name."""
    bucket, _, key = address.removeprefix("s3://").partition("/")
    if not bucket:
        raise BadInput(f"{printable(address)} names no bucket", do="s3://BUCKET/KEY")
    if not _BUCKET.fullmatch(bucket):
        raise BadInput(
            f'{printable(address)}: "{printable(bucket)}" cannot be the name of a bucket, which has 3 to 63 letters, '
            "digits, dots and hyphens",
            do="check the name: aws s3 ls",
        )
    return bucket, key


def find_in_bucket(address: str) -> Iterator[RemoteEntry]:
    """Give the objects that are named, or below a folder, or match a glob. Raises: OomguardError."""
    name = printable(address)
    bucket, key = bucket_and_key(address)
    if not {".", ".."}.isdisjoint(key.split("/")):  # what sends requests takes them out, as of a path
        raise BadInput(
            f"{name}: objects with . or .. between slashes in their names are not read",
            do=f"aws s3 cp {shell_word(address)} FILE; oomguard prepare FILE",
        )
    pattern, store = path_pattern(key), S3()
    bucket_list = BucketList(Client(name, store), store, bucket, name)
    if pattern.path and not pattern.has_magic and not key.endswith("/"):
        try:
            first = next(bucket_list.objects(pattern.path, most=1), None)
        except Unreachable:  # who may read an object may not always list
            size, tag = ask_extent(Client(name, store), store.url(address, ""))
            first = (key, size, tag) if size is not None else None
        if first is not None and first[0] == key:
            yield RemoteEntry(address=address, size=first[1], pin=first[2], named=True)
            return
    start = pattern.folder + "/" if pattern.folder else ""
    for where, size, tag in bucket_list.objects(start):
        if pattern.takes(where) and not where.endswith("/"):  # such a one stands for a folder
            yield RemoteEntry(address=f"s3://{bucket}/{where}", size=size, pin=tag, named=False)


class BucketList:
    """The list of a bucket's objects, a page of a thousand at a time."""

    def __init__(self, client: Client, store: S3, bucket: str, name: str) -> None:
        self._client, self._store, self._bucket, self._name = client, store, bucket, name

    def objects(self, start: str, most: int = 0) -> Iterator[tuple[str, int, str]]:
        """Give key, size and ETag of those whose key begins so, in the order of their keys; with `most` 1 the first."""
        more = ""
        while True:
            query = {"list-type": "2", "max-keys": str(most or _PAGE), "prefix": start}
            query |= {"continuation-token": more} if more else {}
            words = urlencode(sorted(query.items()), quote_via=quote, safe="")
            url = f"{self._store.bucket_url(self._bucket)}/?{words}"
            try:
                listed = self._client.ask(url, {}, receive_all)
                page = ET.fromstring(listed)  # noqa: S314 - expat bounds what entities make
                for one in page.iterfind("{*}Contents"):
                    yield (
                        one.findtext("{*}Key") or "",
                        int(one.findtext("{*}Size") or ""),
                        one.findtext("{*}ETag") or "",
                    )
                more = page.findtext("{*}NextContinuationToken") or ""
            except (ET.ParseError, ValueError) as error:
                raise Unreachable(
                    f"{self._name}: the server's answer is not one of S3's API", do=self._store.check
                ) from error
            if not more or most == 1:
                return
