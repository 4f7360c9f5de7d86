"""Real proxies that the environment names, HTTP and SOCKS."""

import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TypeAlias

import pytest
import trustme

from tests.bounded import patience
from tests.hostile import HostileServer
from tests.mocks import proxies
from tests.mocks.program import PASSWORD, RANKED, USER, Program
from tests.mocks.proxies import HOST

Start: TypeAlias = Callable[..., str]


@pytest.fixture(params=["default", "custom"])
def whose(request: pytest.FixtureRequest) -> str:
    """Whose client the program uses: ours, or its own, which reads the environment as httpx does."""
    return str(request.param)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts proxies, and returns their addresses, without user and password."""
    running: list[subprocess.Popen[bytes]] = []

    def start(kind: str, password: str = "-") -> str:
        file = tmp_path_factory.mktemp(kind) / "port"
        running.append(
            subprocess.Popen(
                [sys.executable, proxies.__file__, kind, str(file), password],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        )
        ends = time.monotonic() + patience(30)
        while not (file.exists() and file.read_text().strip()):
            assert running[-1].poll() is None, "the proxy did not start"
            assert time.monotonic() < ends, "the proxy took too long to start"
            time.sleep(0.02)
        return f"127.0.0.1:{int(file.read_text())}"

    yield start
    for process in running:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def http_proxy(start: Start) -> str:
    return start("http", f"{USER}:{PASSWORD}")


@pytest.fixture(scope="module")
def socks_proxy(start: Start) -> str:
    return start("socks5", f"{USER}:{PASSWORD}")


@pytest.fixture(scope="module")
def open_socks_proxy(start: Start) -> str:
    return start("socks5")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, str]:
    """Who issues certificates here, and the file that says so."""
    authority, pem = trustme.CA(), tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(pem))
    return authority, str(pem)


@pytest.fixture
def secure(authority: tuple[trustme.CA, str]) -> Iterator[HostileServer]:
    """A server that speaks TLS as `rerank.test`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority[0].issue_cert(HOST, "127.0.0.1").configure_cert(context)
    with HostileServer(context) as server:
        yield server


def at_host(server: HostileServer) -> str:
    """The server's address as the proxy alone can find it."""
    return server.url.replace("127.0.0.1", HOST)


def test_tunnel(
    secure: HostileServer, authority: tuple[trustme.CA, str], http_proxy: str, whose: str, program: Program
) -> None:
    """A proxy with a password makes a tunnel for https, through which the server gets no word for the proxy."""
    environment = {"HTTPS_PROXY": f"http://{USER}:{PASSWORD}@{http_proxy}", "SSL_CERT_FILE": authority[1]}
    assert program(at_host(secure), environment, whose=whose)["indices"] == RANKED
    assert secure.requests[0].headers["host"] == at_host(secure).removeprefix("https://")
    assert "proxy-authorization" not in secure.requests[0].headers


def test_several_requests_through_tunnels(
    secure: HostileServer, authority: tuple[trustme.CA, str], http_proxy: str, program: Program
) -> None:
    """Requests that go out together have tunnels each."""
    environment = {"HTTPS_PROXY": f"http://{USER}:{PASSWORD}@{http_proxy}", "SSL_CERT_FILE": authority[1]}
    assert len(program(at_host(secure), environment, texts=8, batch_size=1)["indices"]) == 8
    assert len(secure.requests) == 8


@pytest.mark.parametrize("password", ["wrong", None])
def test_wrong_password_for_a_tunnel(
    secure: HostileServer,
    authority: tuple[trustme.CA, str],
    http_proxy: str,
    whose: str,
    program: Program,
    password: str | None,
) -> None:
    """A proxy that does not know the password is named in the error, with its 407."""
    user = f"{USER}:{password}@" if password else ""
    environment = {"HTTPS_PROXY": f"http://{user}{http_proxy}", "SSL_CERT_FILE": authority[1]}
    told = program(at_host(secure), environment, whose=whose, max_retries=0)
    assert "RerankError" in told["kinds"]
    assert "407" in told["message"]
    assert "proxy" in told["message"].lower()
    assert "wrong" not in told["message"]
    assert secure.requests == []


def test_plain_request(server: HostileServer, http_proxy: str, whose: str, program: Program) -> None:
    """A plain request to a host that the proxy alone can find goes through it, without the proxy's password."""
    environment = {"HTTP_PROXY": f"http://{USER}:{PASSWORD}@{http_proxy}"}
    assert program(at_host(server), environment, whose=whose)["indices"] == RANKED
    assert server.requests[0].headers["host"] == at_host(server).removeprefix("http://")
    assert "proxy-authorization" not in server.requests[0].headers


def test_wrong_password_for_a_plain_request(
    server: HostileServer, http_proxy: str, whose: str, program: Program
) -> None:
    """The 407 of a proxy to a plain request is the proxy's, not the API's."""
    told = program(at_host(server), {"HTTP_PROXY": f"http://{USER}:wrong@{http_proxy}"}, whose=whose, max_retries=0)
    assert "RerankError" in told["kinds"]
    assert "407" in told["message"]
    assert "proxy" in told["message"].lower()
    assert server.requests == []


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_socks(server: HostileServer, socks_proxy: str, whose: str, program: Program, scheme: str) -> None:
    """A SOCKS proxy with a password carries plain requests, and looks up the host itself."""
    environment = {"ALL_PROXY": f"{scheme}://{USER}:{PASSWORD}@{socks_proxy}"}
    assert program(at_host(server), environment, whose=whose)["indices"] == RANKED


def test_socks_with_tls(
    secure: HostileServer,
    authority: tuple[trustme.CA, str],
    open_socks_proxy: str,
    whose: str,
    program: Program,
) -> None:
    """A SOCKS proxy without a password carries https, of one request and of several."""
    environment = {"ALL_PROXY": f"socks5://{open_socks_proxy}", "SSL_CERT_FILE": authority[1]}
    assert program(at_host(secure), environment, whose=whose)["indices"] == RANKED
    assert len(program(at_host(secure), environment, whose=whose, batch_size=1)["indices"]) == 3


def test_wrong_password_for_socks(server: HostileServer, socks_proxy: str, whose: str, program: Program) -> None:
    """A SOCKS proxy that does not know the password is no reply."""
    told = program(at_host(server), {"ALL_PROXY": f"socks5://{USER}:wrong@{socks_proxy}"}, whose=whose, max_retries=0)
    assert "RerankConnectionError" in told["kinds"]
    assert server.requests == []


@pytest.mark.parametrize("no_proxy", [HOST, ".test", "*"])
def test_no_proxy(server: HostileServer, http_proxy: str, program: Program, no_proxy: str) -> None:
    """A host that `NO_PROXY` names is reached without the proxy: only the proxy can find it, so there is no reply."""
    environment = {"HTTP_PROXY": f"http://{USER}:{PASSWORD}@{http_proxy}", "NO_PROXY": no_proxy}
    told = program(at_host(server), environment, max_retries=0)
    assert "RerankConnectionError" in told["kinds"]
    assert server.requests == []


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY", "http_proxy"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_is_never_proxied(name: str, host: str, server: HostileServer, program: Program) -> None:
    """A request to this machine does not leave it, whatever the environment says."""
    with HostileServer() as proxy:
        told = program(server.url.replace("127.0.0.1", host), {name: proxy.url})
        assert told["indices"] == RANKED
        assert proxy.connections == 0
