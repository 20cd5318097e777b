"""Simulates rollouts by the operator's own decision function, and writes the table of docs/rollouts.md.

make bench-judgement
make bench-judgement ARGUMENTS="--histories 1000"
make bench-judgement ARGUMENTS=--write
"""

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from simulate import Plan, Rollouts, plans

DOCUMENT = Path(__file__).parents[3] / "docs" / "rollouts.md"
BEGIN, END = "<!-- made by make bench-judgement: begin -->", "<!-- made by make bench-judgement: end -->"
EQUAL = [(rate, rate) for rate in (0.0, 0.001, 0.005, 0.01, 0.02, 0.05)]
WORSE = [(0.001, rate) for rate in (0.02, 0.03, 0.05, 0.10)]
KNOWN_RATES = {0.03: 370, 0.05: 111, 0.10: 31}
"""The mean number of requests of Wald's test that knows both rates (errors of 1 % and 5 %)."""
COLUMNS = (
    "steps",
    "serving version fails",
    "candidate fails",
    "rolled back in a step",
    "rolled back in Settle",
    "promoted",
    "waits after 1 h",
    "requests of the candidate until rolled back",
)
HEAD = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"


def percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def row(plan: Plan, rates: tuple[float, float], histories: int, seed: int) -> str:
    started = time.monotonic()
    cell = Rollouts(plan, *rates, histories, seed).run()
    mean = f"{sum(cell.requests) / len(cell.requests):,.0f}" if cell.requests else ""
    if mean and rates[1] in KNOWN_RATES and rates[0] != rates[1] and plan.steps:
        mean += f" (known rates: {KNOWN_RATES[rates[1]]})"
    shares = (cell.rolled_back_in_steps, cell.rolled_back_in_settle, cell.promoted, cell.waiting)
    figures = [percent(count / histories) for count in shares]
    text = f"| {' | '.join([plan.name, percent(rates[0]), percent(rates[1]), *figures, mean])} |"
    print(text, f"seed {seed}, {time.monotonic() - started:.0f} s", flush=True)
    return text


def made(
    pairs: list[tuple[Plan, tuple[float, float]]], histories: int, seed: int, jobs: int
) -> Iterator[str]:
    """The rows in their order, made by several processes."""
    with ProcessPoolExecutor(jobs) as pool:
        cells = [
            pool.submit(row, plan, rates, histories, seed + which)
            for which, (plan, rates) in enumerate(pairs)
        ]
        for cell in cells:
            yield cell.result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--histories", type=int, default=10_000, help="rollouts in each row (10000)")
    parser.add_argument("--seed", type=int, default=20_261_128, help="of the first row; each adds one")
    parser.add_argument("--jobs", type=int, default=1, help="processes that make rows (1)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/rollouts.md")
    arguments = parser.parse_args()
    pairs = [(plan, rates) for plan in plans() for rates in [*EQUAL, *WORSE]]
    rows = list(made(pairs, arguments.histories, arguments.seed, arguments.jobs))
    table = "\n".join([HEAD, *rows])
    note = f"{arguments.histories:,} simulated rollouts in each row, seeds {arguments.seed} and following."
    print(f"\n{note}\n\n{table}")
    if arguments.write:
        text = DOCUMENT.read_text()
        start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
        DOCUMENT.write_text(f"{text[:start]}\n{note}\n\n{table}\n{text[end:]}")


if __name__ == "__main__":
    main()
