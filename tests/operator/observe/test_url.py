"""The URL in the status."""

from typing import Any

import pytest

from imageclassifier_operator import api
from imageclassifier_operator.observe.ways_in import url, way_in_problem

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
        ({"httpRoute": {"parentRefs": [{"name": "web"}]}}, {}, ""),
        ({"httpRoute": {"parentRefs": [{"name": "web"}], "hostnames": ["*.example.org"]}}, {}, ""),
        (
            {
                "httpRoute": {
                    "parentRefs": [{"name": "web"}],
                    "hostnames": ["a.example.org"],
                    "scheme": "https",
                }
            },
            {},
            "https://a.example.org/",
        ),
        (
            {
                "httpRoute": {
                    "parentRefs": [{"name": "web"}],
                    "hostnames": ["a.example.org"],
                    "pathPrefix": "/ml/pizza",
                }
            },
            {},
            "http://a.example.org/ml/pizza/",
        ),
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


ROUTE = {"parentRefs": [{"name": "web"}]}


def route(*conditions: dict[str, str]) -> dict[str, Any]:
    parents = [{"parentRef": {"name": "web"}, "conditions": list(conditions)}] if conditions else []
    return {"metadata": {"name": "pizza-gateway"}, "status": {"parents": parents}}


@pytest.mark.parametrize(
    ("gateway", "service", "live_route", "words"),
    [
        ({}, {}, None, ""),
        ({"service": {"type": "NodePort"}}, {}, None, ""),
        ({"service": {"type": "LoadBalancer"}}, None, None, ""),
        ({"service": {"type": "LoadBalancer"}}, balanced(ip="192.0.2.7"), None, ""),
        (
            {"service": {"type": "LoadBalancer", "port": 81}},
            {"status": {"loadBalancer": {}}},
            None,
            "run kubectl -n shop port-forward service/pizza-gateway 8080:81 and use http://localhost:8080/.",
        ),
        (
            {"service": {"type": "LoadBalancer"}, "tls": {"secretName": "pizza-tls"}},
            {"status": {"loadBalancer": {}}},
            None,
            "service/pizza-gateway 8080:443 and use https://localhost:8080/.",
        ),
        ({"service": {"type": "LoadBalancer"}, "ingress": {"host": "a.example.org"}}, {}, None, ""),
        ({"httpRoute": ROUTE}, {}, None, ""),
        ({"httpRoute": ROUTE}, {}, route(), "No Gateway has taken HTTPRoute pizza-gateway yet."),
        (
            {"httpRoute": ROUTE},
            {},
            route({"type": "Accepted", "status": "False", "reason": "NotAllowedByListeners", "message": "m"}),
            "Gateway web does not route to HTTPRoute pizza-gateway (NotAllowedByListeners): m. Check",
        ),
        ({"httpRoute": ROUTE}, {}, route({"type": "Accepted", "status": "True", "reason": "Accepted"}), ""),
    ],
)
def test_what_keeps_users_out_is_reported_with_what_to_do(
    gateway: dict[str, Any], service: dict[str, Any] | None, live_route: dict[str, Any] | None, words: str
) -> None:
    problem = way_in_problem(classifier(**gateway), service, live_route)
    assert problem == "" if not words else words in problem
