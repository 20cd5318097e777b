"""The Grafana dashboards of the chart, from which `make_files.py` writes JSON. Standard library only."""

from dashboards.classifier import CLASSIFIER
from dashboards.fleet import FLEET
from dashboards.grafana import dashboard_json

DASHBOARDS = {"fleet": FLEET, "classifier": CLASSIFIER}

__all__ = ["DASHBOARDS", "dashboard_json"]
