"""A gateway with API keys and a certificate of its own: who gets an answer, and how changes take effect."""

import base64
import hashlib
import http.client
import json
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cluster_testbed import Classifier, Kubectl, Wait, ensure_tiny_models, plain_picture, tiny_classifier

pytestmark = pytest.mark.cluster

MODEL = "access-test"
LIGHT = plain_picture(215)
SYNC_SECONDS = 30
"""The kubelet mounts a changed Secret at once when an annotation of the pod changes."""


def entry(*keys: str, limit: str = "") -> str:
    return " ".join([*(f"sha256={hashlib.sha256(key.encode()).hexdigest()}" for key in keys), limit]).strip()


def secret(name: str, kind: str, entries: Mapping[str, str]) -> dict[str, Any]:
    head = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
    # Not `stringData`: server-side apply would not remove an entry of it.
    data = {key: base64.b64encode(text.encode()).decode() for key, text in entries.items()}
    return {**head, "type": kind, "data": data}


def certificate(folder: Path, name: str) -> dict[str, str]:
    """A self-signed certificate for the end of a port-forward on this machine."""
    key, chain = folder / f"{name}.key", folder / f"{name}.crt"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 2"
    options = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [*command.split(), *options, "-keyout", key, "-out", chain], check=True, capture_output=True
    )
    return {"tls.crt": chain.read_text(), "tls.key": key.read_text()}


class Clients:
    """Clients of one gateway that trust only its certificates."""

    def __init__(self, classifier: Classifier, port: int) -> None:
        self.classifier, self._port = classifier, port
        self._trusted = ""

    def renew(self, entries: Mapping[str, str]) -> None:
        """Change the certificate, and trust the new one only."""
        self.change(secret("pizza-tls", "kubernetes.io/tls", entries))
        self._trusted = entries["tls.crt"]

    def change(self, changed: dict[str, Any]) -> None:
        """Change a Secret, and let the kubelet mount it at once, as docs/api-keys.md says."""
        kubectl = self.classifier.kubectl
        kubectl.apply(changed)
        gateways = "app.kubernetes.io/instance=pizza,app.kubernetes.io/component=gateway"
        stamp = hashlib.sha256(json.dumps(changed).encode()).hexdigest()[:16]
        kubectl("annotate", "pods", "--selector", gateways, f"changed={stamp}", "--overwrite")

    def predict(self, key: str | None) -> int:
        """The status of the response; 0 if the certificate is not trusted."""
        context = ssl.create_default_context(cadata=self._trusted)
        client = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=30, context=context)
        try:
            client.request("POST", "/predict", LIGHT, {} if key is None else {"X-API-Key": key})
            return client.getresponse().status
        except ssl.SSLCertVerificationError:
            return 0
        finally:
            client.close()


@pytest.fixture
def clients(installed: object, kubectl: Kubectl, wait_for: Wait, tmp_path: Path) -> Iterator[Clients]:
    ensure_tiny_models({f"{MODEL}:1": "good"})
    first = certificate(tmp_path, "first")
    source = {"image": {"reference": f"{MODEL}:{{version}}"}}
    pizza = tiny_classifier("pizza", {"name": MODEL, "version": 1, "source": source})
    pizza["spec"]["gateway"] |= {
        "tls": {"secretName": "pizza-tls"},
        "authentication": {"apiKeys": {"secretName": "pizza-keys"}},
    }
    keys = {"app": entry("old"), "slow": entry("slow", limit="rate=0.01 burst=3")}
    kubectl.apply(
        secret("pizza-keys", "Opaque", keys), secret("pizza-tls", "kubernetes.io/tls", first), pizza
    )
    classifier = Classifier(kubectl, wait_for, "pizza")
    classifier.wait_ready(1)
    with classifier.gateway("https") as port:
        found = Clients(classifier, port)
        found.renew(first)
        yield found


def test_only_clients_with_a_key_get_an_answer_and_keys_and_certificate_change_without_a_restart(
    clients: Clients, kubectl: Kubectl, wait_for: Wait, tmp_path: Path
) -> None:
    status = clients.classifier.status()
    assert (status["access"], status["url"]) == (
        "APIKey",
        f"https://pizza-gateway.{kubectl.namespace}.svc/",
    )
    assert [clients.predict(key) for key in (None, "wrong", "old")] == [401, 403, 200]
    assert [clients.predict("slow") for _ in range(4)] == [200, 200, 200, 429]

    clients.change(secret("pizza-keys", "Opaque", {"app": entry("old", "new")}))
    wait_for(lambda: clients.predict("new") == 200, "a second key to be valid", SYNC_SECONDS)
    assert clients.predict("old") == 200
    clients.change(secret("pizza-keys", "Opaque", {"app": entry("new")}))
    wait_for(lambda: clients.predict("old") == 403, "the first key to be revoked", SYNC_SECONDS)
    assert clients.predict("new") == 200

    clients.renew(certificate(tmp_path, "second"))
    wait_for(lambda: clients.predict("new") == 200, "the renewed certificate", SYNC_SECONDS)

    clients.change(secret("pizza-keys", "Opaque", {"app": entry("new"), "shop": "the key itself"}))
    told = clients.classifier.wait_reason("GatewayReady", "ApiKeysUnusable")
    assert "The entry 'shop' has a word that is not sha256=, rate= or burst=." in told
    assert clients.predict("new") == 200
    clients.change(secret("pizza-keys", "Opaque", {"app": entry("new")}))
    clients.classifier.wait_ready(1)

    [pod] = kubectl.get("pods", "--selector=app.kubernetes.io/component=gateway")["items"]
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
