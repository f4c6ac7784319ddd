"""A Hub on this machine, and nothing of the user's own."""

from collections.abc import Iterator

import pytest

from tests.preparation.remote.hub_server import HubServer

TOKEN = "hf_testers-secret-token"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    """A data set on a server; HF_ENDPOINT names it."""
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
