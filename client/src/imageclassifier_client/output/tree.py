"""The tree of one ImageClassifier: versions with traffic, pods and evidence, gateways, failed versions."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.text import Text
from rich.tree import Tree

from ..report.advice import headline, next_step, sentence
from ..report.classifier import Report, Version
from ..report.pods import Pod
from ..report.program import Program
from ..report.times import duration

_SHOWN_FAILURES = 3
_BAD_OUTCOMES = ("Worse:", "verification failed", "warning:", "picture ")


def status_tree(report: Report, program: Program) -> Group:
    """The report as a tree, with the sentence above it and the next step below it."""
    tree = Tree(_root(report), guide_style="dim")
    for version in report.versions:
        _add_version(tree, report, version)
    if report.gateways or not report.pods_hidden:
        node = tree.add(_line(f"gateway   {_ready(report.gateways)}", report.url))
        _add_pods(node, report.gateways)
    if report.failures:
        node = tree.add("failed versions, the newest first")
        for failure in list(reversed(report.failures))[:_SHOWN_FAILURES]:
            head = Text(f"version {failure.version}   {failure.reason}", style="red")
            node.add(head.append(f"   {duration(failure.age_seconds)} ago", "dim")).add(failure.message)
    if report.pods_hidden:
        tree.add(Text(f"The pods are not shown: {report.pods_hidden}", style="dim"))
    step = next_step(report, program)
    return Group(tree, *((Text(f"Next: {step}"),) if step else ()))


def _root(report: Report) -> Group:
    colour = (
        "green" if report.is_ready else "yellow" if report.condition("Available").status == "True" else "red"
    )
    phase = f"   phase {report.phase}" if report.phase else ""
    head = Text(f"{report.name}", style="bold").append(f"   {headline(report)}", colour).append(phase, "dim")
    head.append(f"   namespace {report.namespace}", "dim")
    return Group(head, Text(sentence(report)))


def _add_version(tree: Tree, report: Report, version: Version) -> None:
    share = f"{version.percent} % of the traffic" if version.percent else "no traffic"
    serving = [pod for pod in version.pods if pod.component == "serving"]
    count = "" if report.pods_hidden else f"   {_ready(serving)}"
    node = tree.add(_line(f"version {version.number}   {version.role}   {share}{count}"))
    for fact in version.evidence:
        node.add(Text(fact, style="red" if fact.startswith(_BAD_OUTCOMES) else ""))
    _add_pods(node, version.pods)


def _add_pods(node: Tree, pods: Sequence[Pod]) -> None:
    for pod in pods:
        state = "ready" if pod.is_ready else pod.state if pod.state != "Running" else "not ready"
        details = [duration(pod.age_seconds), *([f"{pod.restarts} restarts"] if pod.restarts else [])]
        line = Text(pod.name).append(f"   {state}", "green" if pod.is_ready else "yellow")
        node.add(line.append(f"   {', '.join(details)}", "dim"))


def _line(text: str, faint: str = "") -> Text:
    return Text(text).append(f"   {faint}" if faint else "", "dim")


def _ready(pods: Sequence[Pod]) -> str:
    return f"{sum(pod.is_ready for pod in pods)} of {len(pods)} pods ready"
