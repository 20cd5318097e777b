"""Runs the client as a user does, in this process, and returns what it prints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from imageclassifier_client.cli import run


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """The output with single spaces: lines are wrapped."""
        return " ".join(self.out.split())


class Client:
    """The client with a kubectl and a kubeconfig: `client("status", "pizza")`."""

    def __init__(self, kubectl: Path, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
        self.kubectl, self._capsys = kubectl, capsys
        monkeypatch.setenv("KUBECTL", str(kubectl))
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        monkeypatch.setenv("COLUMNS", "80")

    def __call__(self, *arguments: str) -> Result:
        self._capsys.readouterr()
        try:
            code = run(list(arguments), program="/usr/local/bin/kubectl-imageclassifier")
        except SystemExit as end:
            code = int(end.code or 0)
        printed = self._capsys.readouterr()
        return Result(code, printed.out, printed.err)
