"""Where a pod of a model server gets its model from, as its spec shows. Pure."""

from imageclassifier_operator.api.json import Json


def container_spec(pod: Json, name: str) -> Json:
    """The container of this name; empty if the pod has none."""
    spec = pod.get("spec") or {}
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    return next((container for container in containers if container["name"] == name), {})


def is_downloaded(pod: Json) -> bool:
    """Whether the init container `model-files` downloads the model, with the gateway's image."""
    arguments = container_spec(pod, "model-files").get("args") or ()
    return bool({"download", "storage"}.intersection(arguments[:1]))


def claim(pod: Json) -> str | None:
    """The PersistentVolumeClaim with the model; None if there is none."""
    name = _volume(pod, "persistentVolumeClaim").get("claimName")
    return None if name is None else str(name)


def mounted_image(pod: Json) -> str | None:
    """The image with the model that is mounted as a volume; None if there is none."""
    reference = _volume(pod, "image").get("reference")
    return None if reference is None else str(reference)


def is_copied(pod: Json) -> bool:
    """Whether an init container copies the model from its image, with the `cp` of that image."""
    return claim(pod) is None and mounted_image(pod) is None and not is_downloaded(pod)


def lost_its_volume(pod: Json) -> bool:
    """Whether the API server has dropped the image volume with the model, and its mounts, from the pod.

    It does so silently if it does not have the feature ImageVolume. Only a mounted model is checked
    with a copy to /dev/null.
    """
    command = container_spec(pod, "model-files").get("command") or ()
    return tuple(command[-1:]) == ("/dev/null",) and is_copied(pod)


def origin(pod: Json) -> str:
    """Where the model comes from, in words."""
    if (name := claim(pod)) is not None:
        return f"PersistentVolumeClaim {name}"
    return f"image {mounted_image(pod) or container_spec(pod, 'model-files').get('image')}"


def _volume(pod: Json, source: str) -> Json:
    """The source of the volume `model`, if it is of this kind."""
    volumes = (pod.get("spec") or {}).get("volumes") or ()
    found: Json = next((v.get(source) for v in volumes if v["name"] == "model" and v.get(source)), {})
    return found
