"""Environments of other model servers: their own packages, and TensorFlow and Keras of this project."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

from laptop import places

_UV = Path(sys.executable).with_name("uv")


def why_not(*packages: str) -> str | None:
    """Why an environment with these packages cannot be made; None if it is there."""
    folder = _folder(packages)
    if (folder / "complete").exists():
        _share_this_project(folder)
        return None
    print(f"Installing {', '.join(packages)} into {folder}.", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", folder], check=True)
    install = [str(_UV), "pip", "install", "--quiet", "--python", str(python(*packages)), *packages]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"uv cannot install it: {(done.stderr.strip().splitlines() or ['no reason given'])[-1][:200]}"
    _share_this_project(folder)
    (folder / "complete").touch()
    return None


def _share_this_project(folder: Path) -> None:
    """Let the environment find the packages of the checkout that runs now, which may not have made it.

    They come behind its own packages, so that those that it pins come first.
    """
    [site_packages] = (folder / "lib").glob("python*/site-packages")
    (site_packages / "this-project.pth").write_text(sysconfig.get_path("purelib") + "\n")


def python(*packages: str) -> Path:
    """The interpreter of the environment with these packages."""
    return _folder(packages) / "bin" / "python"


def version(*packages: str) -> str:
    """The version of the first of the packages in their environment."""
    code = f"from importlib.metadata import version; print(version({packages[0]!r}))"
    return subprocess.run(
        [python(*packages), "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def _folder(packages: tuple[str, ...]) -> Path:
    return places.cached("bench-environment", places.digest([*packages, sys.version]))
