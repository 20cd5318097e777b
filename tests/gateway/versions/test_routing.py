"""The routing file: what is accepted, what is refused with which sentence, and who gets which request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageclassifier_gateway.versions.routing import (
    BUCKETS,
    RoutingError,
    Shadow,
    Sticky,
    bucket,
    choose_version,
    is_shadowed,
    parse_routing,
    random_bucket,
    retry_version,
)

GOOD: dict[str, Any] = {
    "schema": 1,
    "revision": 7,
    "model": "pizza-model",
    "serving": 1,
    "versions": [
        {"version": 1, "target": "dns:///pizza-serving-v1.ns.svc:8500", "percent": 90},
        {"version": 2, "target": "dns:///pizza-serving-v2.ns.svc:8500", "percent": 10},
    ],
    "shadow": {"version": 2, "percent": 5},
    "sticky": {"header": "X-User"},
}


def with_percent(percent: int) -> Any:
    versions = [
        {**GOOD["versions"][0], "percent": 100 - percent},
        {**GOOD["versions"][1], "percent": percent},
    ]
    return parse_routing(json.dumps({**GOOD, "versions": versions}))


def test_the_file_of_the_architecture_page_is_read() -> None:
    routing = parse_routing(json.dumps(GOOD))
    assert (routing.revision, routing.model, routing.serving) == (7, "pizza-model", 1)
    assert [(route.version, route.percent) for route in routing.routes] == [(1, 90), (2, 10)]
    assert routing.shadow == Shadow(version=2, percent=5)
    assert routing.sticky == Sticky(header="X-User")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"schema": 2}, "schema 2"),
        ({"revision": -1}, "'revision'"),
        ({"revision": True}, "'revision'"),
        ({"model": ""}, "'model'"),
        ({"serving": 3}, "serving version 3 is not one of its versions"),
        ({"versions": []}, "at least one version"),
        ({"versions": [1]}, "versions[0] must be an object"),
        ({"versions": [GOOD["versions"][0]] * 2}, "lists a version twice"),
        ({"versions": [{**GOOD["versions"][0], "percent": 99}]}, "sum to 99"),
        ({"versions": [{**GOOD["versions"][0], "percent": 100.0}]}, "'percent'"),
        (
            {"versions": [{**GOOD["versions"][0], "percent": 100, "contract": "x"}]},
            "contract must be an object",
        ),
        ({"versions": [{**GOOD["versions"][0], "percent": 100, "calls": 0}]}, "'calls' of versions[0]"),
        ({"fallback": 9}, "fallback version 9 must be one of its versions"),
        ({"fallback": 1}, "fallback version 1 must be one of its versions, not the serving one"),
        ({"fallback": "2"}, "'fallback'"),
        ({"shadow": {"version": 9, "percent": 5}}, "shadow version 9"),
        ({"shadow": [2]}, "'shadow' must be an object"),
        ({"sticky": {"header": "A", "cookie": "b"}}, "either 'header' or 'cookie'"),
    ],
)
def test_an_ambiguous_routing_file_is_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RoutingError) as raised:
        parse_routing(json.dumps({**GOOD, **change}))
    assert sentence in str(raised.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda v: st.lists(v) | st.dictionaries(st.text(), v),
    )
)
def test_any_json_is_either_a_routing_or_a_sentence(document: Any) -> None:
    with pytest.raises(RoutingError):
        parse_routing(json.dumps(document))


@given(
    st.dictionaries(
        st.sampled_from(sorted(GOOD)), st.none() | st.integers() | st.text() | st.lists(st.integers())
    )
)
def test_a_good_file_with_any_part_replaced_never_breaks_the_parser(change: dict[str, Any]) -> None:
    try:
        routing = parse_routing(json.dumps({**GOOD, **change}))
    except RoutingError:
        return
    assert sum(route.percent for route in routing.routes) == 100


def test_buckets_are_those_of_the_design() -> None:
    # sha256("anna")[:4] is 55 57 9a 3f (`printf anna | sha256sum`).
    import hashlib

    assert bucket("anna") == int(hashlib.sha256(b"anna").hexdigest()[:8], 16) % 10000
    assert {bucket(str(i)) < 10000 for i in range(1000)} == {True}


@given(st.text(), st.integers(0, 99))
def test_raising_the_percent_never_takes_a_user_back_from_the_candidate(user: str, percent: int) -> None:
    before, after = (
        choose_version(with_percent(percent), bucket(user)),
        choose_version(with_percent(percent + 1), bucket(user)),
    )
    assert (before, after) != (2, 1)


@pytest.mark.parametrize("percent", [0, 1, 10, 50, 99, 100])
def test_the_candidate_gets_its_share(percent: int) -> None:
    routing = with_percent(percent)
    share = sum(choose_version(routing, bucket(f"user-{i}")) == 2 for i in range(20_000)) / 200
    assert abs(share - percent) < 1.2
    assert percent not in (0, 100) or share == percent


@pytest.mark.parametrize(("version", "fallback", "other"), [(2, None, 1), (1, None, None), (1, 2, 2)])
def test_a_request_is_retried_on_the_serving_version_and_after_its_own_failure_on_the_fallback(
    version: int, fallback: int | None, other: int | None
) -> None:
    assert retry_version(parse_routing(json.dumps({**GOOD, "fallback": fallback})), version) == other


def test_requests_without_a_sticky_value_are_spread_evenly_by_chance() -> None:
    places = [random_bucket() for _ in range(20_000)]
    assert min(places) >= 0
    assert max(places) < BUCKETS
    assert abs(sum(choose_version(with_percent(30), place) == 2 for place in places) / 200 - 30) < 1.6


@pytest.mark.parametrize("percent", [0, 1, 50, 100])
def test_the_shadow_gets_its_share(percent: int) -> None:
    shadow = Shadow(version=2, percent=percent)
    assert sum(is_shadowed(shadow, place) for place in range(BUCKETS)) == percent * BUCKETS // 100
