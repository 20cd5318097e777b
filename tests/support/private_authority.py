"""A certificate authority of its own, for servers that only its CA file vouches for."""

from __future__ import annotations

import subprocess
from pathlib import Path

_NEW = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class PrivateAuthority:
    """Writes the files of the authority, and the certificates that it issues, into `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._run("-subj", "/CN=private CA", "-keyout", "ca.key", "-out", "ca.pem")

    @property
    def ca_file(self) -> Path:
        """The certificate of the authority, which clients have to trust."""
        return self._folder / "ca.pem"

    def certificate_for(self, *hosts: str) -> tuple[Path, Path]:
        """The certificate of a server with these names or IPv4 addresses, and its key."""
        names = ",".join(f"{'IP' if host[-1].isdigit() else 'DNS'}:{host}" for host in hosts)
        self._run(
            "-subj", f"/CN={hosts[-1]}", "-addext", f"subjectAltName={names}",
            "-addext", "basicConstraints=critical,CA:FALSE", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-keyout", "key.pem", "-out", "cert.pem",
        )  # fmt: skip
        return self._folder / "cert.pem", self._folder / "key.pem"

    def _run(self, *arguments: str) -> None:
        subprocess.run([*_NEW, "-days", "2", *arguments], cwd=self._folder, check=True, capture_output=True)
