"""Where the Kubernetes binary and KWOK lie: in the cache of `kind/laptop`, which builds them."""

from dataclasses import dataclass
from pathlib import Path

import laptop.golang as golang


class ProgramMissingError(Exception):
    """A program has not been built yet; the message says what to do."""


@dataclass(frozen=True)
class Programs:
    """`kubernetes` becomes the component that argv[0] names."""

    kubernetes: Path
    kwok: Path


def find_programs() -> Programs:
    """The programs for the sources as they are now. Raises ProgramMissingError; building takes minutes."""
    programs = Programs(golang.binary_path(golang.KUBERNETES), golang.binary_path(golang.KWOK))
    for path in (programs.kubernetes, programs.kwok):
        if not path.is_file():
            raise ProgramMissingError(
                f"There is no {path.name} program yet for tests ({path}): run `make kubernetes`."
            )
    return programs
