"""A model that is missing or lies in the wrong place is reported with the place where it belongs."""

import pytest

from broken_pods import crashed, pod
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.pod_problems import diagnose
from rendered import SPECS, all_children

LAYOUT = (
    "saved_model.pb must lie directly in the directory of the version. Export a .keras, .h5 or .onnx file as "
    "a SavedModel first."
)
NO_SUCH_FILE = "cp: cannot stat '/models/a/b/3/saved_model.pb': No such file or directory"


@pytest.mark.parametrize(
    ("body", "log", "sentence"),
    [
        (
            "volume",
            NO_SUCH_FILE,
            f"PersistentVolumeClaim models contains no model in a/b/3: {NO_SUCH_FILE}. Put the SavedModel "
            "there, readable by any user, or correct spec.model.source.persistentVolumeClaim and "
            f"spec.model.version. {LAYOUT}",
        ),
        (
            "smallest",
            "cp: cannot stat '/models/pizza/3': No such file or directory",
            "the model's files cannot be copied from image pizza-model:3: cp: cannot stat '/models/pizza/3': "
            f"No such file or directory. Put them under /models/pizza/3/, readable by any user. {LAYOUT}",
        ),
        (
            "smallest",
            'failed to create containerd task: exec: "cp": executable file not found in $PATH',
            "image pizza-model:3 has no cp command, which copies the model. Use a base image that has one, "
            "not "
            "scratch.",
        ),
    ],
)
def test_a_missing_model_is_reported_with_the_place_where_it_belongs(body, log, sentence):
    rendered = all_children(SPECS[body])["Deployment", "pizza-serving-v3"]["spec"]["template"]["spec"]
    broken = {**pod(inits=[crashed(message=log, name="model-files")]), "spec": rendered}
    problem = diagnose([broken])
    assert problem.reason is Reason.MODEL_NOT_FOUND
    assert problem.message == f"Container model-files of pod pizza-serving-v2-abc: {sentence}"


def test_an_injected_init_container_that_fails_does_not_mean_that_the_model_is_missing():
    problem = diagnose([pod(inits=[crashed(message="no certificate", name="mesh-init")])])
    assert problem.reason is Reason.CONTAINER_CRASHED
