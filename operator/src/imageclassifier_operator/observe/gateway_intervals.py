"""How often the operator asks gateways for their reports: at rest, during an analysis, after a routing write.

Three modules choose among them: `observe/gateway_health.py` for the next probe at rest, `rollout/decision.py`
during an analysis, and `reconcile/requeue.py` until the gateways acknowledge a routing.
"""

PROBE_SECONDS = 30.0
"""At rest: the longest time between two probes."""
RETRY_SECONDS = 3.0
"""The time until the next probe while something is new and wrong. The longer it lasts, the less often."""
DETECTION_SECONDS = 5.0
"""After a change of pods. A gateway checks each version every two seconds, and waits up to two more for the
answer.
"""
ANALYSIS_POLL_SECONDS = 1.0
"""While a version is under analysis."""
ACKNOWLEDGEMENT_POLL_SECONDS = 0.1
MAX_ACKNOWLEDGEMENT_POLL_SECONDS = 5.0
"""Until the gateways acknowledge a routing; the longer it takes, the less often."""
