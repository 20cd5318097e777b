"""Installs missing packages of Debian and Ubuntu, which needs root, or unpacks one, which does not."""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from laptop import places
from laptop.progress import Step, StepFailed, output, step

_WAIT_FOR_LOCK = ("-o", "DPkg::Lock::Timeout=300")


def distribution() -> dict[str, str]:
    """/etc/os-release as a mapping; empty if the file does not exist."""
    path = Path("/etc/os-release")
    return parse_os_release(path.read_text(encoding="utf-8")) if path.exists() else {}


def parse_os_release(text: str) -> dict[str, str]:
    """Parse the text of /etc/os-release."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name: value.strip().strip("\"'") for name, value in pairs}


def can_install() -> bool:
    """Whether packages can be installed: as root, on Debian or Ubuntu."""
    names = (distribution().get("ID", "") + " " + distribution().get("ID_LIKE", "")).split()
    return (
        os.geteuid() == 0 and shutil.which("apt-get") is not None and bool({"debian", "ubuntu"} & set(names))
    )


def is_installed(package: str) -> bool:
    """Whether a package is installed."""
    status = output(["dpkg-query", "-W", "-f", "${db:Status-Status}", package])
    return status == "installed"


def install(packages: Sequence[str], current: Step, otherwise: str) -> None:
    """Install the missing packages. If that is impossible, fail with the advice `otherwise`."""
    if not can_install():
        raise StepFailed(
            f"Packages can be installed only as root on Debian or Ubuntu: {otherwise}, and run this again."
        )
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    advice = "Run the last command in the log by hand. When it succeeds, run this again."
    # `apt-get update` does not wait for the lock of another one.
    with places.exclusive("apt"):
        missing = [package for package in packages if not is_installed(package)]
        if not missing:
            return
        # A run that was killed during dpkg leaves packages half configured.
        current.run(["dpkg", "--configure", "-a"], environment=environment, advice=advice)
        current.run(["apt-get", *_WAIT_FOR_LOCK, "update"], environment=environment, advice=advice)
        current.run(
            ["apt-get", *_WAIT_FOR_LOCK, "install", "-y", "--no-install-recommends", *missing],
            environment=environment,
            advice=advice,
        )


def unpacked(package: str) -> Path:
    """The directory in the cache with the files of a package, whether it is there or not."""
    release = distribution()
    key = f"{release.get('ID')}-{release.get('VERSION_ID')}-{os.uname().machine}"
    return places.cached(package, key)


def ensure_unpacked(package: str, otherwise: str) -> Path:
    """Unpack a package into the cache unless the cache has it; returns its directory.

    It is not installed, so nothing of it is started. Without apt, the step fails with the advice `otherwise`.
    """
    final = unpacked(package)
    if final.is_dir():
        return final
    with places.exclusive("apt"), step(f"Unpack the package {package}") as current:
        if not final.is_dir():
            temporary = final.with_name(f".{final.name}.{os.getpid()}")
            temporary.mkdir(parents=True, exist_ok=True)
            unpack(package, temporary, current, otherwise)
            places.replace_directory(temporary, final)
    return final


def unpack(package: str, directory: Path, current: Step, otherwise: str) -> None:
    """Download a package and unpack it into a directory. Without apt, fail with the advice `otherwise`."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise StepFailed(
            f"Packages can be unpacked only on Debian or Ubuntu: {otherwise}, and run this again."
        )
    advice = f"Run the last command in the log by hand, or {otherwise}. Then run this again."
    if os.geteuid() == 0:  # others use the lists of packages that the machine has
        current.run(["apt-get", *_WAIT_FOR_LOCK, "update"], advice=advice)
    current.run(["apt-get", "download", package], directory=directory, advice=advice)
    [archive] = directory.glob(f"{package}_*.deb")
    current.run(["dpkg-deb", "--extract", archive, directory], advice=advice)
    archive.unlink()


def parse_mirror(sources: str, suite: str) -> str | None:
    """The first address for `suite` in the machine's package sources, in either of apt's formats.

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
    """The address of the machine's package mirror for `suite`; None if it has none."""
    directory = Path("/etc/apt")
    files = [directory / "sources.list", *sorted(directory.glob("sources.list.d/*"))]
    texts = [
        file.read_text(encoding="utf-8")
        for file in files
        if file.suffix in {".list", ".sources"} and file.exists()
    ]
    return next((found for text in texts if (found := parse_mirror(text, suite))), None)
