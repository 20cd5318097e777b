"""Pulls images from registries that answer within a few seconds."""

import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from laptop.progress import Step, output

_ANSWER_SECONDS = 4
_DOCKER_HUB = "registry-1.docker.io"


def named_registry(image: str) -> str | None:
    """The registry that the name of an image begins with; None for short names of Docker Hub.

    >>> named_registry("registry:5000/team/x:1"), named_registry("team/x:1"), named_registry("x:1")
    ('registry:5000', None, None)
    """
    first, slash, _ = image.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else None


def registry_of(image: str) -> str:
    """The registry of an image: Docker Hub for `python:3.11`, `localhost:5000` for `localhost:5000/x`."""
    named = named_registry(image)
    return named if named and named != "docker.io" else _DOCKER_HUB


def addresses(image: str, mirrors: list[str]) -> list[str]:
    """The addresses to ask, in order: the mirrors of the engine (for Docker Hub only), then the registry."""
    host = registry_of(image)
    if host == _DOCKER_HUB:
        return [*(mirror.rstrip("/") + "/v2/" for mirror in mirrors), f"https://{host}/v2/"]
    local = host.split(":")[0] in {"localhost", "127.0.0.1"}
    return [f"{'http' if local else 'https'}://{host}/v2/"]


def is_registry(status: int) -> bool:
    """Whether a registry answers: /v2/ returns 200, or 401 if it needs a token. A proxy returns neither."""
    return status in {200, 401}


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=_ANSWER_SECONDS) as answer:  # noqa: S310 - http(s) by construction
            return is_registry(answer.status)
    except urllib.error.HTTPError as error:
        return is_registry(error.code)
    except OSError:
        return False


def reachable(image: str) -> bool:
    """Whether a registry or a mirror of it answers."""
    mirrors = (
        output(["docker", "info", "--format", "{{range .RegistryConfig.Mirrors}}{{.}} {{end}}"]) or ""
    ).split()
    candidates = addresses(image, mirrors)
    with ThreadPoolExecutor(len(candidates)) as pool:
        return any(pool.map(_answers, candidates))


def present(image: str) -> bool:
    """Whether the engine has the image."""
    return output(["docker", "image", "inspect", "--format", "{{.Id}}", image]) is not None


def pull(image: str, current: Step) -> bool:
    """Pull an image if its registry answers; False if that failed."""
    if not reachable(image):
        current.say(f"the registry of {image} does not answer")
        return False
    return output(["docker", "pull", image], timeout_seconds=1200) is not None
