"""The two ways in which a verification ends before its last check."""

from __future__ import annotations


class NotCarriedOutError(Exception):
    """The verification ended without a verdict about the model. The message gives the reason."""


class RejectedError(Exception):
    """The candidate must not serve. `reason` is one of the reasons that the operator knows."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
