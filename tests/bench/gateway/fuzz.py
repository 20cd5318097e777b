"""The fuzz target for minutes or hours instead of seconds.

python tests/bench/gateway/fuzz.py [--requests 1000000] [--seed N]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parents[2]
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "gateway" / "support"), str(TESTS.parent / "kind")]

from gateway_image import GATEWAY_ENVIRONMENT  # noqa: E402

from fake_model import FakeModel  # noqa: E402
from fuzzing import Outcome, resident_megabytes, run, seed_of_the_moment  # noqa: E402
from gateway_process import GatewayProcess  # noqa: E402
from gateway_testbed import routing  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description="Mutated pictures and requests against the gateway.")
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=seed_of_the_moment())
    options = parser.parse_args()
    model = FakeModel().start()
    with tempfile.TemporaryDirectory() as folder:
        gateway = GatewayProcess(Path(folder), **GATEWAY_ENVIRONMENT).start_ready(routing(model))
        try:
            table = Table()
            outcome = run(gateway.port, gateway.pid, options.requests, options.seed, report=table.print_ended)
            table.print_next(outcome)
            resting = resident_megabytes(gateway.pid)
        finally:
            gateway.stop()
            model.stop()
    print(f"\nseed {options.seed}: {outcome.requests} requests, {dict(sorted(outcome.statuses.items()))}")
    print(f"At the end {resting:.0f} MB.")
    for failure in outcome.failures[:20]:
        print(failure)
    return 1 if outcome.failures else 0


class Table:
    """Prints a row for each tenth of the run when it has ended."""

    def __init__(self) -> None:
        self._printed = 0
        print("| tenth | requests/s | resident memory at most, MB | statuses | failures |")
        print("|---|---|---|---|---|")

    def print_ended(self, outcome: Outcome) -> None:
        while self._printed < 9 and outcome.tenths[self._printed + 1].statuses:
            self.print_next(outcome)

    def print_next(self, outcome: Outcome) -> None:
        tenth = outcome.tenths[self._printed]
        began = outcome.tenths[self._printed - 1].ended if self._printed else outcome.began
        self._printed += 1
        rate = tenth.statuses.total() / max(0.001, tenth.ended - began)
        statuses = ", ".join(f"{status}: {count:,}" for status, count in sorted(tenth.statuses.items()))
        failures = len(outcome.failures)
        cells = f"{self._printed} | {rate:.0f} | {tenth.rss_megabytes:.0f} | {statuses} | {failures}"
        print(f"| {cells} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
