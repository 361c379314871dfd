"""The operator's own metrics, under the names that KubeRay's dashboards and alerts use.

Owns: the metric objects. Does not own: serving them (`server`). Invariant: a metric that KubeRay
has keeps its name and labels.
"""

import prometheus_client

reconciles = prometheus_client.Counter(
    "controller_runtime_reconcile",
    "Passes by controller and result (success, requeue_after, error).",
    ["controller", "result"],
)
reconcile_errors = prometheus_client.Counter(
    "controller_runtime_reconcile_errors", "Passes that ended in an error.", ["controller"]
)
reconcile_seconds = prometheus_client.Histogram(
    "controller_runtime_reconcile_time_seconds", "Duration of a pass.", ["controller"]
)
queue_depth = prometheus_client.Gauge("workqueue_depth", "Keys waiting for a worker.", ["name"])
kube_requests = prometheus_client.Counter(
    "rest_client_requests", "Requests to the API server.", ["method", "code"]
)
leading = prometheus_client.Gauge(
    "leader_election_master_status", "1 while this replica holds the lease.", ["name"]
)
loop_lag_seconds = prometheus_client.Gauge(
    "ray_operator_event_loop_lag_seconds", "How late the event loop woke up, latest sample."
)
