"""The exact McNemar test: is one classifier worse than another on the same labelled pictures? Pure.

Only the pictures count on which exactly one of the two is right (discordant pictures). If neither is better,
each of them falls to either side like a fair coin, so the number that only the serving version gets right is
binomial with probability 1/2. The one-sided p value is its upper tail.

Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
Psychometrika 12 (1947), 153-157. The exact conditional form, and how it compares with the mid-p form:
M. W. Fagerland, S. Lydersen, P. Laake, "The McNemar test for binary matched-pairs data: mid-p and asymptotic
are better than exact conditional", BMC Medical Research Methodology 13:91 (2013). The exact form is used here
although it has less power, because it never refuses an equal candidate more often than the level says.
"""

from __future__ import annotations

from math import comb


def p_value(only_serving: int, only_candidate: int) -> float:
    """The probability of a split at least as bad for the candidate, if the candidate is no worse.

    `only_serving` and `only_candidate`: the pictures that only this version gets right.
    """
    discordant = only_serving + only_candidate
    return _upper_tail(discordant, only_serving) / (
        1 << discordant
    )  # int / int is rounded correctly at any size


def smallest_shown(discordant: int, level_percent: int) -> int | None:
    """The smallest `only_serving` of `discordant` pictures with a p value of at most the level.

    None if not even a split that is as bad as possible has one: there are too few discordant pictures.
    """
    most, tail, term = (level_percent * (1 << discordant)) // 100, 0, 1
    for count in range(discordant, -1, -1):
        tail += term
        if tail > most:
            return None if count == discordant else count + 1
        term = term * count // (discordant - count + 1)
    return 0  # a level of 100 %


def fewest_discordant(level_percent: int) -> int:
    """The smallest number of discordant pictures of which some split shows a loss at this level."""
    discordant = 1
    while level_percent * (1 << discordant) < 100:
        discordant += 1
    return discordant


def _upper_tail(trials: int, least: int) -> int:
    """The sum of `comb(trials, k)` for k from `least` to `trials`."""
    if 2 * least <= trials:
        return (1 << trials) - _upper_tail(
            trials, trials - least + 1
        )  # by symmetry the shorter tail is summed
    term = comb(trials, least)
    total = 0
    for count in range(least, trials + 1):
        total += term
        term = term * (trials - count) // (count + 1)
    return total
