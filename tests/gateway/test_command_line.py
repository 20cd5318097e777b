"""`--help` of the gateway and of the verification, and the message for a wrong argument."""

from __future__ import annotations

import subprocess
import sys

import pytest
from recording_environment import RecordingEnvironment

from imageclassifier_gateway.config import VARIABLES, Settings, read_settings


def program(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False
    )


def test_help_lists_each_setting_with_its_default() -> None:
    result = program("imageclassifier_gateway", "--help")
    assert result.returncode == 0, result.stderr
    shown = " ".join(result.stdout.split())
    for variable in VARIABLES:
        assert f"{variable.name} {variable.meaning} (default: {variable.default})" in shown
    assert "example" in shown
    assert len(result.stdout.splitlines()) <= 75


def test_the_variables_of_the_help_are_those_that_are_read() -> None:
    environment = RecordingEnvironment({})
    read_settings(environment)
    read_elsewhere = {"OTEL_EXPORTER_OTLP_ENDPOINT"}  # by `tracer_of`
    assert environment.read | read_elsewhere == {variable.name for variable in VARIABLES}


DESCRIBED = ("none", "all public hosts", "imageclassifier-gateway and its version")
"""Defaults that are no value of the variable, because it is not set."""


def test_the_defaults_of_the_help_are_those_that_are_used() -> None:
    shown = {
        variable.name: variable.default.split(",")[0]
        for variable in VARIABLES
        if variable.default not in DESCRIBED
    }
    assert read_settings(shown) == Settings()


def test_the_help_of_the_verification_has_an_example_and_the_exit_codes() -> None:
    result = program("imageclassifier_gateway.verify", "--help")
    assert result.returncode == 0
    assert "--plan FILE" in result.stdout
    assert "example:" in result.stdout
    assert "exit codes:" in result.stdout


@pytest.mark.parametrize("module", ["imageclassifier_gateway", "imageclassifier_gateway.verify"])
@pytest.mark.parametrize("argument", ["--verbose", "start"])
def test_an_unknown_argument_is_one_line_with_exit_code_2(module: str, argument: str) -> None:
    plan = ["--plan", "plan.json"] if module.endswith("verify") else []
    result = program(module, *plan, argument)
    assert (result.returncode, result.stdout) == (2, "")
    [line] = result.stderr.splitlines()
    assert argument in line
    assert "--help" in line
