"""The version to which a rollback returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ClientError
from .classifier import Report

_TOOK_TRAFFIC = ("Promoted", "Restored")
_FAILED = ("RolledBack", "Failed")


def target(report: Report) -> int:
    """The version before the one in the spec.

    While the version in the spec does not serve, that is the serving version: the rollout is aborted.
    Otherwise, it is the last version before that served and has not failed since.
    """
    if report.serving is not None and report.serving != report.wanted:
        return report.serving
    failed: set[int] = set()
    for entry in report.history:
        if entry.verdict in _FAILED:
            failed.add(entry.version)
        elif entry.verdict in _TOOK_TRAFFIC and entry.version not in {report.wanted, *failed}:
            return entry.version
    raise ClientError(
        f"No other version of {report.name} has served, as far as status.history says. Name the version with "
        "--to N."
    )


def has_served(report: Report, version: int) -> bool:
    """Whether the version has served, as far as the history says."""
    served = {entry.version for entry in report.history if entry.verdict in _TOOK_TRAFFIC}
    return version == report.serving or version in served


def source_problem(source: Mapping[str, Any]) -> str:
    """Why a change of the version alone does not lead to its files; empty if it does."""
    if "https" in source:
        return (
            "The model comes from spec.model.source.https, whose sha256 belongs to one version. Change the "
            "version, the URL and sha256 together with `kubectl edit`."
        )
    reference = (source.get("image") or {}).get("reference", "{version}")
    if "{version}" not in reference:
        return (
            f"spec.model.source.image.reference is {reference}, without {{version}}, so another version may "
            f"be in another image. Change both together with `kubectl edit`, or use --force if this image "
            f"has all versions."
        )
    return ""
