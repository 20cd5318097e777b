"""The URL in the status."""

from typing import Any

import pytest

from imageclassifier_operator import api
from imageclassifier_operator.observe.objects import url

INSIDE = "http://pizza-gateway.shop.svc/"


def classifier(**gateway: Any) -> api.ImageClassifier:
    return api.parse(
        {
            "metadata": {"name": "pizza", "namespace": "shop", "uid": "u", "generation": 1},
            "spec": {
                "model": {"version": 1, "source": {"image": {"reference": "pizza-model:{version}"}}},
                "gateway": gateway,
            },
        }
    )


def balanced(**address: str) -> dict[str, Any]:
    return {"status": {"loadBalancer": {"ingress": [address]}}}


@pytest.mark.parametrize(
    ("gateway", "service", "address"),
    [
        ({}, {}, INSIDE),
        ({"service": {"type": "ClusterIP"}}, {}, INSIDE),
        ({"service": {"type": "ClusterIP", "port": 8080}}, {}, "http://pizza-gateway.shop.svc:8080/"),
        ({"service": {"type": "NodePort"}}, {}, INSIDE),
        ({"tls": {"secretName": "t"}}, {}, "https://pizza-gateway.shop.svc/"),
        ({"tls": {"secretName": "t"}, "service": {"port": 80}}, {}, "https://pizza-gateway.shop.svc:80/"),
        ({"service": {"type": "LoadBalancer"}}, None, ""),
        ({"service": {"type": "LoadBalancer"}}, {"status": {"loadBalancer": {}}}, ""),
        ({"service": {"type": "LoadBalancer"}}, balanced(ip="192.0.2.7"), "http://192.0.2.7/"),
        ({"service": {"type": "LoadBalancer"}}, balanced(ip="2001:db8::7"), "http://[2001:db8::7]/"),
        (
            {"service": {"type": "LoadBalancer", "port": 81}},
            balanced(hostname="lb.example.org"),
            "http://lb.example.org:81/",
        ),
        ({"ingress": {"host": "pizza.example.org"}}, None, "http://pizza.example.org/"),
        ({"ingress": {"host": "*.example.org"}}, balanced(ip="192.0.2.7"), ""),
        (
            {"ingress": {"host": "pizza.example.org", "tls": {"secretName": "pizza-tls"}}},
            balanced(ip="192.0.2.7"),
            "https://pizza.example.org/",
        ),
    ],
)
def test_the_url_is_where_users_reach_the_gateway_as_far_as_it_is_known(
    gateway: dict[str, Any], service: dict[str, Any] | None, address: str
) -> None:
    assert url(classifier(**gateway), service) == address
