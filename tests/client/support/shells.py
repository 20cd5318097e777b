"""Shells without the settings of this machine: the installed ones, else those of Debian's packages."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from laptop import apt


def interactive(name: str, home: Path) -> tuple[Sequence[str], dict[str, str]]:
    """The command of the shell `bash`, `zsh` or `fish`, and its environment, with the home folder `home`."""
    home.mkdir()
    environment = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_DATA_HOME": str(home)}
    if name == "bash":
        return ("bash", "--norc", "--noprofile", "-i"), environment
    if name == "zsh":
        program, settings = _zsh()
        (home / ".zshenv").write_text(settings)
        return (program, "-i"), environment
    return (_fish(home), "--private", "-i"), {**environment, "LD_LIBRARY_PATH": _unpacked_libraries()}


def _zsh() -> tuple[str, str]:
    """The program, and settings with which it finds its modules and functions."""
    if found := shutil.which("zsh"):
        return found, ""
    programs, shared = _unpacked("zsh"), _unpacked("zsh-common")
    modules = next(programs.glob("usr/lib/*/zsh/*"))
    functions = " ".join(str(path) for path in sorted(shared.glob("usr/share/zsh/functions/**/")))
    return str(programs / "bin/zsh"), f"module_path=({modules})\nfpath=({functions})\n"


def _fish(home: Path) -> str:
    """The program. It finds its functions beside itself."""
    if found := shutil.which("fish"):
        return found
    programs, shared = _unpacked("fish"), _unpacked("fish-common")
    (home / "bin").mkdir()
    (home / "etc").mkdir()
    shutil.copy(programs / "usr/bin/fish", home / "bin/fish")
    (home / "share").symlink_to(shared / "usr/share")
    (home / "etc/fish").symlink_to(shared / "etc/fish")
    return str(home / "bin/fish")


def _unpacked_libraries() -> str:
    """The folder of a library that fish needs and that this machine may lack."""
    [library] = _unpacked("libpcre2-32-0").glob("usr/lib/*/libpcre2-32.so.0")
    return str(library.parent)


def _unpacked(package: str) -> Path:
    return apt.ensure_unpacked(package, f"install {package}")
