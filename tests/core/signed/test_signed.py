"""Requests that a cloud's own library signs: what all clouds have in common."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hosted_rerank import AuthenticationError, Provider, Reranker
from tests.conftest import KEY, QUERY
from tests.core.signed.conftest import BEDROCK, TEXTS, VERTEX
from tests.hostile import HostileServer

pytest.importorskip("google.auth")
pytest.importorskip("botocore")
pytest.importorskip("ibm_cloud_sdk_core")


@pytest.mark.parametrize("row", [VERTEX, BEDROCK], ids=["vertex", "bedrock"])
def test_no_credentials_is_an_error_with_the_remedy(
    row: Provider, ask: Callable[..., Any], server: HostileServer
) -> None:
    """Without credentials nothing is sent, and the error says how one gets some."""
    with pytest.raises(AuthenticationError, match=r"gcloud auth|aws configure") as caught:
        ask(row)
    assert caught.value.provider == row.name
    assert server.requests == []


def test_own_token_needs_no_library(ask: Callable[..., Any], server: HostileServer) -> None:
    """The caller's own header is sent, and no credentials are looked up."""
    ask(VERTEX, headers={"Authorization": "Bearer my-own"})
    assert server.requests[0].headers["authorization"] == "Bearer my-own"


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
