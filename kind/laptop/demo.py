"""`make demo`: from nothing to something to look at. So far a Ready node; the product's steps follow here."""

import shutil

from laptop import cluster, engine


def run() -> None:
    engine.ensure()
    cluster.ensure()
    print(cluster.kubectl(cluster.LAPTOP, "get", "nodes"))
    kubectl = "kubectl" if shutil.which("kubectl") else cluster.kubectl_program()
    print(f"Try: {kubectl} --context {cluster.LAPTOP.context} get pods --all-namespaces")
