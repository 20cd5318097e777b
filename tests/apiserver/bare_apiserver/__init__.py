"""A real Kubernetes API server on loopback for tests: no containers, no root, seconds to start.

`control_plane.ControlPlane` is the whole of it: etcd, kube-apiserver, kube-controller-manager and
kube-scheduler, with KWOK's fake nodes on demand. `fixtures` makes pytest fixtures of it; how tests use them
stands in `tests/conftest.py`. The processes hang on `supervisor`, so they go even when pytest is killed.
"""

from bare_apiserver.audit import AuditEvent
from bare_apiserver.control_plane import ApiError, ControlPlane
from bare_apiserver.programs import ProgramMissingError, Programs, find_programs
from bare_apiserver.proxy import SeverableProxy

__all__ = [
    "ApiError",
    "AuditEvent",
    "ControlPlane",
    "ProgramMissingError",
    "Programs",
    "SeverableProxy",
    "find_programs",
]
