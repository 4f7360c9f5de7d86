"""A fault of the environment, in a proxy or in certificates, is an error of its own, raised once."""

from pathlib import Path
from typing import Any

import pytest

from tests.hostile import HostileServer
from tests.mocks.program import PASSWORD, RANKED, USER, Program
from tests.mocks.proxies import HOST

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
    "white space": ({"HTTPS_PROXY": f" http://{USER}:{PASSWORD}@127.0.0.1:1080"}, (), ["HTTPS_PROXY"]),
    "line break": ({"ALL_PROXY": f"http://{USER}:{PASSWORD}@127.0.0.1:1080\n"}, (), ["ALL_PROXY"]),
    "exceptions": (
        {"ALL_PROXY": f"http://{USER}:{PASSWORD}@127.0.0.1:1080", "NO_PROXY": "[::1"},
        (),
        ["ALL_PROXY", "NO_PROXY"],
    ),
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
    """It is raised once, of several requests too; it is not passed through, and no fallback is tried."""
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
    """Where no TLS is spoken, a missing file of certificates does not matter."""
    assert program(server.url, {"SSL_CERT_FILE": "/nowhere/ca.pem"})["indices"] == RANKED
