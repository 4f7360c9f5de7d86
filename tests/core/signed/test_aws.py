"""AWS Signature Version 4 for Bedrock, made by botocore."""

import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.core.signed.conftest import BEDROCK, SAGEMAKER
from tests.hostile import HostileServer, Seen, reply

pytest.importorskip("botocore")


def signature(seen: Seen, secret: str, signed_for: str = "bedrock") -> str:
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
    assert (region, service) == ("eu-west-1", signed_for)
    return f"{fields['Signature']}" if last.hexdigest() == fields["Signature"] else "wrong"


def test_aws_signature_is_right(
    ask: Callable[..., Any], server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request that arrives bears a signature of its exact bytes, made with the caller's keys, for the region."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    ask(BEDROCK)
    (seen,) = server.requests
    assert signature(seen, "a-secret") != "wrong"
    assert seen.target == "http://bedrock.eu-west-1.example/rerank"
    arn = seen.body["rerankingConfiguration"]["bedrockRerankingConfiguration"]["modelConfiguration"]["modelArn"]
    assert arn.startswith("arn:aws:bedrock:eu-west-1::")


def test_sagemaker_has_its_own_service(
    ask: Callable[..., Any], server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request to a SageMaker endpoint is signed for SageMaker."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    ask(SAGEMAKER, model="my-endpoint")
    (seen,) = server.requests
    assert signature(seen, "a-secret", "sagemaker") != "wrong"
    assert seen.target == "http://sagemaker.eu-west-1.example/endpoints/my-endpoint/invocations"


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
