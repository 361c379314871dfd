"""A real Redis for heads whose state shall survive them.

Owns: its objects, and asking it for keys. Does not own: what Ray writes there.
"""

from tests.support import cluster as clusters

PASSWORD = "pass"
LABELS = {"app": "redis"}
REDIS = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "redis", "labels": LABELS},
    "spec": {
        "terminationGracePeriodSeconds": 1,
        "containers": [
            {
                "name": "redis",
                "image": "redis:7",
                "imagePullPolicy": "IfNotPresent",
                "args": ["redis-server", "--bind", "0.0.0.0", "--requirepass", PASSWORD],
                "readinessProbe": {"tcpSocket": {"port": 6379}, "periodSeconds": 1},
                "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
            }
        ],
    },
}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "redis"},
    "spec": {"selector": LABELS, "ports": [{"port": 6379}]},
}
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "redis"},
    "stringData": {"password": PASSWORD},
}


def start(cluster: clusters.Cluster, namespace: str) -> clusters.Json:
    """Run Redis in the namespace; return the options of a RayCluster that keeps its state there."""
    for each in (SECRET, SERVICE, REDIS):
        cluster.apply(each, namespace)
    cluster.kubectl("-n", namespace, "wait", "pod/redis", "--for=condition=Ready", "--timeout=60s")
    password = {"valueFrom": {"secretKeyRef": {"name": "redis", "key": "password"}}}
    return {"redisAddress": "redis:6379", "redisPassword": password}


def keys(cluster: clusters.Cluster, namespace: str) -> list[str]:
    """List the keys that Ray wrote."""
    cli = ("redis-cli", "--no-auth-warning", "-a", PASSWORD, "keys", "RAY*")
    return cluster.kubectl("-n", namespace, "exec", "redis", "--", *cli).split()
