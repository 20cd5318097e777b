"""Pods as the API server shows them, for tests of their problems."""


def pod(
    name="pizza-serving-v2-abc",
    *,
    ready=False,
    leaving=False,
    containers=(),
    inits=(),
    conditions=(),
    **status,
):
    metadata = {"name": name}
    if leaving:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    ready_condition = {"type": "Ready", "status": "True" if ready else "False"}
    return {
        "metadata": metadata,
        "status": {
            "conditions": [*conditions, ready_condition],
            "containerStatuses": list(containers),
            "initContainerStatuses": list(inits),
            **status,
        },
    }


def container(name="model-server", *, image="tf:1", **fields):
    return {"name": name, "image": image, "ready": False, "state": {}, **fields}


def waiting(reason, message="", **fields):
    return container(state={"waiting": {"reason": reason, "message": message}}, **fields)


def crashed(reason="Error", message="", code=1, **fields):
    ended = {"reason": reason, "exitCode": code, "message": message}
    back_off = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting"}}
    return container(state=back_off, lastState={"terminated": ended}, **fields)


LOAD_ERROR = (
    "2026-01-01 W external/org_tensorflow/log.cc something harmless\n"
    "Failed to start server. Error: Unknown: 1 servable(s) did not become available: "
    "{{name: pizza version: 2} due to error: Invalid argument: not a SavedModel}\n"
)
