"""The options of a call, checked when a reranker is made."""

import math
from dataclasses import dataclass
from typing import Literal

from hosted_rerank._validation import check_count
from hosted_rerank.limits.retry import RetryPolicy

MAX_CONCURRENCY = 1000
"""The default of `max_concurrency`."""


@dataclass(frozen=True, slots=True)
class CallOptions:
    """The options of a call; times in seconds.

    Raises:
        TypeError: An option has the wrong type.
        ValueError: An option has an impossible value.
    """

    timeout: float = 30.0
    """Seconds for connecting, for each read and for each write."""
    deadline: float | None = None
    """Seconds for the whole call, retries and waits included; `None` for no deadline."""
    retry: RetryPolicy = RetryPolicy()
    batch_size: int | None = None
    """Maximum documents per request; `None` for the provider's limit."""
    max_concurrency: int = MAX_CONCURRENCY
    """Maximum requests in flight, of all calls with the same host, model and key."""
    max_document_chars: int | None = None
    """Maximum characters of a document that are sent; `None` for all."""
    dedupe: bool = True
    """Whether equal documents are sent once."""
    on_error: Literal["raise", "passthrough"] = "raise"
    """Whether an outage raises its error, or leaves the affected documents unscored, with the name of the error."""
    long_documents: Literal["truncate", "passages"] = "truncate"
    """Whether the API cuts a document that is too long for the model, or its passages are scored."""
    passage_chars: int | None = None
    """Maximum characters of a passage; `None` for what the model reads."""

    def __post_init__(self) -> None:
        for name, value in (("timeout", self.timeout), ("deadline", self.deadline)):
            if value is None and name == "deadline":
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a positive, finite number of seconds, not {value}")
        check_count("max_retries", self.retry.max_retries, least=0)
        check_count("max_concurrency", self.max_concurrency, least=1)
        for name in ("batch_size", "max_document_chars", "passage_chars"):
            if (value := getattr(self, name)) is not None:
                check_count(name, value, least=1)
        if not isinstance(self.dedupe, bool):
            raise TypeError(f"dedupe must be a bool, not {type(self.dedupe).__name__}")
        if self.on_error not in ("raise", "passthrough"):
            raise ValueError(f"on_error must be 'raise' or 'passthrough', not {self.on_error!r}")
        if self.long_documents not in ("truncate", "passages"):
            raise ValueError(f"long_documents must be 'truncate' or 'passages', not {self.long_documents!r}")

    def time_left(self, elapsed: float) -> float:
        """Returns the seconds until the deadline, infinite without one; 0 if less than a millisecond is left."""
        return math.inf if self.deadline is None else max(0.0, self.deadline - elapsed - 0.001)
