"""The fuzz target for minutes instead of seconds.

python tests/bench/gateway/fuzz.py [--requests 100000] [--seed N]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
sys.path.insert(0, str(Path(__file__).parents[2] / "gateway"))

from fuzzing import Outcome, resident_megabytes, run, seed_of_the_moment
from gateway_testbed import FakeModel, GatewayProcess, routing
from run import GATEWAY_ENVIRONMENT


def main() -> int:
    parser = argparse.ArgumentParser(description="Mutated pictures and requests against the gateway.")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=seed_of_the_moment())
    options = parser.parse_args()
    model = FakeModel().start()
    with tempfile.TemporaryDirectory() as folder:
        gateway = GatewayProcess(Path(folder), **GATEWAY_ENVIRONMENT).start_ready(routing(model))
        try:
            outcome = run(gateway.port, gateway.pid, options.requests, options.seed, report=_progress)
            resting = resident_megabytes(gateway.pid)
        finally:
            gateway.stop()
            model.stop()
    print(f"\nseed {options.seed}: {outcome.requests} requests")
    print(f"statuses: {dict(sorted(outcome.statuses.items()))}")
    tenths = ", ".join(f"{megabytes:.0f}" for megabytes in outcome.rss_megabytes)
    print(f"resident memory at most in each tenth of the run: {tenths} MB; at the end {resting:.0f} MB")
    for failure in outcome.failures[:20]:
        print(failure)
    return 1 if outcome.failures else 0


def _progress(outcome: Outcome) -> None:
    print(f"\r{outcome.requests} requests, {len(outcome.failures)} failures", end="", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
