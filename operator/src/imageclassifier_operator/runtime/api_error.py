"""An error response of the API server, and what follows from it."""

import json
from typing import Self

from imageclassifier_operator.runtime.work_queue import MAX_BACKOFF_SECONDS, RetryAfterError


class ApiError(RetryAfterError):
    """The API server answered with an error, or could not be reached (`status` 0)."""

    def __init__(self, status: int, reason: str, message: str, retry_after_seconds: float = 0.0) -> None:
        super().__init__(f"{status} {reason}: {message}", retry_after_seconds)
        self.status, self.reason, self.message = status, reason, message

    @property
    def namespace_is_terminating(self) -> bool:
        """Whether the namespace is being deleted, or already gone."""
        return (self.status == 403 and "being terminated" in self.message) or (
            self.status == 404 and self.message.startswith("namespaces ")
        )

    @property
    def is_transient(self) -> bool:
        """Whether a retry is all that is needed.

        The API server was unreachable, reported a conflict, or was overloaded: 429, 503 and 504.
        """
        return self.status in (0, 409, 429, 503, 504)

    @property
    def is_refusal(self) -> bool:
        """Whether the API server refuses the object itself, so that a retry does not help."""
        # Server-side apply answers 500 for a field that the schema does not have:
        # https://github.com/kubernetes/kubernetes/issues/118877
        undeclared = self.status == 500 and "failed to create typed patch object" in self.message
        return (self.status in (400, 403, 422) or undeclared) and not self.namespace_is_terminating

    @classmethod
    def of_response(cls, status: int, reason: str, data: bytes, retry_after: str = "") -> Self:
        """The error in a response: its status line, its body, and its header Retry-After.

        The API server never sends a date in that header.
        """
        seconds = min(float(retry_after), MAX_BACKOFF_SECONDS) if retry_after.isdigit() else 0.0
        try:
            said = json.loads(data)
            return cls(status, said.get("reason", reason), said.get("message", ""), seconds)
        except (ValueError, AttributeError):
            return cls(status, reason, data[:200].decode(errors="replace"), seconds)
