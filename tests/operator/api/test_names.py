"""Names and labels of children are valid in Kubernetes and unique to one ImageClassifier."""

import doctest
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageclassifier_operator.api import names

LABEL_VALUE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

classifier_names = st.from_regex(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True)
versions = st.integers(min_value=1, max_value=2_147_483_647)
hashes = st.from_regex(r"[0-9a-f]{12}", fullmatch=True)


def test_the_examples_in_the_documentation_are_true() -> None:
    assert doctest.testmod(names).failed == 0


@given(classifier_names, versions, hashes)
def test_every_name_is_a_label_and_a_host_name(name: str, version: int, input_hash: str) -> None:
    for child in (
        names.serving_name(name, version),
        names.gateway_name(name),
        names.routing_name(name),
        names.verify_name(name, version, input_hash),
    ):
        assert LABEL_VALUE.fullmatch(child), child


@given(classifier_names, versions, hashes, hashes)
def test_two_attempts_at_one_version_have_jobs_of_different_names(
    name: str, version: int, one: str, other: str
) -> None:
    same = names.verify_name(name, version, one) == names.verify_name(name, version, other)
    assert same == (one == other)


def test_long_names_with_a_common_prefix_have_jobs_with_different_names() -> None:
    version = 2_147_483_647
    first = names.verify_name("a" * 39 + "b", version, "0" * 12)
    second = names.verify_name("a" * 39 + "c", version, "0" * 12)
    assert first != second


@pytest.mark.parametrize("component", ["serving", "gateway", "verify"])
def test_what_selects_a_component_is_among_its_labels(component: names.Component) -> None:
    selected = names.selector("pizza", component, 3).items()
    assert selected <= names.labels("pizza", component, 3).items()


def test_the_children_selector_matches_every_child() -> None:
    wanted = dict(pair.split("=") for pair in names.CHILDREN_SELECTOR.split(","))
    assert wanted.items() <= names.labels("pizza").items()
