#!/usr/bin/env python3
"""Generates the state diagram and the table of docs/rollouts.md from the transitions: `make reference`."""

from collections.abc import Iterator
from pathlib import Path

from imageclassifier_operator.rollout import TRANSITIONS

ROLLOUTS = Path(__file__).resolve().parents[1] / "docs" / "rollouts.md"
BEGIN, END = "<!-- made by make reference: begin -->\n", "<!-- made by make reference: end -->\n"


def rollouts(text: str) -> str:
    """The page `text`, with the part between the markers generated again."""
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
            # Transitions that stay in their phase are only in the table, so that the diagram stays readable.
            if source is not target and line not in drawn:
                drawn.add(line)
                yield line
    yield "```"


def _table() -> Iterator[str]:
    yield "| Event | from | to | message |"
    yield "|---|---|---|---|"
    for transition in TRANSITIONS:
        sources = ", ".join(phase.value for phase in transition.source)
        target = transition.target.value if transition.target else "the same"
        message = transition.message.format(version="N", percent="P")
        yield f"| `{transition.name}` | {sources} | {target} | {message} |"


def main() -> None:
    """Write the diagram and the table into docs/rollouts.md."""
    ROLLOUTS.write_text(rollouts(ROLLOUTS.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
