"""The evidence on a version in the status: its verification, its analysis under traffic, and its shadow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]

_SHOWN_CASES = 5


def evidence(status: Json, version: int) -> tuple[str, ...]:
    """What the status knows about how good a version is, one line for each fact."""
    return (
        *_verification(status.get("verification") or {}, version),
        *_analysis(status.get("analysis") or {}, version),
        *_shadow(status.get("shadow") or {}, is_candidate=status.get("candidateVersion") == version),
    )


def _verification(found: Json, version: int) -> Iterator[str]:
    if found.get("version") != version:
        return
    facts = []
    if found.get("casesTotal"):
        facts.append(f"{found.get('casesPassed', 0)} of {found['casesTotal']} acceptance pictures passed")
    if (difference := found.get("goldenWorstDifference")) is not None:
        facts.append(f"golden pictures differ by {difference:.2g} at most")
    if (p99 := (found.get("latencyMilliseconds") or {}).get("p99")) is not None:
        facts.append(f"p99 {p99:.0f} ms")
    if "passed" in found or facts:
        passed = found.get("passed")
        outcome = "in progress" if passed is None else "passed" if passed else "failed"
        yield f"verification {outcome}{': ' if facts else ''}{', '.join(facts)}"
    failed = [case for case in found.get("cases") or () if not case.get("passed")]
    for case in failed[:_SHOWN_CASES]:
        yield (
            f"picture {case.get('name')}: {case.get('label')} ({case.get('probability', 0):.3f}), expected "
            f"{case.get('expected')}"
        )
    for warning in found.get("warnings") or ():
        yield f"warning: {warning}"
    dataset = found.get("dataset") or {}
    if message := dataset.get("message"):
        yield f"data set: {message}"
    elif "total" in dataset:
        yield f"data set: {dataset.get('done', 0):,} of {dataset['total']:,} pictures are done"


def _analysis(found: Json, version: int) -> Iterator[str]:
    versions = found.get("versions") or ()
    figures = next((each for each in versions if each.get("version") == version), None)
    if figures is not None:
        errors = figures["errors"]
        parts = [f"{figures['requests']:,} requests", f"{errors:,} error{'' if errors == 1 else 's'}"]
        if bound := figures.get("errorRateUpperBound"):
            parts[-1] += f" (error rate at most {bound})"
        if (p99 := figures.get("p99Milliseconds")) is not None:
            parts.append(f"p99 about {p99} ms")
        yield f"analysis: {', '.join(parts)}"
    if versions and versions[0].get("version") == version:
        yield f"{found.get('outcome', 'Unknown')}: {found.get('message', '')}"


def _shadow(found: Json, *, is_candidate: bool) -> Iterator[str]:
    if not is_candidate or not found:
        return
    compared, agreed = found.get("compared", 0), found.get("agreed", 0)
    share = f" ({100 * agreed / compared:.1f} %)" if compared else ""
    yield f"shadow: {agreed:,} of {compared:,} predictions agree{share}"
    for pair in (found.get("confusion") or ())[:_SHOWN_CASES]:
        yield f"{pair.get('candidate')} instead of {pair.get('serving')}: {pair.get('count', 0):,} times"
