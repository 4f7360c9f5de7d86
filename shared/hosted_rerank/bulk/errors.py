"""`JobError`."""

from hosted_rerank.errors import RerankError


class JobError(Exception):
    """Ends a job for a reason that affects every row. Finished rows are kept; the message holds the reason.

    Args:
        reason: The reason.
        error_class: The class of the API's error, if one ended the job.
    """

    def __init__(self, reason: str, error_class: type[RerankError] | None = None) -> None:
        super().__init__(reason)
        self.error_class = error_class
