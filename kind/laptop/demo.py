"""`make demo`: from nothing to something to look at. For now that is a Ready node; the product's own steps follow here."""

from laptop import cluster, engine


def run() -> None:
    engine.ensure()
    cluster.ensure()
    print(cluster.kubectl(cluster.LAPTOP, "get", "nodes"))
    print(f"Try: kubectl --context {cluster.LAPTOP.context} get pods --all-namespaces")
