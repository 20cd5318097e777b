"""Debian's and Ubuntu's packages: installed only where something is missing, only as root."""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from laptop.progress import Step, StepFailed, output


def distribution() -> dict[str, str]:
    """/etc/os-release as a mapping; empty where there is none."""
    path = Path("/etc/os-release")
    return parse_os_release(path.read_text(encoding="utf-8")) if path.exists() else {}


def parse_os_release(text: str) -> dict[str, str]:
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name: value.strip().strip("\"'") for name, value in pairs}


def can_install() -> bool:
    names = (distribution().get("ID", "") + " " + distribution().get("ID_LIKE", "")).split()
    return (
        os.geteuid() == 0 and shutil.which("apt-get") is not None and bool({"debian", "ubuntu"} & set(names))
    )


def is_installed(package: str) -> bool:
    status = output(["dpkg-query", "-W", "-f", "${db:Status-Status}", package])
    return status == "installed"


def install(packages: Sequence[str], current: Step, otherwise: str) -> None:
    """Installs what is missing of `packages`; where it cannot, fails with the advice `otherwise`."""
    if not can_install():
        raise StepFailed(
            f"Not root on Debian or Ubuntu, so nothing can be installed: {otherwise}, and run this again."
        )
    missing = [package for package in packages if not is_installed(package)]
    if not missing:
        return
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    advice = "Run the last command in the log by hand; when it works, run this again."
    lock = ["-o", "DPkg::Lock::Timeout=300"]
    # A run that was killed while dpkg worked leaves packages half-configured.
    current.run(["dpkg", "--configure", "-a"], environment=environment, advice=advice)
    current.run(["apt-get", *lock, "update"], environment=environment, advice=advice)
    current.run(
        ["apt-get", *lock, "install", "-y", "--no-install-recommends", *missing],
        environment=environment,
        advice=advice,
    )


def parse_mirror(sources: str, suite: str) -> str | None:
    """The first address that the machine's own package sources give for `suite`, in either of apt's formats.

    Reads the one-line format (`deb [options] ADDRESS SUITE COMPONENT...`) and deb822 (`URIs:`, `Suites:`).
    Limit: a `mirror+file:` list is not followed.
    """
    for line in sources.splitlines():
        match = re.match(r"deb\s+(?:\[[^\]]*\]\s+)?(https?://\S+)\s+(\S+)\s", line + " ")
        if match and match[2] == suite:
            return match[1]
    for paragraph in re.split(r"\n\s*\n", sources):
        fields = dict(re.findall(r"(?m)^([A-Za-z-]+):\s*(.*)$", paragraph))
        if "deb" in fields.get("Types", "").split() and suite in fields.get("Suites", "").split():
            address: str | None = next(
                (uri for uri in fields.get("URIs", "").split() if uri.startswith("http")), None
            )
            if address and fields.get("Enabled", "yes") != "no":
                return address
    return None


def mirror(suite: str) -> str | None:
    directory = Path("/etc/apt")
    files = [directory / "sources.list", *sorted(directory.glob("sources.list.d/*"))]
    texts = [
        file.read_text(encoding="utf-8")
        for file in files
        if file.suffix in {".list", ".sources"} and file.exists()
    ]
    return next((found for text in texts if (found := parse_mirror(text, suite))), None)
