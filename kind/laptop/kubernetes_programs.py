"""kind and kubectl: the installed programs if they are new enough, else ours, built from Go modules."""

import json
import shutil
from pathlib import Path

from laptop import golang
from laptop.progress import output

#: kubectl may be one minor version away from the API server.
KUBECTL_OLDEST, KIND_OLDEST = (1, 33), (0, 30)


def kind_program() -> Path:
    """The installed kind if it is new enough, else one built from its Go module."""
    found = shutil.which("kind")
    if found and golang.parse_version(output([found, "version"]) or "") >= KIND_OLDEST:
        return Path(found)
    golang.ensure([golang.KIND])
    return golang.binary_path(golang.KIND)


def kubectl_program() -> Path:
    """The installed kubectl if its version fits 1.34, else the one in our Kubernetes program."""
    found = shutil.which("kubectl")
    version = output([found, "version", "--client", "--output=json"]) if found else None
    if found and version:
        git_version = json.loads(version)["clientVersion"]["gitVersion"]
        if golang.parse_version(git_version) >= KUBECTL_OLDEST:
            return Path(found)
    golang.ensure([golang.KUBERNETES])
    link = golang.binary_path(golang.KUBERNETES).with_name("kubectl")
    if not link.is_symlink():
        link.symlink_to("kubernetes")
    return link
