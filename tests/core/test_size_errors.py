"""What an API says about the size of a request: the messages of the rows, and those that only sound like them."""

from typing import Any

import pytest

from hosted_rerank import InvalidRequestError, Provider
from hosted_rerank.call.call_options import CallOptions
from hosted_rerank.errors import SizeRefusal
from hosted_rerank.limits.classification import classify, error_in_success
from hosted_rerank.providers import PROVIDERS
from tests.byhand import ACME, answered, planned, walk

MESSAGES: list[tuple[str, int, Any, SizeRefusal | None]] = [
    ("tei", 422, {"error": "batch size 33 > maximum allowed batch size 32"}, SizeRefusal("documents", 32, 33)),
    ("acme", 413, {"error": "batch size 40 > maximum allowed batch size 32"}, SizeRefusal("documents", 32, 40)),
    ("tei", 413, "Failed to buffer the request body: length limit exceeded", SizeRefusal("bytes")),
    (
        "siliconflow",
        400,
        {"code": 20042, "message": "input batch size 136 > maximum allowed batch size 64", "data": None},
        SizeRefusal("documents", 64, 136),
    ),
    (
        "dashscope",
        400,
        {
            "error": {
                "code": "InvalidParameter",
                "message": "<400> InternalError.Algo.InvalidParameter: Value error, batch size is invalid, it should"
                " not be larger than 20.: input.contents",
            }
        },
        SizeRefusal("documents", 20),
    ),
    (
        "voyage",
        400,
        {
            "detail": "Request to model 'rerank-1' failed. The max allowed tokens per submitted batch is 100000. Your"
            " batch has 145736 tokens after truncation. Please lower the number of tokens in the batch."
        },
        SizeRefusal("tokens", 100_000, 145_736),
    ),
    (
        "cohere",
        400,
        {"message": "invalid request: total number of texts must be at most 96 - received 100."},
        SizeRefusal("documents", 96, 100),
    ),
    (
        "bedrock",
        400,
        {
            "message": "1 validation error detected: Value at 'sources' failed to satisfy constraint: Member must have"
            " length less than or equal to 1000"
        },
        SizeRefusal("documents", 1000),
    ),
    (
        "vertex",
        400,
        {"error": {"code": 400, "message": "Request payload size exceeds the limit: 10485760 bytes."}},
        SizeRefusal("bytes", 10_485_760),
    ),
    (
        "nvidia",
        422,
        {
            "detail": [
                {
                    "type": "too_long",
                    "loc": ["body", "passages"],
                    "msg": "List should have at most 512 items after validation, not 600",
                    "input": ["too many documents"],
                }
            ]
        },
        SizeRefusal("documents", 512, 600),
    ),
    (
        "nvidia",
        422,
        {"detail": [{"loc": ["body", "stop"], "msg": "List should have at most 4 items after validation, not 5"}]},
        None,
    ),
    ("acme", 422, {"detail": [{"loc": ["body", "x"], "msg": "no", "input": ["too many documents"]}]}, None),
    ("acme", 400, {"message": "too many documents: 120 (max 100)"}, SizeRefusal("documents", 100, 120)),
    ("acme", 400, {"message": "Too many documents: max 100, got 120"}, SizeRefusal("documents", 100)),
    ("acme", 400, {"message": "too many documents: got 1200, max 1000"}, SizeRefusal("documents", 1000, 1200)),
    ("acme", 400, {"error_msg": "max number of documents is 64, please check"}, SizeRefusal("documents", 64)),
    ("acme", 429, {"message": "too many documents"}, None),
    ("acme", 500, {"message": "too many documents"}, None),
    ("cohere", 400, {"detail": "The max allowed tokens per submitted batch is 9"}, None),
    ("litellm", 400, {"error": {"message": "max allowed tokens per submitted batch is 9"}}, SizeRefusal("tokens", 9)),
]


@pytest.mark.parametrize(("name", "status", "body", "refusal"), MESSAGES)
def test_messages_of_the_rows(name: str, status: int, body: Any, refusal: SizeRefusal | None) -> None:
    """What a row's message means, with the numbers in it."""
    assert classify(answered(status, body), ACME if name == "acme" else PROVIDERS[name]).too_large == refusal


def test_size_is_no_reason_to_ask_again() -> None:
    """A request that is too large is not retried as it is, whatever the headers say."""
    assert not classify(answered(413, x_should_retry="true"), ACME).retryable


@pytest.mark.parametrize("content", [b"[" * 20_000, b'{"a":' * 500 + b"1" + b"}" * 500, b"\xff" * 50_000, b"null"])
def test_bodies_of_any_kind(content: bytes) -> None:
    """A body that is no message at all says nothing of the size."""
    assert classify(answered(400, content), ACME).too_large is None
    assert error_in_success(answered(200, content)) is None


@pytest.mark.parametrize("wrong", [{"(": "documents"}, {"x": "pages"}])
def test_wrong_pattern_of_a_row(wrong: dict[str, Any]) -> None:
    """A pattern or a unit that is none is refused when the row is made."""
    with pytest.raises(ValueError, match="size_errors"):
        Provider(name="acme", url="https://h.example", size_errors=wrong)


def test_overlong_document_is_named_by_its_place() -> None:
    """An error of the context's length names the longest document by index, and shows nothing of it."""
    todo = planned(documents=["a", "", "long and secret", "b"])
    _, error = walk(todo, answered(400, {"message": "This model's maximum context length is 8 tokens"}))
    assert isinstance(error, InvalidRequestError)
    assert "documents[2], with 15 characters: shorten it, or pass max_document_chars=, or" in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("provider", "settings", "passages", "remedy"),
    [
        ("cohere", {}, {}, "or long_documents='passages' to score its passages"),
        (
            "novita",
            {"model": "unheard-of"},
            {},
            "or long_documents='passages' with passage_chars= to score its passages",
        ),
        ("jina", {}, {}, "shorten it, or pass max_document_chars="),  # listwise
        ("cohere", {}, {"long_documents": "passages", "passage_chars": 9}, "set a smaller passage_chars"),
    ],
)
def test_remedy_for_an_overlong_document(
    provider: str, settings: dict[str, Any], passages: dict[str, Any], remedy: str
) -> None:
    """The error of a document that is too long offers its passages, where the model can be asked for them."""
    todo = planned(provider, ["a long text"], limits=CallOptions(**passages), **settings)
    _, error = walk(todo, answered(400, {"message": "input is too long"}))
    assert f": {remedy}; the URL is" in str(error).replace("shorten it, or pass max_document_chars=, ", "")
