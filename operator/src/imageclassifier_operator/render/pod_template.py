"""Merge what a user adds to pods (`template` in the spec) into the pods that the operator renders. Pure.

The merge is strategic: lists are merged by the key that Kubernetes has for them. What the operator renders
stays, because rollouts depend on it; `refuse_conflicts` refuses what would replace it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from imageclassifier_operator.api import InvalidSpec, PodTemplate
from imageclassifier_operator.render.shared_parts import Manifest

_KEYS: Mapping[str, str] = {"volumes": "name", "env": "name", "volumeMounts": "mountPath"}
"""The lists that are merged, with the key of their elements."""


def with_template(manifest: Manifest, template: PodTemplate) -> Manifest:
    """A rendered Deployment or Job with what `template` adds to its pods."""
    if template == PodTemplate():
        return manifest
    spec = manifest["spec"]
    return {**manifest, "spec": {**spec, "template": merged(spec["template"], template)}}


def merged(rendered: Manifest, template: PodTemplate) -> Manifest:
    """The pod template `rendered` with what `template` adds."""
    metadata, pod = rendered["metadata"], dict(rendered["spec"])
    for field, value in template.pod.items():
        if field == "volumes":
            pod[field] = _merged_list(pod[field], value, field)
        elif field == "securityContext":
            pod[field] = pod[field] | value if value else _without_user(pod[field])
        elif field == "topologySpreadConstraints":
            selector = pod[field][0]["labelSelector"]
            pod[field] = [{"labelSelector": selector, **constraint} for constraint in value]
        else:
            pod[field] = value
    if template.container:
        pod["containers"] = [_merged_container(pod["containers"][0], template.container)]
    annotations = {**template.annotations, **metadata.get("annotations", {})}
    return {
        **rendered,
        "metadata": {
            **metadata,
            "labels": {**template.labels, **metadata["labels"]},
            **({"annotations": annotations} if annotations else {}),
        },
        "spec": pod,
    }


def refuse_conflicts(manifest: Manifest, template: PodTemplate, path: str) -> None:
    """Raise InvalidSpec if `template`, the field at `path`, has what the pods of `manifest` have already."""
    pod = manifest["spec"]["template"]["spec"]
    container, in_container = pod["containers"][0], f"{path}.spec.containers[0]"
    conflicts = (
        *_common(pod, template.pod, "volumes", f"{path}.spec.volumes"),
        *_common(container, template.container, "env", f"{in_container}.env"),
        *_common(container, template.container, "volumeMounts", f"{in_container}.volumeMounts"),
    )
    if conflicts:
        raise InvalidSpec(conflicts[0])


def _common(rendered: Manifest, added: Mapping[str, Any], field: str, path: str) -> Iterator[str]:
    key = _KEYS[field]
    taken = {element[key] for element in rendered.get(field, ())}
    for element in added.get(field, ()):
        if element[key] in taken:
            yield f"{path} has {element[key]}, which the operator uses itself. Use another {_NAME_OF[field]}."


_NAME_OF: Mapping[str, str] = {
    "volumes": "name for the volume",
    "env": "variable",
    "volumeMounts": "mountPath",
}


def _merged_container(container: Manifest, added: Mapping[str, Any]) -> Manifest:
    result = dict(container)
    for field, value in added.items():
        if field == "args":
            flags = {argument.split("=")[0] for argument in value}
            kept = [each for each in container.get("args", ()) if each.split("=")[0] not in flags]
            result[field] = [*kept, *value]
        elif field in _KEYS:
            result[field] = _merged_list(container.get(field, ()), value, field)
        else:
            result[field] = value
    return result


def _merged_list(rendered: Sequence[Manifest], added: Sequence[Manifest], field: str) -> list[Manifest]:
    key = _KEYS[field]
    taken = {element[key] for element in rendered}
    return [*rendered, *(element for element in added if element[key] not in taken)]


def _without_user(security_context: Manifest) -> Manifest:
    """The security context of a pod whose user and group are left to the cluster."""
    return {
        name: value for name, value in security_context.items() if name not in ("runAsUser", "runAsGroup")
    }
