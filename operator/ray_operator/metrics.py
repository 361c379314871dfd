"""The operator's own metrics, under the names that KubeRay's dashboards and alerts use.

Owns: the metric objects. Does not own: serving them (`server`), or what is told of each resource
(`inventory`). Invariant: a metric that KubeRay has keeps its name, labels and buckets.

Of client-go's, `rest_client_dns_resolution_duration_seconds` and `…_request_retries_total` are left
out: a Pod reaches its API server by address, and our client never retries by itself.
Source: controller-runtime's and client-go's metrics.
"""

import prometheus_client

# They are a series more each, which Go's client doesn't have.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
_WAITS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
_BYTES = (64.0, 256.0, 512.0, *(4.0**power for power in range(5, 13)))
_PASSES = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8),
    *(0.9, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0),
    *(15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0),
)
_WORK = tuple(10.0**power for power in range(-8, 4))

reconciles = prometheus_client.Counter(
    "controller_runtime_reconcile",
    "Passes by controller and result (success, requeue_after, error).",
    ["controller", "result"],
)
reconcile_errors = prometheus_client.Counter(
    "controller_runtime_reconcile_errors", "Passes that ended in an error.", ["controller"]
)
reconcile_seconds = prometheus_client.Histogram(
    "controller_runtime_reconcile_time_seconds",
    "Duration of a pass.",
    ["controller"],
    buckets=_PASSES,
)
active_workers = prometheus_client.Gauge(
    "controller_runtime_active_workers", "Passes that run.", ["controller"]
)
most_workers = prometheus_client.Gauge(
    "controller_runtime_max_concurrent_reconciles",
    "Passes that may run at once, those of all controllers together.",
    ["controller"],
)
queue_depth = prometheus_client.Gauge("workqueue_depth", "Keys waiting for a worker.", ["name"])
queue_adds = prometheus_client.Counter("workqueue_adds", "Keys that were queued.", ["name"])
queue_retries = prometheus_client.Counter(
    "workqueue_retries", "Keys that were queued again after a failure.", ["name"]
)
queue_seconds = prometheus_client.Histogram(
    "workqueue_queue_duration_seconds", "How long keys waited.", ["name"], buckets=_WORK
)
work_seconds = prometheus_client.Histogram(
    "workqueue_work_duration_seconds", "How long keys were worked on.", ["name"], buckets=_WORK
)
kube_requests = prometheus_client.Counter(
    "rest_client_requests", "Requests to the API server.", ["method", "code", "host"]
)
kube_seconds = prometheus_client.Histogram(
    "rest_client_request_duration_seconds",
    "Duration of a request to the API server, watches left out.",
    ["verb", "host"],
    buckets=_WAITS,
)
kube_limited_seconds = prometheus_client.Histogram(
    "rest_client_rate_limiter_duration_seconds",
    "How long requests waited for --qps.",
    ["verb", "host"],
    buckets=_WAITS,
)
kube_request_bytes = prometheus_client.Histogram(
    "rest_client_request_size_bytes",
    "Size of a request's body.",
    ["verb", "host"],
    buckets=_BYTES,
)
kube_response_bytes = prometheus_client.Histogram(
    "rest_client_response_size_bytes",
    "Size of an answer, watches left out.",
    ["verb", "host"],
    buckets=_BYTES,
)
leading = prometheus_client.Gauge(
    "leader_election_master_status", "1 while this replica holds the lease.", ["name"]
)
other_operators = prometheus_client.Gauge(
    "ray_operator_other_operators", "Active operators for Ray that aren't ours, for which we wait."
)
loop_lag_seconds = prometheus_client.Gauge(
    "ray_operator_event_loop_lag_seconds", "How late the event loop woke up, latest sample."
)
scaled_replicas = prometheus_client.Gauge(
    "ray_operator_worker_group_replicas",
    "Replicas of a group that the operator scales.",
    ["namespace", "name", "group", "state"],
)
packing_seconds = prometheus_client.Histogram(
    "ray_operator_packing_duration_seconds",
    "How long demand took to fit onto nodes.",
    buckets=_WORK,
)
scalings = prometheus_client.Counter(
    "ray_operator_scalings", "Changes of a cluster's number of workers.", ["direction"]
)
gcs_seconds = prometheus_client.Histogram(
    "ray_operator_gcs_request_duration_seconds",
    "Duration of a call of a head's GCS.",
    ["method"],
    buckets=_WAITS,
)
gcs_errors = prometheus_client.Counter(
    "ray_operator_gcs_request_errors", "Calls of a head's GCS that failed.", ["method", "code"]
)
