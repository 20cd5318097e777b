"""The command line flags of the components of a control plane."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bare_apiserver import credentials, fake_nodes


@dataclass(frozen=True)
class Setup:
    """What the flags depend on: files, the port of the API server, and how nodes and pods are faked."""

    directory: Path
    port: int
    certificate: Path
    key: Path
    audit_log: Path
    kubeconfigs: Mapping[str, Path]
    pod_network: str
    requests_per_second: int | None
    """The limit of each controller and of the scheduler; None for their own defaults."""
    feature_gates: str = ""
    """Features of the API server, such as ImageVolume=true."""


def component_flags(of: Setup) -> dict[str, list[str]]:
    """The flags of each component. Only the API server has a port; etcd has sockets in the directory."""
    alone = ["--leader-elect=false", "--secure-port=0"]
    if (rate := of.requests_per_second) is not None:
        alone += [f"--kube-api-qps={rate}", f"--kube-api-burst={2 * rate}"]
    return {
        "etcd": [
            f"--data-dir={of.directory}/etcd",
            f"--listen-client-urls=unix://{of.directory}/etcd.sock",
            f"--listen-peer-urls=unix://{of.directory}/peer.sock",
            # Nobody calls the one member at the addresses it must advertise, which may not be sockets.
            "--advertise-client-urls=http://127.0.0.1:1",
            "--initial-advertise-peer-urls=http://127.0.0.1:1",
            "--initial-cluster=default=http://127.0.0.1:1",
            "--unsafe-no-fsync",  # the data is worth nothing after the test
            "--log-level=warn",
        ],
        "kube-apiserver": [
            f"--etcd-servers=unix://{of.directory}/etcd.sock",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",  # loopback addresses may not be endpoints
            f"--secure-port={of.port}",
            "--permit-port-sharing",
            f"--tls-cert-file={of.certificate}",
            f"--tls-private-key-file={of.key}",
            f"--token-auth-file={of.directory}/tokens.csv",
            "--authorization-mode=RBAC",
            "--allow-privileged",
            "--service-cluster-ip-range=10.96.0.0/16",
            # Where clients find the keys that verify the tokens of service accounts.
            f"--service-account-issuer=https://127.0.0.1:{of.port}",
            f"--service-account-key-file={of.certificate}",
            f"--service-account-signing-key-file={of.key}",
            f"--audit-policy-file={of.directory}/audit-policy.json",
            f"--audit-log-path={of.audit_log}",
            "--audit-log-maxsize=10000",  # megabytes; another file would begin at 100
            "--audit-log-mode=blocking",  # a request is in the log when it has been answered
            f"--feature-gates={of.feature_gates}",
        ],
        "kube-controller-manager": [
            *alone,
            f"--kubeconfig={of.kubeconfigs[credentials.CONTROLLER_MANAGER]}",
            "--use-service-account-credentials",  # Kubernetes grants each controller its own rights
            f"--service-account-private-key-file={of.key}",
            f"--root-ca-file={of.certificate}",
        ],
        "kube-scheduler": [
            *alone,
            f"--kubeconfig={of.kubeconfigs[credentials.SCHEDULER]}",
        ],
        "kwok": [
            f"--kubeconfig={of.kubeconfigs[credentials.KWOK]}",
            f"--config={of.directory}/kwok.yaml",
            f"--manage-nodes-with-label-selector={fake_nodes.LABEL}=true",
            f"--cidr={of.pod_network}",
            f"--node-lease-duration-seconds={fake_nodes.LEASE_SECONDS}",
        ],
    }
