"""The reports of gateways."""

import pytest

from imageclassifier_operator.observe.gateway_client import parse_report
from imageclassifier_operator.observe.types import AccessReport


def test_a_report_in_another_schema_is_refused():
    document = {"schema": 1, "start_id": "s", "revision": 3, "versions": {}, "shadow": None}
    assert parse_report(document).revision == 3
    with pytest.raises(ValueError, match="schema 2"):
        parse_report({**document, "schema": 2})


@pytest.mark.parametrize(
    ("reported", "access"),
    [
        ({}, AccessReport()),
        ({"access": {"needs_key": False, "error": None}}, AccessReport()),
        ({"access": {"needs_key": True, "error": None}}, AccessReport(needs_key=True)),
        ({"access": {"needs_key": True, "error": "No key."}}, AccessReport(needs_key=True, error="No key.")),
    ],
)
def test_a_gateway_of_an_earlier_release_counts_as_open(reported, access):
    document = {"schema": 1, "start_id": "s", "revision": 3, "versions": {}, "shadow": None}
    assert parse_report({**document, **reported}).access == access
