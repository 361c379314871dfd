"""Pods that fail at once are replaced ever more slowly, also by an operator that starts anew."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from tests.support import cluster as clusters
from tests.support import operators, ray

WATCHED = timedelta(seconds=100)
FEWEST_SECONDS = [10, 20, 40]
"""Between the first four Pods of a slot."""


LIGHT = {"requests": {"cpu": "10m", "memory": "16Mi"}}
FAILS = {
    "command": ["bash", "-c", "echo no license found; exit 3"],
    "resources": LIGHT,
}
"""A container that fails at once; its Pod isn't started again by the kubelet."""


def failing_head() -> clusters.Json:
    template = ray.pod_template("ray-head", restartPolicy="Never")
    template["spec"]["containers"][0] |= FAILS
    return ray.ray_cluster("heads", head={"template": template}, groups=[])


def failing_worker() -> clusters.Json:
    """Return a cluster whose worker never gets to its wait for the head."""
    first = {"name": "first", "image": ray.IMAGE, **FAILS}
    template = ray.pod_template("ray-worker", restartPolicy="Never", initContainers=[first])
    head = ray.pod_template("ray-head", terminationGracePeriodSeconds=0)
    head["spec"]["containers"][0] |= {"command": ["sleep", "infinity"], "resources": LIGHT}
    groups = [ray.worker_group(template=template)]
    return ray.ray_cluster("workers", head={"template": head}, groups=groups)


@pytest.mark.full
def test_failing_pods_come_ever_more_slowly_and_a_restart_forgets_nothing(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    for manifest in (failing_head(), failing_worker()):
        manifest["metadata"]["annotations"] = {"ray.io/overwrite-container-cmd": "true"}
        cluster.apply(manifest, namespace)
    started = datetime.now(UTC)
    made: dict[str, dict[str, datetime]] = {"heads-head": {}, "workers-workers-worker": {}}
    restarted = False

    def over() -> bool:
        nonlocal restarted
        for pod in cluster.list("pods", namespace):
            name, created = pod["metadata"]["name"], pod["metadata"]["creationTimestamp"]
            slot = name.rpartition("-")[0]
            if slot in made:
                made[slot][name] = datetime.fromisoformat(created)
        if not restarted and all(len(slot) == 3 for slot in made.values()):
            (pod,) = operator.pods()
            cluster.delete("pods", operator.namespace, pod["metadata"]["name"])
            restarted = True
        return datetime.now(UTC) - started > WATCHED

    cluster.wait(over, within=2 * WATCHED, what="the time over", namespace=namespace)
    assert restarted
    for slot, pods in made.items():
        moments = sorted(pods.values())
        gaps = [(later - sooner).total_seconds() for sooner, later in itertools.pairwise(moments)]
        print(f"{slot}: seconds between Pods: {gaps}")
        assert len(moments) == len(FEWEST_SECONDS) + 1
        # Creation times are in whole seconds.
        assert all(gap >= least - 1 for gap, least in zip(gaps, FEWEST_SECONDS, strict=True))
    operator.wait_ready(1)
