"""The conclusion from the counts of a labelled data set, and its message."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageclassifier_gateway.verify import mcnemar
from imageclassifier_gateway.verify.dataset_comparison import Comparison, Counts, Rules, ordered, total
from imageclassifier_gateway.verify.verification_verdict import MAX_BYTES, DatasetResult, Verdict

RULES = Rules()
LABELS = st.sampled_from(["pizza", "salad", "soup"])


def comparison(
    both: int = 0, only_serving: int = 0, only_candidate: int = 0, neither: int = 0, rules: Rules = RULES
) -> Comparison:
    counts = Counts(both, only_serving, only_candidate, neither)
    return Comparison(candidate=2, serving=1, rules=rules, classes={"pizza": counts})


def test_a_candidate_that_loses_more_pictures_than_chance_explains_is_worse() -> None:
    conclusion = comparison(both=900, only_serving=40, only_candidate=15, neither=45).conclusion()
    assert (conclusion.result, conclusion.passed) == ("WorseThanServing", False)
    assert conclusion.message == (
        "Version 2 is worse than version 1 on 1,000 labelled pictures: 91.50 % right against 94.00 %. "
        "Only version 1 is right on 40, only version 2 on 15 (exact McNemar test, one-sided: p = 0.0005; "
        "level 0.05). To roll it out anyway, remove spec.rollout.acceptance.dataset."
    )


def test_a_candidate_that_is_not_shown_worse_passes_with_the_loss_that_could_have_been_shown() -> None:
    conclusion = comparison(both=950, only_serving=12, only_candidate=9, neither=29).conclusion()
    assert (conclusion.result, conclusion.passed) == ("NotShownWorse", True)
    assert conclusion.smallest_loss == "0.90"  # 15 against 6
    assert "With this many differences, a loss of 0.90 percentage points would have been shown." in (
        conclusion.message
    )
    assert mcnemar.p_value(15, 6) <= 0.05 < mcnemar.p_value(14, 7)


def test_too_few_differences_are_reported_as_not_significant() -> None:
    conclusion = comparison(both=96, only_serving=4).conclusion()
    assert conclusion.passed
    assert "differ on too few pictures to show a loss: at least 5 are needed" in conclusion.message
    assert conclusion.smallest_loss is None


@pytest.mark.parametrize(("least", "passes"), [(94, True), (95, False)])
def test_the_least_accuracy_counts_beside_the_comparison(least: int, passes: bool) -> None:
    found = comparison(both=94, only_candidate=0, neither=6, rules=Rules(5, least)).conclusion()
    assert found.passed == passes
    assert ("It must be right on at least 95 % (minAccuracyPercent)." in found.message) != passes


def test_without_a_serving_version_only_the_accuracy_is_reported() -> None:
    found = Comparison(candidate=1, serving=None)
    for label, predicted in [("pizza", "pizza"), ("salad", "pizza"), ("salad", "salad")]:
        found.add(label, predicted, None)
    conclusion = found.conclusion()
    assert (conclusion.result, conclusion.p_value) == ("NotCompared", None)
    assert conclusion.message == "Version 1 is right on 66.67 % of 3 labelled pictures."
    assert "p_value" not in conclusion.document()
    assert set(found.classes["pizza"].document()) == {"pictures", "candidate_accuracy_percent"}


@given(st.lists(st.tuples(LABELS, LABELS, st.none() | LABELS), min_size=1))
def test_every_picture_is_in_exactly_one_cell_of_the_table(
    pictures: list[tuple[str, str, str | None]],
) -> None:
    found = Comparison(candidate=2, serving=1)
    for label, candidate, serving in pictures:
        found.add(label, candidate, serving)
    counts = found.totals
    assert counts.pictures == len(pictures)
    assert counts.compared == sum(serving is not None for _, _, serving in pictures)
    assert counts.candidate_right == sum(label == candidate for label, candidate, _ in pictures)
    assert counts.both + counts.only_serving == sum(label == serving for label, _, serving in pictures)
    assert total(found.classes.values()) == counts


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(1, 20))
def test_one_more_lost_picture_never_turns_a_refusal_into_a_pass(
    only_serving: int, only_candidate: int, both: int, percent: int
) -> None:
    def refused(lost: int) -> bool:
        rules = Rules(significance_percent=percent)
        return not comparison(both + 1, lost, only_candidate, rules=rules).conclusion().passed

    assert refused(only_serving) <= refused(only_serving + 1)


def test_the_classes_with_the_largest_loss_come_first() -> None:
    classes = {"a": Counts(both=9), "b": Counts(only_serving=2), "c": Counts(neither=3), "d": Counts(1, 2, 3)}
    assert [name for name, _ in ordered(classes)] == ["b", "c", "a", "d"]


@pytest.mark.parametrize("classes", [1, 10, 1000])
def test_a_table_of_any_size_fits_into_a_termination_message(classes: int) -> None:
    found = Comparison(candidate=2_147_483_647, serving=2_147_483_646)
    found.classes = {f"{'ü' * 60}{n}": Counts(99_999, n % 50, 20, 99_999) for n in range(classes)}
    verdict = Verdict(dataset=DatasetResult(found, found.conclusion(), classes * 200_000, 7, ("ä" * 3000,)))
    verdict.fail("WorseThanServing", verdict.dataset.message if verdict.dataset else "")
    text = verdict.text()
    assert len(text.encode()) <= MAX_BYTES
    dataset = json.loads(text)["dataset"]
    assert dataset["classes_total"] == classes
    losses = [row["only_serving"] - row["only_candidate"] for row in dataset["classes"]]
    assert losses
    assert losses == sorted(losses, reverse=True)
