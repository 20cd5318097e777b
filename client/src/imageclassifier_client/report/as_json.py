"""The report as JSON, for `--output json`."""

from __future__ import annotations

from typing import Any

from .advice import next_step, sentence
from .classifier import Report, Version
from .pods import Pod
from .program import Program


def as_json(report: Report, program: Program) -> dict[str, Any]:
    """The report as plain values."""
    return {
        "name": report.name,
        "namespace": report.namespace,
        "ready": report.is_ready,
        "reason": report.condition("Ready").reason,
        "message": sentence(report),
        "nextStep": next_step(report, program),
        "observed": report.is_observed,
        "phase": report.phase,
        "paused": report.is_paused,
        "wantedVersion": report.wanted,
        "servingVersion": report.serving,
        "candidateVersion": report.candidate,
        "url": report.url,
        "versions": [_version(each) for each in report.versions],
        "gateways": [_pod(each) for each in report.gateways],
        "failedVersions": [
            {"version": each.version, "reason": each.reason, "message": each.message}
            for each in report.failures
        ],
    }


def _version(version: Version) -> dict[str, Any]:
    return {
        "version": version.number,
        "role": version.role,
        "percent": version.percent,
        "pods": [_pod(each) for each in version.pods],
        "evidence": list(version.evidence),
    }


def _pod(pod: Pod) -> dict[str, Any]:
    return {
        "name": pod.name,
        "component": pod.component,
        "state": pod.state,
        "ready": pod.is_ready,
        "restarts": pod.restarts,
        "node": pod.node,
    }
