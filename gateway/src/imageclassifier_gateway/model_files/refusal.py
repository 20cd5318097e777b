"""The errors of this folder. Their messages are for `status.conditions`: what is wrong, and what to do."""

import errno

#: The numbers of the OSErrors that mean that a disk is full.
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class FilesRefusedError(Exception):
    """The files are not a model that can be served."""


class DownloadRefusedError(Exception):
    """The archive cannot be downloaded or unpacked, and a retry would not help."""


class AliasResolved(Exception):  # noqa: N818 - a result, which ends the program early
    """The alias in a URI leads to this version now. The next pods download the version by its number."""

    def __init__(self, uri: str, version: int) -> None:
        super().__init__(f"{uri} is version {version}.")
        self.version = version


def no_space(error: OSError) -> DownloadRefusedError:
    """The error for a node without enough disk space."""
    return DownloadRefusedError(
        f"The model does not fit on the node: {error.strerror}. Raise the limit of ephemeral-storage in "
        "spec.serving.resources, or use nodes with more."
    )


class DownloadFailedError(Exception):
    """The download failed for now. Kubernetes runs the container again, which continues the download."""
