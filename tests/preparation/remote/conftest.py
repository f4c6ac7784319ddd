"""A Hub on this machine, and nothing of the user's own."""

import os
import warnings
from collections.abc import Iterator

import pytest

from tests.preparation.remote.hub_server import HubServer
from tests.preparation.remote.s3_server import SECRET, S3Server

TOKEN = "hf_testers-secret-token"
KEY, SESSION = "AKIATESTERSKEY", "testers-session-token"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    """A dataset on a server; HF_ENDPOINT names it."""
    pytest.importorskip("requests", reason="needs requests: pip install 'oomguard[hub]'")
    server = HubServer()
    for name in (
        "HF_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
        "HF_TOKEN_PATH",
        "HF_HUB_OFFLINE",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN",
    ):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path_factory.mktemp("home")
    for name, value in {"HF_ENDPOINT": server.hub, "HF_HOME": str(home), "NETRC": str(home / "netrc")}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    yield server
    server.close()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A bucket on a server; AWS_ENDPOINT_URL names it."""
    pytest.importorskip("botocore", reason="needs botocore: pip install 'oomguard[s3]'")
    pytest.importorskip("moto", reason="needs moto: pip install 'moto[server]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what moto imports
        server = S3Server()
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in {
        "AWS_ENDPOINT_URL": server.url, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "HOME": str(home),
        "AWS_SESSION_TOKEN": SESSION, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    yield server
    server.close()
