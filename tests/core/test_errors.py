"""Promise 7, the family of errors."""

import copy
import pickle

import pytest

import hosted_rerank
from hosted_rerank import errors
from hosted_rerank.errors import RerankError

PARENTS = {
    "InvalidRequestError": ("RerankError", "ValueError"),
    "RequestTooLargeError": ("InvalidRequestError",),
    "AuthenticationError": ("RerankError", "ValueError"),
    "PaymentRequiredError": ("RerankError", "ValueError"),
    "PermissionDeniedError": ("RerankError", "ValueError"),
    "NotFoundError": ("RerankError", "ValueError"),
    "RateLimitError": ("RerankError", "ConnectionError"),
    "ServerError": ("RerankError", "ConnectionError"),
    "CircuitOpenError": ("RerankError", "ConnectionError"),
    "ConfigurationError": ("RerankError", "ValueError"),
    "RerankConnectionError": ("RerankError", "ConnectionError"),
    "RerankTimeoutError": ("RerankConnectionError", "TimeoutError"),
    "DeadlineExceededError": ("RerankTimeoutError",),
    "MalformedResponseError": ("RerankError", "ConnectionError"),
}
FAMILY = [RerankError, *(getattr(errors, name) for name in PARENTS)]


@pytest.mark.parametrize(("name", "parents"), PARENTS.items())
def test_tree_is_as_drawn(name: str, parents: tuple[str, ...]) -> None:
    """Each error has the parents that the drawing shows, and is public."""
    assert tuple(base.__name__ for base in getattr(errors, name).__bases__) == parents
    assert getattr(hosted_rerank, name) is getattr(errors, name)
    assert name in hosted_rerank.__all__
    assert name in (errors.__doc__ or "")


def test_tree_has_no_other_branch() -> None:
    """There is no error of the family that the drawing does not show."""

    def below(kind: type[RerankError]) -> set[type[RerankError]]:
        return {kind}.union(*map(below, kind.__subclasses__()))

    ours = {kind for kind in below(RerankError) if kind.__module__.startswith("hosted_rerank.")}
    assert ours == set(FAMILY)


@pytest.mark.parametrize("kind", FAMILY)
def test_attributes(kind: type[RerankError]) -> None:
    """Every error has the four attributes, None where there is nothing to tell."""
    bare = kind("it failed")
    assert (bare.status, bare.provider, bare.request_id, bare.retry_after) == (None, None, None, None)
    assert str(bare) == "it failed"
    full = kind("it failed", status=429, provider="acme", request_id="r-1", retry_after=1.5)
    assert (full.status, full.provider, full.request_id, full.retry_after) == (429, "acme", "r-1", 1.5)


@pytest.mark.parametrize("kind", FAMILY)
@pytest.mark.parametrize("journey", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_errors_travel(kind: type[RerankError], journey: object) -> None:
    """An error keeps its class, message and attributes from one process to another."""
    error = kind("it failed", status=429, provider="acme", request_id="r-1", retry_after=1.5)
    arrived = journey(error)
    assert type(arrived) is kind
    assert (str(arrived), vars(arrived)) == (str(error), vars(error))


@pytest.mark.parametrize("kind", FAMILY)
def test_errors_take_marks(kind: type[RerankError]) -> None:
    """LlamaIndex marks the errors it has told of; that is possible."""
    error = kind("it failed")
    error.event_added = True
    assert error.event_added is True


def test_passable_errors_leave_out_the_callers_fault() -> None:
    """The errors that passthrough covers include no wrong key, no refusal and no wrong request."""
    blamed = (errors.AuthenticationError, errors.PermissionDeniedError, errors.InvalidRequestError)
    assert not [kind for kind in FAMILY if issubclass(kind, errors.AVAILABILITY_ERRORS) and issubclass(kind, blamed)]
    assert issubclass(errors.DeadlineExceededError, errors.AVAILABILITY_ERRORS)
