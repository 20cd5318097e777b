"""The JSON of a Grafana dashboard, from rows of panels of equal width; and parts of its queries."""

import json
from dataclasses import dataclass
from typing import Any

COLUMNS = 24
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Panel:
    """A panel with one query.

    With a `legend` it shows lines over time, with `table` a table with these labels, otherwise one number.
    """

    title: str
    query: str
    legend: str = ""
    unit: str = "short"
    meaning: str = ""
    table: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """A row of panels under a title, `height` in Grafana's units."""

    title: str
    panels: tuple[Panel, ...]
    height: int = 8


@dataclass(frozen=True)
class Dashboard:
    """A dashboard. `variables` maps each variable to the metric and the label that have its values.

    `several`: a variable can have several values at once.
    """

    uid: str
    title: str
    variables: dict[str, tuple[str, str]]
    rows: tuple[Row, ...]
    several: bool


def dashboard_json(dashboard: Dashboard) -> str:
    """The dashboard in Grafana's format."""
    panels: list[dict[str, Any]] = []
    top = 0
    for row in dashboard.rows:
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "panels": [],
                "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1},
            }
        )
        width = COLUMNS // len(row.panels)
        for number, panel in enumerate(row.panels):
            place = {"x": number * width, "y": top + 1, "w": width, "h": row.height}
            panels.append({"id": len(panels) + 1, "gridPos": place, **_panel(panel)})
        top += 1 + row.height
    document = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["imageclassifier"],
        "editable": True,
        "schemaVersion": 39,
        "version": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "links": [
            {
                "type": "dashboards",
                "title": "ImageClassifier dashboards",
                "tags": ["imageclassifier"],
                "keepTime": True,
            }
        ],
        "templating": {"list": _variables(dashboard)},
        "panels": panels,
    }
    return json.dumps(document, indent=1) + "\n"


def _panel(panel: Panel) -> dict[str, Any]:
    target: dict[str, Any] = {"refId": "A", "datasource": DATASOURCE, "expr": panel.query}
    base: dict[str, Any] = {
        "title": panel.title,
        "description": panel.meaning,
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [target],
    }
    if panel.table:
        target |= {"instant": True, "format": "table"}
        order = {name: number for number, name in enumerate(panel.table)}
        hidden = {"excludeByName": {"Time": True, "Value": True}, "indexByName": order}
        return {"type": "table", **base, "transformations": [{"id": "organize", "options": hidden}]}
    if not panel.legend:
        target["instant"] = True
        return {"type": "stat", **base, "options": {"reduceOptions": {"calcs": ["lastNotNull"]}}}
    target["legendFormat"] = panel.legend
    options = {
        "legend": {"displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return {"type": "timeseries", **base, "options": options}


def _variables(dashboard: Dashboard) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    ]
    for name, (metric, label) in dashboard.variables.items():
        query = f"label_values({metric}, {label})"
        found.append(
            {
                "name": name,
                "type": "query",
                "datasource": DATASOURCE,
                "query": {"query": query, "refId": name},
                "definition": query,
                "refresh": 2,
                "sort": 1,
                "multi": dashboard.several,
                "includeAll": dashboard.several,
                **({"current": {"text": "All", "value": "$__all"}} if dashboard.several else {}),
            }
        )
    return found


def per_second(metric: str, by: str, selector: str) -> str:
    """The rate of a counter, summed by labels."""
    return f"sum by ({by}) (rate({metric}{{{selector}}}[$__rate_interval]))"


def quantile(level: str, metric: str, by: str, selector: str) -> str:
    """A quantile of a histogram, by labels or over all series."""
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({level}, {per_second(f'{metric}_bucket', labels, selector)})"


def share(part: str, whole: str) -> str:
    """The quotient of two queries; 0 where the part has no series yet."""
    return f"({part}\nor 0 * {whole})\n/\n{whole}"
