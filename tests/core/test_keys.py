"""Promise 9: keys are explicit or from the environment at the call, and go nowhere but to the configured host."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from hosted_rerank import AuthenticationError, NotFoundError, Provider, Reranker
from tests.byhand import planned, request_of
from tests.conftest import KEY, Acme, Rerank
from tests.hostile import HostileServer, reply

OTHER = "sk-other-77aa21"
AWAY = "http://example.invalid/v1"


def sent(provider: str | Provider = "nebius", **settings: object) -> str | None:
    """The authorization that a call would send."""
    todo = planned(provider, **{"api_key": None} | settings)
    return request_of(todo).headers.get("authorization")


@pytest.mark.parametrize("key", [KEY, SecretStr(KEY)], ids=["str", "SecretStr"])
def test_explicit_key(key: str | SecretStr, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is passed in counts more than the environment's."""
    monkeypatch.setenv("NEBIUS_API_KEY", OTHER)
    assert sent(api_key=key) == f"Bearer {KEY}"


@pytest.mark.parametrize(("provider", "name"), [("fireworks", "FIREWORKS_API_KEY"), ("nebius", "NEBIUS_API_KEY")])
def test_key_of_the_environment_is_read_at_the_call(
    provider: str, name: str, monkeypatch: pytest.MonkeyPatch, server: HostileServer, rerank: Rerank
) -> None:
    """A reranker reads the environment at each call, neither at import nor when it is made."""
    reranker = Reranker(provider, base_url=server.url)
    monkeypatch.setenv(name, KEY)
    rerank(reranker)
    monkeypatch.setenv(name, OTHER)
    rerank(reranker)
    monkeypatch.delenv(name)
    rerank(reranker)
    seen = [request.headers.get("authorization") for request in server.requests]
    assert seen == [f"Bearer {KEY}", f"Bearer {OTHER}", None]


def test_first_variable_that_is_set_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a row's variables the first that holds something counts; an empty one holds nothing."""
    row = Provider(name="mine", url="https://h.example", api_key_env=("ACME_API_KEY", "NEBIUS_API_KEY"))
    monkeypatch.setenv("NEBIUS_API_KEY", OTHER)
    assert sent(row) == f"Bearer {OTHER}"
    monkeypatch.setenv("ACME_API_KEY", "")
    assert sent(row) == f"Bearer {OTHER}"
    monkeypatch.setenv("ACME_API_KEY", KEY)
    assert sent(row) == f"Bearer {KEY}"


def test_missing_key_is_told(monkeypatch: pytest.MonkeyPatch, rerank: Rerank) -> None:
    """At a vendor's own address a missing or empty key is an error before anything is sent, with the remedy."""
    for value in (None, ""):
        if value is not None:
            monkeypatch.setenv("NEBIUS_API_KEY", value)
        with pytest.raises(AuthenticationError, match="NEBIUS_API_KEY") as caught:
            rerank(Reranker("nebius"))
        assert (caught.value.provider, caught.value.status) == ("nebius", None)


def test_no_key_no_header(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Without a key there is no Authorization header, not even an empty one."""
    rerank(acme(api_key=None))
    rerank(Reranker("fireworks", base_url=server.url))
    assert [seen.headers.get("authorization") for seen in server.requests] == [None, None]


def test_no_key_of_a_netrc_file(
    server: HostileServer, acme: Acme, rerank: Rerank, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Credentials that the machine holds for other programs are not picked up."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login someone password s3cr3t\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(netrc.parent))
    rerank(acme(api_key=None))
    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    "key", ["", " ", "sk 1", "sk-1\n", "\tsk-1", "sk-1\r\nx: y", "sk-\x7f1", "schlüssel", "sk-\u200b1", "sk-1\0"]
)
def test_key_that_is_none_is_refused(key: str, monkeypatch: pytest.MonkeyPatch, rerank: Rerank) -> None:
    """A key with characters that no key has is refused before anything is sent, and not shown."""
    for given in (key, SecretStr(key)):
        with pytest.raises(ValueError, match="api_key") as caught:
            Reranker("nebius", api_key=given)
        assert not key.strip() or key.strip() not in str(caught.value)
    if key and "\0" not in key:
        monkeypatch.setenv("NEBIUS_API_KEY", key)
        with pytest.raises(Exception, match="NEBIUS_API_KEY") as caught:
            rerank(Reranker("nebius"))
        assert isinstance(caught.value, (ValueError, AuthenticationError))
        assert not key.strip() or key.strip() not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        *("example.invalid", "0.0.0.0", "localhost.example.invalid", "169.254.1.1", "[2001:db8::1]", "11.0.0.1"),
        *("134744072", "0x08080808", "172.32.0.1", "[fe80::1]", "local.example.invalid", "app.svc.example.invalid"),
    ],
)
def test_key_does_not_travel_in_the_clear(host: str, rerank: Rerank) -> None:
    """A key is not sent over plain http to another machine: nothing is sent at all."""
    for settings in (
        {"api_key": KEY},
        {"headers": {"Authorization": f"Bearer {KEY}"}},
        {"headers": {"x-api-key": KEY}},
    ):
        with pytest.raises(AuthenticationError, match="plain http") as caught:
            rerank(Reranker("nebius", base_url=f"http://{host}/v1", max_retries=0, **settings))
        assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        *("vllm", "vllm.default.svc", "vllm.default.svc.cluster.local", "rerank.internal", "VLLM", "gpu_1"),
        "vllm.a.svc.cluster.local.",
        *("10.0.0.1", "172.16.3.4", "172.31.255.255", "192.168.1.1", "127.0.0.9", "[fd00::1]"),
    ],
)
def test_key_goes_to_a_private_host(host: str) -> None:
    """A private host that the caller configured gets the key over plain http."""
    assert sent(base_url=f"http://{host}:8000/v1", api_key=KEY) == f"Bearer {KEY}"


def test_key_over_plain_http_is_refused_when_a_reranker_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error comes when the reranker is made, if the key is known then; else at the call."""
    with pytest.raises(AuthenticationError, match="plain http"):
        Reranker("nebius", base_url=AWAY, api_key=KEY)
    with pytest.raises(AuthenticationError, match="plain http"):
        Reranker(Provider(name="mine", url=AWAY), headers={"x-api-key": KEY})
    later = Reranker("nebius", base_url=AWAY, max_retries=0)
    monkeypatch.setenv("NEBIUS_API_KEY", KEY)
    with pytest.raises(AuthenticationError, match="plain http"):
        Reranker("nebius", base_url=AWAY)
    with pytest.raises(AuthenticationError, match="plain http"):
        later.rerank("q", ["a"])


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        *(("jina", "JINAAI_API_KEY"), ("fireworks", "FIREWORKS_AI_API_KEY"), ("together", "TOGETHERAI_API_KEY")),
        *(("deepinfra", "DEEPINFRA_API_TOKEN"), ("vercel", "VERCEL_OIDC_TOKEN")),
    ],
)
def test_other_names_of_a_key(provider: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key is found under the names that other packages give it."""
    monkeypatch.setenv(name, KEY)
    assert sent(provider) == f"Bearer {KEY}"


def test_key_of_the_environment_does_not_travel_in_the_clear(monkeypatch: pytest.MonkeyPatch, rerank: Rerank) -> None:
    """That goes for the environment's key too."""
    monkeypatch.setenv("NEBIUS_API_KEY", KEY)
    with pytest.raises(AuthenticationError, match="plain http"):
        rerank(Reranker("nebius", base_url=AWAY))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_loopback_is_not_the_network(host: str) -> None:
    """To this machine itself plain http will do."""
    assert sent(base_url=f"http://{host}:8080", api_key=KEY) == f"Bearer {KEY}"


def test_plain_http_can_be_asked_for() -> None:
    """Where the network in between is one's own, a row may say so; without a key there is nothing to guard."""
    row = Provider(name="mine", url=AWAY, allow_http=True)
    assert sent(row, api_key=KEY) == f"Bearer {KEY}"
    assert sent(base_url=AWAY) is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status: int, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A redirect is an error that says so; neither key nor documents reach the other address."""
    with HostileServer() as other:
        server.play(reply(status, "moved", location=f"{other.url}/v1/rerank"))
        with pytest.raises(NotFoundError, match="redirects are not followed") as caught:
            rerank(acme(max_retries=2))
        assert other.connections == 0
    assert caught.value.status == status
    assert len(server.requests) == 1


def test_redirect_to_the_same_host_is_not_followed_either(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Not even on the same host."""
    server.play(reply(307, "", location="/v2/rerank"))
    with pytest.raises(NotFoundError):
        rerank(acme())
    assert [seen.target for seen in server.requests] == ["/v1/rerank"]


def test_cookies_are_not_taken(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A cookie that a server sets for one account does not go along with a request of another."""
    server.play(reply(200, {"results": [{"index": 0, "relevance_score": 1}]}, set_cookie="account=ada; Path=/"))
    reranker = acme()
    rerank(reranker, documents=["a"])
    rerank(acme(api_key=OTHER), documents=["a"])
    rerank(reranker, documents=["a"])
    assert [seen.headers.get("cookie") for seen in server.requests] == [None] * 3


def test_cloud_that_takes_a_key_needs_one(rerank: Rerank) -> None:
    """IBM's token is for a key: without one nothing is sent."""
    with pytest.raises(AuthenticationError, match="no API key for watsonx"):
        rerank(Reranker("watsonx", max_retries=0), "q", ["a"])
