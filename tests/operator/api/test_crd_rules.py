"""The API server enforces each rule of the CRD: it takes valid specs, and names the field of invalid ones."""

import base64
from typing import Any

import pytest

from bare_apiserver import ApiError
from crd_objects import IMAGE, LEGACY, Apply

pytestmark = pytest.mark.apiserver


NO_PERCENTAGE = "Use a number from 0 to 100 followed by %, such as 1% or 0.5%."
NO_NUMBER = "Use an integer, a decimal number as a string, or a fraction"


def rescaled(**rescaling: Any) -> dict[str, Any]:
    """A model without a contract whose pixels are computed with `rescaling`."""
    return {**LEGACY, "input": {"height": 8, "width": 8, "dtype": "float32", "rescaling": rescaling}}


@pytest.mark.parametrize("written", [0, "0", 2, "-0.5", "1/127.5", "1/0.05", "123456789.123456789"])
def test_integers_decimals_and_fractions_are_taken_as_scale_and_offset(
    create: Apply, written: int | str
) -> None:
    stored = create(**rescaled(scale=written, offset=written))["spec"]["input"]["rescaling"]
    assert stored == {"scale": written, "offset": written}


@pytest.mark.parametrize("written", ["0%", "0.0%", "1%", "37.5%", "99.99%", "100%", "100.0%"])
def test_percentages_are_taken(create: Apply, written: str) -> None:
    create(
        **{**LEGACY, "output": {"threshold": written}},
        rollout={
            "shadow": {"percent": 5, "minAgreementRate": written},
            "limits": {"errorRateIncrease": written},
        },
    )


def case(**picture: Any) -> dict[str, Any]:
    return {"acceptance": {"cases": [{"name": "a", "label": "pizza", "picture": picture}]}}


def storage(**changed: Any) -> dict[str, Any]:
    """A spec with a model in a bucket."""
    return {"model": {"version": 1, "source": {"storage": {"uri": "s3://models/flowers", **changed}}}}


def https(**changed: Any) -> dict[str, Any]:
    """A model in an archive."""
    source = {"url": "https://a.example/m-{version}.tar", "sha256": "a" * 64, **changed}
    return {"model": {"version": 1, "source": {"https": source}}}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no model": ({"model": None}, "spec.model"),
    "no version": ({"model": {"source": IMAGE["source"]}}, "spec.model.version: Required value"),
    "version 0": (
        {"model": {"version": 0, "source": {"image": {"reference": "a"}}}},
        "greater than or equal to 1",
    ),
    "version beyond 32 bits": (
        {"model": {"version": 2147483648, "source": {"image": {"reference": "a"}}}},
        "less than or equal to",
    ),
    "no source": ({"model": {"version": 1}}, "Set source.image.reference to the image with the model"),
    "an empty source": ({"model": {"version": 1, "source": {}}}, "The model has no source, or several"),
    "a data set without a source": (
        {"rollout": {"acceptance": {"dataset": {"source": {}}}}},
        "The data set has no source, or several",
    ),
    "a data set with two sources": (
        {
            "rollout": {
                "acceptance": {
                    "dataset": {
                        "source": {
                            "image": {"reference": "set:1"},
                            "configMaps": [{"name": "a", "label": "pizza"}],
                        }
                    }
                }
            }
        },
        "The data set has no source, or several",
    ),
    "two sources": (
        {
            "model": {
                "version": 1,
                "source": {"image": {"reference": "a"}, "persistentVolumeClaim": {"claimName": "a"}},
            }
        },
        "The model has no source, or several",
    ),
    "an archive without a digest": (
        {"model": {"version": 1, "source": {"https": {"url": "https://a.example/m.tar"}}}},
        "spec.model.source.https.sha256: Required value",
    ),
    "an archive without TLS": (https(url="http://a.example/m.tar"), "spec.model.source.https.url"),
    "an archive with a password in its URL": (
        https(url="https://a:b@c.example/m"),
        "spec.model.source.https.url",
    ),
    "a digest with a prefix": (https(sha256=f"sha256:{'a' * 57}"), "spec.model.source.https.sha256"),
    "a CA in another directory": (
        https(caBundle={"configMap": {"name": "ca", "key": "../ca.pem"}}),
        "spec.model.source.https.caBundle.configMap.key",
    ),
    "a bucket of another kind": (storage(uri="gopher://models/flowers"), "spec.model.source.storage.uri"),
    "a repository without an owner": (storage(uri="hf://flowers"), "spec.model.source.storage.uri"),
    "a bucket without a name": (storage(uri="s3:///flowers"), "spec.model.source.storage.uri"),
    "an endpoint with a password": (
        storage(endpoint="https://a:b@c.example"),
        "spec.model.source.storage.endpoint",
    ),
    "a digest of files with a prefix": (
        storage(sha256=f"sha256:{'a' * 57}"),
        "spec.model.source.storage.sha256",
    ),
    "a model name with a slash": ({"model": {**IMAGE, "name": "a/b"}}, "spec.model.name"),
    "an image with a space": (
        {"model": {"version": 1, "source": {"image": {"reference": "a b"}}}},
        "spec.model.source.image.reference",
    ),
    "a path out of the volume": (
        {"model": {"version": 1, "source": {"persistentVolumeClaim": {"claimName": "a", "path": "../etc"}}}},
        "spec.model.source.persistentVolumeClaim.path",
    ),
    "classes from nowhere": ({"classesFrom": {}}, "Set exactly one of configMap and modelFile"),
    "classes from two files": (
        {"classesFrom": {"modelFile": {}, "configMap": {"name": "a", "key": "b"}}},
        "Set exactly one of configMap and modelFile",
    ),
    "a class file out of the model": (
        {"classesFrom": {"modelFile": {"path": "../../etc/passwd"}}},
        "spec.classesFrom.modelFile.path",
    ),
    "input without classes": (
        {"input": LEGACY["input"]},
        "input is for models without a contract, and needs classes",
    ),
    "preprocess and rescaling": (
        {**LEGACY, "input": {"preprocess": "tf", "rescaling": {"scale": 2}}},
        "preprocess and rescaling exclude each other",
    ),
    "preprocess for whole numbers": (
        {**LEGACY, "input": {"preprocess": "tf", "dtype": "uint8"}},
        "preprocess needs floating-point numbers",
    ),
    "caffe in the order rgb": (
        {**LEGACY, "input": {"preprocess": "caffe", "channels": "rgb"}},
        "preprocess caffe means the order bgr",
    ),
    "torch for gray pictures": (
        {**LEGACY, "input": {"preprocess": "torch", "channels": "gray"}},
        "preprocess torch is for three channels",
    ),
    "a mean that is a float": (rescaled(mean=[0.5]), "spec.input.rescaling.mean"),
    "output alone": ({"output": {}}, "output is for models without a contract, and needs classes"),
    "a threshold above 100 %": ({**LEGACY, "output": {"threshold": "100.5%"}}, NO_PERCENTAGE),
    "a threshold below 0 %": ({**LEGACY, "output": {"threshold": "-1%"}}, NO_PERCENTAGE),
    "a threshold without its sign": ({**LEGACY, "output": {"threshold": "50"}}, NO_PERCENTAGE),
    "a threshold that is a number": ({**LEGACY, "output": {"threshold": 0.5}}, "must be of type string"),
    "a scale that is a word": (rescaled(scale="small"), NO_NUMBER),
    "a scale over nothing": (rescaled(scale="1/0"), NO_NUMBER),
    "a scale over nothing in decimals": (rescaled(scale="1/0.0"), NO_NUMBER),
    "a scale with an exponent": (rescaled(scale="1e-3"), NO_NUMBER),
    "an offset with two signs": (rescaled(offset="--1"), NO_NUMBER),
    "a scale that is a float": (rescaled(scale=0.5), "spec.input.rescaling.scale"),
    "a scale for uint8 pixels": (
        {**LEGACY, "input": {"dtype": "uint8", "rescaling": {"scale": "0.5"}}},
        "rescaling needs floating-point numbers",
    ),
    "a model of MLflow without its server": (
        storage(uri="models:/flowers/{version}"),
        "Set endpoint to the URL of the tracking server.",
    ),
    "a model of MLflow without a number": (
        storage(uri="models:/flowers", endpoint="http://mlflow.ml.svc:5000"),
        "spec.model.source.storage.uri",
    ),
    "more pixels than the memory holds": (
        {"gateway": {"maxImagePixels": 30_000_000}},
        "maxImagePixels needs more memory: 8 bytes for each pixel and 16 MB",
    ),
    "more pixels than the memory holds on three cores": (
        {
            "gateway": {
                "maxImagePixels": 100_000_000,
                "resources": {"limits": {"cpu": "2500m", "memory": "2600M"}},
            }
        },
        "Raise resources.limits.memory, or lower maxImagePixels.",
    ),
    "five pictures of 128 KiB in the spec": (
        {
            "rollout": {
                "acceptance": {
                    "cases": [
                        {"name": f"n{n}", "label": "pizza", "picture": {"base64": "A" * 131_072}}
                        for n in range(5)
                    ]
                }
            }
        },
        "The pictures in base64 have more than 512 KiB together. Put them into a ConfigMap",
    ),
    "one class": ({**LEGACY, "classes": [{"name": "a"}]}, "at least 2 items"),
    "an activation that does not exist": (
        {**LEGACY, "output": {"activation": "relu"}},
        "spec.output.activation: Unsupported value",
    ),
    "no replicas": ({"replicas": 0}, "To stop the classifier and keep its state, set spec.stopped to true."),
    "more least than most replicas": (
        {"autoscaling": {"minReplicas": 3, "maxReplicas": 2}},
        "minReplicas is greater than maxReplicas",
    ),
    "the default least replicas above the most": (
        {"autoscaling": {"maxReplicas": 0}},
        "greater than or equal to 1",
    ),
    "autoscaling without a CPU request": (
        {"autoscaling": {"maxReplicas": 2}, "serving": {"resources": {"limits": {"memory": "1Gi"}}}},
        "Set serving.resources.requests.cpu",
    ),
    "more least than most gateways": (
        {"gateway": {"autoscaling": {"minReplicas": 3, "maxReplicas": 2}}},
        "minReplicas is greater than maxReplicas",
    ),
    "autoscaling of the gateway without a CPU request": (
        {
            "gateway": {
                "autoscaling": {"maxReplicas": 2},
                "resources": {"limits": {"memory": "1Gi"}, "requests": {"memory": "1Gi"}},
            }
        },
        "Set gateway.resources.requests.cpu",
    ),
    "a quantity that is none": (
        {"serving": {"resources": {"limits": {"cpu": "fast"}}}},
        "resources.limits.cpu",
    ),
    "a request above the limit": (
        {"serving": {"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1500M"}}}},
        "A request exceeds the limit",
    ),
    "a request above the limit, one of them a bare number": (
        {"gateway": {"resources": {"requests": {"cpu": "1100m"}, "limits": {"cpu": 1}}}},
        "A request exceeds the limit",
    ),
    "an amount below 0": (
        {"serving": {"resources": {"limits": {"cpu": "-1"}}}},
        "An amount is negative",
    ),
    "a resource that there is not": (
        {"serving": {"resources": {"limits": {"gpu": 1}}}},
        "a device with its domain, such as nvidia.com/gpu",
    ),
    "a device that is requested without a limit": (
        {"serving": {"resources": {"requests": {"nvidia.com/gpu": 1}}}},
        "Set the same amount in requests and limits",
    ),
    "a node port without a node": (
        {"gateway": {"service": {"type": "ClusterIP", "nodePort": 30080}}},
        "A Service of type ClusterIP has no node port",
    ),
    "a class without a load balancer": (
        {"gateway": {"service": {"loadBalancerClass": "a/b"}}},
        "Only a Service of type LoadBalancer has a class and source ranges",
    ),
    "source ranges without a load balancer": (
        {"gateway": {"service": {"type": "NodePort", "loadBalancerSourceRanges": ["10.0.0.0/8"]}}},
        "Only a Service of type LoadBalancer has a class and source ranges",
    ),
    "a source range that is an address": (
        {"gateway": {"service": {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.1"]}}},
        "spec.gateway.service.loadBalancerSourceRanges[0]",
    ),
    "a policy for traffic that there is not": (
        {"gateway": {"service": {"externalTrafficPolicy": "Local"}}},
        "A Service of type ClusterIP has no traffic from outside",
    ),
    "a route to no Gateway": ({"gateway": {"httpRoute": {"parentRefs": []}}}, "at least 1 item"),
    "a route whose host is a URL": (
        {"gateway": {"httpRoute": {"parentRefs": [{"name": "a"}], "hostnames": ["http://a"]}}},
        "hostnames[0]",
    ),
    "a path prefix that ends with a slash": (
        {"gateway": {"httpRoute": {"parentRefs": [{"name": "a"}], "pathPrefix": "/pizza/"}}},
        "The value is not a path such as /pizza",
    ),
    "a rewrite of the path beside a path prefix": (
        {
            "gateway": {
                "httpRoute": {
                    "parentRefs": [{"name": "a"}],
                    "pathPrefix": "/pizza",
                    "filters": [{"type": "URLRewrite", "urlRewrite": {"hostname": "b"}}],
                }
            }
        },
        "Remove the filter URLRewrite",
    ),
    "a route that only redirects": (
        {"gateway": {"httpRoute": {"parentRefs": [{"name": "a"}], "filters": [{"type": "RequestRedirect"}]}}},
        "Remove the filter RequestRedirect",
    ),
    "a proxy without its port": (
        {"gateway": {"urls": {"proxy": {"host": "proxy.example.org"}}}},
        "proxy.port: Required value",
    ),
    "a proxy that is a URL": (
        {"gateway": {"urls": {"proxy": {"host": "http://proxy.example.org", "port": 3128}}}},
        "spec.gateway.urls.proxy.host",
    ),
    "an unknown service type": ({"gateway": {"service": {"type": "ExternalName"}}}, "Unsupported value"),
    "a host that is a URL": (
        {"gateway": {"urls": {"allowedHosts": ["https://example.org"]}}},
        "spec.gateway.urls.allowedHosts[0]",
    ),
    "the same host twice": (
        {"gateway": {"urls": {"allowedHosts": ["example.org", "example.org"]}}},
        "Duplicate value",
    ),
    "authentication that names nothing": (
        {"gateway": {"authentication": {}}},
        "authentication has no apiKeys, so the gateway would be open",
    ),
    "API keys without a Secret": (
        {"gateway": {"authentication": {"apiKeys": {}}}},
        "spec.gateway.authentication.apiKeys.secretName: Required value",
    ),
    "TLS without a Secret": ({"gateway": {"tls": {}}}, "spec.gateway.tls.secretName: Required value"),
    "a Secret with a name that no Secret can have": (
        {"gateway": {"authentication": {"apiKeys": {"secretName": "Pizza_Keys"}}}},
        "The name of the Secret is invalid",
    ),
    "an origin with a final slash": (
        {"gateway": {"cors": {"allowedOrigins": ["https://app.example.org/"]}}},
        "Use a scheme and a host in lower case",
    ),
    "an origin without a scheme": (
        {"gateway": {"cors": {"allowedOrigins": ["app.example.org"]}}},
        "Use a scheme and a host in lower case",
    ),
    "an origin with a wildcard": (
        {"gateway": {"cors": {"allowedOrigins": ["https://*.example.org"]}}},
        "Use a scheme and a host in lower case",
    ),
    "every origin and one more": (
        {"gateway": {"cors": {"allowedOrigins": ["*", "https://app.example.org"]}}},
        "Remove the other origins",
    ),
    "steps that go down": (
        {"rollout": {"steps": [{"percent": 50}, {"percent": 10}]}},
        "A step has no larger share",
    ),
    "the same step twice": ({"rollout": {"steps": [{"percent": 5}, {"percent": 5}]}}, "Duplicate value"),
    "a step above 100": ({"rollout": {"steps": [{"percent": 101}]}}, "less than or equal to 100"),
    "sticky by nothing": ({"rollout": {"sticky": {}}}, "Set exactly one of header and cookie"),
    "sticky by two": (
        {"rollout": {"sticky": {"header": "a", "cookie": "b"}}},
        "Set exactly one of header and cookie",
    ),
    "a header with a space": ({"rollout": {"sticky": {"header": "a b"}}}, "spec.rollout.sticky.header"),
    "an agreement above 100 %": (
        {"rollout": {"shadow": {"percent": 5, "minAgreementRate": "950%"}}},
        NO_PERCENTAGE,
    ),
    "an increase of the error rate that is no percentage": (
        {"rollout": {"limits": {"errorRateIncrease": "0.01"}}},
        NO_PERCENTAGE,
    ),
    "an acceptance case without picture": ({"rollout": case()}, "Set exactly one of base64"),
    "an acceptance case with two pictures": (
        {"rollout": case(base64="AAAA", url="https://example.org/a.jpg")},
        "Set exactly one of base64",
    ),
    "a picture that is no base64": ({"rollout": case(base64="not base64!")}, "base64"),
    "a picture behind another scheme": ({"rollout": case(url="file:///etc/passwd")}, "picture.url"),
    "a field that does not exist": ({"replica": 3}, 'unknown field "spec.replica"'),
}


@pytest.mark.parametrize("what", REFUSED)
def test_is_refused_with_a_message_that_names_the_field(create: Apply, what: str) -> None:
    spec, message = REFUSED[what]
    with pytest.raises(ApiError) as refusal:
        create(**spec)
    assert message in refusal.value.message


@pytest.mark.parametrize("name", ["1pizza", "p.izza", "pizza-a-very-long-name-that-goes-on-and-on-1"])
def test_a_name_that_no_service_can_have_is_refused(create: Apply, name: str) -> None:
    with pytest.raises(ApiError, match="names of Services are made from it"):
        create(name=name)


def test_the_smallest_spec_is_taken_and_filled_with_defaults(create: Apply) -> None:
    stored = create()["spec"]
    assert stored["replicas"] == 1
    assert stored["gateway"]["service"] == {"type": "ClusterIP"}
    assert stored["serving"]["resources"]["requests"]["cpu"] == "100m"
    assert stored["rollout"]["limits"] == {"errorRateIncrease": "1%"}


@pytest.mark.parametrize(
    "resources",
    [
        {"requests": {"cpu": 1, "memory": "1.5Gi"}, "limits": {"cpu": "1000m", "memory": "2e9"}},
        {"limits": {"nvidia.com/gpu": 1, "ephemeral-storage": "1Gi"}},
        {"requests": {"nvidia.com/gpu": "1"}, "limits": {"nvidia.com/gpu": 1, "hugepages-2Mi": "4Mi"}},
        {},
    ],
)
def test_resources_that_kubernetes_takes_are_taken(create: Apply, resources: dict[str, Any]) -> None:
    assert create(serving={"resources": resources}, gateway={"resources": resources})


@pytest.mark.parametrize(
    "origins",
    [["*"], ["https://app.example.org", "http://localhost:3000", "http://[::1]:8080", "http://10.0.0.7"], []],
)
def test_origins_as_browsers_send_them_are_taken(create: Apply, origins: list[str]) -> None:
    assert create(gateway={"cors": {"allowedOrigins": origins}})


def test_a_picture_in_standard_base64_is_taken(create: Apply) -> None:
    """With + and /, which CEL's own decoder of `format: byte` refuses."""
    picture = base64.b64encode(bytes(range(256))).decode()
    assert {"+", "/", "="} <= set(picture)
    create(rollout=case(base64=picture))


def test_a_label_as_long_as_models_have_them_can_be_expected(create: Apply) -> None:
    """ImageNet calls a class by all of its synonyms."""
    acceptance = {"cases": [{"name": "a", "label": "dog, " * 40, "picture": {"base64": "AAAA"}}]}
    create(rollout={"acceptance": acceptance})


@pytest.mark.parametrize(
    "uri", ["models:/our flowers/{version}", "models:/flowers/7", "models:/a.b.c@best-1"]
)
def test_models_of_a_registry_are_taken(create: Apply, uri: str) -> None:
    create(**storage(uri=uri, endpoint="https://mlflow.example.org"))


@pytest.mark.parametrize(
    ("cpu", "memory", "pixels"), [("1", "1Gi", 80_000_000), ("2", "2Gi", 100_000_000), ("1", "512Mi", 65_536)]
)
def test_more_pixels_are_taken_with_the_memory_for_them(
    create: Apply, cpu: str, memory: str, pixels: int
) -> None:
    limits = {"cpu": cpu, "memory": memory}
    create(gateway={"maxImagePixels": pixels, "resources": {"limits": limits}})
