"""The rendered children: secure, and replaceable without losing a request."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from imageclassifier_gateway import config as gateway_config
from imageclassifier_operator import api, render
from imageclassifier_operator.api import names
from rendered import SPECS, all_children, classifier

FLAGS = json.loads((Path(__file__).parents[3] / "model_server/src/model_server/flags.json").read_text())[
    "flags"
]


def pod_specs(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The pods that are asked for, by component."""
    return {
        child["metadata"]["labels"][names.LABEL_COMPONENT]: child["spec"]["template"]["spec"]
        for (kind, _), child in all_children(body).items()
        if kind in {"Deployment", "Job"}
    }


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def model_server(body: dict[str, Any]) -> dict[str, Any]:
    server: dict[str, Any] = pod_specs(body)["serving"]["containers"][0]
    return server


every_spec = pytest.mark.parametrize("body", SPECS.values(), ids=SPECS)


@every_spec
def test_every_child_belongs_to_its_imageclassifier_and_can_be_found(body: dict[str, Any]) -> None:
    wanted = dict(pair.split("=") for pair in names.CHILDREN_SELECTOR.split(","))
    for child in all_children(body).values():
        metadata = child["metadata"]
        assert metadata["namespace"] == "food"
        assert metadata["labels"].items() >= {**wanted, names.LABEL_INSTANCE: "pizza"}.items()
        [owner] = metadata["ownerReferences"]
        assert (owner["uid"], owner["controller"]) == ("u-1", True)


@every_spec
def test_rendering_twice_gives_the_same_and_changes_nothing(body: dict[str, Any]) -> None:
    before = copy.deepcopy(body)
    assert all_children(body) == all_children(body)
    assert body == before


@every_spec
def test_no_pod_holds_an_api_token_or_any_privilege(body: dict[str, Any]) -> None:
    for pod in pod_specs(body).values():
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(pod):
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}


@every_spec
def test_every_container_has_requests_and_a_termination_message(body: dict[str, Any]) -> None:
    for pod in pod_specs(body).values():
        for container in containers(pod):
            assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
            resources = container["resources"]
            assert "memory" in {**resources.get("requests", {}), **resources.get("limits", {})}


@every_spec
def test_only_empty_directories_can_be_written_to(body: dict[str, Any]) -> None:
    for pod in pod_specs(body).values():
        empty = {volume["name"] for volume in pod["volumes"] if "emptyDir" in volume}
        for container in containers(pod):
            writable = {mount["name"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
            assert writable <= empty


def test_the_model_server_takes_all_calls_that_one_gateway_has_under_way() -> None:
    [threads] = [flag for flag in model_server(SPECS["smallest"])["args"] if "grpc_max_threads" in flag]
    listening = 1
    assert int(threads.split("=")[1]) == gateway_config.Settings().max_requests_in_flight + listening


@every_spec
def test_the_model_server_gets_only_flags_that_tensorflow_serving_has(body: dict[str, Any]) -> None:
    server = model_server(body)
    assert server["command"] == ["tensorflow_model_server"]
    for argument in server["args"]:
        flag, _, value = argument.removeprefix("--").partition("=")
        kind = FLAGS[flag]["type"]
        if kind == "bool":
            assert value in {"true", "false"}, argument
        elif kind.startswith("int"):
            assert value == "$(CPU_LIMIT)" or int(value) >= 0, argument
        else:
            assert value, argument


@pytest.mark.parametrize("name", ["smallest", "volume"])
def test_what_the_spec_gives_to_the_model_server_governs_its_init_container_too(name: str) -> None:
    """Otherwise raising the memory would have no effect, and no pod could be Guaranteed."""
    resources = {"requests": {"memory": "3Gi"}, "limits": {"memory": "3Gi"}}
    pod = pod_specs({**SPECS[name], "serving": {"resources": resources}})["serving"]
    assert [container["resources"] for container in containers(pod)] == [resources, resources]


def test_a_pod_of_model_servers_has_the_pull_secrets_of_the_model_and_of_the_server_once() -> None:
    secrets = pod_specs(SPECS["everything"])["serving"]["imagePullSecrets"]
    assert secrets == [{"name": "models"}, {"name": "registry"}, {"name": "servers"}]


def test_one_version_is_loaded_even_where_a_volume_holds_more() -> None:
    deployment = all_children(SPECS["volume"])["Deployment", "pizza-serving-v3"]
    config = deployment["spec"]["template"]["metadata"]["annotations"][names.ANNOTATION_MODEL_CONFIG]
    assert 'base_path: "/models/a/b"' in config
    assert "specific { versions: 3 }" in config


def test_a_change_of_the_servers_files_replaces_its_pods() -> None:
    def template(timeout: int) -> Any:
        batching = {"timeoutMicroseconds": timeout}
        body = {**SPECS["smallest"], "serving": {"batching": batching}}
        return all_children(body)["Deployment", "pizza-serving-v3"]["spec"]["template"]

    assert template(0) != template(1000)


def test_batching_gets_as_many_threads_as_the_server_has_cores() -> None:
    deployment = all_children(SPECS["everything"])["Deployment", "pizza-serving-v3"]
    config = deployment["spec"]["template"]["metadata"]["annotations"][names.ANNOTATION_BATCHING_CONFIG]
    assert config == (
        "max_batch_size { value: 8 } batch_timeout_micros { value: 2000 } "
        "num_batch_threads { value: 2 } max_enqueued_batches { value: 50 }\n"
    )


def batching_config(**batching: int) -> str:
    body = {**SPECS["smallest"], "serving": {"batching": batching}}
    deployment = all_children(body)["Deployment", "pizza-serving-v3"]
    config: str = deployment["spec"]["template"]["metadata"]["annotations"][names.ANNOTATION_BATCHING_CONFIG]
    return config


def test_small_runs_still_accept_a_whole_call_of_the_gateway() -> None:
    assert batching_config(maxBatchSize=3, maxEnqueuedBatches=1) == (
        "max_batch_size { value: 8 } batch_timeout_micros { value: 0 } max_enqueued_batches { value: 3 } "
        "enable_large_batch_splitting { value: true } max_execution_batch_size { value: 3 }\n"
    )


def test_large_runs_are_configured_as_in_the_spec() -> None:
    assert batching_config(maxBatchSize=32) == (
        "max_batch_size { value: 32 } batch_timeout_micros { value: 0 } max_enqueued_batches { value: 100 }\n"
    )


def test_a_missing_model_file_is_named_by_the_copying_container() -> None:
    for body, origin in (
        (SPECS["smallest"], "/models/pizza/3/saved_model.pb"),
        (SPECS["volume"], "/models/a/b/3/saved_model.pb"),
    ):
        [init] = pod_specs(body)["serving"]["initContainers"]
        assert init["command"][0] == "cp"
        assert origin in init["command"]


@every_spec
def test_a_model_server_outlives_dns_its_oldest_connection_and_the_last_request(body: dict[str, Any]) -> None:
    timeout = classifier(body).gateway.timeout_seconds
    arguments = dict(
        pair.split("=")
        for argument in model_server(body)["args"]
        if argument.startswith("--grpc_channel_arguments=")
        for pair in argument.partition("=")[2].split(",")
    )
    age_seconds = int(arguments["grpc.max_connection_age_ms"]) / 1000
    grace_seconds = int(arguments["grpc.max_connection_age_grace_ms"]) / 1000
    assert grace_seconds >= timeout
    dns_seconds = 30
    assert pod_specs(body)["serving"]["terminationGracePeriodSeconds"] > (
        dns_seconds + 1.1 * age_seconds + grace_seconds
    )


@every_spec
def test_a_gateway_is_given_time_to_drain(body: dict[str, Any]) -> None:
    pod = pod_specs(body)["gateway"]
    environment = {entry["name"]: entry.get("value") for entry in pod["containers"][0]["env"]}
    drain = int(environment["GATEWAY_DRAIN_SECONDS"])
    timeout = int(environment["GATEWAY_TIMEOUT_SECONDS"])
    # The gateway's maximum: HttpServer._drain in imageclassifier_gateway.http.server.
    assert pod["terminationGracePeriodSeconds"] > drain + 2 * timeout + 5


@every_spec
def test_no_pod_goes_before_its_successor_answers(body: dict[str, Any]) -> None:
    for (kind, _), child in all_children(body).items():
        if kind == "Deployment":
            assert child["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
            for container in child["spec"]["template"]["spec"]["containers"]:
                assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()


@every_spec
def test_the_internal_port_is_not_behind_the_service(body: dict[str, Any]) -> None:
    [port] = all_children(body)["Service", "pizza-gateway"]["spec"]["ports"]
    assert port["targetPort"] == "http"
    ports = {p["name"]: p["containerPort"] for p in pod_specs(body)["gateway"]["containers"][0]["ports"]}
    assert ports == {"http": 9696, "internal": 9697}


@every_spec
def test_no_service_selects_the_pods_of_a_verification(body: dict[str, Any]) -> None:
    children = all_children(body)
    [job] = [child for (kind, _), child in children.items() if kind == "Job"]
    labels = job["spec"]["template"]["metadata"]["labels"].items()
    for (kind, _), child in children.items():
        if kind == "Service":
            assert not child["spec"]["selector"].items() <= labels


def test_the_gateway_starts_before_there_is_a_routing_file_and_never_sees_the_operators_state() -> None:
    pod = pod_specs(SPECS["smallest"])["gateway"]
    [routing] = [volume["configMap"] for volume in pod["volumes"] if volume["name"] == "routing"]
    assert routing["optional"] is True
    assert [item["key"] for item in routing["items"]] == [names.ROUTING_FILE]


def test_a_verification_finds_the_pictures_of_every_config_map() -> None:
    pod = pod_specs(SPECS["everything"])["verify"]
    mounts = {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert Path(render.picture_file("pictures", "a.jpg")).parent.as_posix() in mounts


def test_the_autoscaler_and_the_ingress_exist_only_if_the_spec_has_them() -> None:
    kinds = {kind for kind, _ in all_children(SPECS["smallest"])}
    assert not kinds & {"HorizontalPodAutoscaler", "Ingress"}
    kinds = {kind for kind, _ in all_children(SPECS["everything"])}
    assert kinds >= {"HorizontalPodAutoscaler", "Ingress"}


def test_a_stopped_classifier_keeps_its_objects_without_pods_and_without_an_autoscaler() -> None:
    running, stopped = (
        all_children(SPECS["everything"]),
        all_children({**SPECS["everything"], "stopped": True}),
    )
    assert running.keys() - stopped.keys() == {("HorizontalPodAutoscaler", "pizza")}
    assert stopped["Deployment", "pizza-gateway"]["spec"]["replicas"] == 0
    assert stopped["Service", "pizza-gateway"] == running["Service", "pizza-gateway"]


def test_an_operator_upgrade_with_another_default_leaves_a_version_as_it_was() -> None:
    ic = classifier(SPECS["smallest"])
    stored = json.loads(json.dumps(ic.candidate("server:old").to_json()))
    restored = api.ModelVersion.from_json(stored)
    deployment = render.serving_children(ic, restored, 1)[0]
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "server:old"


def test_a_deployment_carries_its_inputs_and_whether_it_has_served() -> None:
    ic = classifier(SPECS["everything"])
    served = ic.candidate("server:1")
    annotations = render.serving_children(ic, served, 1, has_served=True)[0]["metadata"]["annotations"]
    stored = json.loads(annotations[names.ANNOTATION_SERVED_VERSION])
    assert api.ModelVersion.from_json(stored) == served
    assert annotations[names.ANNOTATION_HAS_SERVED] == "true"
    before = render.serving_children(ic, served, 1)[0]["metadata"]["annotations"]
    assert names.ANNOTATION_HAS_SERVED not in before


def test_the_cache_of_the_gateway_is_off_unless_the_spec_gives_it_memory() -> None:
    def environment(spec: dict[str, Any]) -> dict[str, str | None]:
        pod = all_children(spec)["Deployment", "pizza-gateway"]["spec"]["template"]["spec"]
        return {entry["name"]: entry.get("value") for entry in pod["containers"][0]["env"]}

    assert "GATEWAY_CACHE_BYTES" not in environment(SPECS["smallest"])
    with_cache = {**SPECS["smallest"], "gateway": {"cacheBytes": 2_000_000}}
    assert environment(with_cache)["GATEWAY_CACHE_BYTES"] == "2000000"


def test_the_origins_that_may_use_the_gateway_are_its_setting() -> None:
    def environment(name: str) -> dict[str, str | None]:
        pod = all_children(SPECS[name])["Deployment", "pizza-gateway"]["spec"]["template"]["spec"]
        return {entry["name"]: entry.get("value") for entry in pod["containers"][0]["env"]}

    allowed = environment("everything")["GATEWAY_CORS_ALLOWED_ORIGINS"]
    assert allowed == "https://app.example.org,http://localhost:3000"
    assert "GATEWAY_CORS_ALLOWED_ORIGINS" not in environment("smallest")


def test_a_gateway_with_a_certificate_serves_https_at_port_443_also_to_an_ingress() -> None:
    tls = {**SPECS["everything"]["gateway"], "service": {}}
    children = all_children({**SPECS["everything"], "gateway": tls})
    [port] = children["Service", "pizza-gateway"]["spec"]["ports"]
    assert (port["name"], port["port"], port["appProtocol"]) == ("https", 443, "https")
    [rule] = children["Ingress", "pizza-gateway"]["spec"]["rules"]
    assert rule["http"]["paths"][0]["backend"]["service"]["port"] == {"name": "https"}
    pod = children["Deployment", "pizza-gateway"]["spec"]["template"]["spec"]
    [volume] = [volume for volume in pod["volumes"] if volume["name"] == "tls"]
    assert volume["secret"] == {"secretName": "pizza-inside-tls"}
    [mount] = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == "tls"]
    assert {"name": "GATEWAY_TLS_DIRECTORY", "value": mount["mountPath"]} in pod["containers"][0]["env"]
    [plain] = all_children(SPECS["smallest"])["Service", "pizza-gateway"]["spec"]["ports"]
    assert plain == {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}


def test_a_gateway_that_needs_api_keys_cannot_start_without_their_secret() -> None:
    template = all_children(SPECS["everything"])["Deployment", "pizza-gateway"]["spec"]["template"]
    pod = template["spec"]
    [volume] = [volume for volume in pod["volumes"] if volume["name"] == "api-keys"]
    assert volume["secret"] == {"secretName": "pizza-keys"}, "an optional Secret could be missing"
    [mount] = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == "api-keys"]
    environment = {entry["name"]: entry.get("value") for entry in pod["containers"][0]["env"]}
    assert environment["GATEWAY_API_KEYS_DIRECTORY"] == mount["mountPath"]
    assert template["metadata"]["annotations"] == {names.ANNOTATION_ACCESS: "APIKey"}
    assert (
        "annotations"
        not in (
            all_children(SPECS["smallest"])["Deployment", "pizza-gateway"]["spec"]["template"]["metadata"]
        )
    )
