"""Real proxies that the environment names, HTTP and SOCKS; and what is wrong with the environment is said once."""

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import trustme

from tests.bounded import patience
from tests.conftest import KEY
from tests.hostile import HostileServer
from tests.mocks import proxies
from tests.mocks.proxies import HOST

USER, PASSWORD = "ada", "s3cr3t-of-the-proxy"
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")

Program: TypeAlias = Callable[..., dict[str, Any]]
Start: TypeAlias = Callable[..., str]

CODE = """
import asyncio, json, logging, sys
asked = json.loads(sys.argv[1])
for name in asked["blocked"]:
    sys.modules[name] = None
import httpx
from hosted_rerank import Provider, RerankError, Reranker

async def awaiting(settings):
    if asked["whose"] == "custom":
        async with httpx.AsyncClient() as client:
            return await Reranker(row, **settings, async_client=client).arerank(*asked["call"])
    async with Reranker(row, **settings) as reranker:
        return await reranker.arerank(*asked["call"])

retries = []
class Retries(logging.Handler):
    def emit(self, record):
        retries.append(record.getMessage())
logging.getLogger("hosted_rerank").setLevel("INFO")
logging.getLogger("hosted_rerank").addHandler(Retries())

row = Provider(name="acme", url=asked["url"] + "/v1/rerank", allow_http=True)
told = {}
try:
    settings = {"api_key": asked["key"], "timeout": 10.0, **asked["settings"]}
    if asked["way"] == "awaiting":
        response = asyncio.run(awaiting(settings))
    elif asked["whose"] == "custom":
        with httpx.Client() as client:
            response = Reranker(row, **settings, client=client).rerank(*asked["call"])
    else:
        with Reranker(row, **settings) as reranker:
            response = reranker.rerank(*asked["call"])
    told["indices"] = [result.index for result in response.results]
    told["passed"] = None if response.error is None else type(response.error).__name__
except Exception as error:
    told["kinds"] = [kind.__name__ for kind in type(error).__mro__]
    told["message"], told["attempts"] = str(error), getattr(error, "attempts", None)
    chain = []
    while error is not None:
        chain.append(repr(error))
        error = error.__cause__ or error.__context__
    told["chain"] = chain
told["log"] = retries
print(json.dumps(told))
"""


@pytest.fixture(params=["default", "custom"])
def whose(request: pytest.FixtureRequest) -> str:
    """Whose client the program uses: ours, or its own, which reads the environment as httpx does."""
    return str(request.param)


@pytest.fixture
def program(way: str, tmp_path: Path) -> Program:
    """A program that reranks once, in an environment with nothing but the given proxies; returns what came of it."""

    def run(
        url: str,
        environment: dict[str, str],
        *,
        blocked: tuple[str, ...] = (),
        whose: str = "default",
        texts: int = 3,
        **settings: Any,
    ) -> dict[str, Any]:
        asked = {"url": url, "way": way, "key": KEY, "blocked": blocked, "whose": whose, "settings": settings}
        asked["call"] = ["which?", [f"text {number}" for number in range(texts)]]
        bare = {name: value for name, value in os.environ.items() if name.upper() not in NAMES}
        done = subprocess.run(
            [sys.executable, "-c", CODE, json.dumps(asked)],
            env={**bare, **environment},
            capture_output=True,
            text=True,
            timeout=patience(60),
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    return run


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


RANKED = [2, 1, 0]


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
    """A host that `NO_PROXY` names is asked without the proxy: nobody else can find it, so there is no reply."""
    environment = {"HTTP_PROXY": f"http://{USER}:{PASSWORD}@{http_proxy}", "NO_PROXY": no_proxy}
    told = program(at_host(server), environment, max_retries=0)
    assert "RerankConnectionError" in told["kinds"]
    assert server.requests == []


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY", "http_proxy"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_is_never_proxied(name: str, host: str, server: HostileServer, program: Program) -> None:
    """What goes to this machine does not leave it, whatever the environment says."""
    with HostileServer() as proxy:
        told = program(server.url.replace("127.0.0.1", host), {name: proxy.url})
        assert told["indices"] == RANKED
        assert proxy.connections == 0


FAULTS = {
    "scheme": ({"HTTPS_PROXY": f"ftp://{USER}:{PASSWORD}@127.0.0.1:21"}, (), ["HTTPS_PROXY", "ftp"]),
    "scheme of all": ({"ALL_PROXY": f"ftp://{USER}:{PASSWORD}@127.0.0.1:21"}, (), ["ALL_PROXY", "ftp"]),
    "no socksio": (
        {"ALL_PROXY": f"socks5://{USER}:{PASSWORD}@127.0.0.1:1080"},
        ("socksio",),
        ["ALL_PROXY", "socks5", "socksio"],
    ),
    "port": ({"HTTPS_PROXY": f"http://{USER}:{PASSWORD}@127.0.0.1:notaport"}, (), ["HTTPS_PROXY"]),
    "large port": ({"HTTPS_PROXY": f"http://{USER}:{PASSWORD}@127.0.0.1:99999"}, (), ["HTTPS_PROXY"]),
    "lower case": ({"https_proxy": f"http://{USER}:{PASSWORD}@127.0.0.1:notaport"}, (), ["https_proxy"]),
    "no host": ({"HTTPS_PROXY": f"http://{USER}:{PASSWORD}@"}, (), ["HTTPS_PROXY"]),
    "certificates": ({"SSL_CERT_FILE": "/nowhere/ca.pem"}, (), ["SSL_CERT_FILE", "/nowhere/ca.pem"]),
}


@pytest.mark.parametrize(("environment", "blocked", "named"), FAULTS.values(), ids=FAULTS)
def test_fault_of_the_environment(
    environment: dict[str, str], blocked: tuple[str, ...], named: list[str], program: Program
) -> None:
    """A fault of the environment is an error of its own, which names the variable; nothing is sent or retried."""
    told = program(f"https://{HOST}", environment, blocked=blocked)
    assert told.get("kinds", [])[:1] == ["ConfigurationError"], told
    assert {"RerankError", "ValueError"} <= set(told["kinds"])
    assert told["attempts"] == 0
    assert told["log"] == []
    assert all(name in told["message"] for name in named)


@pytest.mark.parametrize("fault", ["port", "certificates"])
@pytest.mark.parametrize("more", [{"batch_size": 1}, {"on_error": "passthrough"}, {"fallbacks": ["local"]}], ids=str)
def test_fault_of_the_environment_is_not_hidden(fault: str, more: dict[str, Any], program: Program) -> None:
    """It is raised once, of several requests too; it is not passed through, and no fallback is asked."""
    environment, _, named = FAULTS[fault]
    told = program(f"https://{HOST}", environment, **more)
    assert told.get("kinds", [])[:1] == ["ConfigurationError"], told
    assert told["log"] == []
    assert all(name in told["message"] for name in named)


def test_certificates_that_are_none(tmp_path: Path, program: Program) -> None:
    """A file that holds no certificates is a fault of the environment too."""
    (tmp_path / "ca.pem").write_text("nothing here")
    told = program(f"https://{HOST}", {"SSL_CERT_FILE": str(tmp_path / "ca.pem")})
    assert told["kinds"][0] == "ConfigurationError"
    assert "SSL_CERT_FILE" in told["message"]
    assert str(tmp_path / "ca.pem") in told["message"]


def test_fault_of_the_certificates_does_not_matter_for_plain_http(server: HostileServer, program: Program) -> None:
    """Where no TLS is spoken, a missing file of certificates stands in nobody's way."""
    assert program(server.url, {"SSL_CERT_FILE": "/nowhere/ca.pem"})["indices"] == RANKED
