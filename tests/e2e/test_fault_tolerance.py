"""A head that dies and comes back with its state, from a real Redis; which is clean afterwards."""

from datetime import timedelta

from tests.support import cluster as clusters
from tests.support import operators, ray, redis

NAME = "raycluster"
MINUTE = timedelta(minutes=1)
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
TASK = """
import ray
ray.init(log_to_driver=False)
@ray.remote(num_cpus=0.5)
def work(): return "done"
print("work:", ray.get(work.remote(), timeout=60))
"""
ASK = """
import ray
ray.init(namespace="kept", log_to_driver=False)
keeper = ray.get_actor("keeper")
print("answer:", ray.get(keeper.get.remote(), timeout=30))
"""


def test_a_head_comes_back_with_its_state_and_redis_is_cleaned_up(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    options = redis.start(cluster, namespace)
    # Actors are on the worker, which outlives the head.
    head = {"rayStartParams": {"num-cpus": "0"}, "template": ray.pod_template("ray-head")}
    manifest = ray.ray_cluster(NAME, head=head, gcsFaultToleranceOptions=options)
    cluster.apply(manifest, namespace)
    ray.wait_ready(cluster, namespace, NAME, workers=1)
    worker = {p["metadata"]["uid"] for p in ray.pods(cluster, namespace, NAME, node_type="worker")}
    ray.python(cluster, namespace, NAME, KEEP)
    assert redis.keys(cluster, namespace)

    first = ray.head(cluster, namespace, NAME)
    cluster.kubectl("-n", namespace, "delete", "pod", first, "--grace-period=1")
    ray.wait_ready(cluster, namespace, NAME, workers=1)
    assert ray.head(cluster, namespace, NAME) != first
    cluster.wait(
        lambda: "answer: still here" in ray.python(cluster, namespace, NAME, ASK),
        within=4 * MINUTE,
        what="the actor's answer to the new head",
        namespace=namespace,
    )
    assert "work: done" in ray.python(cluster, namespace, NAME, TASK)
    now = {p["metadata"]["uid"] for p in ray.pods(cluster, namespace, NAME, node_type="worker")}
    assert now == worker

    # As Argo CD deletes: the garbage collector takes all that is the cluster's.
    deletion = ("delete", "raycluster", NAME, "--cascade=foreground", "--timeout=240s")
    cluster.kubectl("-n", namespace, *deletion, within=5 * MINUTE)
    assert redis.keys(cluster, namespace) == []
    events = cluster.list("events", namespace)
    assert "CreatedRedisCleanupJob" in {each["reason"] for each in events}
    assert "ForceDeletedStuckCluster" not in {each["reason"] for each in events}
