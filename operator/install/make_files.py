"""Writes the generated files of the installation: YAMLs, kustomize bases, OLM bundle, chart, argocd-cm.

    python3 operator/install/make_files.py            # writes them
    python3 operator/install/make_files.py --check    # lists those that are not current

They come from crds/, sources/ and dashboards/. It needs nothing but Python's standard library.
"""

import argparse
import sys
from pathlib import Path

import argo_cd
import dashboards
import olm_bundle
import render

KUSTOMIZE = Path("kustomize")
CHART_TEMPLATES = Path("chart/templates/generated")
CHART_DASHBOARDS = Path("chart/monitoring")

#: The values of the names in the sources, as expressions of Helm.
CHART_VALUES = {
    "NAMESPACE": "{{ .Release.Namespace | quote }}",
    "OPERATOR_IMAGE": '{{ include "imageclassifier.operatorImage" . | quote }}',
    "GATEWAY_IMAGE": '{{ include "imageclassifier.gatewayImage" . | quote }}',
    "SERVING_IMAGE": "{{ .Values.images.serving | quote }}",
    "ROLE_KIND": '{{ include "imageclassifier.roleKind" . }}',
    "ROLE_METADATA": """
  {{- if eq .Values.scope "namespace" }}
  namespace: {{ .Release.Namespace | quote }}
  {{- end }}""",
    "WATCH_NAMESPACE_ENV": f"""
            {{{{- if eq .Values.scope "namespace" }}}}{render.watch_namespace_env(render.OWN_NAMESPACE)}
            {{{{- end }}}}""",
}
#: Helm makes the namespace itself (--create-namespace).
CHART_PARTS = [part for part in render.CLUSTER_PARTS if part != "namespace"]
#: Helm neither upgrades nor templates the files of a folder crds/, so the CRD is a template. Without the
#: annotation, Helm would delete it with the release, and Kubernetes would then delete every ImageClassifier.
CHART_CRD_BEGIN = '{{- if and .Values.crd.install (eq .Values.scope "cluster") }}\n'
CHART_CRD_END = "{{- end }}\n"
CHART_CRD_NAME = "  name: imageclassifiers.imageclassifier.dev\n"
CHART_CRD_KEEP = '  annotations:\n    "helm.sh/resource-policy": keep\n'


def files(cluster: render.Installation, one_namespace: render.Installation) -> dict[Path, str]:
    """The text of each generated file, by its path below operator/install; the chart's images are values."""
    texts = {
        Path("install.yaml"): render.render(cluster),
        Path("install-one-namespace.yaml"): render.render(one_namespace),
        KUSTOMIZE / "cluster/operator.yaml": render.GENERATED + render.operator_yaml(cluster),
        KUSTOMIZE / "one-namespace/operator.yaml": render.GENERATED + render.operator_yaml(one_namespace),
        CHART_TEMPLATES / "crd.yaml": render.GENERATED + chart_crd(),
        Path("argocd-cm.yaml"): argo_cd.config_map(),
        **olm_bundle.files(cluster),
    }
    for part in CHART_PARTS:
        text = render.filled_in(part, CHART_VALUES, for_chart=True)
        texts[CHART_TEMPLATES / f"{part}.yaml"] = render.GENERATED + text
    for name, dashboard in dashboards.DASHBOARDS.items():
        texts[CHART_DASHBOARDS / f"{name}.json"] = dashboards.dashboard_json(dashboard)
    return texts


def chart_crd() -> str:
    """The CRD as a template that Helm upgrades, and keeps when the release is uninstalled."""
    crd = render.CRD.read_text(encoding="utf-8")
    if crd.count(CHART_CRD_NAME) != 1 or "{{" in crd:
        sys.exit(f"{render.CRD} has another name, or contains '{{{{', which Helm would read as a template.")
    kept = crd.replace(CHART_CRD_NAME, CHART_CRD_NAME + CHART_CRD_KEEP)
    return CHART_CRD_BEGIN + kept + CHART_CRD_END


def main() -> int:
    """Write the files, or check them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--check", action="store_true", help="write nothing; list the files that differ")
    parser.add_argument(
        "--image-registry",
        default=render.IMAGE_REGISTRY,
        help="registry and path of the operator's and gateway's images (default: %(default)s)",
    )
    parser.add_argument(
        "--serving-image",
        default=render.SERVING_IMAGE,
        help="the model server's image (default: %(default)s)",
    )
    arguments = parser.parse_args()
    cluster, one_namespace = (
        render.installation(
            one_namespace=one,
            image_registry=arguments.image_registry,
            serving_image=arguments.serving_image,
        )
        for one in (False, True)
    )
    texts = {render.HERE / path: text for path, text in files(cluster, one_namespace).items()}
    if not arguments.check:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return 0
    present = {*texts, *(render.HERE / CHART_TEMPLATES).iterdir()}
    stale = [path for path in sorted(present) if not _is_current(path, texts.get(path))]
    for path in stale:
        print(f"{path.relative_to(render.HERE)} is not current. Run `make install-yaml`.")
    return 1 if stale else 0


def _is_current(path: Path, text: str | None) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
