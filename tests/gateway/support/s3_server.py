"""A real S3 server with users and rights: VersityGW, which keeps objects as files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError

import obstore
from free_ports import free_port
from obstore.store import S3Store

_TOOL = Path(__file__).parents[3] / "kind/tool.py"
_ROOT = {"ROOT_ACCESS_KEY": "reader", "ROOT_SECRET_KEY": "secret-of-the-reader"}
_START_SECONDS = 30


@dataclass
class S3Server:
    """The server, and the directory with its bucket `models`."""

    endpoint: str
    bucket: Path

    def upload(self, files: Mapping[str, bytes]) -> None:
        """Put these objects into the bucket, and remove all others. A key that ends with / is a directory."""
        shutil.rmtree(self.bucket)
        self.bucket.mkdir()
        for key, content in files.items():
            if key.endswith("/"):
                (self.bucket / key).mkdir(parents=True, exist_ok=True)
            else:
                obstore.put(self._store(), key, content)

    def _store(self) -> S3Store:
        return S3Store(
            "models",
            endpoint=self.endpoint,
            access_key_id=_ROOT["ROOT_ACCESS_KEY"],
            secret_access_key=_ROOT["ROOT_SECRET_KEY"],
            client_options={"allow_http": True},
        )

    def secret(self, directory: Path, user: str, **changed: str) -> Path:
        """A directory as the kubelet mounts a Secret with the keys of a user: `reader` or `nobody`."""
        directory.mkdir(exist_ok=True)
        values = {"AWS_ACCESS_KEY_ID": user, "AWS_SECRET_ACCESS_KEY": f"secret-of-the-{user}", **changed}
        for name, value in values.items():
            (directory / name).write_text(value)
        return directory


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Run the server in `folder`. The user `nobody` has no rights."""
    built = subprocess.run(
        [sys.executable, _TOOL, "versitygw-binary"], check=True, stdout=subprocess.PIPE, text=True
    )
    program, port, admin_port = built.stdout.strip(), free_port(), free_port()
    for name in ("data", "users"):
        (folder / name).mkdir()
    server = S3Server(f"http://127.0.0.1:{port}", folder / "data" / "models")
    server.bucket.mkdir()
    ports = ["--port", f"127.0.0.1:{port}", "--admin-port", f"127.0.0.1:{admin_port}"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [program, *ports, "--iam-dir", str(folder / "users"), "posix", str(folder / "data")],
            env={**os.environ, **_ROOT},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(server.endpoint)
        root = ["--access", _ROOT["ROOT_ACCESS_KEY"], "--secret", _ROOT["ROOT_SECRET_KEY"]]
        place = ["--endpoint-url", f"http://127.0.0.1:{admin_port}", "--allow-insecure"]
        user = ["--access", "nobody", "--secret", "secret-of-the-nobody", "--role", "user"]
        command = [program, "admin", *root, *place, "create-user", *user]
        subprocess.run(command, check=True, capture_output=True)
        yield server
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except HTTPError:
            return  # it refuses a request without a signature, so it runs
        except URLError:
            time.sleep(0.02)
    raise TimeoutError(f"{url} does not answer")
