"""The words of logs and messages: cut to a length, and the same at each retry."""

import doctest

from broken_pods import LOAD_ERROR, crashed, pod, waiting
from imageclassifier_operator.observe import log_excerpts
from imageclassifier_operator.observe.pod_problems import diagnose


def test_a_container_that_cannot_start_has_the_same_message_at_every_retry():
    message = 'failed to create containerd task: exec: "server": executable file not found in $PATH'
    again = crashed("StartError", message, code=128)
    trying = {**again, "state": {"waiting": {"reason": "RunContainerError", "message": message}}}
    assert diagnose([pod(containers=[again])]) == diagnose([pod(containers=[trying])])


def test_a_failed_pull_has_the_same_message_while_the_kubelet_backs_off():
    detail = 'failed to pull and unpack image "x": not found'
    first = diagnose([pod(containers=[waiting("ErrImagePull", detail)])])
    then = diagnose(
        [pod(containers=[waiting("ImagePullBackOff", f'Back-off pulling image "x": ErrImagePull: {detail}')])]
    )
    assert first == then


def test_a_crashing_container_has_the_same_message_while_it_restarts():
    again = crashed(message=LOAD_ERROR)
    running = {**again, "state": {"running": {}}, "started": False}
    assert diagnose([pod(containers=[again])]) == diagnose([pod(containers=[running])])


def test_a_long_message_is_cut():
    problem = diagnose([pod(containers=[waiting("ErrImagePull", "x" * 5000)])])
    assert len(problem.message) < 600


def test_a_crash_has_the_same_message_although_its_log_has_timestamps():
    first = '{"time": "10:00", "level": "error", "message": "Worker failed to boot."}'
    then = '{"time": "10:09", "level": "error", "message": "Worker failed to boot."}'
    told = [diagnose([pod(containers=[crashed(message=message)])]) for message in (first, then)]
    assert told[0] == told[1]
    assert "Worker failed to boot" in told[0].message


def test_a_log_line_is_reported_without_its_time_and_with_all_of_its_words():
    lines = {
        "The model cannot be read": "The model cannot be read",
        "2026-01-01 10:00:00.123456: E external/tf/loader.cc:7] no graph, error 5": "no graph, error 5",
        "2026-01-01T10:00:00Z Zones cannot be read": "Zones cannot be read",
        "10:00:00 cannot begin": "cannot begin",
        "7 of 9 files cannot be read": "7 of 9 files cannot be read",
    }
    for line, told in lines.items():
        assert f"exit code 1: {told}. Look" in diagnose([pod(containers=[crashed(message=line)])]).message


def test_the_examples_of_how_words_are_taken_out_are_true():
    assert doctest.testmod(log_excerpts).failed == 0
