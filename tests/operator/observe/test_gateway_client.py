"""The reports of gateways."""

import pytest

from imageclassifier_operator.observe.gateway_client import parse_report


def test_a_report_in_another_schema_is_refused():
    document = {"schema": 1, "start_id": "s", "revision": 3, "versions": {}, "shadow": None}
    assert parse_report(document).revision == 3
    with pytest.raises(ValueError, match="schema 2"):
        parse_report({**document, "schema": 2})
