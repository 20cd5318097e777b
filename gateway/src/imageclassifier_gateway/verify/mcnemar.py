"""The exact McNemar test: is one classifier worse than another on the same labelled pictures? Pure.

Only discordant pictures count: those that exactly one of the two versions classifies correctly. If the
versions are equally good, each discordant picture is equally likely to favour either one. So the number of
pictures that only the serving version classifies correctly is binomial with probability 1/2. The one-sided p
value is the upper tail of this distribution.

Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
Psychometrika 12 (1947), 153-157. The exact conditional form, and how it compares with the mid-p form: M. W.
Fagerland, S. Lydersen, P. Laake, "The McNemar test for binary matched-pairs data: mid-p and asymptotic are
better than exact conditional", BMC Medical Research Methodology 13:91 (2013). This module uses the exact
form. It has less power, but it never refuses an equally good candidate more often than the significance
level.
"""

from __future__ import annotations

from math import comb


def p_value(only_serving: int, only_candidate: int) -> float:
    """The probability of a split at least as bad for the candidate, if the candidate is no worse.

    `only_serving` and `only_candidate` are the numbers of pictures that only this version classifies
    correctly.
    """
    discordant = only_serving + only_candidate
    # int / int is rounded correctly at any size.
    return _upper_tail(discordant, only_serving) / (1 << discordant)


def smallest_shown(discordant: int, level_percent: int) -> int | None:
    """The smallest `only_serving` of `discordant` pictures whose p value is at most the level.

    None if there are too few discordant pictures, so that even the worst split is above the level.
    """
    most, tail, term = (level_percent * (1 << discordant)) // 100, 0, 1
    for count in range(discordant, -1, -1):
        tail += term
        if tail > most:
            return None if count == discordant else count + 1
        term = term * count // (discordant - count + 1)
    return 0  # a level of 100 %


def fewest_discordant(level_percent: int) -> int:
    """The smallest number of discordant pictures with which the test can show a loss at this level."""
    discordant = 1
    while level_percent * (1 << discordant) < 100:
        discordant += 1
    return discordant


def _upper_tail(trials: int, least: int) -> int:
    """The sum of `comb(trials, k)` for k from `least` to `trials`."""
    if 2 * least <= trials:
        # By symmetry the shorter tail is summed.
        return (1 << trials) - _upper_tail(trials, trials - least + 1)
    term = comb(trials, least)
    total = 0
    for count in range(least, trials + 1):
        total += term
        term = term * (trials - count) // (count + 1)
    return total
