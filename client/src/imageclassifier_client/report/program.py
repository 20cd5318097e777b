"""The name by which the user called this program, for the commands that it suggests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

PLUGIN = "kubectl imageclassifier"
ALONE = "imageclassifier"


@dataclass(frozen=True)
class Program:
    """How to call this program and kubectl. `options`: those of the command line that name the cluster."""

    name: str = PLUGIN
    options: tuple[str, ...] = ()

    @classmethod
    def called(cls, path: str, options: tuple[str, ...] = ()) -> Program:
        """The program of this path: kubectl calls its plugin `kubectl-imageclassifier`.

        >>> Program.called("/usr/bin/kubectl-imageclassifier").name
        'kubectl imageclassifier'
        """
        return cls(PLUGIN if PurePath(path).name.startswith("kubectl-") else ALONE, options)

    def command(self, *arguments: str) -> str:
        """A command of this program, in backquotes."""
        return self._quoted(self.name, *arguments)

    def kubectl(self, *arguments: str) -> str:
        """A command of kubectl, in backquotes."""
        return self._quoted("kubectl", *arguments)

    def _quoted(self, *words: str) -> str:
        return f"`{' '.join((*words, *self.options))}`"
