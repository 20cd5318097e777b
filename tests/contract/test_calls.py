"""The gateway, the operator and the training agree on the number of pictures in one call."""

from imageclassifier_gateway.versions.batches import MAX_PICTURES
from imageclassifier_operator.render.model_server_config import MAX_PICTURES_PER_CALL
from imageclassifier_training.exporting.saved_model import WARMUP_BATCHES


def test_the_largest_call_of_a_gateway_is_accepted_by_model_servers_and_warmed_up() -> None:
    assert MAX_PICTURES == MAX_PICTURES_PER_CALL == max(WARMUP_BATCHES)
