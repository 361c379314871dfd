"""Faults injected for real, and how soon the RayCluster itself says what they are."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from tests.support import cluster as clusters
from tests.support import operators, ray

NAME = "raycluster"
SOON_SECONDS = 5.0
"""From the Pod's status to the condition; the tests look every fifth of a second."""
WITHIN = timedelta(minutes=2)


class Fault(NamedTuple):
    """A head that can't run: changes of its container, and what is to be said."""

    reason: str
    words: str
    container: dict[str, Any]


def limited(memory: str, cpu: str = "100m") -> dict[str, Any]:
    return {"resources": {"limits": {"cpu": cpu, "memory": memory}, "requests": {"cpu": cpu}}}


FAULTS = (
    Fault(
        "ImagePullFailed",
        "check name and tag of the image",
        {"image": "rayproject/ray:missing", "imagePullPolicy": "Never"},
    ),
    Fault("Unschedulable", "Insufficient cpu", limited("64Mi", cpu="400")),
    Fault(
        "OutOfMemory",
        "killed at its memory limit of 64Mi: a Ray head needs 1Gi or more",
        {"command": ["python", "-c", "x = bytearray(10**9)"], **limited("64Mi")},
    ),
    Fault(
        "ContainerCrashed",
        "exit code 3: no license found",
        {"command": ["bash", "-c", "echo no license found; exit 3"]},
    ),
    Fault(
        "ContainerConfigInvalid",
        'configmap "missing" not found',
        {"envFrom": [{"configMapRef": {"name": "missing"}}]},
    ),
    Fault("ProgramMissing", "the image needs bash and Ray", {"command": ["/missing"]}),
)


def broken(container: dict[str, Any]) -> clusters.Json:
    """Return a cluster whose head runs the container as it is."""
    template = ray.pod_template("ray-head")
    template["spec"]["containers"][0] |= container
    template["spec"]["terminationGracePeriodSeconds"] = 0
    manifest = ray.ray_cluster(NAME, groups=[], head={"template": template})
    manifest["metadata"]["annotations"] = {"ray.io/overwrite-container-cmd": "true"}
    return manifest


def ready(cluster: clusters.Cluster, namespace: str) -> clusters.Json:
    found = cluster.get("rayclusters", namespace, NAME) or {}
    return ray.condition(found.get("status", {}), "RayClusterReady")


def shows_fault(pod: clusters.Json) -> bool:
    """Tell whether the kubelet or the scheduler has said that something is wrong."""
    status = pod["status"]
    for each in status.get("containerStatuses", ()):
        waits = each["state"].get("waiting", {}).get("reason", "ContainerCreating")
        ended = each["state"].get("terminated") or each["lastState"].get("terminated")
        if ended or waits != "ContainerCreating":
            return True
    scheduled = ray.condition(status, "PodScheduled")
    return bool(scheduled.get("status") == "False")


def first_moments(
    cluster: clusters.Cluster, namespace: str, fault: Fault, *, is_there: Callable[[], bool]
) -> tuple[float, float]:
    """Return when the fault was first there, and when the condition first told it."""
    seen: dict[str, float] = {}

    def both() -> bool:
        if "fault" not in seen and is_there():
            seen["fault"] = time.monotonic()
        said = ready(cluster, namespace)
        if said.get("reason") == fault.reason and fault.words in said["message"]:
            seen.setdefault("told", time.monotonic())
        return len(seen) == 2

    what = f"{fault.reason} told"
    cluster.wait(both, within=WITHIN, what=what, namespace=namespace)
    return seen["fault"], seen["told"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.reason)
def test_a_fault_of_the_head_is_told(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str, fault: Fault
) -> None:
    cluster.apply(broken(fault.container), namespace)
    happened, told = first_moments(
        cluster,
        namespace,
        fault,
        is_there=lambda: any(map(shows_fault, ray.pods(cluster, namespace, NAME))),
    )
    print(f"{fault.reason}: told {told - happened:.1f} s after the Pod's status")
    assert told - happened < SOON_SECONDS


def test_a_quota_is_told_and_forgotten_once_it_is_raised(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none"},
        "spec": {"hard": {"pods": "0"}},
    }
    cluster.apply(quota, namespace)
    where = ("-n", namespace, "wait", "resourcequota/none", "--timeout=60s")
    cluster.kubectl(*where, "--for=jsonpath={.status.hard.pods}=0")
    cluster.apply(broken({"command": ["sleep", "inf"]}), namespace)
    fault = Fault("QuotaExceeded", "ask for less, or have the ResourceQuota raised", {})
    first_moments(cluster, namespace, fault, is_there=lambda: True)
    cluster.kubectl("-n", namespace, "delete", "resourcequota", "none")
    cluster.wait(
        lambda: ray.pods(cluster, namespace, NAME),
        within=WITHIN,
        what="the head made after all",
        namespace=namespace,
    )
    cluster.wait(
        lambda: ready(cluster, namespace)["reason"] != fault.reason,
        within=WITHIN,
        what="the diagnosis gone",
        namespace=namespace,
    )
