"""Errors that the command line reports in one line each."""

from __future__ import annotations


class ClientError(Exception):
    """Something that the user can correct; the message is the sentence they read."""
