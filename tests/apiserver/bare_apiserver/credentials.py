"""Who may talk to the control plane, and by what: one certificate, tokens, kubeconfig files."""

import json
import secrets
import subprocess
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class User:
    """A user that the API server knows by a bearer token."""

    name: str
    groups: tuple[str, ...] = ()
    token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)


ADMIN = "bare-apiserver-admin"
CONTROLLER_MANAGER = "system:kube-controller-manager"
SCHEDULER = "system:kube-scheduler"
KWOK = "kwok"


def make_users() -> dict[str, User]:
    """The users by name, with fresh tokens; Kubernetes binds its own roles to the components' names."""
    users = (
        User(ADMIN, ("system:masters",)),
        User(CONTROLLER_MANAGER),
        User(SCHEDULER),
        User(KWOK, ("system:masters",)),
    )
    return {user.name: user for user in users}


def token_file(users: dict[str, User]) -> str:
    """The text of kube-apiserver's --token-auth-file: token,user,uid,"group,group"."""
    return "".join(
        f'{user.token},{user.name},{user.name},"{",".join(user.groups)}"\n' for user in users.values()
    )


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """Make a self-signed P-256 certificate for loopback, good for two days; return (certificate, key).

    The certificate is its own authority, and its key also signs the service accounts' tokens.
    """
    certificate, key = directory / "apiserver.crt", directory / "apiserver.key"
    # Python 3.13 verifies strictly: an authority has to name its key usage.
    extensions = (
        "subjectAltName=IP:127.0.0.1,DNS:localhost",
        "keyUsage=critical,digitalSignature,keyCertSign",
        "extendedKeyUsage=serverAuth",
    )
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 2"
    arguments = ["-subj", "/CN=bare-apiserver", "-keyout", str(key), "-out", str(certificate)]
    for extension in extensions:
        arguments += ["-addext", extension]
    subprocess.run([*command.split(), *arguments], check=True, capture_output=True)
    return certificate, key


def kubeconfig(url: str, certificate: Path, token: str, namespace: str = "default") -> str:
    """The text of a kubeconfig (JSON, which is YAML) for a bearer token."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "test", "cluster": {"server": url, "certificate-authority": str(certificate)}}
            ],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [
                {"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}
            ],
            "current-context": "test",
        },
        indent=1,
    )
