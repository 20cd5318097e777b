"""Fixtures for all tests: a real API server without containers.

    @pytest.mark.apiserver
    def test_a_deployment_becomes_available(apiserver: ControlPlane, namespace: str) -> None:
        apiserver.ensure_nodes(1)
        apiserver.kubectl("apply", "-n", namespace, "-f", "-", stdin=MANIFEST)
        apiserver.kubectl("wait", "-n", namespace, "--for=condition=Available", "deployment/web")

`apiserver` is a `bare_apiserver.ControlPlane`, shared by the tests of one pytest process (per xdist worker),
so a test keeps to its `namespace`, and CRDs are installed once and left. It has

- `kubeconfig` (a path), `url`, `certificate`: for real clients, as the administrator;
- `kubectl(*arguments, stdin=None)`, and `request(method, path, body)`, which is quicker: JSON in, JSON out;
- `ensure_nodes(count)`: KWOK's fake nodes, on which pods become Ready; how pods are made to stall, fail or
  end is in `bare_apiserver.fake_nodes`;
- RBAC: `kubeconfig_of_service_account(namespace, name)` is a client with just the rights of that account;
- the audit log: `mark = apiserver.audit_mark()`, then `apiserver.audit_events(since=mark)` has every request
  made since: `[e for e in events if e.is_write and e.field_manager == "..."]`, also by user or user agent;
- `wait_for(condition, "what is waited for", timeout_seconds)`.

A test that breaks things, or needs other features, starts its own with `start_apiserver(feature_gates="")`:

- `kill("kube-apiserver")` and `start("kube-apiserver")`: an outage; afterwards old watches get 410 Gone;
- `with server.proxy() as proxy:` and `kubeconfig_for(proxy)`: a client behind a proxy whose connections
  `proxy.sever()` resets, `proxy.stall()` silently holds, and `proxy.restore()` lets through again, while
  `server.kubectl` goes straight to the server.

Starting takes some seconds; nothing outlives pytest, however it ends. Needs `make kubernetes`.
"""

import os
import sys
from typing import Any

import pytest
from file_order import FileOrder
from hypothesis import HealthCheck, settings

from bare_apiserver.fixtures import apiserver, namespace, start_apiserver

__all__ = ["apiserver", "namespace", "start_apiserver"]

# Also where the shell forbids it, Python keeps compiled modules: to compile those of TensorFlow takes each
# process that a test starts 10 s.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# How long an example takes says something about the machine, not about the code.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileOrder | None:
    return FileOrder(config, log) if config.getvalue("dist") == "loadfile" else None
