"""Settings come from the environment; a value that cannot be used is named."""

from __future__ import annotations

import pytest

from imageclassifier_gateway.config import SettingError, Settings, read_settings


def test_without_any_variable_the_defaults_hold() -> None:
    assert read_settings({}) == Settings()


def test_every_variable_is_read() -> None:
    settings = read_settings(
        {
            "GATEWAY_ROUTING_FILE": "/r/routing.json",
            "GATEWAY_PORT": "1",
            "GATEWAY_INTERNAL_PORT": "2",
            "GATEWAY_MAX_IMAGE_BYTES": "1000",
            "GATEWAY_MAX_IMAGE_PIXELS": "70000",
            "GATEWAY_TIMEOUT_SECONDS": "2.5",
            "GATEWAY_URL_ALLOWED_HOSTS": "Example.org, *.pizza.example.,",
            "GATEWAY_URL_ALLOW_PRIVATE_NETWORKS": "true",
            "GATEWAY_URL_USER_AGENT": "ours/1 (ours@example.org)",
            "GATEWAY_URL_PROXY": "http://proxy.example.org:3128",
            "GATEWAY_URL_PROXY_DIRECT_HOSTS": "*.corp.example",
            "GATEWAY_URL_PROXY_USER": "pizza",
            "GATEWAY_URL_PROXY_PASSWORD": "secret",
            "GATEWAY_URL_CA_FILE": "/ca/ca.crt",
            "GATEWAY_CORS_ALLOWED_ORIGINS": "https://app.example.org, http://[::1]:3000,",
            "GATEWAY_CPU_LIMIT": "2",
            "GATEWAY_DRAIN_SECONDS": "7",
        }
    )
    assert str(settings.routing_file) == "/r/routing.json"
    assert (settings.port, settings.internal_port, settings.max_image_bytes) == (1, 2, 1000)
    assert settings.max_image_pixels == 70_000
    assert (settings.timeout_seconds, settings.drain_seconds) == (2.5, 7)
    assert settings.url_allowed_hosts == ("example.org", "*.pizza.example")
    assert settings.url_allow_private_networks
    assert settings.url_user_agent == "ours/1 (ours@example.org)"
    assert settings.url_proxy == "http://proxy.example.org:3128"
    assert settings.url_proxy_direct_hosts == ("*.corp.example",)
    assert (settings.url_proxy_user, settings.url_proxy_password) == ("pizza", "secret")
    assert "secret" not in repr(settings)
    assert str(settings.url_ca_file) == "/ca/ca.crt"
    assert settings.cors_allowed_origins == ("https://app.example.org", "http://[::1]:3000")
    assert settings.decoding_threads == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_PORT", "http"),
        ("GATEWAY_PORT", "70000"),
        ("GATEWAY_MAX_IMAGE_BYTES", "0"),
        ("GATEWAY_MAX_IMAGE_BYTES", "1.5"),
        ("GATEWAY_TIMEOUT_SECONDS", "nan"),
        ("GATEWAY_TIMEOUT_SECONDS", "0"),
        ("GATEWAY_URL_ALLOW_PRIVATE_NETWORKS", "yes"),
        ("GATEWAY_URL_USER_AGENT", "a\r\nHost: b"),
        ("GATEWAY_URL_ALLOWED_HOSTS", "a.*.example"),
        ("GATEWAY_URL_ALLOWED_HOSTS", "*"),
        ("GATEWAY_URL_PROXY", "https://proxy.example.org:3128"),
        ("GATEWAY_URL_PROXY", "http://user:password@proxy.example.org:3128"),
        ("GATEWAY_URL_PROXY", "http://proxy.example.org"),
        ("GATEWAY_URL_PROXY", "http://proxy.example.org:70000"),
        ("GATEWAY_URL_PROXY_DIRECT_HOSTS", "*"),
        ("GATEWAY_CORS_ALLOWED_ORIGINS", "app.example.org"),
        ("GATEWAY_CORS_ALLOWED_ORIGINS", "https://app.example.org/"),
        ("GATEWAY_CORS_ALLOWED_ORIGINS", "https://*.example.org"),
        ("GATEWAY_CORS_ALLOWED_ORIGINS", "null"),
        ("GATEWAY_CPU_LIMIT", "-1"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name):
        read_settings({name: value})


def test_decoding_threads_follow_the_cpu_limit() -> None:
    for cores in (0.1, 1, 2, 8):
        assert Settings(cpu_limit=cores).decoding_threads >= cores


def test_a_node_with_many_cores_makes_no_more_threads_than_one_process_can_use() -> None:
    assert Settings(cpu_limit=1024).decoding_threads == 8
