"""What was asked of the API server, from its audit log: how tests count a client's requests."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

WRITING_VERBS = frozenset({"create", "update", "patch", "delete", "deletecollection"})

# Metadata of every request: who, what, how it ended. Bodies are left out, so the log stays small.
POLICY = json.dumps(
    {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata"}],
    }
)


@dataclass(frozen=True)
class AuditEvent:
    """One request, as the API server saw it. A watch counts once, when it begins."""

    verb: str  # get list watch create update patch delete deletecollection, or an HTTP method in lower case
    user: str
    user_agent: str
    field_manager: str  # as the request names it; empty where it does not
    group: str
    resource: str  # plural; empty for paths that are no resource
    subresource: str
    namespace: str
    name: str
    status_code: int
    uri: str

    @property
    def is_write(self) -> bool:
        """Whether the request could change an object: a dry run does not count."""
        return self.verb in WRITING_VERBS and "dryRun=All" not in self.uri


def parse_audit_log(lines: Iterable[str]) -> list[AuditEvent]:
    """The requests in an audit log of JSON lines, oldest first, without a last line still being written."""
    events: dict[str, AuditEvent] = {}
    for line in lines:
        if not line.endswith("\n"):
            break
        entry = json.loads(line)
        # Requests that last (watches, logs) are logged at their start and again at their end, under the same
        # id.
        events.setdefault(entry["auditID"], _event(entry))
    return list(events.values())


def _event(entry: dict[str, object]) -> AuditEvent:
    uri = str(entry["requestURI"])
    target = entry.get("objectRef")
    what: dict[str, str] = target if isinstance(target, dict) else {}
    user = entry["user"]
    status = entry.get("responseStatus")
    return AuditEvent(
        verb=str(entry["verb"]),
        user=str(user.get("username", "")) if isinstance(user, dict) else "",
        user_agent=str(entry.get("userAgent", "")),
        field_manager=parse_qs(urlsplit(uri).query).get("fieldManager", [""])[0],
        group=what.get("apiGroup", ""),
        resource=what.get("resource", ""),
        subresource=what.get("subresource", ""),
        namespace=what.get("namespace", ""),
        name=what.get("name", ""),
        status_code=int(status.get("code", 0)) if isinstance(status, dict) else 0,
        uri=uri,
    )
