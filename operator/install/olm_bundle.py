"""The bundle for the Operator Lifecycle Manager (OLM), from the same sources as the YAML.

https://olm.operatorframework.io/docs/tasks/creating-operator-bundle/ describes the format.
"""

import json
from pathlib import Path
from textwrap import indent

import render

MANIFESTS = Path("olm/manifests")
_NAME = "imageclassifier"
_MIN_KUBERNETES = "1.29.0"
#: OLM writes the namespaces to watch into this annotation of the pods; it is empty for all namespaces.
_TARGET_NAMESPACES = "metadata.annotations['olm.targetNamespaces']"
#: What the console of OpenShift offers to create.
EXAMPLE = {
    "apiVersion": "imageclassifier.dev/v1alpha1",
    "kind": "ImageClassifier",
    "metadata": {"name": "pizza"},
    "spec": {
        "model": {
            "name": "pizza-model",
            "version": 1,
            "source": {"image": {"reference": "registry.example.org/pizza-model:{version}"}},
        },
    },
}
_DESCRIPTION = "Serves and rolls out image classifiers of TensorFlow."
#: They are in a file and in the labels of the bundle's image.
_ANNOTATIONS = {
    "operators.operatorframework.io.bundle.mediatype.v1": "registry+v1",
    "operators.operatorframework.io.bundle.manifests.v1": "manifests/",
    "operators.operatorframework.io.bundle.metadata.v1": "metadata/",
    "operators.operatorframework.io.bundle.package.v1": _NAME,
    "operators.operatorframework.io.bundle.channels.v1": "alpha",
    "operators.operatorframework.io.bundle.channel.default.v1": "alpha",
}

_COPY = "COPY manifests /manifests/\nCOPY metadata /metadata/\n"


def files(chosen: render.Installation) -> dict[Path, str]:
    """The files of the bundle, by their paths below operator/install."""
    deployment, disruption_budget = _documents("deployment", chosen)
    bundle = {
        f"{_NAME}.clusterserviceversion.yaml": _service_version(chosen, deployment),
        "imageclassifiers.crd.yaml": render.CRD.read_text(encoding="utf-8"),
        "poddisruptionbudget.yaml": _without_namespace(disruption_budget, chosen),
    }
    for name, role in zip(("edit", "view"), _documents("user-roles", chosen), strict=True):
        bundle[f"{name}.clusterrole.yaml"] = role
    texts = {MANIFESTS / name: render.GENERATED + text for name, text in bundle.items()}
    annotations = "".join(f"  {name}: {value}\n" for name, value in _ANNOTATIONS.items())
    texts[Path("olm/metadata/annotations.yaml")] = f"{render.GENERATED}annotations:\n{annotations}"
    labels = "".join(f"LABEL {name}={value}\n" for name, value in _ANNOTATIONS.items())
    texts[Path("olm/Dockerfile")] = f"{render.GENERATED}FROM scratch\n{labels}{_COPY}"
    return texts


def _documents(part: str, chosen: render.Installation) -> list[str]:
    values = {**render.values(chosen), "WATCH_NAMESPACE_ENV": render.watch_namespace_env(_TARGET_NAMESPACES)}
    return render.filled_in(part, values, for_chart=False).split("---\n")


def _without_namespace(document: str, chosen: render.Installation) -> str:
    """OLM installs into the namespace of its OperatorGroup."""
    return document.replace(f"  namespace: {chosen.namespace}\n", "")


def _block(document: str, key: str) -> str:
    """The lines below a key of the first level, such as `spec`."""
    _, found, rest = document.partition(f"\n{key}:\n")
    assert found, f"a document of operator/install/sources has no {key}"
    lines = rest.splitlines(keepends=True)
    end = next(
        (number for number, line in enumerate(lines) if line.strip() and line[0] not in " #"), len(lines)
    )
    return "".join(lines[:end])


def _service_version(chosen: render.Installation, deployment: str) -> str:
    """The ClusterServiceVersion. OLM makes the service account and its roles from the permissions."""
    rules = _block(_documents("role", chosen)[0], "rules") + _block(
        _documents("leader-election", chosen)[0], "rules"
    )
    images = {
        "operator": chosen.operator_image,
        "gateway": chosen.gateway_image,
        "model-server": chosen.serving_image,
    }
    related = "".join(f"    - name: {name}\n      image: {image}\n" for name, image in images.items())
    return f"""\
apiVersion: operators.coreos.com/v1alpha1
kind: ClusterServiceVersion
metadata:
  name: {_NAME}.v{render.RELEASE}
  namespace: placeholder
  annotations:
    capabilities: Deep Insights
    categories: AI/Machine Learning
    containerImage: {chosen.operator_image}
    description: {_DESCRIPTION}
    alm-examples: |-
      {json.dumps([EXAMPLE])}
spec:
  displayName: ImageClassifier
  description: >-
    {_DESCRIPTION} An ImageClassifier names a model, a version and its source. The operator starts model
    servers, verifies each new version with pictures, shifts traffic in steps, and rolls back a worse version.
  version: {render.RELEASE}
  minKubeVersion: {_MIN_KUBERNETES}
  maturity: alpha
  keywords: [machine-learning, image-classification, tensorflow]
  provider:
    name: ImageClassifier
  customresourcedefinitions:
    owned:
      - name: imageclassifiers.imageclassifier.dev
        kind: ImageClassifier
        version: v1alpha1
        displayName: Image classifier
        description: A classifier of images, with its model servers, gateway and rollouts.
  relatedImages:
{related}\
  installModes:
    - {{type: OwnNamespace, supported: true}}
    - {{type: SingleNamespace, supported: false}}
    - {{type: MultiNamespace, supported: false}}
    - {{type: AllNamespaces, supported: true}}
  install:
    strategy: deployment
    spec:
      permissions:
        - serviceAccountName: imageclassifier-operator
          rules:
{indent(rules, "          ")}\
      deployments:
        - name: imageclassifier-operator
          label:
            app.kubernetes.io/name: imageclassifier-operator
          spec:
{indent(_block(deployment, "spec"), "          ")}"""
