"""`make demo`: creates everything, classifies an image, rolls out version 2, and refuses a bad version 3."""

import base64
import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from laptop import cluster, engine, models, places, product, python_environment
from laptop.cluster_health import kubectl
from laptop.cluster_state import LAPTOP
from laptop.kubernetes_programs import kubectl_program
from laptop.progress import Step, StepFailed, step
from laptop.traffic import PredictionRefused, SteadyTraffic, Tally, predict

NAME = "pizza"
#: The ConfigMap with the acceptance pictures.
PICTURES = "pizza-pictures"
_READY_SECONDS = 300
_NODE_PORT_SECONDS = 20


def run() -> None:
    """Run the whole demo; it ends with commands to try next."""
    python_environment.ensure()
    pictures = models.draw_pictures()
    prepare_cluster()
    bring_up()
    show("get", "imageclassifiers")
    with step("Send a picture of a pizza and one of something else"):
        answers = {label: ask(path) for label, path in pictures.items()}
    for label, answer in answers.items():
        print(f"  {pictures[label]}: {answer['prediction']} (probability {answer['probability']:.3f})")
    one_field = ("--patch-file", places.REPOSITORY / "examples/pizza-v2.yaml")
    tallies = [roll_out(2, pictures["pizza"], *one_field), _refuse_the_bad(pictures)]
    _return_to_the_good()
    show("get", "imageclassifiers")
    _say_what_to_try(pictures["pizza"])
    failed = sum(len(tally.failures) for tally in tallies)
    if failed:
        raise SystemExit(f"{failed} requests failed. The first error: {_first_failure(tallies)}")


def prepare_cluster() -> None:
    """Create the cluster, load the images of the product and the pizza models, and install the operator."""
    engine.ensure()
    cluster.ensure()
    product.install(product.ensure_images(models.ensure()))
    # The user copies the commands that are shown, and these have no --context.
    cluster.use(LAPTOP)


def bring_up() -> None:
    """Apply examples/pizza.yaml. One write replaces the object of an earlier demo, rollout included."""
    with step("Apply examples/pizza.yaml and wait until it is Ready") as current:
        manifest = places.REPOSITORY / "examples/pizza.yaml"
        if product.imageclassifier(NAME):
            product.change("replace", "-f", manifest)
        else:
            product.change("apply", "--server-side", "-f", manifest)
        _wait_until_ready(current)


def roll_out(version: int, picture: Path, *patch: str | Path) -> Tally:
    """Apply a patch, which asks for this version, while requests are sent; returns their results.

    `patch` are the options of `kubectl patch` that name it.
    """
    with SteadyTraffic(product.GATEWAY_PORT, picture.read_bytes()) as traffic:
        with step(f"Roll out version {version} while requests are sent") as current:
            traffic.wait_for_more(20)
            product.change("patch", "imageclassifier", NAME, "--type=merge", *patch)
            _wait_until_ready(current)
        traffic.wait_for_more(20)
    print(f"  {traffic.tally.summary()}")
    return traffic.tally


def _refuse_the_bad(pictures: Mapping[str, Path]) -> Tally:
    """Roll out version 3, whose classes are swapped; its acceptance fails before it gets a request."""
    _store(pictures)
    cases = [
        {"name": label, "label": label, "picture": {"configMapKeyRef": {"name": PICTURES, "key": path.name}}}
        for label, path in pictures.items()
    ]
    patch = {
        "spec": {"model": {"version": models.MISLABELLED}, "rollout": {"acceptance": {"cases": cases}}},
    }
    with SteadyTraffic(product.GATEWAY_PORT, pictures["pizza"].read_bytes()) as traffic:
        with step("Try the bad version 3 while requests are sent") as current:
            product.change("patch", "imageclassifier", NAME, "--type=merge", "--patch", json.dumps(patch))
            _wait(
                current,
                lambda seen: "Progressing" in seen and seen["Progressing"].reason == "AcceptanceFailed",
            )
        traffic.wait_for_more(20)
    print(f"  {traffic.tally.summary()}")
    seen = product.conditions(product.imageclassifier(NAME))
    print(f"  Refused: {seen['Progressing'].message}")
    if models.MISLABELLED in traffic.tally.by_version:
        raise SystemExit(
            "The bad version answered a request. Please report this bug with the log of the operator."
        )
    return traffic.tally


def _store(pictures: Mapping[str, Path]) -> None:
    """Store the pictures in a ConfigMap; acceptance cases name them by file name."""
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
    """Ask for version 2 again, which has served all the time, so that the demo ends on a healthy object."""
    patch = {"spec": {"model": {"version": 2}, "rollout": None}}
    with step("Return to version 2") as current:
        product.change("patch", "imageclassifier", NAME, "--type=merge", "--patch", json.dumps(patch))
        _wait_until_ready(current)


def _wait_until_ready(current: Step) -> None:
    _wait(current, lambda seen: "Ready" in seen and seen["Ready"].status == "True")


def _wait(current: Step, done: Callable[[Mapping[str, product.Condition]], bool]) -> None:
    """Wait for the conditions; each change is written to the log of the step."""
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
                f"The ImageClassifier {NAME} did not get there within {_READY_SECONDS} s: {last}. "
                f"Run `kubectl describe imageclassifier {NAME}`."
            )
        time.sleep(0.5)


def ask(picture: Path) -> dict[str, Any]:
    """The gateway's prediction for a picture file.

    A node learns only after the operator which pods are ready (kube-proxy), on a busy machine by seconds.
    """
    deadline = time.monotonic() + _NODE_PORT_SECONDS
    while True:
        try:
            return predict(product.GATEWAY_PORT, picture.read_bytes())
        except PredictionRefused as error:
            raise _no_prediction(error) from error
        except OSError as error:
            if time.monotonic() > deadline:
                raise _no_prediction(error) from error
            time.sleep(0.5)


def _no_prediction(error: Exception) -> StepFailed:
    return StepFailed(
        f"The gateway at port {product.GATEWAY_PORT} returned no prediction ({error}). "
        f"Run `kubectl describe imageclassifier {NAME}`."
    )


def show(*arguments: str) -> None:
    """Print the output of a kubectl command."""
    print(f"$ kubectl {' '.join(arguments)}")
    print(kubectl(LAPTOP, *arguments))


def _first_failure(tallies: list[Tally]) -> str:
    return next(failure for tally in tallies for failure in tally.failures)


def _say_what_to_try(picture: Path) -> None:
    version_1 = '{"spec":{"model":{"version":1}}}'
    program = "kubectl" if shutil.which("kubectl") else kubectl_program()
    print(
        f"""
Version 2 is Ready: http://localhost:{product.GATEWAY_PORT}

What to try next
  the page            http://localhost:{product.GATEWAY_PORT}
  a picture           curl --data-binary @{picture} http://localhost:{product.GATEWAY_PORT}/predict
  why version 3       {program} describe imageclassifier {NAME}
  back to version 1   {program} patch imageclassifier {NAME} --type merge -p '{version_1}'
  remove everything   make down"""
    )
