"""The operator scales workers by what Ray asks for, without a sidecar."""

import json
import re
import time

import pytest

from tests.support import cluster as clusters
from tests.support import kills, operators, ray, rayjobs, redis, scaled

ROUNDS = 10
HOLD = """
import ray, sys, time
ray.init(log_to_driver=False)
from ray.autoscaler.sdk import request_resources
request_resources(num_cpus=int(sys.argv[1]))
print("asked")
"""
SPREAD = """
import ray, time
ray.init(log_to_driver=False)
from ray.util.placement_group import placement_group
group = placement_group([{"CPU": 1}] * 2, strategy="STRICT_SPREAD")
ray.get(group.ready(), timeout=200)
table = ray.util.placement_group_table(group)
print("nodes:", len(set(table["bundles_to_node_id"].values())))
"""
ACTOR = """
import ray
ray.init(namespace="kept", log_to_driver=False)
@ray.remote(num_cpus=0)
class Kept:
    def ping(self): return "kept"
kept = Kept.options(name="kept", lifetime="detached", resources={"special": 1}).remote()
print(ray.get(kept.ping.remote(), timeout=200))
"""
PING = """
import ray
ray.init(namespace="kept", log_to_driver=False)
kept = ray.get_actor("kept")
print(ray.get(kept.ping.remote(), timeout=60))
ray.kill(kept)
"""
SPECIAL = """
import os, ray, sys
ray.init(log_to_driver=False)
where = {"num_gpus": 1} if sys.argv[1] == "gpu" else {"label_selector": {"tier": "special"}}
@ray.remote(num_cpus=1, max_retries=0, **where)
def work(): return os.uname().nodename
print("ran on", ray.get(work.remote(), timeout=200))
"""
MANY = """
import ray, time
ray.init(log_to_driver=False)
@ray.remote(num_cpus=1, resources={"wide": 0.001}, max_retries=0)
def work(): pass
many = [work.remote() for _ in range(200)]
time.sleep(5)
"""
LARGE = """
import ray
ray.init(log_to_driver=False)
@ray.remote(num_cpus=64)
def work(): pass
ray.wait([work.remote()], timeout=12)
"""


@pytest.fixture
def idle(cluster: clusters.Cluster, operator: operators.Operator, namespace: str) -> str:
    """A namespace with a cluster that is ready and has no workers."""
    assert operator.pods()
    cluster.apply(scaled.ray_cluster(), namespace)
    ray.wait_ready(cluster, namespace, scaled.NAME, workers=0)
    return namespace


def test_workers_come_for_work_and_go_when_idle(cluster: clusters.Cluster, idle: str) -> None:
    (head,) = ray.pods(cluster, idle, scaled.NAME, node_type="head")
    assert [each["name"] for each in head["spec"]["containers"]] == ["ray-head"]
    assert cluster.list("roles", idle, labels="ray.io/cluster") == []
    with scaled.beside(lambda: scaled.burst(cluster, idle, 6, 15)) as said:
        scaled.wait_workers(cluster, idle, 3)
        # `ray status` and the dashboard tell of it as if by Ray's own autoscaler. It takes
        # seconds itself, in which they may have come.
        coming = re.compile(r"scaled-workers-worker-\w+: workers, | [123] workers\b")
        cluster.wait(
            lambda: coming.search(scaled.on_head(cluster, idle, "ray", "status")),
            within=scaled.MINUTE,
            what="the workers told by `ray status`",
            namespace=idle,
        )
    assert len(said[0].partition("hosts:")[2].split()) == 3
    ups = scaled.told(cluster, idle, "ScaledUp")  # more than one if Ray told of a part first
    told = r"Scaled up group workers by (\d) to \d: no node has room for \d of {CPU: 1}"
    assert sum(int(re.sub(told, r"\1", each)) for each in ups) == 3
    scaled.wait_workers(cluster, idle, 0)
    assert scaled.replicas(cluster, idle) == [0]
    cluster.wait(
        lambda: any("idle for" in each for each in scaled.told(cluster, idle, "ScaledDown")),
        within=scaled.MINUTE,
        what="the event of scaling down",
        namespace=idle,
    )

    def is_told() -> bool:
        said = scaled.status(cluster, idle)["autoscaler"].get("lastDecision", "")
        return "Scaled down group workers" in said

    cluster.wait(is_told, within=scaled.MINUTE, what="the status of it", namespace=idle)
    found = scaled.status(cluster, idle)
    assert found["autoscaler"]["mode"] == "operator"
    assert ray.condition(found, "RayClusterAutoscaling")["reason"] == "ScaledByOperator"
    shown = cluster.kubectl("-n", idle, "get", "raycluster", scaled.NAME, "-o", "wide")
    assert re.search(r"AUTOSCALER.*operator", shown, re.DOTALL)


@pytest.mark.full
@pytest.mark.parametrize("image", [ray.IMAGE, ray.NEW_IMAGE])
def test_every_kind_of_demand(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str, image: str
) -> None:
    assert operator.pods()
    special = scaled.group(
        "special",
        maxReplicas=1,
        resources={"CPU": "1", "special": "1", "GPU": "1"},
        labels={"tier": "special"},
    )
    slices = scaled.group(
        "slices", maxReplicas=1, numOfHosts=2, resources={"CPU": "1", "slice": "1"}
    )
    groups = [scaled.group(), special, slices]
    cluster.apply(scaled.ray_cluster(image=image, groups=groups, idle_seconds=8), namespace)
    ray.wait_ready(cluster, namespace, scaled.NAME, workers=0)

    # request_resources: nodes without any work, as long as it stands.
    scaled.on_head(cluster, namespace, "python", "-", "2", stdin=HOLD)
    scaled.wait_workers(cluster, namespace, 2, group="workers")
    ray.wait_ready(cluster, namespace, scaled.NAME, workers=2)
    time.sleep(20)
    assert len(scaled.workers(cluster, namespace)) == 2
    scaled.on_head(cluster, namespace, "python", "-", "0", stdin=HOLD)
    scaled.wait_workers(cluster, namespace, 0)

    # A placement group is all or nothing, and strictly spread: two nodes.
    said = scaled.on_head(cluster, namespace, "python", "-", stdin=SPREAD)
    assert "nodes: 2" in said
    scaled.wait_workers(cluster, namespace, 0)

    # Only one group has the resource; a node with an actor, which needs no CPU, is not idle.
    assert "kept" in scaled.on_head(cluster, namespace, "python", "-", stdin=ACTOR)
    time.sleep(20)
    (pod,) = scaled.workers(cluster, namespace)
    assert pod["metadata"]["labels"]["ray.io/group"] == "special"
    assert "kept" in scaled.on_head(cluster, namespace, "python", "-", stdin=PING)
    scaled.wait_workers(cluster, namespace, 0)

    # GPUs, and labels where Ray knows them.
    for kind in ("gpu", "label") if image == ray.NEW_IMAGE else ("gpu",):
        said = scaled.on_head(cluster, namespace, "python", "-", kind, stdin=SPECIAL)
        assert "ran on scaled-special-worker-" in said
    scaled.wait_workers(cluster, namespace, 0)

    # A replica of two hosts comes and goes whole.
    program = scaled.BURST.replace("num_cpus=1", 'num_cpus=1, resources={"slice": 1}')
    scaled.on_head(cluster, namespace, "python", "-", "1", "0", stdin=program)
    assert len(scaled.workers(cluster, namespace, group="slices")) == 2
    scaled.wait_workers(cluster, namespace, 0)

    # What no group can hold is said.
    with scaled.beside(lambda: scaled.on_head(cluster, namespace, "python", "-", stdin=LARGE)):

        def is_told() -> bool:
            condition = ray.condition(scaled.status(cluster, namespace), "RayClusterDemandMet")
            return condition.get("reason") == "InfeasibleRequest"

        cluster.wait(is_told, within=scaled.MINUTE, what="the reason", namespace=namespace)
        found = scaled.status(cluster, namespace)
        assert found["autoscaler"]["unmetDemand"] == [
            {"request": "{CPU: 64}", "count": 1, "reason": "no worker group can hold it"}
        ]
    assert any("{CPU: 64}" in each for each in scaled.told(cluster, namespace, "InfeasibleRequest"))


@pytest.mark.full
def test_a_manifest_that_is_applied_again_deletes_nothing(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    """Client-side it sets `replicas` back; server-side it doesn't own it."""
    assert operator.pods()
    manifest = scaled.ray_cluster()
    apply = ("-n", namespace, "apply", "-f", "-")
    cluster.kubectl(*apply, stdin=json.dumps(manifest))
    ray.wait_ready(cluster, namespace, scaled.NAME, workers=0)
    with scaled.beside(lambda: scaled.burst(cluster, namespace, 2, 45)) as said:
        ray.wait_ready(cluster, namespace, scaled.NAME, workers=2)
        before = {each["metadata"]["uid"] for each in scaled.workers(cluster, namespace)}
        cluster.kubectl(*apply, stdin=json.dumps(manifest))
        assert scaled.replicas(cluster, namespace) == [0]  # as kubectl does with lists of CRDs
        cluster.wait(
            lambda: scaled.replicas(cluster, namespace) == [2],
            within=scaled.MINUTE,
            what="replicas as they are",
            namespace=namespace,
        )
        del manifest["spec"]["workerGroupSpecs"][0]["replicas"]
        server = (*apply, "--server-side", "--field-manager=gitops", "--force-conflicts")
        cluster.kubectl(*server, stdin=json.dumps(manifest))
        cluster.kubectl(*server[:-1], stdin=json.dumps(manifest))  # and again without force
        time.sleep(5)
        assert scaled.replicas(cluster, namespace) == [2]
        assert {each["metadata"]["uid"] for each in scaled.workers(cluster, namespace)} == before
    assert "done at:" in said[0]


@pytest.mark.full
def test_an_operator_that_starts_anew_goes_on(
    cluster: clusters.Cluster, operator: operators.Operator, idle: str
) -> None:
    with scaled.beside(lambda: scaled.burst(cluster, idle, 2, 40)) as said:
        ray.wait_ready(cluster, idle, scaled.NAME, workers=2)
        (pod,) = operator.pods()
        kill = ("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")
        cluster.kubectl("-n", operator.namespace, *kill)
        operator.wait_ready(1)
        assert len(scaled.workers(cluster, idle)) == 2
    assert "done at:" in said[0]
    scaled.wait_workers(cluster, idle, 0)


@pytest.mark.full
def test_an_operator_killed_after_any_write_loses_no_task(
    cluster: clusters.Cluster, operator: operators.Operator, idle: str
) -> None:
    """It is killed after the first since its start, then after the second, and so on."""
    with kills.killed_after_each_write(operator, {}, about=scaled.NAME):
        for _ in range(ROUNDS):
            assert "done at:" in scaled.burst(cluster, idle, 3, 1)
            scaled.wait_workers(cluster, idle, 0)
            assert scaled.replicas(cluster, idle) == [0]
        times = operator.log().count("killed after write ")
    print(f"\nkilled {times} times in {ROUNDS} rounds")
    assert times >= ROUNDS


@pytest.mark.full
def test_a_lost_head_with_its_state_elsewhere(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    """Idle workers don't go because their GCS started anew, and demand is served after it."""
    assert operator.pods()
    options = redis.start(cluster, namespace)
    manifest = scaled.ray_cluster(gcsFaultToleranceOptions=options, idle_seconds=60)
    cluster.apply(manifest, namespace)
    ray.wait_ready(cluster, namespace, scaled.NAME, workers=0)
    scaled.burst(cluster, namespace, 2, 5)
    before = {each["metadata"]["uid"] for each in scaled.workers(cluster, namespace)}
    assert before
    head = ray.head(cluster, namespace, scaled.NAME)
    cluster.kubectl("-n", namespace, "delete", "pod", head, "--grace-period=0", "--force")
    ray.wait_ready(cluster, namespace, scaled.NAME, workers=len(before))
    assert {each["metadata"]["uid"] for each in scaled.workers(cluster, namespace)} == before
    assert "done at:" in scaled.burst(cluster, namespace, 3, 5)
    scaled.wait_workers(cluster, namespace, 0, within=4 * scaled.MINUTE)


@pytest.mark.full
def test_a_cluster_that_nobody_uses_is_suspended_and_woken(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    assert operator.pods()
    options = {"timeoutSeconds": 15, "policy": "Suspend"}
    cluster.apply(scaled.ray_cluster(idleTerminationOptions=options), namespace)
    ray.wait_ready(cluster, namespace, scaled.NAME, workers=0)

    def sleeps() -> bool:
        return scaled.status(cluster, namespace).get("state") == "suspended"

    assert "done at:" in scaled.burst(cluster, namespace, 1, 20)
    assert not sleeps()
    cluster.wait(sleeps, within=2 * scaled.MINUTE, what="suspension", namespace=namespace)
    assert ray.pods(cluster, namespace, scaled.NAME) == []
    wake = ("annotate", "raycluster", scaled.NAME, "ray-operator.io/wake=now")
    cluster.kubectl("-n", namespace, *wake)
    ray.wait_ready(cluster, namespace, scaled.NAME, workers=0)
    cluster.wait(sleeps, within=2 * scaled.MINUTE, what="suspension", namespace=namespace)
    cluster.apply(rayjobs.ray_job("waker", mode="HTTPMode", on=scaled.NAME), namespace)
    assert rayjobs.finished(cluster, namespace, "waker") == ("Complete", "SUCCEEDED", "")
    change = {"spec": {"idleTerminationOptions": {"policy": "Delete"}}}
    cluster.patch("rayclusters", namespace, scaled.NAME, change)
    cluster.wait(
        lambda: cluster.get("rayclusters", namespace, scaled.NAME) is None,
        within=2 * scaled.MINUTE,
        what="the end of the cluster",
        namespace=namespace,
    )


@pytest.mark.full
def test_workers_leave_a_node_that_will_be_gone(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    """What runs may finish; the successor is there before."""
    assert operator.pods()
    cluster.apply(scaled.ray_cluster(groups=[scaled.group(minReplicas=1)]), namespace)
    ray.wait_ready(cluster, namespace, scaled.NAME, workers=1)
    (pod,) = scaled.workers(cluster, namespace)
    node = pod["spec"]["nodeName"]
    taint = ("taint", "node", node, "karpenter.sh/disrupted:NoSchedule")
    with scaled.beside(lambda: scaled.burst(cluster, namespace, 1, 25)) as said:
        time.sleep(8)  # until the task runs
        cluster.kubectl(*taint)
        try:
            scaled.wait_workers(cluster, namespace, 2, within=scaled.MINUTE)
            names = [each["metadata"]["name"] for each in scaled.workers(cluster, namespace)]
            assert pod["metadata"]["name"] in names
        finally:
            cluster.kubectl(*taint[:-1], f"{taint[-1]}-")
    assert f"hosts: {pod['metadata']['name']}" in said[0]
    gone = f"Pod {pod['metadata']['name']} gone"
    cluster.wait(
        lambda: cluster.get("pods", namespace, pod["metadata"]["name"]) is None,
        within=scaled.MINUTE,
        what=gone,
        namespace=namespace,
    )


@pytest.mark.full
def test_a_burst_of_200_tasks_gets_four_nodes_of_64(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    """Ray tells of ten first, for which it asks for leases, and of the others a second later."""
    assert operator.pods()
    wide = scaled.group("wide", maxReplicas=6, resources={"CPU": "64", "wide": "1"})
    cluster.apply(scaled.ray_cluster(groups=[scaled.group(), wide]), namespace)
    ray.wait_ready(cluster, namespace, scaled.NAME, workers=0)
    scaled.on_head(cluster, namespace, "python", "-", stdin=MANY)
    scaled.wait_workers(cluster, namespace, 0, within=4 * scaled.MINUTE)
    steps = scaled.told(cluster, namespace, "ScaledUp")
    assert len(steps) <= 2
    assert any(" to 4: " in each for each in steps)
    assert not any(f" to {more}: " in each for each in steps for more in (5, 6))
