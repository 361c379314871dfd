"""The operator is killed, stopped and replaced; nothing is lost and nothing is made twice."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.support import audit as audits
from tests.support import cluster as clusters
from tests.support import kills, nodes, operators, ray

TAKEOVER = timedelta(seconds=60)
"""A lease lasts 15 s; the rest is for a busy machine."""


def light_template(container: str) -> clusters.Json:
    """Return a Pod that is ready at once and gone at once: here only the operator is tested."""
    template = ray.pod_template(container, terminationGracePeriodSeconds=0)
    fine = {"exec": {"command": ["true"]}, "timeoutSeconds": 10}
    template["spec"]["containers"][0] |= {
        "command": ["sleep", "infinity"],
        "readinessProbe": {**fine, "periodSeconds": 1},
        "livenessProbe": {**fine, "periodSeconds": 10, "failureThreshold": 30},
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
    }
    return template


def light_cluster(name: str, *, workers: int) -> clusters.Json:
    """Return a RayCluster of light Pods."""
    group = ray.worker_group(replicas=workers, maxReplicas=20)
    manifest = ray.ray_cluster(
        name,
        head={"template": light_template("ray-head")},
        groups=[{**group, "template": light_template("ray-worker")}],
    )
    manifest["metadata"]["annotations"] = {"ray.io/overwrite-container-cmd": "true"}
    return manifest


LIGHT = {"env": [{"name": "ENABLE_INIT_CONTAINER_INJECTION", "value": "false"}]}
"""Values of an operator for light clusters, whose workers have no head to wait for."""


def created(
    audit: audits.Log, operator: operators.Operator, namespace: str, prefix: str
) -> dict[str, int]:
    """Count what the operator created there for objects of that name, by resource."""
    counts: dict[str, int] = {}
    for write in audit.writes(operator.user):
        ours = write.namespace == namespace and write.name.startswith(prefix)
        # Services are made by server-side apply, which answers 201 then.
        if ours and (write.verb == "create" or write.code == 201):
            counts[write.resource] = counts.get(write.resource, 0) + 1
    return {key: count for key, count in counts.items() if key in {"pods", "services"}}


def light(name: str) -> clusters.Json:
    return light_cluster(name, workers=2)


def real(name: str) -> clusters.Json:
    return ray.ray_cluster(name, workers=2)


@pytest.mark.parametrize(
    ("manifest", "values"),
    [
        pytest.param(light, LIGHT, id="light"),
        pytest.param(real, {}, id="real", marks=[pytest.mark.full, pytest.mark.timeout(2400)]),
    ],
)
def test_an_operator_killed_after_any_write_of_a_creation_makes_nothing_twice(
    manifest: Callable[[str], clusters.Json],
    values: Any,
    operator: operators.Operator,
    namespace: str,
    audit: audits.Log,
) -> None:
    cluster = operator.cluster
    with kills.killed_after_each_write(operator, values):
        for k in range(1, 50):
            name = f"kill-{k:02}"
            cluster.apply(manifest(name), namespace)
            ray.wait_ready(cluster, namespace, name, workers=2)
            assert created(audit, operator, namespace, name) == {"pods": 3, "services": 1}, name
            cluster.delete("rayclusters", namespace, name)
            if f"killed after write {k}\n" not in operator.log():
                break
        else:
            raise AssertionError("a creation has no end of writes")
    assert k > 6  # one Service, three Pods, the status, at least one event


def leader(operator: operators.Operator) -> clusters.Json | None:
    """Return the Pod that holds the lease."""
    lease = operator.cluster.get("leases", operator.namespace, "ray-operator-leader") or {}
    holder = lease.get("spec", {}).get("holderIdentity", "").removeprefix("ray-operator.io/")
    return next((pod for pod in operator.pods() if pod["metadata"]["name"] == holder), None)


def wait_leader(operator: operators.Operator, *, other_than: str = "") -> clusters.Json:
    """Wait until a Pod leads, another one than the named."""

    def leads() -> clusters.Json | None:
        found = leader(operator)
        return found if found and found["metadata"]["name"] != other_than else None

    what = f"an operator leading other than {other_than!r}"
    return operator.cluster.wait(leads, within=TAKEOVER, what=what, namespace=operator.namespace)


@pytest.fixture(scope="module")
def two_replicas(operator: operators.Operator) -> Iterator[operators.Operator]:
    """Run two replicas for light clusters, with an agent on each one's node."""
    cluster = operator.cluster
    values = {**LIGHT, "replicas": 2, "strategy": {"type": "RollingUpdate"}}
    with kills.reinstalled(operator, values):
        for node in (each["metadata"]["name"] for each in cluster.list("nodes", None)):
            cluster.apply(nodes.agent(node, ray.IMAGE), operator.namespace)
            name = f"pod/{nodes.AGENT}-{node}"
            where = ("-n", operator.namespace, "wait", name)
            cluster.kubectl(*where, "--for=condition=Ready", "--timeout=60s")
        yield operator
        cluster.kubectl("-n", operator.namespace, "delete", "pod", "-l", "app=node-agent")


def signal(operator: operators.Operator, pod: clusters.Json, number: str) -> None:
    nodes.send(operator.cluster, signal=number, pod=pod, agents=operator.namespace)


def wait_creating(
    operator: operators.Operator, audit: audits.Log, namespace: str, name: str
) -> None:
    """Wait until the first Pod of a cluster has been created."""
    operator.cluster.wait(
        lambda: created(audit, operator, namespace, name).get("pods"),
        within=2 * TAKEOVER,
        what=f"a Pod of {name} created",
        namespace=operator.namespace,
    )


def scale(operator: operators.Operator, namespace: str, name: str, workers: int) -> None:
    """Change a light cluster's workers and wait until the change is carried out."""
    change = [{"op": "replace", "path": "/spec/workerGroupSpecs/0/replicas", "value": workers}]
    operator.cluster.patch("rayclusters", namespace, name, change)
    ray.wait_ready(operator.cluster, namespace, name, workers=workers, within=TAKEOVER * 2)


def kill_process(operator: operators.Operator, pod: clusters.Json) -> None:
    signal(operator, pod, "SIGKILL")


def kill_pod(operator: operators.Operator, pod: clusters.Json) -> None:
    where = ("-n", operator.namespace, "delete", "pod", pod["metadata"]["name"])
    operator.cluster.kubectl(*where, "--grace-period=0", "--force")


@pytest.mark.parametrize("kill", [kill_process, kill_pod])
def test_when_the_leader_is_killed_work_goes_on(
    kill: Callable[[operators.Operator, clusters.Json], None],
    two_replicas: operators.Operator,
    namespace: str,
    audit: audits.Log,
) -> None:
    operator, cluster = two_replicas, two_replicas.cluster
    first = wait_leader(operator)
    name = kill.__name__.replace("_", "-")
    cluster.apply(light_cluster(name, workers=12), namespace)
    wait_creating(operator, audit, namespace, name)
    kill(operator, first)
    scale(operator, namespace, name, 14)
    assert created(audit, operator, namespace, name) == {"pods": 15, "services": 1}
    cluster.delete("rayclusters", namespace, name)
    operator.wait_ready(2)


def test_a_leader_stopped_past_its_lease_and_continued_writes_no_more(
    two_replicas: operators.Operator, namespace: str, audit: audits.Log
) -> None:
    operator, cluster = two_replicas, two_replicas.cluster
    first = wait_leader(operator)
    cluster.apply(light_cluster("stopped", workers=12), namespace)
    wait_creating(operator, audit, namespace, "stopped")
    signal(operator, first, "SIGSTOP")
    second = wait_leader(operator, other_than=first["metadata"]["name"])
    scale(operator, namespace, "stopped", 13)
    signal(operator, first, "SIGCONT")
    scale(operator, namespace, "stopped", 14)
    operator.wait_ready(2)  # the one that was stopped stands by again
    now = wait_leader(operator)
    assert now["metadata"]["name"] == second["metadata"]["name"]
    assert created(audit, operator, namespace, "stopped") == {"pods": 15, "services": 1}
