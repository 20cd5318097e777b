"""A backbone of any kind is cut into a frozen and a fine-tuned part, which together are the backbone."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from imageclassifier_training.errors import TrainingError
from imageclassifier_training.fitting import activations
from imageclassifier_training.networks import pretrained
from imageclassifier_training.networks.architecture import Architecture, Branch
from imageclassifier_training.networks.backbones import BACKBONES
from imageclassifier_training.networks.network import Network

SIDE = 96


def network(name: str) -> Network:
    """A network with random weights."""
    application = BACKBONES[name].application
    assert application is not None
    build = getattr(keras.applications, application)
    model = build(include_top=False, weights=None, input_shape=(SIDE, SIDE, 3), name=name)
    return Network(Architecture((Branch(name, SIDE, SIDE),)), (model,), model, model, model)


@pytest.mark.parametrize("name", ["xception", "inception_v3", "efficientnet_b3", "vgg16"])
def test_a_backbone_of_keras_can_be_cut_below_each_of_its_blocks(name: str) -> None:
    built = network(name)
    backbone = built.branches[0]
    count = len(pretrained.blocks(backbone))
    for blocks in range(1, count):
        frozen, tuned = activations.cut(built, blocks)
        assert frozen is not None
        layers = {layer.name for part in (frozen, tuned) for layer in part.layers}
        assert layers >= {layer.name for layer in backbone.layers if layer.weights}, blocks
    with pytest.raises(TrainingError, match=f"has {count} blocks"):
        activations.cut(built, count)
    pixels = np.random.default_rng(0).uniform(0, 255, (1, SIDE, SIDE, 3)).astype(np.float32)
    frozen, tuned = activations.cut(built, 2)
    assert frozen is not None
    np.testing.assert_allclose(tuned(frozen(pixels)), backbone(pixels), rtol=1e-4, atol=1e-6)
