"""The tree of `status`: what it shows in each phase, in 80 columns and without colour."""

import dataclasses
import io

import pytest
from rich.console import Console

from classifier_objects import FAILED, HISTORY, NOW, PODS, classifier
from imageclassifier_client.output.tables import history_table, list_table
from imageclassifier_client.output.tree import status_tree
from imageclassifier_client.report.classifier import report
from imageclassifier_client.report.program import Program
from imageclassifier_operator.rollout.state import Phase
from status_examples import STATES

ANALYSIS = {
    "outcome": "Inconclusive",
    "message": "About 400 more requests of version 2 are needed.",
    "versions": [
        {"version": 2, "requests": 120, "errors": 1, "errorRateUpperBound": "4.6 %", "p99Milliseconds": 41},
        {"version": 1, "requests": 1080, "errors": 0, "errorRateUpperBound": "0.4 %"},
    ],
}
VERIFICATION = {
    "version": 2,
    "passed": True,
    "casesTotal": 3,
    "casesPassed": 2,
    "goldenWorstDifference": 0.00012,
    "latencyMilliseconds": {"p50": 12, "p99": 20},
    "cases": [
        {"name": "salad", "expected": "not_pizza", "label": "pizza", "probability": 0.71, "passed": False}
    ],
}
PROGRAM = Program("kubectl imageclassifier")


def shown(renderable: object, encoding: str = "utf-8", width: int = 80) -> str:
    """What a pipe gets."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    Console(file=file, width=width, highlight=False).print(renderable)
    file.flush()
    return raw.getvalue().decode(encoding)


def tree(body: dict, **options: object) -> str:
    return shown(status_tree(report(body, PODS, NOW), PROGRAM), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("phase", Phase)
def test_each_phase_has_a_tree_of_80_columns_with_the_sentence(phase: Phase) -> None:
    body = classifier(STATES[phase])
    lines = tree(body).splitlines()
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in "".join(lines)
    text = " ".join(line.strip("│├└─ ") for line in lines)
    ready = next(each for each in body["status"]["conditions"] if each["type"] == "Ready")
    assert ready["message"] in text or "Progressing" in str(body["status"]["conditions"])
    assert f"phase {phase.value}" in text
    assert "version 2" in text
    for each in PODS:
        assert each["metadata"]["name"] in text


def test_a_canary_shows_shares_pods_evidence_and_the_next_step() -> None:
    body = classifier(STATES[Phase.SHIFT], analysis=ANALYSIS, verification=VERIFICATION)
    assert [line.rstrip() for line in tree(body).splitlines()] == [
        "pizza   not ready: Shifting   phase Shift   namespace default",
        "Version 2 gets 10 % of the traffic. The analysis is inconclusive so far: see",
        "status.analysis. Version 1 answers requests.",
        "├── version 1   serving   90 % of the traffic   1 of 1 pods ready",
        "│   ├── analysis: 1,080 requests, 0 errors (error rate at most 0.4 %)",
        "│   └── pizza-serving-v1-6c9f7d5b8-7hj2p   ready   120m",
        "├── version 2   candidate   10 % of the traffic   0 of 1 pods ready",
        "│   ├── verification passed: 2 of 3 acceptance pictures passed, golden pictures",
        "│   │   differ by 0.00012 at most, p99 20 ms",
        "│   ├── picture salad: pizza (0.710), expected not_pizza",
        "│   ├── analysis: 120 requests, 1 error (error rate at most 4.6 %), p99 about 41",
        "│   │   ms",
        "│   ├── Inconclusive: About 400 more requests of version 2 are needed.",
        "│   └── pizza-serving-v2-58b9c6d7f-q8w2z   CrashLoopBackOff   120m, 3 restarts",
        "└── gateway   1 of 1 pods ready   http://pizza-gateway.default.svc",
        "    └── pizza-gateway-5d4f8c7b9-x2x4k   ready   120m",
        "Next: Wait for more requests, or end the step now with `kubectl imageclassifier",
        "promote pizza`.",
    ]


def test_a_terminal_without_unicode_gets_plain_lines() -> None:
    text = tree(classifier(STATES[Phase.STABLE]), encoding="ascii")
    assert "+-- version 2   serving   100 % of the traffic" in text


def test_a_shadow_shows_how_often_the_predictions_agree() -> None:
    state = dataclasses.replace(STATES[Phase.SHIFT], percent=0, shadow_percent=50)
    pair = {"serving": "pizza", "candidate": "salad", "count": 4}
    text = tree(classifier(state, shadow={"compared": 200, "agreed": 195, "confusion": [pair]}))
    assert "shadow: 195 of 200 predictions agree (97.5 %)" in text
    assert "salad instead of pizza: 4 times" in text


def test_a_failed_version_is_shown_with_its_message() -> None:
    state = dataclasses.replace(STATES[Phase.STABLE], serving=STATES[Phase.LOAD].serving, failed=(FAILED,))
    text = tree(classifier(state))
    assert "pizza   not ready: AcceptanceFailed" in text
    assert "version 2   AcceptanceFailed   5m ago" in text
    assert "1 of 3 pictures failed: salad." in text


def test_pods_that_may_not_be_read_are_named() -> None:
    seen = report(classifier(STATES[Phase.STABLE]), (), NOW, "pods is forbidden.")
    text = shown(status_tree(seen, PROGRAM))
    assert "The pods are not shown: pods is forbidden." in text
    assert "pods ready" not in text


def test_the_list_has_a_line_for_each_classifier() -> None:
    reports = [report(classifier(STATES[phase]), (), NOW) for phase in (Phase.SHIFT, Phase.STABLE)]
    rows = [line.split() for line in shown(list_table(reports, with_namespace=True)).splitlines()]
    assert rows == [
        ["NAMESPACE", "NAME", "WANTED", "TRAFFIC", "STATE"],
        ["default", "pizza", "v2", "v1", "90", "%,", "v2", "10", "%", "not", "ready:", "Shifting"],
        ["default", "pizza", "v2", "v2", "100", "%", "Ready"],
    ]


def test_the_history_has_a_line_for_each_rollout_and_names_the_failure() -> None:
    entry = dataclasses.replace(HISTORY[0], verdict="Failed", reason=FAILED.reason, time=FAILED.time)
    state = dataclasses.replace(STATES[Phase.STABLE], history=(entry, HISTORY[1]), failed=(FAILED,))
    text = shown(history_table(report(classifier(state), (), NOW).history))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "VERSION VERDICT TIME MODEL REASON"
    assert lines[1].startswith("2 Failed 2027-01-15 07:55:00 sha256:0123456789ab AcceptanceFailed")
    assert "salad" in text
    assert lines[-1].startswith("1 Promoted 2027-01-14 07:00:00")
