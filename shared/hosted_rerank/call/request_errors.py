"""The errors that end one request: that of its last attempt, or why no attempt was made."""

from dataclasses import dataclass, field

from hosted_rerank.call.batching import Batch, Plan
from hosted_rerank.call.error_mapping import error_for
from hosted_rerank.call.passages import long_document_remedy
from hosted_rerank.call.request_encoding import sensitive
from hosted_rerank.errors import CircuitOpenError, RateLimitError, RequestTooLargeError, RerankError
from hosted_rerank.limits.classification import is_overlong
from hosted_rerank.wire import Outcome, Response, TransportFailure


@dataclass(frozen=True, slots=True)
class RequestErrors:
    """Makes the errors of one batch."""

    plan: Plan
    batch: Batch
    key: str | None = field(repr=False)

    def failed(self, outcome: Outcome, attempts: int, *, late: bool = False) -> RerankError:
        """Returns the error for the outcome of the last attempt.

        Args:
            outcome: The outcome.
            attempts: HTTP requests made.
            late: Whether the deadline ended the retries.
        """
        secret = sensitive(self.plan, self.batch, self.key)
        deadline = self.plan.call_options.deadline if late else None
        error = error_for(outcome, self.plan.endpoint, sensitive=secret, attempts=attempts, late=deadline)
        if isinstance(outcome, Response) and not isinstance(error, RequestTooLargeError) and is_overlong(outcome):
            longest = max(self.batch.text_indices, key=lambda index: len(self.plan.texts[index]))
            document, length = self.plan.document_indices[longest], len(self.plan.texts[longest])
            error.add_hint(
                f"the longest document of the request is documents[{document}], with {length} characters:"
                f" {long_document_remedy(self.plan.endpoint, self.plan.call_options)}"
            )
        return error

    def late(self, outcome: Outcome | None, attempts: int, reason: str, now: float) -> RerankError:
        """Returns the error for a deadline before the next attempt; the last attempt's error, if there was one.

        Args:
            outcome: The outcome of the last attempt; `None` if there was none.
            attempts: HTTP requests made.
            reason: Why there is no attempt.
            now: The time.
        """
        return self.failed(outcome or TransportFailure(reason, now, timed_out=True), attempts, late=True)

    def circuit_open(self, reason: str, seconds: float) -> CircuitOpenError:
        """Returns the error for an open circuit, where a fallback can be asked at once.

        Args:
            reason: Why the circuit is open.
            seconds: The time until the next probe.
        """
        name = self.plan.endpoint.provider.name
        message = f"circuit breaker open for {name}: {reason}; the next probe is sent in {seconds:.2g} s"
        return CircuitOpenError(message, provider=name, retry_after=seconds)

    def held(self, outcome: Outcome | None, attempts: int, seconds: float) -> RerankError:
        """Returns the error for a wait of all requests that is too long; the last attempt's, if that was refused.

        Args:
            outcome: The outcome of the last attempt; `None` if there was none.
            attempts: HTTP requests made.
            seconds: The wait.
        """
        if isinstance(outcome, Response) and outcome.status == 429:
            return self.failed(outcome, attempts)
        name = self.plan.endpoint.provider.name
        message = f"rate limit of {name}: all requests wait {seconds:.3g} s more, so this one was not sent"
        return RateLimitError(message, provider=name, retry_after=seconds)
