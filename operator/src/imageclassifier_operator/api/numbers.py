"""Exact numbers in a spec: percentages such as 0.5%, and decimal numbers or fractions such as 1/127.5.

The CRD has no field of type number, since a float may change when it is read and written again.
"""

import re
from decimal import Decimal
from fractions import Fraction

from imageclassifier_operator.api.errors import InvalidSpec

_PERCENTAGE = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,18})?%")
_NUMBER = re.compile(r"(-?[0-9]{1,9}(?:\.[0-9]{1,18})?)(?:/([0-9]{1,9}(?:\.[0-9]{1,18})?))?")


def share(percentage: str, where: str) -> float:
    """The share of 1 that a percentage names; `where` is its path in the spec.

    >>> share("0.5%", "spec.output.threshold")
    0.005
    """
    if not isinstance(percentage, str) or not _PERCENTAGE.fullmatch(percentage):
        raise InvalidSpec(_not_a_percentage(percentage, where))
    exact = Decimal(percentage.removesuffix("%")) / 100
    if exact > 1:
        raise InvalidSpec(_not_a_percentage(percentage, where))
    return float(exact)


def fraction(value: int | str, where: str) -> Fraction:
    """An integer, a decimal number or a fraction, exactly; `where` is its path in the spec.

    >>> fraction("1/127.5", "spec.input.rescaling.scale")
    Fraction(2, 255)
    """
    found = _NUMBER.fullmatch(str(value))
    if isinstance(value, bool | float) or found is None or (found[2] and not Decimal(found[2])):
        raise InvalidSpec(
            f"{where} is {value}, which is not a number. Use an integer, a decimal number as a string, or a "
            'fraction, such as 2, "0.5" or 1/127.5.'
        )
    return Fraction(found[1]) / Fraction(found[2] or 1)


def _not_a_percentage(value: object, where: str) -> str:
    return (
        f"{where} is {value}, which is not a percentage. Use a number from 0 to 100 followed by %, such as "
        "1% or 0.5%."
    )
