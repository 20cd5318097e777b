"""The pizza models through the server and called directly: the same probabilities for a hundred pictures.

The pictures are the photographs of the data set where it lies beside the checkout, and drawn ones elsewhere;
the models are those of `make demo`, exported when they are not in the cache.
"""

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageDraw

from imageclassifier_gateway.config import Settings
from imageclassifier_gateway.contract import Contract, parse_contract, parse_golden
from imageclassifier_gateway.pixels.images import prepare
from imageclassifier_gateway.verify.verification import verify
from laptop import models

REPOSITORY = Path(__file__).parents[3]
PHOTOGRAPHS = REPOSITORY.parent / "shared/data/pizza_not_pizza"
PICTURES = 100
TOLERANCE = 1e-5
BATCH = 10


def drawn(seed: int) -> bytes:
    """A picture of random ellipses, as PNG."""
    random = np.random.default_rng(seed)
    picture = Image.new("RGB", (300, 260), tuple(random.integers(0, 256, 3).tolist()))
    canvas = ImageDraw.Draw(picture)
    for left, top, width, height, *colour in random.integers(0, 256, (12, 7)).tolist():
        canvas.ellipse((left, top, left + width, top + height), fill=tuple(colour))
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    files = sorted(PHOTOGRAPHS.rglob("*.jpg"))
    chosen = files[:: max(1, len(files) // PICTURES)][:PICTURES]
    return [file.read_bytes() for file in chosen] or [drawn(seed) for seed in range(PICTURES)]


@pytest.fixture(scope="module")
def base_path() -> Path:
    return models.ensure((1, 2)) / models.MODEL


@pytest.fixture(scope="module")
def pizza(launch: Callable[..., Any], base_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server of both versions that batches, as in a cluster."""
    config = tmp_path_factory.mktemp("pizza") / "models.config"
    config.write_text(
        f'model_config_list {{ config {{ name: "pizza-model" base_path: "{base_path}" '
        'model_platform: "tensorflow" model_version_policy { all {} } } }'
    )
    return launch(f"--model_config_file={config}", "--enable_batching", "--grpc_max_threads=32")


def contract(server: Any, version: int) -> Contract:
    inputs = {"ignored": np.zeros(1, np.int32)}
    response = server.predict(inputs, model="pizza-model", version=version, signature="contract")
    return parse_contract(response.outputs["json"].string_val[0])


def over_grpc(server: Any, pixels: Any, version: int) -> Any:
    response = server.predict({"pixels": pixels}, model="pizza-model", version=version)
    return np.reshape(response.outputs["probabilities"].float_val, (len(pixels), -1))


def over_rest(server: Any, pixels: Any, version: int) -> Any:
    path = f"/v1/models/pizza-model/versions/{version}:predict"
    rows = server.post(path, {"instances": pixels.tolist()}).json()["predictions"]
    return np.array([row["probabilities"] for row in rows])


@pytest.mark.parametrize("version", [1, 2])
def test_a_hundred_pictures_get_the_probabilities_of_the_saved_model(
    pizza: Any, base_path: Path, pictures: list[bytes], version: int
) -> None:
    wanted = contract(pizza, version).input
    pixels = np.stack([prepare(picture, wanted) for picture in pictures])
    model = tf.saved_model.load(str(base_path / str(version))).signatures["serving_default"]
    direct = np.concatenate([model(pixels=tf.constant(one[None]))["probabilities"] for one in pixels])
    assert len(pixels) == PICTURES
    for answer, batch, every in [
        (over_grpc, 1, 1),
        (over_grpc, BATCH, 1),
        (over_rest, 1, BATCH),  # a picture as text is slow to write and to read
        (over_rest, BATCH, 1),
    ]:
        asked = pixels[::every]
        parts = [asked[start : start + batch] for start in range(0, len(asked), batch)]
        served = np.concatenate([answer(pizza, part, version) for part in parts])
        np.testing.assert_allclose(
            served, direct[::every], atol=TOLERANCE, rtol=0, err_msg=f"{answer.__name__} by {batch}"
        )


@pytest.mark.parametrize("version", [1, 2])
def test_the_golden_pictures_get_the_probabilities_of_training(pizza: Any, version: int) -> None:
    inputs = {"ignored": np.zeros(1, np.int32)}
    response = pizza.predict(inputs, model="pizza-model", version=version, signature="golden")
    golden = parse_golden(response.outputs["json"].string_val[0])
    wanted = contract(pizza, version).input
    pixels = np.stack([prepare(case.picture, wanted) for case in golden.cases])
    expected = [case.probabilities for case in golden.cases]
    np.testing.assert_allclose(over_grpc(pizza, pixels, version), expected, atol=golden.tolerance, rtol=0)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders with links to 40 photographs of each class; to drawn pictures where there are none."""
    root = tmp_path_factory.mktemp("labelled")
    found = {label: sorted((PHOTOGRAPHS / label).glob("*.jpg")) for label in ("pizza", "not_pizza")}
    if not all(found.values()):
        draw, drawings = REPOSITORY / "examples/pizza/draw.py", root / ".drawn"
        subprocess.run([sys.executable, draw, drawings, "--count", "40"], check=True)
        kinds = {"pizza": "pizza-*.jpg", "not_pizza": "other-*.jpg"}
        found = {label: sorted(drawings.glob(pattern)) for label, pattern in kinds.items()}
    for label, files in found.items():
        (root / label).mkdir()
        for file in itertools.islice(files, 0, None, max(1, len(files) // 40)):
            (root / label / file.name).symlink_to(file)
    return root


@pytest.mark.parametrize(("swapped", "reason"), [(False, None), (True, "WorseThanServing")])
def test_a_version_with_swapped_classes_is_refused_and_an_equal_one_passes(
    pizza: Any, labelled: Path, swapped: bool, reason: str | None
) -> None:
    """The candidate is version 1 again, by a contract of its own, which names the classes in either order."""
    described = json.loads(contract(pizza, 1).to_json())
    if swapped:
        described["classes"].reverse()
    target = f"dns:///{pizza.grpc_address}"
    verdict = verify(
        {
            "schema": 1,
            "model": "pizza-model",
            "candidate": {"version": 1, "target": target, "contract": described},
            "serving": {"version": 1, "target": target},
            "allow_class_change": True,
            "dataset": {"root": str(labelled)},
            "deadline_seconds": 200,
        },
        Settings(),
    )
    assert verdict.reason == reason
    assert verdict.dataset is not None
    counts = verdict.dataset.conclusion.counts
    assert counts.compared >= 80
    if not swapped:
        assert counts.only_serving == counts.only_candidate == 0
    else:
        assert counts.both == counts.neither == 0
