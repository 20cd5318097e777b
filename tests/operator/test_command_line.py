"""`imageclassifier-operator --help`, and what ends the operator before it starts."""

import os
import subprocess
import sys

import pytest
from recording_environment import RecordingEnvironment

from imageclassifier_operator.settings import VARIABLES, DnsPlace, SettingError, Settings

ENVIRONMENT = {
    "IMAGECLASSIFIER_GATEWAY_IMAGE": "imageclassifier/gateway:dev",
    "POD_NAME": "operator-1",
    "POD_NAMESPACE": "imageclassifier-system",
}
OUTSIDE_OF_THE_SETTINGS = {"KUBECONFIG", "OTEL_EXPORTER_OTLP_ENDPOINT"}  # the client and `tracing` read them


def operator(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "imageclassifier_operator", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_needs_no_setting_and_lists_each_with_its_default() -> None:
    result = operator("--help")
    assert result.returncode == 0, result.stderr
    shown = " ".join(result.stdout.split())
    for variable in VARIABLES:
        assert f"{variable.name} {variable.text}" in shown
    assert "example" in shown
    assert len(result.stdout.splitlines()) <= 55


def test_the_variables_of_the_help_are_those_that_are_read() -> None:
    environment = RecordingEnvironment(ENVIRONMENT)
    Settings.from_environment(environment)
    assert environment.read | OUTSIDE_OF_THE_SETTINGS == {variable.name for variable in VARIABLES}


def test_the_defaults_of_the_help_are_those_that_are_used() -> None:
    shown = {variable.name: variable.default for variable in VARIABLES if variable.default.isdecimal()}
    shown["IMAGECLASSIFIER_SERVING_IMAGE"] = next(
        variable.default for variable in VARIABLES if variable.name == "IMAGECLASSIFIER_SERVING_IMAGE"
    )
    assert Settings.from_environment({**ENVIRONMENT, **shown}) == Settings.from_environment(ENVIRONMENT)


@pytest.mark.parametrize("argument", ["--verbose", "--hel", "start"])
def test_an_unknown_argument_is_one_line_with_exit_code_2(argument: str) -> None:
    result = operator(argument)
    assert (result.returncode, result.stdout) == (2, "")
    [line] = result.stderr.splitlines()
    assert argument in line
    assert "imageclassifier-operator --help" in line


def test_a_missing_setting_is_one_line_with_exit_code_2() -> None:
    result = operator(IMAGECLASSIFIER_GATEWAY_IMAGE="")
    assert (result.returncode, result.stdout) == (2, "")
    [line] = result.stderr.splitlines()
    assert "IMAGECLASSIFIER_GATEWAY_IMAGE is not set" in line


@pytest.mark.parametrize(
    "variable", [each for each in VARIABLES if each.required], ids=lambda each: each.name
)
def test_each_required_setting_is_required(variable: object) -> None:
    name = str(getattr(variable, "name", ""))
    with pytest.raises(SettingError, match=name):
        Settings.from_environment({**ENVIRONMENT, name: ""})


@pytest.mark.parametrize("text", ["Monitoring", "a.b", "-a", "a" * 64])
def test_an_invalid_namespace_of_prometheus_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match=f"PROMETHEUS_NAMESPACE is '{text}'.*not the name of a namespace"):
        Settings.from_environment({**ENVIRONMENT, "IMAGECLASSIFIER_PROMETHEUS_NAMESPACE": text})


@pytest.mark.parametrize("text", ["many", "-1", "70000", "8080.5", "٣"])
def test_an_invalid_port_is_named_with_its_limits(text: str) -> None:
    with pytest.raises(SettingError, match=f"IMAGECLASSIFIER_PROBE_PORT is '{text}'.*from 0 to 65535"):
        Settings.from_environment({**ENVIRONMENT, "IMAGECLASSIFIER_PROBE_PORT": text})


def test_places_of_dns_are_namespaces_addresses_and_blocks() -> None:
    text = "namespace/openshift-dns:5353, 10.96.0.10,10.0.0.0/24:54,[fd00::a]:5353,[fd00::/64]"
    assert Settings.from_environment({**ENVIRONMENT, "IMAGECLASSIFIER_DNS": text}).dns == (
        DnsPlace(namespace="openshift-dns", port=5353),
        DnsPlace(block="10.96.0.10/32"),
        DnsPlace(block="10.0.0.0/24", port=54),
        DnsPlace(block="fd00::a/128", port=5353),
        DnsPlace(block="fd00::/64"),
    )


@pytest.mark.parametrize(
    "text",
    ["openshift-dns", "namespace/A", "10.96.0.300", "10.0.0.1/24", "10.0.0.1:0", "fd00::a", "[10.0.0.1]x"],
)
def test_a_place_of_dns_that_cannot_be_used_is_named(text: str) -> None:
    with pytest.raises(SettingError, match="IMAGECLASSIFIER_DNS has '"):
        Settings.from_environment({**ENVIRONMENT, "IMAGECLASSIFIER_DNS": text})


def test_policies_are_left_to_the_cluster_by_false() -> None:
    def policies(text: str) -> bool:
        environment = {**ENVIRONMENT, "IMAGECLASSIFIER_NETWORK_POLICIES": text}
        return Settings.from_environment(environment).network_policies

    assert (policies(""), policies("true"), policies("false")) == (True, True, False)
    with pytest.raises(SettingError, match=r"IMAGECLASSIFIER_NETWORK_POLICIES is 'no'\. It must be true or"):
        policies("no")


def test_the_process_may_open_as_many_files_as_the_container_allows() -> None:
    """Some container runtimes begin with a soft limit of 1,024, and a thousand classifiers need more."""
    code = (
        "import resource; from imageclassifier_operator import __main__ as program; "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 4096)); program._allow_many_files(); "
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown == "(4096, 4096)\n"
