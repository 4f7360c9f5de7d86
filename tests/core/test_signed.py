"""Requests that a cloud's own library signs: the real libraries, against token services on loopback.

The requests go to made-up hosts, through a custom client whose proxy is the server: what stays on loopback is not
signed.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from hosted_rerank import PROVIDERS, AuthenticationError, Provider, RerankConnectionError, Reranker, RerankError
from hosted_rerank.providers.auth import IbmToken
from tests.conftest import KEY, QUERY
from tests.hostile import HostileServer, Seen, reply

pytest.importorskip("google.auth")
pytest.importorskip("botocore")
pytest.importorskip("ibm_cloud_sdk_core")

TEXTS = ["The moon pulls.", "Bread rises."]
BEDROCK = replace(PROVIDERS["bedrock"], url="http://bedrock.{region}.example/rerank", allow_http=True)
VERTEX = replace(PROVIDERS["vertex"], url="http://vertex.example/v1/{project}:rank", allow_http=True)
ANSWERS = {
    "bedrock": {"results": [{"index": 0, "relevanceScore": 0.9}, {"index": 1, "relevanceScore": 0.1}]},
    "vertex": {"records": [{"id": "0", "score": 0.9}, {"id": "1"}]},
    "watsonx": {"results": [{"index": 0, "score": 2.0}, {"index": 1, "score": -2.0}]},
}


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody's own credentials: no variable, no file, no service of a cloud's machines."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "WATSONX_APIKEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p-1")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")


@pytest.fixture
def tokens() -> Iterator[HostileServer]:
    """A service that gives out tokens."""
    with HostileServer() as server:
        yield server


@pytest.fixture
def ask(way: str, server: HostileServer) -> Iterator[Callable[..., Any]]:
    """Reranks through the server as a proxy, blocking or awaiting."""
    with asyncio.Runner() as runner, httpx.Client(proxy=server.url) as client:
        async_client = httpx.AsyncClient(proxy=server.url)

        def call(row: Provider, **settings: Any) -> Any:
            server.play(reply(200, ANSWERS[row.name])) if settings.pop("answers", True) else None
            settings = {"max_retries": 0, "client": client, "async_client": async_client} | settings
            reranker = Reranker(row, **settings)
            if way == "blocking":
                return reranker.rerank(QUERY, TEXTS)
            return runner.run(reranker.arerank(QUERY, TEXTS))

        yield call
        runner.run(async_client.aclose())


def google_file(path: Path, tokens: HostileServer) -> str:
    """A file of credentials whose tokens come from the service; no private key is needed for this kind."""
    (path / "subject").write_text("who-i-am")
    file = path / "google.json"
    credentials = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{tokens.url}/token",
        "credential_source": {"file": str(path / "subject")},
        "quota_project_id": "q-1",
    }
    file.write_text(json.dumps(credentials))
    return str(file)


def google_token(token: str, seconds: int) -> dict[str, Any]:
    kind = "urn:ietf:params:oauth:token-type:access_token"
    return {"access_token": token, "issued_token_type": kind, "token_type": "Bearer", "expires_in": seconds}


def test_google_token_goes_along(
    ask: Callable[..., Any],
    server: HostileServer,
    tokens: HostileServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A token is fetched once for several rerankers, and goes along with the project that pays."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", google_file(tmp_path, tokens))
    tokens.play(reply(200, google_token("ya29-long-enough", 3600)))
    response = ask(VERTEX)
    assert [(r.index, r.relevance_score) for r in response.results] == [(0, 0.9), (1, 0.0)]
    ask(VERTEX)
    assert [seen.headers["authorization"] for seen in server.requests] == ["Bearer ya29-long-enough"] * 2
    assert server.requests[0].headers["x-goog-user-project"] == "q-1"
    assert len(tokens.requests) == 1


def test_google_token_is_renewed_before_it_ends(
    ask: Callable[..., Any],
    server: HostileServer,
    tokens: HostileServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A token that is good for another minute only is not used any more."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", google_file(tmp_path, tokens))
    tokens.play(reply(200, google_token("ya29-first", 60)), reply(200, google_token("ya29-second", 3600)))
    ask(VERTEX)
    ask(VERTEX)
    assert [seen.headers["authorization"] for seen in server.requests] == ["Bearer ya29-first", "Bearer ya29-second"]


@pytest.mark.parametrize("row", [VERTEX, BEDROCK], ids=["vertex", "bedrock"])
def test_no_credentials_is_an_error_with_the_remedy(
    row: Provider, ask: Callable[..., Any], server: HostileServer
) -> None:
    """Without credentials nothing is sent, and the error says how one gets some."""
    with pytest.raises(AuthenticationError, match=r"gcloud auth|aws configure") as caught:
        ask(row)
    assert caught.value.provider == row.name
    assert server.requests == []


def test_token_service_that_is_out_is_asked_again(
    ask: Callable[..., Any], tokens: HostileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No token is as no reply: it may pass, it is retried, and in the end it is a RerankError."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", google_file(tmp_path, tokens))
    tokens.play(reply(400, {"error": "invalid_grant", "error_description": "who-i-am"}))
    with pytest.raises(RerankError) as caught:
        ask(VERTEX)
    assert isinstance(caught.value, (AuthenticationError, RerankConnectionError))
    assert "who-i-am" not in str(caught.value)


def test_own_token_needs_no_library(ask: Callable[..., Any], server: HostileServer) -> None:
    """A header of the caller's stands, and nobody is asked for credentials."""
    ask(VERTEX, headers={"Authorization": "Bearer my-own"})
    assert server.requests[0].headers["authorization"] == "Bearer my-own"


def signature(seen: Seen, secret: str) -> str:
    """AWS Signature Version 4 of a request as it arrived, worked out by hand."""
    fields = dict(part.strip().split("=", 1) for part in seen.headers["authorization"].partition(" ")[2].split(","))
    names = fields["SignedHeaders"].split(";")
    _, date, region, service, end = fields["Credential"].split("/")
    lines = [f"{name}:{seen.headers[name]}" for name in names]
    path = "/" + seen.target.partition("://")[2].partition("/")[2]
    canonical = "\n".join(
        ["POST", path, "", *lines, "", fields["SignedHeaders"], hashlib.sha256(seen.content).hexdigest()]
    )
    scope = "/".join([date, region, service, end])
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", seen.headers["x-amz-date"], scope, digest])
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, end, to_sign):
        last = hmac.new(key, part.encode(), hashlib.sha256)
        key = last.digest()
    assert (region, service) == ("eu-west-1", "bedrock")
    return f"{fields['Signature']}" if last.hexdigest() == fields["Signature"] else "wrong"


def test_aws_signature_is_right(
    ask: Callable[..., Any], server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What arrives bears the signature of exactly what arrived, made with the caller's keys, for the region."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    ask(BEDROCK)
    (seen,) = server.requests
    assert signature(seen, "a-secret") != "wrong"
    assert seen.target == "http://bedrock.eu-west-1.example/rerank"
    arn = seen.body["rerankingConfiguration"]["bedrockRerankingConfiguration"]["modelConfiguration"]["modelArn"]
    assert arn.startswith("arn:aws:bedrock:eu-west-1::")


def test_aws_credentials_are_renewed(
    ask: Callable[..., Any], server: HostileServer, tokens: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials that end in a few minutes are fetched anew, with their session's token."""
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{tokens.url}/creds")

    def given(key: str, seconds: float) -> dict[str, str]:
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
        return {"AccessKeyId": key, "SecretAccessKey": f"{key}-secret", "Token": f"{key}-session", "Expiration": ends}

    tokens.play(reply(200, given("FIRST", 120)), reply(200, given("SECOND", 3600)))
    for _ in range(3):
        ask(BEDROCK)
    first, *others = server.requests[-2:]
    assert signature(others[-1], "SECOND-secret") != "wrong"
    assert others[-1].headers["x-amz-security-token"] == "SECOND-session"
    assert signature(first, "SECOND-secret") != "wrong"


def ibm(tokens: HostileServer) -> Provider:
    return replace(
        PROVIDERS["watsonx"], url="http://watsonx.example/rerank", allow_http=True, auth=IbmToken(tokens.url)
    )


def iam_token(name: str, seconds: int) -> dict[str, Any]:
    """An answer of IAM's: its tokens are JWTs, whose times the library reads."""
    now = int(time.time())
    parts = [{"alg": "HS256", "typ": "JWT"}, {"iat": now, "exp": now + seconds, "sub": name}, {"signature": name}]
    token = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return {"access_token": token, "expires_in": seconds, "expiration": now + seconds, "token_type": "Bearer"}


def test_ibm_key_becomes_a_token(ask: Callable[..., Any], server: HostileServer, tokens: HostileServer) -> None:
    """The key goes to IAM alone, once; the API gets the token."""
    given = iam_token("one", 3600)
    tokens.play(reply(200, given))
    key = f"{KEY}-{tokens.url[-5:]}"
    ask(ibm(tokens), api_key=key)
    ask(ibm(tokens), api_key=key)
    assert [seen.headers["authorization"] for seen in server.requests] == [f"Bearer {given['access_token']}"] * 2
    assert not any(key in str(seen) for seen in server.requests)
    (asked,) = tokens.requests
    assert key.encode() in asked.content


def test_ibm_token_is_renewed_before_it_ends(
    ask: Callable[..., Any], server: HostileServer, tokens: HostileServer
) -> None:
    """A token past four fifths of its life is not used any more."""
    tokens.play(reply(200, iam_token("old", 1)), reply(200, iam_token("new", 3600)))
    key = f"{KEY}-4{tokens.url[-5:]}"
    ask(ibm(tokens), api_key=key)
    time.sleep(1.1)
    ask(ibm(tokens), api_key=key)
    first, second = (seen.headers["authorization"] for seen in server.requests)
    assert first != second
    assert len(tokens.requests) == 2


def test_ibm_refuses_the_key(ask: Callable[..., Any], server: HostileServer, tokens: HostileServer) -> None:
    """A key that IAM does not know is an AuthenticationError, without the key."""
    tokens.play(reply(400, {"errorCode": "BXNIM0415E", "errorMessage": f"no key {KEY}"}))
    with pytest.raises(AuthenticationError, match="WATSONX_APIKEY") as caught:
        ask(ibm(tokens), api_key=KEY)
    assert KEY not in str(caught.value)
    assert server.requests == []


def test_ibm_token_that_is_none(ask: Callable[..., Any], tokens: HostileServer) -> None:
    """What IAM says need not be a token."""
    tokens.play(reply(200, {"access_token": "not a token"}))
    with pytest.raises(RerankConnectionError, match="no token"):
        ask(ibm(tokens), api_key=f"{KEY}-3{tokens.url[-5:]}")


def test_ibm_service_is_out(ask: Callable[..., Any], tokens: HostileServer) -> None:
    """IAM's own failure may pass: it is no reply."""
    tokens.play(reply(503, {"errorMessage": "later"}))
    with pytest.raises(RerankConnectionError, match="503"):
        ask(ibm(tokens), api_key=KEY)


def test_credentials_do_not_come_back(ask: Callable[..., Any], server: HostileServer, tokens: HostileServer) -> None:
    """A server that quotes the token in a failure has it taken out."""
    given = iam_token("two", 3600)
    tokens.play(reply(200, given))
    said = {"errors": [{"code": "forbidden", "message": f"not {given['access_token']}"}], "trace": "t-1"}
    server.play(reply(403, said))
    with pytest.raises(RerankError, match=r"not \[key\]") as caught:
        ask(ibm(tokens), api_key=f"{KEY}-2{tokens.url[-5:]}", answers=False)
    assert (caught.value.code, caught.value.request_id) == ("forbidden", "t-1")


def test_credentials_do_not_come_back_encoded(
    ask: Callable[..., Any], server: HostileServer, tokens: HostileServer
) -> None:
    """Nor does one that it quotes in another case or encoding; then nothing of the body is shown."""
    given = iam_token("three", 3600)
    tokens.play(reply(200, given))
    key, token = f"{KEY}-5{tokens.url[-5:]}", given["access_token"]
    for quoted in (token.upper(), "".join(f"%{ord(c):02x}" for c in token), "".join(f"&#{ord(c)};" for c in token)):
        server.play(reply(403, {"errors": [{"code": "forbidden", "message": f"not {quoted}"}]}))
        with pytest.raises(RerankError, match="answered 403") as caught:
            ask(ibm(tokens), api_key=key, answers=False)
        assert quoted not in str(caught.value)
        assert token.lower() not in str(caught.value).lower()


@pytest.mark.parametrize("name", ["vertex", "bedrock"])
def test_key_for_a_cloud_is_refused(name: str) -> None:
    """An api_key where it could not be used is an error that says what is."""
    with pytest.raises(ValueError, match="credentials of its cloud"):
        Reranker(name, api_key=KEY)


def test_credentials_travel_in_the_clear_only_if_asked() -> None:
    """A signed request over plain http is refused, as a key is."""
    row = replace(BEDROCK, allow_http=False)
    with pytest.raises(AuthenticationError, match="plain http"):
        Reranker(row).rerank(QUERY, TEXTS)
