"""The sentence on the state of an ImageClassifier, and the next step of its user."""

from __future__ import annotations

from collections.abc import Callable

from .classifier import PREVIOUS, Report
from .program import Program

_Advice = Callable[[Report, Program], str]


def headline(report: Report) -> str:
    """Whether the classifier is ready, and the reason.

    "Ready", "not ready: Paused", or "not seen by the operator yet".
    """
    if not report.is_observed:
        return "not seen by the operator yet"
    ready = report.condition("Ready")
    if ready.status == "True":
        return "Ready"
    known = "not ready" if ready.status == "False" else "not known to be ready"
    return f"{known}: {ready.reason}" if ready.reason else known


def sentence(report: Report) -> str:
    """Why the classifier is, or is not, ready: the operator's own message."""
    if not report.is_observed:
        return "The operator has not seen the newest change of the spec yet."
    if report.is_ready:
        progressing = report.condition("Progressing")
        return progressing.message if progressing.status == "True" else report.condition("Ready").message
    stalled, ready = report.condition("Stalled"), report.condition("Ready")
    told = (stalled.message if stalled.status == "True" else ready.message) or "The status has no message."
    available = report.condition("Available")
    # While another version is rolled out or has failed, users want to know whether theirs still answers.
    if available.status == "True" and available.message not in told:
        return f"{told} {available.message}"
    return told


def next_step(report: Report, program: Program) -> str:
    """What to do now, as one sentence; empty if there is nothing to do."""
    if not report.is_observed:
        return _check_the_operator(report, program)
    if report.is_ready:
        return _kept_warm(report, program)
    if report.failure is not None:
        return _after_a_failure(report, program)
    return _BY_REASON.get(report.condition("Ready").reason, _do_what_it_says)(report, program)


def _check_the_operator(report: Report, program: Program) -> str:
    pods = program.kubectl(
        "get pods --all-namespaces --selector app.kubernetes.io/name=imageclassifier-operator"
    )
    return f"Wait a moment. If this continues, check that the operator runs: {pods}."


def _kept_warm(report: Report, program: Program) -> str:
    previous = next((each.number for each in report.versions if each.role == PREVIOUS), None)
    if previous is None:
        return ""
    return f"None is needed. To return to version {previous}, run {program.command('rollback', report.name)}."


def _after_a_failure(report: Report, program: Program) -> str:
    retry = f"Correct the cause, and run {program.command('retry', report.name)}"
    if report.serving is None:
        return f"{retry}."
    rollback = program.command("rollback", report.name)
    return f"{retry}. Or ask for version {report.serving} again: {rollback}."


def _watch(report: Report, program: Program) -> str:
    return f"Wait, and watch it with {program.command('status', report.name, '--watch')}."


def _watch_or_promote(report: Report, program: Program) -> str:
    if report.outcome != "Inconclusive":
        return _watch(report, program)
    promote = program.command("promote", report.name)
    return f"Wait for more requests, or end the step now with {promote}."


def _promote(report: Report, program: Program) -> str:
    promote, resume = (program.command(each, report.name) for each in ("promote", "resume"))
    rollback = program.command("rollback", report.name)
    return f"Continue by one step with {promote}, or to the end with {resume}, or go back with {rollback}."


def _start(report: Report, program: Program) -> str:
    patch = """--type merge --patch '{"spec":{"stopped":false}}'"""
    return f"Start it with {program.kubectl('patch imageclassifier', report.name, patch)}."


def _read_logs(report: Report, program: Program) -> str:
    return f"Read the logs with {program.command('logs', report.name)}, and do what the message says."


def _edit(report: Report, program: Program) -> str:
    return f"Correct it with {program.kubectl('edit imageclassifier', report.name)}."


def _do_what_it_says(report: Report, program: Program) -> str:
    describe = program.kubectl("describe imageclassifier", report.name)
    return f"Do what the message says. {describe} shows the Events."


_BY_REASON: dict[str, _Advice] = {
    **dict.fromkeys(
        (
            "Loading", "Verifying", "Settling", "Retiring", "Updating", "AwaitingGateways", "GatewayStarting",
            "NoVersionServes", "AtRest", "Available", "Ready",
        ),
        _watch,
    ),
    **dict.fromkeys(("Shifting", "Shadowing"), _watch_or_promote),
    "Paused": _promote,
    "Stopped": _start,
    **dict.fromkeys(
        (
            "ModelLoadFailed", "OutOfMemory", "ContainerCrashed", "NotAnswering", "VersionUnusable",
            "NoReadyPods", "VerificationFailed", "ContractInvalid", "GatewaysNotObserved",
        ),
        _read_logs,
    ),
    **dict.fromkeys(("InvalidSpec", "Conflict"), _edit),
}  # fmt: skip
"""The advice for each reason that needs another than "do what the message says"."""
