"""One classifier on a cluster as companies have them, and requests as their users send them.

The namespace admits restricted pods only. The cluster assigns the user of the gateways, a runtime class runs
all pods, and pictures behind URLs come through a proxy from a site with a certificate of a private CA.
"""

import base64
import io
import math
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from PIL import Image, ImageCms

from cluster_testbed import Classifier, Kubectl, Wait, ensure_tiny_models, plain_picture, tiny_classifier
from egress_proxy import PASSWORD, PORT, SITE, USER, EgressProxy, egress_proxy
from imageclassifier_training.exporting.golden_photograph import wide_gamut_profile

pytestmark = pytest.mark.cluster

MODEL = "company-test"
ORIGIN = "https://app.example.org"
ASSIGNED_USER = 1_000_730_000
"""Of the size that OpenShift assigns. No image knows it."""
RUNTIME = "company-runtime"
LABELS, ANNOTATIONS = {"team": "food"}, {"example.org/costs": "low"}
VARIABLE = {"name": "COMPANY", "value": "example"}
MIDDLE, WIDTH = 127.5, 24.0
"""The model says `light` with the probability 1 / (1 + exp((MIDDLE - brightness) / WIDTH))."""


def template(container: str, context: dict[str, Any]) -> dict[str, Any]:
    """A template with everything that the company wants in its pods."""
    spec = {
        "runtimeClassName": RUNTIME,
        "securityContext": context,
        "containers": [{"name": container, "env": [VARIABLE]}],
    }
    return {"metadata": {"labels": LABELS, "annotations": ANNOTATIONS}, "spec": spec}


@pytest.fixture(scope="module")
def proxy(
    module_kubectl: Kubectl, cluster_kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EgressProxy]:
    folder, files = tmp_path_factory.mktemp("site"), {"light.png": plain_picture(215)}
    with egress_proxy(cluster_kubectl, f"{module_kubectl.namespace}-egress", folder, files) as running:
        yield running


@pytest.fixture(scope="module")
def runtime_class(cluster_kubectl: Kubectl) -> Iterator[None]:
    body = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": RUNTIME}}
    cluster_kubectl.apply({**body, "handler": "runc"})
    yield
    cluster_kubectl("delete", "runtimeclass", RUNTIME)


@pytest.fixture(scope="module")
def company(
    installed: object,
    proxy: EgressProxy,
    runtime_class: None,
    module_kubectl: Kubectl,
    cluster_kubectl: Kubectl,
    wait_for: Wait,
) -> Classifier:
    ensure_tiny_models({f"{MODEL}:1": "srgb"})
    restricted = "pod-security.kubernetes.io/enforce=restricted"
    cluster_kubectl("label", "namespace", str(module_kubectl.namespace), restricted)
    source = {"image": {"reference": f"{MODEL}:{{version}}"}}
    body = tiny_classifier("pizza", {"name": MODEL, "version": 1, "source": source})
    body["spec"]["serving"]["template"] = template("model-server", {})
    body["spec"]["gateway"] |= {
        "template": template("gateway", {"runAsUser": ASSIGNED_USER, "runAsGroup": ASSIGNED_USER}),
        "cors": {"allowedOrigins": [ORIGIN]},
        "urls": {
            "proxy": {"host": proxy.host, "port": PORT, "credentialsSecret": {"name": "proxy"}},
            "caBundle": {"configMap": {"name": "authorities", "key": "ca.crt"}},
        },
        "timeoutSeconds": 20,
    }
    password = {"username": USER, "password": PASSWORD}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "proxy"}}
    secret |= {"type": "kubernetes.io/basic-auth"}
    secret |= {"data": {name: base64.b64encode(text.encode()).decode() for name, text in password.items()}}
    authorities = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "authorities"}}
    module_kubectl.apply(secret, {**authorities, "data": {"ca.crt": proxy.ca}}, body)
    classifier = Classifier(module_kubectl, wait_for, "pizza")
    classifier.wait_ready(1)
    return classifier


@pytest.fixture
def gateway(company: Classifier) -> Iterator[str]:
    """The URL of the gateway on this machine."""
    with company.gateway() as port:
        yield f"http://127.0.0.1:{port}"


def predict(gateway: str, **request: Any) -> dict[str, Any]:
    """The response to a request that is answered."""
    response = requests.post(f"{gateway}/predict", **request, timeout=60)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def test_the_pods_have_the_user_the_runtime_class_and_the_labels_of_the_cluster(company: Classifier) -> None:
    kubectl = company.kubectl
    users = {}
    for component, container in (("serving", "model-server"), ("gateway", "gateway")):
        selector = f"--selector=app.kubernetes.io/component={component}"
        [pod] = kubectl.get("pods", selector)["items"]
        assert pod["spec"]["runtimeClassName"] == RUNTIME
        assert LABELS.items() <= pod["metadata"]["labels"].items()
        assert ANNOTATIONS.items() <= pod["metadata"]["annotations"].items()
        ask = "import os; print(os.getuid(), os.environ['COMPANY'])"
        printed = kubectl(
            "exec", pod["metadata"]["name"], f"--container={container}", "--", "python3", "-c", ask
        )
        users[component], variable = printed.split()
        assert variable == VARIABLE["value"]
        if component == "serving":
            assert "runAsUser" not in pod["spec"]["securityContext"]
    assert users["gateway"] == str(ASSIGNED_USER)
    assert users["serving"] != "0"


@pytest.mark.parametrize("form", ["json", "data"], ids=["JSON", "a form"])
def test_a_url_is_fetched_through_the_proxy_from_a_site_of_the_private_authority(
    gateway: str, proxy: EgressProxy, form: str
) -> None:
    before = proxy.connections()
    assert predict(gateway, **{form: {"url": f"https://{SITE}/light.png"}})["label"] == "light"
    assert proxy.connections() == before + 1


def test_only_pages_of_the_allowed_origin_may_read_responses(gateway: str) -> None:
    def allowed_origin(origin: str, method: str, **headers: str) -> str | None:
        response = requests.request(
            method,
            f"{gateway}/predict",
            data=plain_picture(215),
            headers={"Origin": origin, **headers},
            timeout=60,
        )
        assert response.ok or origin != ORIGIN
        return response.headers.get("Access-Control-Allow-Origin")

    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    assert allowed_origin(ORIGIN, "OPTIONS", **preflight) == ORIGIN
    assert allowed_origin(ORIGIN, "POST") == ORIGIN
    assert allowed_origin("https://elsewhere.example.org", "OPTIONS", **preflight) is None
    assert allowed_origin("https://elsewhere.example.org", "POST") is None


@pytest.mark.parametrize(
    "size", [(12_000, 9_000), (16_320, 12_240)], ids=["108 megapixels", "200 megapixels"]
)
def test_a_photograph_of_a_phone_is_classified_whole(gateway: str, size: tuple[int, int]) -> None:
    assert predict(gateway, data=encoded(Image.new("L", size, 215), "JPEG"))["label"] == "light"


def test_the_colours_of_a_wide_gamut_photograph_are_converted(gateway: str) -> None:
    wide = Image.new("RGB", (64, 64), (250, 130, 40))
    profile = wide_gamut_profile()
    converted = ImageCms.profileToProfile(
        wide, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    )
    assert converted is not None

    def brightness(picture: bytes) -> float:
        light = predict(gateway, data=picture)["probabilities"]["light"]
        return MIDDLE - WIDTH * math.log(1 / light - 1)

    def mean(picture: Image.Image) -> float:
        return sum(picture.getpixel((0, 0))) / 3  # type: ignore[arg-type]

    assert abs(mean(converted) - mean(wide)) > 3
    assert brightness(encoded(wide, "PNG", icc_profile=profile)) == pytest.approx(mean(converted), abs=1)
    assert brightness(encoded(wide, "PNG")) == pytest.approx(mean(wide), abs=1)
