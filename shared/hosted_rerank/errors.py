"""What can go wrong, as one family.

    RerankError                  everything below; nothing else is raised for what a server did
    ├── InvalidRequestError      found wrong here before sending, or 400, 405, 415, 422 (also a ValueError)
    │   └── RequestTooLargeError 413
    ├── ConfigurationError       a proxy, a certificate file, or clients that do not fit (also a ValueError)
    ├── AuthenticationError      no key, or 401, 498
    ├── PaymentRequiredError     402: the account is out of credit or suspended
    ├── PermissionDeniedError    403
    ├── NotFoundError            404, 410, 3xx: no such model or endpoint for this key
    ├── RateLimitError           429
    ├── ServerError              5xx, and 408, 409, 425, 499
    ├── CircuitOpenError         not asked: it failed too often in a row just now
    ├── RerankConnectionError             no connection, or it broke
    │   └── RerankTimeoutError   no whole reply within `timeout` (also a TimeoutError)
    │       └── DeadlineExceededError   the call's `deadline` is over
    └── MalformedResponseError      the server said yes, but the answer cannot be trusted

A message never holds a key or the text of a query or a document. An argument of the wrong type is a `TypeError`.
"""


class RerankError(Exception):
    """A rerank failed.

    Attributes:
        status: The HTTP status, if there was a reply.
        provider: The provider's name, if one was asked.
        request_id: The API's id of the failed request, for its support desk.
        retry_after: Seconds that the API asked to wait before the next request.
        attempts: HTTP requests made, retries included; 0 where none was.
        code: The API's own code of the failure, such as "rate_limit_exceeded" or "20012".
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

    def say_more(self, more: str) -> None:
        """Add to the message."""
        self.args = (f"{self}; {more}",)


class InvalidRequestError(RerankError, ValueError):
    """The request is wrong and will stay wrong: change it."""


class RequestTooLargeError(InvalidRequestError):
    """The request has more documents or bytes than the API takes at once."""


class ConfigurationError(RerankError, ValueError):
    """A proxy, a certificate file or a custom client is set up wrong; it is neither retried nor passed through."""


class AuthenticationError(RerankError):
    """There is no key, or the API does not know it."""


class PaymentRequiredError(RerankError):
    """The account has no credit or is suspended."""


class PermissionDeniedError(RerankError):
    """The key is known but may not do this."""


class NotFoundError(RerankError):
    """The model or the endpoint does not exist, or not for this key."""


class RateLimitError(RerankError):
    """The API's limit is reached; `retry_after` says for how long, where the API does."""


class ServerError(RerankError):
    """The API failed or is overloaded; the same request may work later."""


class CircuitOpenError(RerankError):
    """The API failed so often in a row that it is left alone; `retry_after` says when it is tried again."""


class RerankConnectionError(RerankError):
    """No complete reply came: the connection could not be made, or broke."""


class RerankTimeoutError(RerankConnectionError, TimeoutError):
    """No complete reply came within `timeout` seconds."""


class DeadlineExceededError(RerankTimeoutError):
    """The call's `deadline` ended before an answer."""


class MalformedResponseError(RerankError):
    """The reply is a success by its status, but not a complete and consistent ranking."""


AVAILABILITY_ERRORS = (
    *(PaymentRequiredError, NotFoundError, RateLimitError, ServerError, CircuitOpenError, RerankConnectionError),
    MalformedResponseError,
)
"""What `on_error="passthrough"` and fallbacks cover: the reranker is out, the request and the key are not at fault."""

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
    499: ServerError,  # Cohere and nginx: the request was given up on their side
}


def error_class(status: int) -> type[RerankError]:
    """The error for a status that is no success."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 300 <= status < 400:
        return NotFoundError
    return ServerError if status >= 500 else InvalidRequestError
