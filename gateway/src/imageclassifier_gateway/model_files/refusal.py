"""The error of this folder."""


class FilesRefusedError(Exception):
    """The files cannot be used. The message says what is there and what to do, for `status.conditions`."""
