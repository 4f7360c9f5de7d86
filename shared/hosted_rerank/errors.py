"""The errors of a rerank, as one tree.

    RerankError                         every error below; a server or a network causes no other exception
    ├── InvalidRequestError             invalid before sending, or 400, 405, 415, 422 (also a ValueError)
    │   └── RequestTooLargeError        413, or a 400 or 422 that says so
    ├── ConfigurationError              a wrong proxy, certificate file or custom client, or a copy
    │                                   that lacks a setting which may be secret (also a ValueError)
    ├── AuthenticationError             no key, or 401, 498 (also a ValueError)
    ├── PaymentRequiredError            402: the account has no credit or is suspended (also a ValueError)
    ├── PermissionDeniedError           403 (also a ValueError)
    ├── NotFoundError                   404, 410, 3xx: no such model or endpoint for this key (also a ValueError)
    ├── RateLimitError                  429 (also a ConnectionError)
    ├── ServerError                     5xx, and 408, 409, 425, 499 (also a ConnectionError)
    ├── CircuitOpenError                the circuit breaker is open, and a fallback was asked: no request was
    │                                   sent (also a ConnectionError)
    ├── RerankConnectionError           the connection failed or broke (also a ConnectionError)
    │   └── RerankTimeoutError          no complete response within `timeout` (also a TimeoutError)
    │       └── DeadlineExceededError   the call's `deadline` is over
    └── MalformedResponseError          a successful status without a valid ranking (also a ConnectionError)

What may pass is a `ConnectionError`, and what another try cannot help is a `ValueError`: retry policies that know only
Python's own errors, such as LangGraph's default, retry the one and not the other.

A message never contains a key or the text of a query or a document. An argument of the wrong type is a `TypeError`.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

SizeUnit: TypeAlias = Literal["documents", "bytes", "tokens"]
"""The unit in which an API limits the size of a request."""


@dataclass(frozen=True, slots=True)
class SizeRefusal:
    """What an API says about a request that is too large."""

    unit: SizeUnit
    limit: int | None = None
    """The size that it accepts; `None` if it does not say so."""
    size: int | None = None
    """The size that it counted; `None` if it does not say so."""


class RerankError(Exception):
    """A rerank failed.

    Attributes:
        status: The HTTP status, from the response; `None` if there was no response.
        provider: The provider's name; `None` if the error does not belong to one.
        url: The URL that was asked, without its query and secrets; `None` if there was no request.
        request_id: The API's id of the failed request, from the response, for the API's support desk.
        retry_after: Seconds to wait before the next request, from the response.
        attempts: The number of HTTP requests, retries included.
        code: The API's error code, from the response, such as "rate_limit_exceeded" or "20012".

    Args:
        message: The description of the failure, and the remedy.
        status: The HTTP status.
        provider: The provider's name.
        request_id: The API's id of the request.
        retry_after: Seconds to wait before the next request.
        code: The API's error code.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        provider: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.provider = provider
        self.request_id = request_id
        self.retry_after = retry_after
        self.code = code
        self.attempts = 0
        self.url: str | None = None

    def add_hint(self, hint: str) -> None:
        """Appends a hint to the message.

        Args:
            hint: The hint, such as a remedy.
        """
        self.args = (f"{self}; {hint}",)


class InvalidRequestError(RerankError, ValueError):
    """The request is invalid; the same request would fail again."""


class RequestTooLargeError(InvalidRequestError):
    """The request has more documents, bytes or tokens than the API accepts."""

    refusal: SizeRefusal | None = None
    """What the API says about the size of the request."""


class ConfigurationError(RerankError, ValueError):
    """A proxy, a certificate or a custom client is configured wrong, or a copy lacks a setting that may be secret."""


class AuthenticationError(RerankError, ValueError):
    """There is no key, or the API does not accept it."""


class PaymentRequiredError(RerankError, ValueError):
    """The account has no credit or is suspended."""


class PermissionDeniedError(RerankError, ValueError):
    """The API knows the key and does not permit the request."""


class NotFoundError(RerankError, ValueError):
    """The model or the endpoint does not exist for this key."""


class RateLimitError(RerankError, ConnectionError):
    """The rate limit of the API is exceeded; `retry_after` is the wait in seconds if the API states one."""


class ServerError(RerankError, ConnectionError):
    """The API failed or is overloaded; the same request may succeed later."""


class CircuitOpenError(RerankError, ConnectionError):
    """The circuit breaker is open after many failures in a row, so a fallback was asked at once.

    It is in `RerankResponse.fallback_errors`. The next probe is sent in `retry_after` seconds.
    """


class RerankConnectionError(RerankError, ConnectionError):
    """There is no complete response: the connection could not be made, or it broke."""


class RerankTimeoutError(RerankConnectionError, TimeoutError):
    """There is no complete response, because connecting, a read or a write took longer than `timeout` seconds."""


class DeadlineExceededError(RerankTimeoutError):
    """The call's `deadline` ended before there was an answer."""


class MalformedResponseError(RerankError, ConnectionError):
    """The status of the response is a success, and its body is not a complete and consistent ranking."""


AVAILABILITY_ERRORS = (
    *(PaymentRequiredError, NotFoundError, RateLimitError, ServerError, CircuitOpenError, RerankConnectionError),
    MalformedResponseError,
)
"""The errors of an outage, which `on_error="passthrough"` and fallbacks handle; the request and the key are right."""

_BY_STATUS: dict[int, type[RerankError]] = {
    401: AuthenticationError,
    402: PaymentRequiredError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: ServerError,
    409: ServerError,
    410: NotFoundError,
    413: RequestTooLargeError,
    425: ServerError,
    429: RateLimitError,
    498: AuthenticationError,  # Cohere: an invalid token
    499: ServerError,  # Cohere and nginx: the server cancelled the request
}


def error_class(status: int) -> type[RerankError]:
    """Returns the error class for an HTTP status.

    Args:
        status: A status that is not a success: below 200, or 300 and above.
    """
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 300 <= status < 400:
        return NotFoundError
    return ServerError if status >= 500 else InvalidRequestError
