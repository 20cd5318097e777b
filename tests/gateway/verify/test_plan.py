"""The plan of a verification: a malformed plan gives a one-sentence error and an inconclusive result."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageclassifier_gateway.verify.plan import PlanError, parse_plan

CASE = {"name": "a", "label": "pizza", "min_probability": 0.5, "picture": {"base64": "bm8="}}
PLAN: dict[str, Any] = {
    "schema": 1,
    "model": "pizza-model",
    "candidate": {"version": 2, "target": "dns:///127.0.0.1:1", "contract": None},
    "serving": None,
    "allow_class_change": False,
    "cases": [CASE],
    "min_pass_percent": 100,
    "deadline_seconds": 10,
}
MALFORMED = [
    ([], "the plan must be an object"),
    ({**PLAN, "model": 7}, "model must be a non-empty string"),
    ({**PLAN, "candidate": "v2"}, "candidate must be an object"),
    ({**PLAN, "candidate": {"target": "dns:///x"}}, "candidate lacks 'version'"),
    (
        {**PLAN, "candidate": {"version": "2", "target": "dns:///x"}},
        "candidate.version must be a whole number",
    ),
    ({**PLAN, "serving": {"version": 1}}, "serving lacks 'target'"),
    ({**PLAN, "cases": {"a": 1}}, "cases must be a list"),
    ({**PLAN, "cases": [None]}, "cases[0] must be an object"),
    ({**PLAN, "cases": [{**CASE, "picture": {}}]}, "cases[0].picture must have exactly one of"),
    ({**PLAN, "cases": [{**CASE, "picture": {"url": None}}]}, "cases[0].picture.url must be"),
    ({**PLAN, "cases": [{**CASE, "min_probability": "high"}]}, "cases[0].min_probability must be a number"),
    ({**PLAN, "min_pass_percent": None}, "min_pass_percent must be a number"),
    ({**PLAN, "deadline_seconds": "soon"}, "deadline_seconds must be a number"),
    ({**PLAN, "allow_class_change": "no"}, "allow_class_change must be true or false"),
]


@pytest.mark.parametrize(("document", "sentence"), MALFORMED, ids=[sentence for _, sentence in MALFORMED])
def test_a_malformed_plan_is_refused_with_the_field_that_is_wrong(document: Any, sentence: str) -> None:
    with pytest.raises(PlanError) as raised:
        parse_plan(document)
    assert sentence in str(raised.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
)


@given(st.dictionaries(st.sampled_from(sorted(PLAN)), json_values))
def test_a_plan_with_any_part_replaced_is_read_or_refused(change: dict[str, Any]) -> None:
    try:
        plan = parse_plan({**PLAN, **change})
    except PlanError:
        return
    assert plan.candidate.version >= 1


@pytest.mark.parametrize("text", ["[]", "{", json.dumps({**PLAN, "cases": [None]}), "[" * 100_000])
def test_the_program_reports_an_invalid_plan_in_one_line_as_inconclusive(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    result = subprocess.run(
        [sys.executable, "-m", "imageclassifier_gateway.verify", "--plan", str(tmp_path / "plan.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (2, "")
    [line] = result.stdout.splitlines()
    assert json.loads(line)["reason"] == "VerificationFailed"
