"""Google's tokens for Vertex AI, fetched by google-auth."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hosted_rerank import AuthenticationError, RerankConnectionError, RerankError
from tests.core.signed.conftest import VERTEX
from tests.hostile import HostileServer, reply

pytest.importorskip("google.auth")


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
