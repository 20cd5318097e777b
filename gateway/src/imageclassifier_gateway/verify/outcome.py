"""The two ways in which a verification ends before its last check."""

from __future__ import annotations


class NotCarriedOutError(Exception):
    """The verification could not be made, which says nothing about the model; the message says why."""


class RejectedError(Exception):
    """The candidate must not serve. `reason` is a word of the operator's closed list of reasons."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
