"""IBM's IAM tokens for watsonx, fetched by ibm-cloud-sdk-core."""

import base64
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hosted_rerank import PROVIDERS, AuthenticationError, Provider, RerankConnectionError, RerankError
from hosted_rerank.providers.auth import IbmToken
from tests.conftest import KEY
from tests.hostile import HostileServer, reply

pytest.importorskip("ibm_cloud_sdk_core")


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
    """A reply of IAM that holds no token is an error."""
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
