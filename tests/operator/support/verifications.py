"""Playing the verifications of an ImageClassifier: KWOK's pods run no process that could give a verdict."""

import json

from bare_apiserver import ControlPlane
from imageclassifier_operator.api import names

PASSED = json.dumps({"schema": 1, "passed": True, "reason": "", "message": "", "cases": []})


def pass_verifications(apiserver: ControlPlane, namespace: str) -> None:
    """Pass all verifications that currently run in the namespace."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    annotations = {
        "kwok.imageclassifier.dev/exit-code": "0",
        "kwok.imageclassifier.dev/termination-message": PASSED,
    }
    for pod in apiserver.request("GET", f"{pods}?labelSelector={names.LABEL_COMPONENT}=verify")["items"]:
        if pod["status"].get("phase") == "Running":
            body = {"metadata": {"annotations": annotations}}
            path = f"{pods}/{pod['metadata']['name']}"
            apiserver.request("PATCH", path, body, "application/merge-patch+json")
