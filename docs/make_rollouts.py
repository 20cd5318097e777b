#!/usr/bin/env python3
"""Draws the state diagram of docs/rollouts.md from the operator's own transitions: `make reference`."""

from collections.abc import Iterator
from pathlib import Path

from imageclassifier_operator.rollout import TRANSITIONS

ROLLOUTS = Path(__file__).resolve().parents[1] / "docs" / "rollouts.md"
BEGIN, END = "<!-- made by make reference: begin -->\n", "<!-- made by make reference: end -->\n"


def rollouts(text: str) -> str:
    """`text`, the whole page, with the part between the markers made anew."""
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    return head + BEGIN + "\n".join(_diagram()) + "\n\n" + "\n".join(_table()) + "\n" + END + tail


def _diagram() -> Iterator[str]:
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield "    [*] --> Pending"
    drawn = set()
    for transition in TRANSITIONS:
        for source in transition.source:
            target = transition.target or source
            line = f"    {source.value} --> {target.value}: {transition.name}"
            # What leaves the phase as it is would only hide the arrows that matter; the table has it.
            if source is not target and line not in drawn:
                drawn.add(line)
                yield line
    yield "```"


def _table() -> Iterator[str]:
    yield "| Event | from | to | when |"
    yield "|---|---|---|---|"
    for transition in TRANSITIONS:
        sources = ", ".join(phase.value for phase in transition.source)
        target = transition.target.value if transition.target else "the same"
        yield f"| `{transition.name}` | {sources} | {target} | {transition.message} |"


def main() -> None:
    """Write the diagram and the table into docs/rollouts.md."""
    ROLLOUTS.write_text(rollouts(ROLLOUTS.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
