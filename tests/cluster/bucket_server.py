"""A bucket on the laptop cluster: VersityGW, a real S3 server, in a namespace of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
from obstore.store import S3Store

from cluster_server import ensure_image, running_pod
from cluster_testbed import Kubectl, forwarded_port
from laptop import golang

BUCKET, PORT = "models", 9000
KEYS = {"AWS_ACCESS_KEY_ID": "reader", "AWS_SECRET_ACCESS_KEY": "secret-of-the-reader"}
_NAME = "store"


@dataclass(frozen=True)
class BucketServer:
    """The server in the namespace of `kubectl`, with an empty bucket."""

    kubectl: Kubectl
    region: str

    @property
    def endpoint(self) -> str:
        """The URL for pods of any namespace."""
        return f"http://{_NAME}.{self.kubectl.namespace}.svc:{PORT}"

    def upload(self, directory: Path, prefix: str) -> None:
        """Put all files below the directory into the bucket, with keys below `prefix`."""
        with forwarded_port(self.kubectl, f"service/{_NAME}", str(PORT)) as port:
            store = S3Store(
                BUCKET,
                endpoint=f"http://127.0.0.1:{port}",
                region=self.region,
                access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
                secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
                client_options={"allow_http": True},
            )
            for file in sorted(directory.rglob("*")):
                if file.is_file():
                    obstore.put(store, f"{prefix}/{file.relative_to(directory)}", file.read_bytes())


@contextmanager
def bucket_server(cluster_kubectl: Kubectl, namespace: str, region: str) -> Iterator[BucketServer]:
    """Run the server in a new namespace, which is deleted afterwards."""
    golang.ensure([golang.VERSITYGW])
    spec = _pod_spec(ensure_image(golang.binary_path(golang.VERSITYGW)), region)
    with running_pod(cluster_kubectl, namespace, _NAME, PORT, spec) as kubectl:
        yield BucketServer(kubectl, region)


def _pod_spec(image: str, region: str) -> dict[str, Any]:
    # A directory below /data is a bucket. The options of the server come before `posix`, the kind of storage.
    serve = f"versitygw --port :{PORT} --region {region} --health /health posix /data"
    container = {
        "name": _NAME,
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", f"mkdir -p /data/{BUCKET} && exec {serve}"],
        "env": [
            {"name": "ROOT_ACCESS_KEY", "value": KEYS["AWS_ACCESS_KEY_ID"]},
            {"name": "ROOT_SECRET_KEY", "value": KEYS["AWS_SECRET_ACCESS_KEY"]},
        ],
        "readinessProbe": {"httpGet": {"path": "/health", "port": PORT}, "periodSeconds": 1},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    return {"containers": [container], "volumes": [{"name": "data", "emptyDir": {}}]}
