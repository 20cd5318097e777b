"""A real oauth2-proxy with the configuration of examples/sign-in.yaml, and a real OpenID provider.

Both are built from kind/sign-in.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import yaml
from waiting import wait_until

from laptop import golang

REPOSITORY = Path(__file__).parents[3]
CLIENT, CLIENT_SECRET = "pizza", "the-client-secret"
USER, PASSWORD = "test-user2", "verysecure"
_COOKIE_SECRET = "0123456789abcdef0123456789abcdef"
_START_SECONDS = 60


def example() -> tuple[dict[str, Any], list[str]]:
    """The configuration and the arguments of oauth2-proxy in examples/sign-in.yaml."""
    text = (REPOSITORY / "examples/sign-in.yaml").read_text(encoding="utf-8")
    objects = {each["kind"]: each for each in yaml.safe_load_all(text)}
    [container] = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    return yaml.safe_load(objects["ConfigMap"]["data"]["oauth2-proxy.yaml"]), container["args"]


def documented(key: str) -> list[Any]:
    """The list under `key` in the page about API keys, which replaces the example's for people."""
    text = (REPOSITORY / "docs/api-keys.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(part.partition("```")[0]) for part in text.split("```yaml\n")[1:]]
    [found] = [block[key] for block in blocks if set(block) == {key}]
    return list(found)


def replaced(value: Any, replacements: Mapping[str, str]) -> Any:
    """A document in which each of these texts is replaced. Each must be there."""
    text = yaml.safe_dump(value)
    for old, new in replacements.items():
        assert old in text, f"{old} is not in {text}"
        text = text.replace(old, new)
    return yaml.safe_load(text)


@contextmanager
def oauth2_proxy(
    folder: Path, port: int, configuration: Mapping[str, Any], arguments: Sequence[str]
) -> Iterator[str]:
    """Run oauth2-proxy in `folder`. Gives its URL."""
    golang.ensure([golang.OAUTH2_PROXY])
    alpha = folder / "oauth2-proxy.yaml"
    alpha.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    flags = [each for each in arguments if not each.startswith("--alpha-config=")]
    command: list[str | Path] = [golang.binary_path(golang.OAUTH2_PROXY), f"--alpha-config={alpha}", *flags]
    url = f"http://127.0.0.1:{port}"
    with _running(command, folder / "oauth2-proxy.log", f"{url}/ready", _COOKIE_SECRET):
        yield url


@contextmanager
def oidc_provider(folder: Path, port: int, redirect_url: str) -> Iterator[str]:
    """Run the provider, which sends its users to `redirect_url`. Gives its issuer."""
    golang.ensure([golang.OIDC_PROVIDER])
    issuer = f"http://127.0.0.1:{port}"
    command: list[str | Path] = [
        golang.binary_path(golang.OIDC_PROVIDER),
        f"--address=127.0.0.1:{port}",
        f"--redirect-uri={redirect_url}",
        f"--client-secret={CLIENT_SECRET}",
    ]
    with _running(command, folder / "provider.log", f"{issuer}/.well-known/openid-configuration"):
        yield issuer


@contextmanager
def _running(command: Sequence[Path | str], log: Path, url: str, cookie_secret: str = "") -> Iterator[None]:
    """A program until the block ends; the block begins when `url` answers."""
    environment = {"OAUTH2_PROXY_COOKIE_SECRET": cookie_secret} if cookie_secret else {}
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                return requests.get(url, timeout=5).ok
            except requests.RequestException:
                return False

        try:
            wait_until(answers, f"{Path(command[0]).name} at {url}", _START_SECONDS)
            yield
        finally:
            process.terminate()
            process.wait()
