"""A served version is stored as JSON and read again."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from imageclassifier_operator.api import ModelVersion
from specs import LEGACY, candidate

amounts = st.fixed_dictionaries(
    {},
    optional={
        "cpu": st.sampled_from(["1", "250m", "0.1", "2k"]),
        "memory": st.sampled_from(["1Gi", "1.5Gi", "0.1", "2k"]),
    },
)
names = st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2)
metadata = st.fixed_dictionaries({}, optional={"labels": names, "annotations": names})
containers = st.fixed_dictionaries(
    {"name": st.just("model-server")},
    optional={"args": st.just(["--a=1"]), "env": st.lists(st.just({"name": "A"}), max_size=1)},
)
pods = st.fixed_dictionaries(
    {},
    optional={
        "nodeSelector": names,
        "tolerations": st.lists(st.just({"operator": "Exists"}), max_size=2),
        "affinity": st.just({"nodeAffinity": {}}),
        "priorityClassName": st.just("high"),
        "securityContext": st.sampled_from([{}, {"fsGroup": 1}]),
        "containers": st.lists(containers, max_size=1),
    },
)
servings = st.fixed_dictionaries(
    {},
    optional={
        "image": st.just("server:1"),
        "imagePullPolicy": st.sampled_from(["Always", "Never"]),
        "imagePullSecrets": st.just([{"name": "s"}]),
        "resources": st.fixed_dictionaries({}, optional={"requests": amounts, "limits": amounts}),
        "batching": st.fixed_dictionaries({}, optional={"maxBatchSize": st.integers(1, 9)}),
        "template": st.fixed_dictionaries({}, optional={"metadata": metadata, "spec": pods}),
    },
)
sources = st.one_of(
    st.fixed_dictionaries(
        {
            "image": st.fixed_dictionaries(
                {"reference": st.sampled_from(["a", "a:{version}"])},
                optional={"pullPolicy": st.just("Always"), "pullSecrets": st.just([{"name": "s"}])},
            )
        }
    ),
    st.fixed_dictionaries(
        {
            "https": st.fixed_dictionaries(
                {"url": st.just("https://a.example/{version}"), "sha256": st.just("a" * 64)},
                optional={
                    "caBundle": st.just({"configMap": {"name": "c", "key": "ca.pem"}}),
                    "headersFrom": st.just({"secret": "s"}),
                },
            )
        }
    ),
    st.fixed_dictionaries(
        {
            "storage": st.fixed_dictionaries(
                {"uri": st.just("s3://models/flowers/{version}")},
                optional={
                    "sha256": st.just("a" * 64),
                    "endpoint": st.just("https://minio.example"),
                    "region": st.just("eu-west-1"),
                    "caBundle": st.just({"configMap": {"name": "c", "key": "ca.pem"}}),
                    "credentialsFrom": st.just({"secret": "s"}),
                },
            )
        }
    ),
    st.fixed_dictionaries(
        {
            "persistentVolumeClaim": st.fixed_dictionaries(
                {"claimName": st.just("c")}, optional={"path": st.just("x/y")}
            )
        }
    ),
)
models = st.fixed_dictionaries({"version": st.integers(1, 2_147_483_647), "source": sources})


@given(models, servings, st.booleans())
def test_a_served_version_survives_being_stored(
    model: dict[str, Any], serving: dict[str, Any], legacy: bool
) -> None:
    served = candidate(model=model, serving=serving, **(LEGACY if legacy else {}))
    restored = ModelVersion.from_json(json.loads(json.dumps(served.to_json())))
    assert restored == served
    assert (restored.input_hash, restored.source_hash) == (served.input_hash, served.source_hash)
