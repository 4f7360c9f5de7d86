"""Which failures of an API are lasting, and where their codes and request ids are found."""

from typing import Any

import pytest

from hosted_rerank import (
    AuthenticationError,
    InvalidRequestError,
    PaymentRequiredError,
    RequestTooLargeError,
    RerankError,
    ServerError,
)
from hosted_rerank.call.request_encoding import BatchResult
from tests.byhand import answered, planned, walk


@pytest.mark.parametrize(
    ("name", "status", "body", "kind"),
    [
        ("fireworks", 412, {"error": {"message": "suspended"}}, PaymentRequiredError),
        ("jina", 403, {"detail": "Insufficient balance", "code": "AUTHZ_X"}, PaymentRequiredError),
        ("jina", 403, {"detail": "no", "code": "AUTHZ_INSUFFICIENT_BALANCE"}, PaymentRequiredError),
        ("cohere", 498, {"message": "invalid token"}, AuthenticationError),
        ("cohere", 499, {"message": "closed"}, ServerError),
        ("tei", 422, {"error": "batch size 33 > maximum allowed batch size 32"}, RequestTooLargeError),
        ("tei", 424, {"error": "score is NaN", "error_type": "Backend"}, InvalidRequestError),
        ("llamacpp", 500, {"error": {"message": "input (9 tokens) is too large to process"}}, InvalidRequestError),
    ],
)
def test_failures_that_do_not_pass(name: str, status: int, body: Any, kind: type[RerankError]) -> None:
    """A failure that the row or the status calls lasting is raised at once, whatever the server's message is."""
    _, error = walk(planned(name, model="m"), answered(status, body))
    assert type(error) is kind


def test_other_failures_of_the_same_status_pass() -> None:
    """A phrase makes an error lasting, its status does not."""
    steps, answer = walk(planned("llamacpp", model="m"), answered(500, {"error": {"message": "busy"}}), answered(200))
    assert len(steps) == 2
    assert isinstance(answer, BatchResult)


@pytest.mark.parametrize(
    ("body", "headers", "code", "request_id"),
    [
        ({"error": {"code": "NOT_FOUND", "message": "m"}, "request_id": "r-1"}, {}, "NOT_FOUND", "r-1"),
        ({"code": 20012, "message": "m"}, {}, "20012", None),
        ({"message": "m", "id": "co-1"}, {}, None, "co-1"),
        ({"errors": [{"code": "too_long", "message": "m"}], "trace": "t-1"}, {}, "too_long", "t-1"),
        ({"error": "m", "error_type": "Backend"}, {}, "Backend", None),
        ({"message": "m"}, {"x-amzn-errortype": "ThrottlingException:http://x"}, "ThrottlingException", None),
        ({"code": 400, "message": "m"}, {}, None, None),
        ({"code": ["x"], "message": "m", "id": {"a": 1}}, {}, None, None),
        ({"code": "which?", "message": "m", "request_id": "sk-by-hand"}, {}, None, None),
        ({"detail": {"code": "E1", "message": "m"}}, {}, "E1", None),
        ({"detail": {"error": {"code": "E2", "message": "m"}}}, {}, "E2", None),
        ({"detail": [{"code": "E3", "msg": "m"}]}, {}, "E3", None),
        ({"error": {"error": {"type": "E4", "message": "m"}}}, {}, "E4", None),
        ([{"error": {"code": 400, "status": "E5", "message": "m"}}], {}, "E5", None),
        ({"__type": "E6", "message": "m"}, {}, "E6", None),
        ({"error_code": "E7", "message": "m"}, {}, "E7", None),
        ({"errorCode": 7001, "message": "m"}, {}, "7001", None),
        ({"errors": [{"type": "E8", "message": "m"}]}, {}, "E8", None),
        ({"error": {"type": "E9", "reason": "m"}, "status": 400}, {}, "E9", None),
        ("plain", {}, None, None),
    ],
)
def test_codes_and_ids_of_failures(
    body: Any, headers: dict[str, str], code: str | None, request_id: str | None
) -> None:
    """The vendor's code and request id are found in any envelope, and hold neither a key nor a text."""
    _, error = walk(planned(), answered(400, body, **{name.replace("-", "_"): v for name, v in headers.items()}))
    assert isinstance(error, InvalidRequestError)
    assert (error.code, error.request_id) == (code, request_id)
