"""What all stacks have in common: the files that they get, and how the load generator reaches them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from servers import HERE as GATEWAY_BENCH


@dataclass(frozen=True)
class Bench:
    """What the stacks share: a folder for their files, and the models."""

    folder: Path
    pizza: Path
    keras: Path


@dataclass(frozen=True)
class Running:
    """A stack that answers on its ports, and the processes that it consists of."""

    ports: list[int] = field(default_factory=list)
    pids: list[int] = field(default_factory=list)
    program: tuple[Path, ...] = (GATEWAY_BENCH / "load.py",)
    #: The path of the requests.
    path: str = "/predict"
    #: From the file with a picture to the file with the body of the request.
    body: Callable[[Path], Path] = lambda picture: picture

    def load_command(self, seconds: float, connections: int, picture: Path) -> list[str]:
        """The command that measures: the load generator, or the loop itself."""
        arguments = [seconds, connections, self.body(picture), ",".join(map(str, self.ports)), self.path]
        return [sys.executable, *map(str, self.program), *map(str, arguments)]


@dataclass(frozen=True)
class Stack:
    """A way to serve the model."""

    name: str
    start: Callable[[Bench], AbstractContextManager[Running]]
    #: What its own environment has beside the packages of this project; none for stacks without one.
    packages: tuple[str, ...] = ()
    #: Whether it fetches pictures from URLs.
    takes_urls: bool = False
    #: Whether it is measured with pictures of 512 pixels only: nothing differs with others.
    small_only: bool = False
    connections: tuple[int, ...] = (1, 8, 32)
