"""`make demo`: from nothing to "It's a pizza!", a version bump, a bad version that is refused, and back."""

import base64
import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from laptop import cluster, engine, models, places, product, python_environment
from laptop.progress import Step, StepFailed, step
from laptop.traffic import PredictionRefused, SteadyTraffic, Tally, predict

NAME = "pizza"
#: The ConfigMap with the acceptance pictures.
PICTURES = "pizza-pictures"
_READY_SECONDS = 300


def run() -> None:
    """All of it. Ends with what to try next; a step that fails says what to do."""
    python_environment.ensure()
    engine.ensure()
    cluster.ensure()
    directory = models.ensure()
    pictures = models.draw_pictures()
    product.install(product.ensure_images(directory))
    # The commands that are shown are for copying, and name no context.
    cluster.use(cluster.LAPTOP)
    _bring_up()
    _show("get", "imageclassifiers")
    with step("Send a picture of a pizza, and one of something else"):
        answers = {label: _ask(path) for label, path in pictures.items()}
    for label, answer in answers.items():
        print(f"  {pictures[label]}: {answer['prediction']} (probability {answer['probability']:.3f})")
    tallies = [_bump(pictures["pizza"]), _refuse_the_bad(pictures)]
    _return_to_the_good()
    _show("get", "imageclassifiers")
    _say_what_to_try(pictures["pizza"])
    failed = sum(len(tally.failures) for tally in tallies)
    if failed:
        raise SystemExit(f"{failed} requests failed, the first with: {_first_failure(tallies)}")


def _bring_up() -> None:
    """Applies examples/pizza.yaml. What an earlier demo left is replaced as a whole, by one write: with
    version 1 and no rollout set, nothing else is tried on the way."""
    with step("Apply examples/pizza.yaml and wait until it is Ready") as current:
        manifest = places.REPOSITORY / "examples/pizza.yaml"
        if product.imageclassifier(NAME):
            product.change("replace", "-f", manifest)
        else:
            product.change("apply", "--server-side", "-f", manifest)
        _wait(current, lambda seen: "Ready" in seen and seen["Ready"].status == "True")


def _bump(picture: Path) -> Tally:
    """One field is changed while requests go on; returns how they went."""
    with SteadyTraffic(product.GATEWAY_PORT, picture.read_bytes()) as traffic:
        with step("Bump to version 2 while requests go on") as current:
            traffic.wait_for_more(20)
            product.change(
                "patch", "imageclassifier", NAME, "--type=merge",
                "--patch-file", places.REPOSITORY / "examples/pizza-v2.yaml",
            )  # fmt: skip
            _wait(current, lambda seen: "Ready" in seen and seen["Ready"].status == "True")
        traffic.wait_for_more(20)
    print(f"  {traffic.tally.summary()}")
    return traffic.tally


def _refuse_the_bad(pictures: Mapping[str, Path]) -> Tally:
    """Version 3 has its classes mixed up. Its acceptance pictures show this before it gets a request."""
    _store(pictures)
    cases = [
        {"name": label, "label": label, "picture": {"configMapKeyRef": {"name": PICTURES, "key": path.name}}}
        for label, path in pictures.items()
    ]
    patch = {
        "spec": {"model": {"version": models.MISLABELLED}, "rollout": {"acceptance": {"cases": cases}}},
    }
    with SteadyTraffic(product.GATEWAY_PORT, pictures["pizza"].read_bytes()) as traffic:
        with step("Ask for version 3, which is bad on purpose, while requests go on") as current:
            product.change("patch", "imageclassifier", NAME, "--type=merge", "--patch", json.dumps(patch))
            _wait(
                current,
                lambda seen: "Progressing" in seen and seen["Progressing"].reason == "AcceptanceFailed",
            )
        traffic.wait_for_more(20)
    print(f"  {traffic.tally.summary()}")
    seen = product.conditions(product.imageclassifier(NAME))
    print(f"  Why: {seen['Progressing'].message}")
    if models.MISLABELLED in traffic.tally.by_version:
        raise SystemExit(
            "The bad version answered a request: please report this as a bug, with the operator's log."
        )
    return traffic.tally


def _store(pictures: Mapping[str, Path]) -> None:
    """Puts the pictures into a ConfigMap, where acceptance cases find them by file name."""
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": PICTURES},
        "binaryData": {path.name: base64.b64encode(path.read_bytes()).decode() for path in pictures.values()},
    }
    manifest = places.state_directory() / f"{PICTURES}.json"
    manifest.write_text(json.dumps(config_map), encoding="utf-8")
    product.change("apply", "--server-side", "--force-conflicts", "-f", manifest)


def _return_to_the_good() -> None:
    """Asks for version 2 again, which serves all the while: the demo ends on a healthy object."""
    patch = {"spec": {"model": {"version": 2}, "rollout": None}}
    with step("Ask for version 2 again") as current:
        product.change("patch", "imageclassifier", NAME, "--type=merge", "--patch", json.dumps(patch))
        _wait(current, lambda seen: "Ready" in seen and seen["Ready"].status == "True")


def _wait(current: Step, done: Callable[[Mapping[str, product.Condition]], bool]) -> None:
    """Waits for the conditions, with each change of theirs on the step's live line and in its log."""
    deadline, last = time.monotonic() + _READY_SECONDS, ""
    while True:
        seen = product.conditions(product.imageclassifier(NAME))
        if done(seen):
            return
        now = " | ".join(
            f"{one.type}={one.status} {one.reason}: {one.message}"
            for one in seen.values()
            if one.status != "True"
        )
        if now and now != last:
            current.say(now)
            last = now
        if time.monotonic() > deadline:
            raise StepFailed(
                f"It is not so after {_READY_SECONDS} s; "
                f"`kubectl describe imageclassifier {NAME}` says why: {last}"
            )
        time.sleep(0.5)


def _ask(picture: Path) -> dict[str, Any]:
    try:
        return predict(product.GATEWAY_PORT, picture.read_bytes())
    except (OSError, PredictionRefused) as error:
        raise StepFailed(
            f"The gateway at port {product.GATEWAY_PORT} gave no answer ({error}); "
            f"`kubectl describe imageclassifier {NAME}` says how it is."
        ) from error


def _show(*arguments: str) -> None:
    print(f"$ kubectl {' '.join(arguments)}")
    print(cluster.kubectl(cluster.LAPTOP, *arguments))


def _first_failure(tallies: list[Tally]) -> str:
    return next(failure for tally in tallies for failure in tally.failures)


def _say_what_to_try(picture: Path) -> None:
    version_1 = '{"spec":{"model":{"version":1}}}'
    kubectl = "kubectl" if shutil.which("kubectl") else cluster.kubectl_program()
    print(
        f"""
Version 2 is Ready: http://localhost:{product.GATEWAY_PORT}

What to try next
  the page            http://localhost:{product.GATEWAY_PORT}
  a picture           curl --data-binary @{picture} http://localhost:{product.GATEWAY_PORT}/predict
  why version 3       {kubectl} describe imageclassifier {NAME}
  back to version 1   {kubectl} patch imageclassifier {NAME} --type merge -p '{version_1}'
  take all away       make down"""
    )
