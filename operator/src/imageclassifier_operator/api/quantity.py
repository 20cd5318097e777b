"""Kubernetes quantities in the canonical form in which the API server stores them.

Without this form `0.5` in a manifest and `500m` in the stored object would look like a change at every
reconciliation. The rules are those of apimachinery's `resource.Quantity` (pkg/api/resource/quantity.go): no
fraction, the largest suffix with which the number is whole, and the family of suffixes in which it was
written. A binary number below 1024 is written in the decimal family.
"""

import functools
import re
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Final

from imageclassifier_operator.api.errors import InvalidSpec

_FORM: Final = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d+))?")
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_NANO: Final = Decimal(10) ** -9  # the smallest unit of a quantity; a finer value is rounded up


@functools.lru_cache(maxsize=256)
def canonical(value: str | float) -> str:
    """`value` as the API server would return it.

    >>> print(*(canonical(q) for q in ("0.5", "1024Mi", "1.5Gi", "1000", 2, "0.5Ki", "1e3")))
    500m 1Gi 1536Mi 1k 2 512 1e3
    """
    found = _FORM.fullmatch(str(value))
    if found is None:
        raise InvalidSpec(f"{value} is not a quantity. Write it like 500m, 2, 512Mi or 1Gi.")
    number, suffix, exponent = Decimal(found[1]), found[2] or "", found[3]
    if suffix in _BINARY:
        number *= 1024 ** _BINARY[suffix]
    elif exponent is not None:
        number = number.scaleb(int(exponent))
    else:
        number = number.scaleb(_DECIMAL[suffix])
    try:
        number = number.quantize(_NANO, ROUND_CEILING)
    except InvalidOperation:
        raise InvalidSpec(f"The quantity {value} is too large.") from None
    if number == 0:
        return "0"
    if suffix in _BINARY and abs(number) >= 1024:
        return _binary(number)
    power, whole = _decimal(number)
    if exponent is not None and power:
        return f"{whole}e{power}"
    return f"{whole}{next(name for name, value in _DECIMAL.items() if value == power)}"


def cores(value: str | float) -> float:
    """A CPU quantity as a number of cores.

    >>> cores("1500m")
    1.5
    """
    text = canonical(value)
    found = _FORM.fullmatch(text)
    if found is None or (found[2] or "") in _BINARY:
        raise InvalidSpec(f"{value} is not a number of CPU cores. Write it like 500m or 2.")
    power = int(found[3]) if found[3] is not None else _DECIMAL[found[2] or ""]
    return float(Decimal(found[1]).scaleb(power))


def _binary(number: Decimal) -> str:
    if number != number.to_integral_value():
        # Like apimachinery, use the decimal family for a fraction of a byte.
        power, whole = _decimal(number)
        return f"{whole}{next(name for name, value in _DECIMAL.items() if value == power)}"
    whole, power = int(number), 0
    while whole % 1024 == 0 and power < 6:
        whole, power = whole // 1024, power + 1
    return f"{whole}{next((name for name, value in _BINARY.items() if value == power), '')}"


def _decimal(number: Decimal) -> tuple[int, int]:
    """`number` as (power of ten, a multiple of three; whole number)."""
    for power in sorted(_DECIMAL.values(), reverse=True):
        scaled = number.scaleb(-power)
        if scaled == scaled.to_integral_value():
            return power, int(scaled)
    raise AssertionError("every quantity is a multiple of 1n")
