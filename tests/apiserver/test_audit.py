"""How the audit log's lines become requests."""

import json

from bare_apiserver.audit import parse_audit_log


def line(verb: str, stage: str, audit_id: str, uri: str = "/api/v1/namespaces/a/pods") -> str:
    entry = {
        "auditID": audit_id,
        "stage": stage,
        "verb": verb,
        "requestURI": uri,
        "user": {"username": "tester"},
        "userAgent": "pytest",
        "objectRef": {"resource": "pods", "namespace": "a", "name": "p", "apiVersion": "v1"},
        "responseStatus": {"code": 200},
    }
    return json.dumps(entry) + "\n"


def test_a_watch_is_one_request_although_it_is_logged_twice() -> None:
    log = [line("watch", "ResponseStarted", "1"), line("watch", "ResponseComplete", "1")]
    assert [event.verb for event in parse_audit_log(log)] == ["watch"]


def test_a_line_that_is_still_being_written_waits() -> None:
    log = [line("get", "ResponseComplete", "1"), line("list", "ResponseComplete", "2")[:40]]
    assert [event.verb for event in parse_audit_log(log)] == ["get"]


def test_an_apply_names_its_field_manager_and_is_a_write() -> None:
    uri = "/api/v1/namespaces/a/pods/p?fieldManager=someone&force=true"
    (event,) = parse_audit_log([line("patch", "ResponseComplete", "1", uri)])
    assert (event.field_manager, event.resource, event.name, event.is_write) == ("someone", "pods", "p", True)


def test_a_dry_run_is_not_a_write() -> None:
    (event,) = parse_audit_log(
        [line("patch", "ResponseComplete", "1", "/api/v1/x?dryRun=All&fieldManager=m")]
    )
    assert not event.is_write
