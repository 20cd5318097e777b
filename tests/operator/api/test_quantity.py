"""Quantities come out as the API server would store them."""

import doctest
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity

from imageclassifier_operator.api import InvalidSpec, quantity

# Cases of apimachinery's own tests (pkg/api/resource/quantity_test.go), and what it prints for them.
CANONICAL = {
    "0": "0",
    "0Mi": "0",
    "1": "1",
    "1000": "1k",
    "1024": "1024",
    "1Ki": "1Ki",
    "1024Ki": "1Mi",
    "1000Ki": "1000Ki",
    "0.5Ki": "512",
    "1023Mi": "1023Mi",
    "1.5Gi": "1536Mi",
    "0.001": "1m",
    "0.0001": "100u",
    "1e3": "1e3",
    "10e3": "10e3",
    "1000e3": "1e6",
    "1e-3": "1e-3",
    ".5": "500m",
    "2.": "2",
    "+3": "3",
    "-100m": "-100m",
    "100000m": "100",
    "1500m": "1500m",
    "0.0000000001": "1n",
    "3E": "3E",
}

written = st.builds(
    "{}{}".format,
    st.decimals(min_value=0, max_value=10_000, places=3, allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "m", "k", "M", "G", "Ki", "Mi", "Gi", "e3", "E2"]),
)


@pytest.mark.parametrize(("text", "stored"), CANONICAL.items())
def test_it_is_written_as_the_api_server_writes_it(text: str, stored: str) -> None:
    assert quantity.canonical(text) == stored


@given(written)
def test_the_canonical_form_is_its_own(text: str) -> None:
    once = quantity.canonical(text)
    assert quantity.canonical(once) == once


@given(written)
def test_the_canonical_form_is_the_same_amount(text: str) -> None:
    def amount(text: str) -> Decimal:
        mantissa, exponent = text, 0
        for letter in "eE":
            head, _, tail = text.partition(letter)
            if tail.lstrip("+-").isdigit():
                mantissa, exponent = head, int(tail)
        return Decimal(parse_quantity(mantissa)).scaleb(exponent)  # type: ignore[no-untyped-call]

    assert abs(amount(quantity.canonical(text)) - amount(text)) <= Decimal("1e-9")


@pytest.mark.parametrize("text", ["", "fast", "1 Gi", "1gi", "0x1", "1KiB", "--1"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidSpec, match="is not a quantity"):
        quantity.canonical(text)


@pytest.mark.parametrize("text", ["9999999999999Ei", "1e40"])
def test_a_quantity_that_is_too_large_is_refused(text: str) -> None:
    with pytest.raises(InvalidSpec, match="is too large"):
        quantity.canonical(text)


def test_a_cpu_quantity_is_a_number_of_cores() -> None:
    assert [quantity.cores(text) for text in ("500m", "2", 1, "1.5", "1e1")] == [0.5, 2, 1, 1.5, 10]


def test_the_examples_in_the_documentation_are_true() -> None:
    assert doctest.testmod(quantity).failed == 0
