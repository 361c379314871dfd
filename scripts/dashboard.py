"""Write the Grafana dashboard of the operator's metrics.

Owns: its panels and their layout. Does not own: the metrics (`ray_operator.metrics`, `.inventory`);
a unit test finds each that is asked for there, with its labels.
Source: Grafana's dashboard JSON, schema version 39.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

UID = "ray-operator"
COLUMNS, HEIGHT, IN_A_ROW = 24, 7, 3
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
OURS = 'namespace=~"$namespace"'
JOB = 'job=~"$job"'


class Query(NamedTuple):
    """A PromQL expression, and how its series are called; `{{label}}` stands for a label."""

    expression: str
    legend: str = ""


class Panel(NamedTuple):
    """One picture; `unit` and `kind` are Grafana's, and `meaning` tells what to look for."""

    title: str
    meaning: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "timeseries"


def _count(metric: str, condition: str = "") -> Query:
    """Count resources; none is 0, not an empty picture."""
    selected = f"{OURS}, {condition}" if condition else OURS
    return Query(f"count({metric}{{{selected}}}) or vector(0)")


def _p99(histogram: str, by: str) -> Query:
    labels = ", ".join(filter(None, ("le", by)))
    rate = f"sum by ({labels}) (rate({histogram}_bucket{{{JOB}}}[$__rate_interval]))"
    return Query(f"histogram_quantile(0.99, {rate})", f"{{{{{by}}}}}" if by else "99 %")


def _rate(counter: str, *by: str, only: str = "") -> Query:
    selected = f"{JOB}, {only}" if only else JOB
    legend = " ".join(f"{{{{{label}}}}}" for label in by)
    return Query(
        f"sum by ({', '.join(by)}) (rate({counter}{{{selected}}}[$__rate_interval]))", legend
    )


RAY = (
    Panel("RayClusters", "How many there are.", (_count("kuberay_cluster_info"),), kind="stat"),
    Panel(
        "RayClusters that aren't provisioned",
        "The column REASON of `kubectl get rayclusters` says why.",
        (_count("kuberay_cluster_condition_provisioned", 'condition="false"'),),
        kind="stat",
    ),
    Panel(
        "RayServices that aren't ready",
        "The condition Ready of each says why.",
        (_count("kuberay_service_condition_ready", 'condition="false"'),),
        kind="stat",
    ),
    Panel(
        "RayJobs by status",
        "How many there are in each.",
        (
            Query(
                f"sum by (deployment_status) (kuberay_job_deployment_status{{{OURS}}})",
                "{{deployment_status}}",
            ),
        ),
    ),
    Panel(
        "Time to provision a RayCluster",
        "From its creation until all of its Pods were ready.",
        (
            Query(
                f"kuberay_cluster_provisioned_duration_seconds{{{OURS}}}", "{{namespace}}/{{name}}"
            ),
        ),
        unit="s",
    ),
    Panel(
        "Duration of RayJobs that have ended",
        "Of the last attempt.",
        (
            Query(
                f"kuberay_job_execution_duration_seconds{{{OURS}}}",
                "{{namespace}}/{{name}} {{job_deployment_status}}",
            ),
        ),
        unit="s",
    ),
    Panel(
        "Pods that serve, by RayService",
        "0 means that nobody answers.",
        (Query(f"kuberay_service_serve_endpoints{{{OURS}}}", "{{namespace}}/{{name}}"),),
    ),
    Panel(
        "RayServices that are being upgraded, or are suspended",
        "An upgrade that lasts: its condition UpgradeInProgress says what it waits for.",
        (
            _count("kuberay_service_condition_upgrade_in_progress", 'condition="true"')._replace(
                legend="upgraded"
            ),
            _count("kuberay_service_condition_suspended", 'condition="true"')._replace(
                legend="suspended"
            ),
        ),
    ),
    Panel(
        "Replicas of autoscaled worker groups",
        "`status.autoscaler` of the RayCluster says why.",
        (
            Query(
                f"ray_operator_worker_group_replicas{{{OURS}}}",
                "{{namespace}}/{{name}} {{group}} {{state}}",
            ),
        ),
    ),
)
OPERATOR = (
    Panel(
        "Leader",
        "1 for the replica that works; the others stand by.",
        (Query(f"leader_election_master_status{{{JOB}}}", "{{instance}}"),),
    ),
    Panel(
        "Other operators",
        "While there is one, this operator waits for its end.",
        (Query(f"max(ray_operator_other_operators{{{JOB}}})"),),
        kind="stat",
    ),
    Panel(
        "Lag of the event loop",
        "Above a second the operator has more to do than one CPU can.",
        (Query(f"ray_operator_event_loop_lag_seconds{{{JOB}}}", "{{instance}}"),),
        unit="s",
    ),
    Panel(
        "Passes",
        "How many passes over resources ended, and how.",
        (_rate("controller_runtime_reconcile_total", "controller", "result"),),
        unit="ops",
    ),
    Panel(
        "Errors",
        "Passes that failed, and are tried again.",
        (_rate("controller_runtime_reconcile_errors_total", "controller"),),
        unit="ops",
    ),
    Panel(
        "Duration of a pass, 99 %",
        "Most of it is the API server's time.",
        (_p99("controller_runtime_reconcile_time_seconds", "controller"),),
        unit="s",
    ),
    Panel(
        "Waiting for a pass",
        "Grows when `reconcileConcurrency` is too small.",
        (Query(f"sum by (name) (workqueue_depth{{{JOB}}})", "{{name}}"),),
    ),
    Panel(
        "Time spent waiting, 99 %",
        "From a change until its pass begins.",
        (_p99("workqueue_queue_duration_seconds", "name"),),
        unit="s",
    ),
    Panel(
        "Passes that run",
        "Of at most `reconcileConcurrency`.",
        (
            Query(
                f"sum by (controller) (controller_runtime_active_workers{{{JOB}}})",
                "{{controller}}",
            ),
            Query(f"max(controller_runtime_max_concurrent_reconciles{{{JOB}}})", "at most"),
        ),
    ),
    Panel(
        "Requests to the API server",
        "In a quiet cluster next to none.",
        (_rate("rest_client_requests_total", "method", "code"),),
        unit="reqps",
    ),
    Panel(
        "Duration of requests, 99 %",
        "Watches left out.",
        (_p99("rest_client_request_duration_seconds", "verb"),),
        unit="s",
    ),
    Panel(
        "Refused requests",
        "403 is a missing right, 409 somebody else's change, 429 an API server that is busy.",
        (_rate("rest_client_requests_total", "code", only='code=~"[45].."'),),
        unit="reqps",
    ),
    Panel(
        "Time to fit demand onto nodes, 99 %",
        "Of the autoscaler.",
        (_p99("ray_operator_packing_duration_seconds", ""),),
        unit="s",
    ),
    Panel(
        "Memory",
        "Grows with the number of watched Pods.",
        (Query(f"process_resident_memory_bytes{{{JOB}}}", "{{instance}}"),),
        unit="bytes",
    ),
    Panel(
        "CPU",
        "The operator uses one at most, and another while much demand is to be fitted.",
        (Query(f"rate(process_cpu_seconds_total{{{JOB}}}[$__rate_interval])", "{{instance}}"),),
    ),
)
ROWS = {"Ray": RAY, "The operator": OPERATOR}


def text() -> str:
    """Return the dashboard as JSON."""
    return json.dumps(dashboard(), indent=1) + "\n"


def dashboard() -> dict[str, Any]:
    """Return the dashboard."""
    return {
        "uid": UID,
        "title": "Ray operator",
        "description": "RayClusters, RayJobs and RayServices, and the operator behind them.",
        "tags": ["ray", "kubernetes"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "hide": 0},
                _variable("job", "label_values(ray_operator_event_loop_lag_seconds, job)"),
                _variable("namespace", "label_values(kuberay_cluster_info, namespace)"),
            ]
        },
        "panels": list(_panels()),
    }


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "sort": 1,
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _panels() -> Iterator[dict[str, Any]]:
    number, top, width = 0, 0, COLUMNS // IN_A_ROW
    for title, panels in ROWS.items():
        number += 1
        place = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
        yield {"id": number, "type": "row", "title": title, "gridPos": place, "panels": []}
        top += 1
        for index, panel in enumerate(panels):
            number += 1
            down, right = divmod(index, IN_A_ROW)
            place = {"x": right * width, "y": top + down * HEIGHT, "w": width, "h": HEIGHT}
            yield {"id": number, "gridPos": place, **_panel(panel)}
        top += -(-len(panels) // IN_A_ROW) * HEIGHT


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.meaning,
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATASOURCE,
                "expr": query.expression,
                "legendFormat": query.legend or "__auto",
            }
            for index, query in enumerate(panel.queries)
        ],
    }
