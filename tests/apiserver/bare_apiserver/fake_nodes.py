"""KWOK's fake nodes and how pods fare on them.

- A pod becomes Running and Ready as soon as it is scheduled, its init containers done.
- A pod with an image of the (reserved, hence never existing) registry `stalled.invalid` stays Pending. A test
  may then write whatever status it needs (`kubectl patch --subresource=status`): KWOK leaves it alone.
- A Running pod ends when it is annotated `kwok.imageclassifier.dev/exit-code: "0"` (or another number), with
  the annotation `kwok.imageclassifier.dev/termination-message` as each container's message. So a test decides
  how a Job's pod ends, and may look at it before.
- A deleted pod is gone at once.
"""

from pathlib import Path
from typing import Any

LABEL = "kwok.imageclassifier.dev/fake"
POD_NETWORK = "10.244.0.1/16"
LEASE_SECONDS = 40  # as the kubelet's

STAGES = Path(__file__).with_name("kwok-stages.yaml").read_text(encoding="utf-8")


def name_of(index: int) -> str:
    """The name of the fake node number `index`, counted from 0."""
    return f"fake-{index}"


def node(index: int, cpu: str = "10000", memory: str = "100Ti", pods: str = "10000") -> dict[str, Any]:
    """A Node object that is Ready as it is created, as the kubelet's are; KWOK renews its Lease.

    It has room for the requests of as many pods as it may have: no pod of thousands waits for memory.
    """
    size = {"cpu": cpu, "memory": memory, "pods": pods}
    name = name_of(index)
    return {
        "metadata": {"name": name, "labels": {LABEL: "true", "kubernetes.io/hostname": name}},
        "status": {
            "capacity": size,
            "allocatable": size,
            "addresses": [{"type": "Hostname", "address": name}],
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "Fake", "message": "A node of KWOK."}
            ],
        },
    }
