"""Specs of every shape, and all children that are rendered for one: what several tests look at."""

from typing import Any

from imageclassifier_operator import api, render

SETTINGS = render.Installation(gateway_image="gateway:test", operator_namespace="operators")


def template(container: str, **fields: Any) -> dict[str, Any]:
    """A template with everything that one may have, but what the cluster must know already."""
    added = {
        "env": [
            {"name": "TZ", "value": "UTC"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "tokens", "key": "pizza"}}},
        ],
        "envFrom": [{"prefix": "A_", "configMapRef": {"name": "settings", "optional": True}}],
        "volumeMounts": [{"name": "ca", "mountPath": "/ca", "readOnly": True}],
        **fields,
    }
    constraint = {"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "ScheduleAnyway"}
    return {
        "metadata": {"labels": {"team": "food"}, "annotations": {"example.org/cost": "low"}},
        "spec": {
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "affinity": {"nodeAffinity": {}},
            "topologySpreadConstraints": [constraint],
            "schedulerName": "volcano",
            "serviceAccountName": "reader",
            "securityContext": {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 2000},
            "volumes": [
                {"name": "ca", "configMap": {"name": "ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}},
                {"name": "all", "projected": {"sources": [{"secret": {"name": "tokens"}}]}},
            ],
            "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
            "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["models"]}],
            "containers": [{"name": container, **added}],
        },
    }


SPECS: dict[str, dict[str, Any]] = {
    "smallest": {"model": {"version": 3, "source": {"image": {"reference": "pizza-model:{version}"}}}},
    "volume": {
        "model": {"version": 3, "source": {"persistentVolumeClaim": {"claimName": "models", "path": "a/b"}}}
    },
    "templates": {
        "model": {"version": 3, "source": {"image": {"reference": "pizza-model:{version}"}}},
        "serving": {"template": template("model-server", args=["--enable_profiler=false"])},
        "gateway": {"template": template("gateway")},
        "verification": {"template": template("verify")},
    },
    "proxy": {
        "model": {"version": 3, "source": {"image": {"reference": "pizza-model:{version}"}}},
        "gateway": {
            "urls": {
                "proxy": {
                    "host": "proxy.example.org",
                    "port": 3128,
                    "directHosts": ["*.corp.example"],
                    "credentialsSecret": {"name": "proxy"},
                },
                "caBundle": {"configMap": {"name": "authorities", "key": "ca.pem"}},
                "userAgent": "ours/1",
            },
        },
    },
    "load balancer": {
        "model": {"version": 3, "source": {"image": {"reference": "pizza-model:{version}"}}},
        "gateway": {
            "service": {
                "type": "LoadBalancer",
                "loadBalancerClass": "example.org/internal",
                "loadBalancerSourceRanges": ["10.0.0.0/8", "2001:db8::/32"],
                "externalTrafficPolicy": "Local",
            }
        },
    },
    "everything": {
        "model": {
            "name": "pizza-model",
            "version": 3,
            "source": {
                "image": {
                    "reference": "registry.example/pizza-model:{version}",
                    "pullPolicy": "Always",
                    "pullSecrets": [{"name": "models"}, {"name": "registry"}],
                }
            },
        },
        "replicas": 3,
        "autoscaling": {"minReplicas": 2, "maxReplicas": 5, "targetCPUUtilizationPercentage": 60},
        "classes": [{"name": "not_pizza"}, {"name": "pizza"}],
        "input": {"height": 224, "width": 224},
        "output": {"threshold": "40%"},
        "serving": {
            "image": "server:1",
            "imagePullPolicy": "Never",
            "imagePullSecrets": [{"name": "registry"}, {"name": "servers"}],
            "resources": {
                "requests": {"cpu": "0.5", "memory": "1024Mi"},
                "limits": {"cpu": 1.5, "memory": "2Gi"},
            },
            "batching": {"maxBatchSize": 8, "timeoutMicroseconds": 2000, "maxEnqueuedBatches": 50},
            "template": {
                "spec": {
                    "nodeSelector": {"pool": "cpu"},
                    "tolerations": [{"key": "pool", "operator": "Exists", "effect": "NoSchedule"}],
                    "affinity": {
                        "podAntiAffinity": {
                            "preferredDuringSchedulingIgnoredDuringExecution": [
                                {
                                    "weight": 1,
                                    "podAffinityTerm": {
                                        "topologyKey": "kubernetes.io/hostname",
                                        "labelSelector": {"matchLabels": {"busy": "yes"}},
                                    },
                                }
                            ]
                        }
                    },
                    "priorityClassName": "system-cluster-critical",
                }
            },
        },
        "gateway": {
            "image": "gateway:1",
            "imagePullPolicy": "IfNotPresent",
            "imagePullSecrets": [{"name": "gateways"}],
            "replicas": 4,
            "resources": {"limits": {"cpu": "0.5", "memory": "512Mi"}},
            "service": {"type": "NodePort", "port": 8080, "nodePort": 31987, "annotations": {"a": "b"}},
            "ingress": {
                "host": "pizza.example.org",
                "className": "nginx",
                "tls": {"secretName": "pizza-tls"},
                "annotations": {"c": "d"},
            },
            "urls": {"allowedHosts": ["example.org", "*.example.com"], "allowPrivateNetworks": True},
            "tls": {"secretName": "pizza-inside-tls"},
            "authentication": {"apiKeys": {"secretName": "pizza-keys"}},
            "cors": {"allowedOrigins": ["https://app.example.org", "http://localhost:3000"]},
            "maxImageBytes": 1_000_000,
            "maxImagePixels": 1_000_000,
            "timeoutSeconds": 20,
        },
        "rollout": {
            "acceptance": {
                "cases": [
                    {
                        "name": "a",
                        "label": "pizza",
                        "picture": {"configMapKeyRef": {"name": "pictures", "key": "a.jpg"}},
                    },
                    {"name": "b", "label": "pizza", "picture": {"url": "https://example.org/b.jpg"}},
                ]
            }
        },
    },
}


def classifier(body: dict[str, Any]) -> api.ImageClassifier:
    metadata = {"name": "pizza", "namespace": "food", "uid": "u-1", "generation": 1}
    return api.parse({"metadata": metadata, "spec": body})


def serving_children(served: api.ModelVersion) -> dict[str, dict[str, Any]]:
    """The children of one version, by kind."""
    ic = classifier(SPECS["smallest"])
    return {each["kind"]: each for each in render.serving_children(ic, served, 1)}


def all_children(body: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Every child of an ImageClassifier with the spec `body`, by kind and name."""
    ic = classifier(body)
    served = ic.candidate("tensorflow/serving:test")
    children = (
        *render.serving_children(ic, served, ic.replicas),
        render.gateway_deployment(ic, SETTINGS, 0 if ic.stopped else ic.gateway.replicas),
        *render.shared_children(ic, SETTINGS),
        render.routing_config_map(ic, "{}", "{}"),
        *render.verify_job(ic, served, "{}", served.input_hash, SETTINGS),
    )
    return {(child["kind"], child["metadata"]["name"]): child for child in children}
