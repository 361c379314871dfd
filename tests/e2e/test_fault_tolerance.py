"""A head that dies and comes back with its state, from a real Redis; which is clean afterwards."""

from datetime import timedelta

from tests.support import cluster as clusters
from tests.support import operators, ray

NAME = "raycluster"
PASSWORD = "pass"
MINUTE = timedelta(minutes=1)
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
KEEP = """
import ray
ray.init(namespace="kept", log_to_driver=False)
@ray.remote(num_cpus=0.5)
class Keeper:
    def set(self, value): self.value = value
    def get(self): return self.value
keeper = Keeper.options(name="keeper", lifetime="detached").remote()
ray.get(keeper.set.remote("still here"))
"""
ASK = """
import ray
ray.init(namespace="kept", log_to_driver=False)
keeper = ray.get_actor("keeper")
print("answer:", ray.get(keeper.get.remote()))
"""


def python(cluster: clusters.Cluster, namespace: str, program: str) -> str:
    head = ray.head(cluster, namespace, NAME)
    where = ("-n", namespace, "exec", "-i", head, "-c", "ray-head", "--", "python", "-")
    return cluster.kubectl(*where, stdin=program)


def keys(cluster: clusters.Cluster, namespace: str) -> list[str]:
    cli = ("redis-cli", "--no-auth-warning", "-a", PASSWORD, "keys", "RAY*")
    return cluster.kubectl("-n", namespace, "exec", "redis", "--", *cli).split()


def test_a_head_comes_back_with_its_state_and_redis_is_cleaned_up(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    for each in (SECRET, SERVICE, REDIS):
        cluster.apply(each, namespace)
    cluster.kubectl("-n", namespace, "wait", "pod/redis", "--for=condition=Ready", "--timeout=60s")
    password = {"valueFrom": {"secretKeyRef": {"name": "redis", "key": "password"}}}
    options = {"redisAddress": "redis:6379", "redisPassword": password}
    # Actors are on the worker, which outlives the head.
    head = {"rayStartParams": {"num-cpus": "0"}, "template": ray.pod_template("ray-head")}
    manifest = ray.ray_cluster(NAME, head=head, gcsFaultToleranceOptions=options)
    cluster.apply(manifest, namespace)
    ray.wait_ready(cluster, namespace, NAME, workers=1)
    worker = {p["metadata"]["uid"] for p in ray.pods(cluster, namespace, NAME, node_type="worker")}
    python(cluster, namespace, KEEP)
    assert keys(cluster, namespace)

    first = ray.head(cluster, namespace, NAME)
    cluster.kubectl("-n", namespace, "delete", "pod", first, "--grace-period=1")
    ray.wait_ready(cluster, namespace, NAME, workers=1)
    assert ray.head(cluster, namespace, NAME) != first
    cluster.wait(
        lambda: "answer: still here" in python(cluster, namespace, ASK),
        within=2 * MINUTE,
        what="the actor's answer to the new head",
        namespace=namespace,
    )
    now = {p["metadata"]["uid"] for p in ray.pods(cluster, namespace, NAME, node_type="worker")}
    assert now == worker

    cluster.kubectl(
        "-n", namespace, "delete", "raycluster", NAME, "--timeout=240s", within=5 * MINUTE
    )
    assert keys(cluster, namespace) == []
    events = cluster.list("events", namespace)
    assert "CreatedRedisCleanupJob" in {each["reason"] for each in events}
    assert "ForceDeletedStuckCluster" not in {each["reason"] for each in events}
