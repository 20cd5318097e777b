"""Puts the installation together from its sources, for the whole cluster or for one namespace.

    python3 operator/install/render.py --one-namespace --namespace team-a

writes YAML to standard output; `--help` lists the options. `make install-yaml` keeps install.yaml and
install-one-namespace.yaml current with it. It needs nothing but Python's standard library.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from string import Template

HERE = Path(__file__).resolve().parent
CRD = HERE.parents[1] / "crds" / "imageclassifiers.yaml"

RELEASE = "0.1.0"
IMAGE_REGISTRY = "imageclassifier"
SERVING_IMAGE = "tensorflow/serving:2.19.1"
CLUSTER_NAMESPACE = "imageclassifier-system"
ONE_NAMESPACE = "imageclassifier"

_HEADER = """\
# {title}
# Made by `make install-yaml` from crds/ and operator/install/sources/: change it there. See docs/install.md.
"""
_WATCH_NAMESPACE_ENV = """
            - name: IMAGECLASSIFIER_WATCH_NAMESPACE
              valueFrom:
                fieldRef:
                  fieldPath: metadata.namespace"""


@dataclass(frozen=True)
class Installation:
    """`one_namespace`: the operator sees only its own namespace, and needs no right beyond it."""

    namespace: str
    one_namespace: bool
    operator_image: str
    gateway_image: str
    serving_image: str = SERVING_IMAGE


def installation(
    *, one_namespace: bool, namespace: str | None = None, image_registry: str = IMAGE_REGISTRY
) -> Installation:
    """The installation with the images of this release, as they are called in `image_registry`."""
    return Installation(
        namespace=namespace or (ONE_NAMESPACE if one_namespace else CLUSTER_NAMESPACE),
        one_namespace=one_namespace,
        operator_image=f"{image_registry}/operator:{RELEASE}",
        gateway_image=f"{image_registry}/gateway:{RELEASE}",
    )


def render(chosen: Installation) -> str:
    """The YAML, several documents. The CRD is left out for one namespace: it belongs to the cluster."""
    role_scope = f"\n  namespace: {chosen.namespace}"
    values = {
        "NAMESPACE": chosen.namespace,
        "OPERATOR_IMAGE": chosen.operator_image,
        "GATEWAY_IMAGE": chosen.gateway_image,
        "SERVING_IMAGE": chosen.serving_image,
        "ROLE_KIND": "Role" if chosen.one_namespace else "ClusterRole",
        "ROLE_METADATA": role_scope if chosen.one_namespace else "",
        "WATCH_NAMESPACE_ENV": _WATCH_NAMESPACE_ENV if chosen.one_namespace else "",
    }
    if chosen.one_namespace:
        title = "The ImageClassifier operator for one namespace. The CRD (crds/) has to be there already."
        parts = ["service-account", "role", "leader-election", "deployment"]
        documents = []
    else:
        title = "The ImageClassifier operator for all namespaces."
        parts = ["namespace", "service-account", "role", "leader-election", "user-roles", "deployment"]
        documents = [CRD.read_text(encoding="utf-8")]
    documents += [
        Template((HERE / "sources" / f"{part}.yaml").read_text(encoding="utf-8")).substitute(values)
        for part in parts
    ]
    return _HEADER.format(title=title) + "---\n".join(documents)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--one-namespace", action="store_true", help="for one namespace, without the CRD")
    parser.add_argument("--namespace", help="where the operator runs")
    parser.add_argument("--image-registry", default=IMAGE_REGISTRY, help="registry and path of our images")
    parser.add_argument("--operator-image", help="instead of the registry's")
    parser.add_argument("--gateway-image", help="instead of the registry's")
    parser.add_argument("--serving-image", default=SERVING_IMAGE, help="default: %(default)s")
    arguments = parser.parse_args()
    chosen = installation(
        one_namespace=arguments.one_namespace,
        namespace=arguments.namespace,
        image_registry=arguments.image_registry,
    )
    chosen = Installation(
        namespace=chosen.namespace,
        one_namespace=chosen.one_namespace,
        operator_image=arguments.operator_image or chosen.operator_image,
        gateway_image=arguments.gateway_image or chosen.gateway_image,
        serving_image=arguments.serving_image,
    )
    print(render(chosen), end="")


if __name__ == "__main__":
    main()
