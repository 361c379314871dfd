"""Faults injected for real, and how soon the RayCluster itself says what they are.

The table is of faults of the head's Pod. What is refused before there is a Pod, what befalls Pods
from outside and what workers suffer follow, each with a test of its own.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from tests.support import cluster as clusters
from tests.support import nodes, operators, ray, registry

NAME = "raycluster"
SOON_SECONDS = 5.0
"""From the Pod's status, or the event about it, to the condition."""
POLL_SECONDS = 0.1
WITHIN = timedelta(minutes=2)
Json = dict[str, Any]


class Fault(NamedTuple):
    """A head that can't run.

    Attributes:
        words: a part of what is to be said.
        container: what its container says in place of the usual.
        pod: the same of its Pod's spec.
        spec: the same of the RayCluster's.
        objects: what there is before.
        event: reason of the event by which the fault is told; empty if by the Pod's status.
        event_words: a part of that event.
        keeps_command: the container's command is left as it is.
    """

    name: str
    reason: str
    words: str
    container: Mapping[str, Any] = {}
    pod: Mapping[str, Any] = {}
    spec: Mapping[str, Any] = {}
    objects: tuple[Json, ...] = ()
    event: str = ""
    event_words: str = ""
    keeps_command: bool = True


def limited(memory: str, cpu: str = "100m") -> Json:
    return {"resources": {"limits": {"cpu": cpu, "memory": memory}, "requests": {"cpu": cpu}}}


def volume(source: Json) -> Json:
    return {"volumes": [{"name": "extra", **source}]}


def claim(name: str) -> Json:
    resources = {"requests": {"storage": "1Gi"}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": resources,
            "storageClassName": "",
            "selector": {"matchLabels": {"none": "has-this"}},
        },
    }


MOUNT = {"volumeMounts": [{"name": "extra", "mountPath": "/extra"}]}
SOME_TIME = {"terminationGracePeriodSeconds": 30}
"""To end in, as every Ray Pod has: without, a Pod is gone in the moment it is told to go."""
SLEEP = {"command": ["sleep", "inf"]}
FAILS = {"exec": {"command": ["bash", "-c", "echo no license; exit 1"]}}
SLOWLY = {"periodSeconds": 1, "timeoutSeconds": 10}
BAD_PROBE = {"readinessProbe": {**FAILS, **SLOWLY, "failureThreshold": 1}, **SLEEP}
GOOD_PROBE = {"readinessProbe": {"exec": {"command": ["true"]}, **SLOWLY}, **SLEEP}
EVICTED = "python -c \"open('/tmp/x','wb').write(b'x'*(100<<20))\"; sleep inf"
RUNTIME = {
    "apiVersion": "node.k8s.io/v1",
    "kind": "RuntimeClass",
    "metadata": {"name": "e2e-missing"},
    "handler": "missing",
}
FAULTS = (
    Fault(
        "image-404",
        "ImageNotFound",
        "check name and tag of the image",
        {"image": registry.MISSING, **SLEEP},
    ),
    Fault(
        "image-401",
        "ImagePullDenied",
        "give imagePullSecrets that may read it",
        {"image": registry.DENIED, **SLEEP},
    ),
    Fault(
        "image-never-pulled",
        "ImageNotFound",
        "load it into the node",
        {"image": "rayproject/ray:missing", "imagePullPolicy": "Never", **SLEEP},
    ),
    Fault(
        "registry-down",
        "ImagePullFailed",
        "reach and trust the registry?",
        {"image": "localhost:1/none/ray:1", **SLEEP},
    ),
    Fault("cpu", "Unschedulable", "ask for less cpu, or add nodes", limited("64Mi", cpu="400")),
    Fault(
        "selector",
        "Unschedulable",
        "correct nodeSelector or affinity",
        pod={"nodeSelector": {"none": "has-this"}},
    ),
    Fault(
        "gate",
        "SchedulingGated",
        "what set spec.schedulingGates",
        pod={"schedulingGates": [{"name": "example.com/queue"}]},
    ),
    Fault(
        "claim-missing",
        "ObjectMissing",
        'persistentvolumeclaim "none" not found',
        pod=volume({"persistentVolumeClaim": {"claimName": "none"}}),
    ),
    Fault(
        "claim-unbound",
        "VolumeUnavailable",
        "unbound immediate PersistentVolumeClaims",
        pod=volume({"persistentVolumeClaim": {"claimName": "unbound"}}),
        objects=(claim("unbound"),),
    ),
    Fault(
        "secret-missing",
        "ObjectMissing",
        'secret "none" not found',
        MOUNT,
        pod=volume({"secret": {"secretName": "none"}}),
        event="FailedMount",
    ),
    Fault(
        "config-map-missing",
        "ObjectMissing",
        'configmap "none" not found',
        {"envFrom": [{"configMapRef": {"name": "none"}}]},
    ),
    Fault(
        "root-refused",
        "ContainerConfigInvalid",
        "non-root",
        {"securityContext": {"runAsNonRoot": True, "runAsUser": 0}, **SLEEP},
    ),
    Fault(
        "runtime",
        "SandboxFailed",
        "look at network plugin and container runtime",
        SLEEP,
        pod={"runtimeClassName": "e2e-missing"},
        objects=(RUNTIME,),
        event="FailedCreatePodSandBox",
    ),
    Fault(
        "memory",
        "OutOfMemory",
        "killed at its memory limit of 64Mi: a Ray head needs 1Gi or more",
        {"command": ["python", "-c", "x = bytearray(10**9)"], **limited("64Mi")},
    ),
    Fault(
        "crash",
        "ContainerCrashed",
        "exit code 3: no license found",
        {"command": ["bash", "-c", "echo no license found; exit 3"]},
    ),
    Fault("no-program", "ProgramMissing", "the image needs bash and Ray", {"command": ["/none"]}),
    Fault(
        "no-bash",
        "ProgramMissing",
        "the image needs bash and Ray",
        {"image": "registry.k8s.io/pause:3.10"},
        keeps_command=False,
    ),
    Fault(
        "no-ray",
        "ProgramMissing",
        "the image needs bash and Ray",
        {"image": "redis:7"},
        keeps_command=False,
    ),
    Fault(
        "probe",
        "ProbeFailing",
        "Readiness probe failed: no license",
        BAD_PROBE,
        event="Unhealthy",
    ),
    Fault(
        "unresponsive",
        "MemoryTooSmall",
        "doesn't answer, and its memory limit is 256Mi: a Ray head needs 1Gi or more",
        {**BAD_PROBE, **limited("256Mi")},
        event="Unhealthy",
    ),
    Fault(
        "ray-version",
        "RayVersionMismatch",
        "/api/healthz",  # as a probe was told, and then in the words of the dashboard
        spec={"rayVersion": "2.53.0"},
        event="Unhealthy",
        event_words="statuscode: 404",
        keeps_command=False,
    ),
    Fault(
        "disk",
        "PodEvicted",
        "write less to local disk",
        {
            "command": ["bash", "-c", EVICTED],
            "resources": {"limits": {"ephemeral-storage": "20Mi"}},
        },
    ),
)
ALWAYS = {"image-404", "cpu", "claim-missing", "memory", "crash", "probe"}
"""One of each sort, which CI has time for; `make e2e-full` runs all."""


def head_of(fault: Fault) -> Json:
    """Return a cluster whose head has the fault."""
    template = ray.pod_template("ray-head", **fault.pod)
    template["spec"]["containers"][0] |= fault.container
    template["spec"] = {"terminationGracePeriodSeconds": 0, **template["spec"]}
    manifest = ray.ray_cluster(NAME, groups=[], head={"template": template}, **fault.spec)
    if fault.keeps_command:
        manifest["metadata"]["annotations"] = {"ray.io/overwrite-container-cmd": "true"}
    return manifest


def broken(container: Json) -> Json:
    return head_of(Fault("", "", "", container))


def status_of(cluster: clusters.Cluster, namespace: str) -> Json:
    found: Json = (cluster.get("rayclusters", namespace, NAME) or {}).get("status", {})
    return found


def ready(cluster: clusters.Cluster, namespace: str) -> Json:
    return ray.condition(status_of(cluster, namespace), "RayClusterReady")


def shows_fault(pod: Json) -> bool:
    """Tell whether the kubelet or the scheduler has said that something is wrong."""
    status = pod["status"]
    for each in status.get("containerStatuses", ()):
        waits = each["state"].get("waiting", {}).get("reason", "ContainerCreating")
        ended = each["state"].get("terminated") or each["lastState"].get("terminated")
        if ended or waits not in ("ContainerCreating", "PodInitializing"):
            return True
    scheduled = ray.condition(status, "PodScheduled")
    return status.get("reason") == "Evicted" or bool(scheduled.get("status") == "False")


def events(
    cluster: clusters.Cluster, namespace: str, reason: str, about: str = "Pod"
) -> list[Json]:
    found = cluster.list("events", namespace)
    return [
        each
        for each in found
        if each["reason"] == reason and each["involvedObject"]["kind"] == about
    ]


def news(cluster: clusters.Cluster, namespace: str, reason: str) -> list[Json]:
    found = events(cluster, namespace, reason, "RayCluster")
    return [each for each in found if each.get("action") in ("Diagnose", "Validate")]


def is_there(cluster: clusters.Cluster, namespace: str, fault: Fault) -> bool:
    if fault.event:
        found = events(cluster, namespace, fault.event)
        return any(fault.event_words in each["message"] for each in found)
    return any(map(shows_fault, ray.pods(cluster, namespace, NAME)))


def measure(
    cluster: clusters.Cluster,
    namespace: str,
    fault: Fault,
    *,
    there: Callable[[], bool],
    within: timedelta = WITHIN,
) -> None:
    """Wait for the fault and for its reason, print how long it took, and limit that."""
    seen: dict[str, float] = {}

    def both() -> bool:
        if "fault" not in seen and there():
            seen["fault"] = time.monotonic()
        said = ready(cluster, namespace)
        if said.get("reason") == fault.reason and fault.words in said["message"]:
            seen.setdefault("told", time.monotonic())
            seen.setdefault("fault", seen["told"])  # told before we looked
        return len(seen) == 2

    cluster.wait(
        both,
        within=within,
        what=f"{fault.reason} told",
        namespace=namespace,
        poll_seconds=POLL_SECONDS,
    )
    delay = seen["told"] - seen["fault"]
    print(f"FAULT {fault.name}: {delay:.1f} s: {ready(cluster, namespace)['message']}")
    assert delay < SOON_SECONDS


@pytest.fixture(scope="module")
def registry_node(cluster: clusters.Cluster) -> Iterator[str]:
    """The node on which images of the stub registry can be asked for."""
    space = "e2e-registry"
    cluster.kubectl("create", "namespace", space)
    cluster.apply(registry.pod(ray.IMAGE), space)
    cluster.kubectl("-n", space, "wait", "pod/registry", "--for=condition=Ready", "--timeout=120s")
    pod = cluster.get("pods", space, registry.NAME)
    assert pod is not None
    yield pod["spec"]["nodeName"]
    cluster.kubectl("delete", "namespace", space, "--wait=false")


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(each, id=each.name, marks=[] if each.name in ALWAYS else [pytest.mark.full])
        for each in FAULTS
    ],
)
def test_a_fault_of_the_head_is_told(
    cluster: clusters.Cluster,
    operator: operators.Operator,
    namespace: str,
    registry_node: str,
    fault: Fault,
) -> None:
    for each in fault.objects:
        cluster.apply(each, namespace)
    if str(fault.container.get("image")).startswith("localhost"):
        pinned = {"nodeSelector": {"kubernetes.io/hostname": registry_node}}
        fault = fault._replace(pod={**fault.pod, **pinned})
    cluster.apply(head_of(fault), namespace)
    measure(cluster, namespace, fault, there=lambda: is_there(cluster, namespace, fault))
    shown = cluster.kubectl("-n", namespace, "get", "rayclusters")
    assert re.search(rf"\b{fault.reason}\b", shown)
    cluster.wait(
        lambda: len(news(cluster, namespace, fault.reason)) == 1,
        within=WITHIN,
        what="one event that tells the same",
        namespace=namespace,
    )


@pytest.mark.full
def test_what_goes_on_is_written_once_and_forgotten_once_it_is_cured(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    manifest = head_of(
        Fault("", "", "", {**GOOD_PROBE, **MOUNT}, volume({"secret": {"secretName": "late"}}))
    )
    cluster.apply(manifest, namespace)
    fault = Fault("secret-late", "ObjectMissing", 'secret "late" not found', event="FailedMount")
    measure(cluster, namespace, fault, there=lambda: is_there(cluster, namespace, fault))
    written = status_of(cluster, namespace)["lastUpdateTime"]
    before = sum(each.get("count") or 1 for each in events(cluster, namespace, "FailedMount"))

    def again() -> bool:
        now = sum(each.get("count") or 1 for each in events(cluster, namespace, "FailedMount"))
        return now >= before + 2

    cluster.wait(again, within=WITHIN, what="the fault told again", namespace=namespace)
    assert status_of(cluster, namespace)["lastUpdateTime"] == written
    assert len(news(cluster, namespace, "ObjectMissing")) == 1
    cluster.kubectl("-n", namespace, "create", "secret", "generic", "late")
    cluster.wait(
        lambda: ready(cluster, namespace)["status"] == "True",
        within=timedelta(minutes=4),
        what="the cluster ready",
        namespace=namespace,
    )
    assert "reason" not in status_of(cluster, namespace)


def policy(namespace: str) -> tuple[Json, Json]:
    """Return an admission policy that refuses every Pod of the namespace, and its binding."""
    version = "admissionregistration.k8s.io/v1"
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods"],
    }
    where = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    return (
        {
            "apiVersion": version,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": namespace},
            "spec": {
                "matchConstraints": {"resourceRules": [rule]},
                "validations": [{"expression": "false", "message": "no Pods on Sundays"}],
            },
        },
        {
            "apiVersion": version,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": namespace},
            "spec": {
                "policyName": namespace,
                "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": where},
            },
        },
    )


def refused(cluster: clusters.Cluster, namespace: str, fault: Fault) -> None:
    cluster.apply(head_of(fault), namespace)
    failed = ("FailedToCreateHeadPod", "RayCluster")
    there = lambda: bool(events(cluster, namespace, *failed))  # noqa: E731
    measure(cluster, namespace, fault, there=there)


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
    hint = "ask for less, or have the ResourceQuota raised"
    refused(cluster, namespace, Fault("quota", "QuotaExceeded", hint, SLEEP))
    cluster.kubectl("-n", namespace, "delete", "resourcequota", "none")
    cluster.wait(
        lambda: ray.pods(cluster, namespace, NAME),
        within=WITHIN,
        what="the head made after all",
        namespace=namespace,
    )
    cluster.wait(
        lambda: ready(cluster, namespace)["reason"] != "QuotaExceeded",
        within=WITHIN,
        what="the diagnosis gone",
        namespace=namespace,
    )


@pytest.mark.full
def test_a_limit_range_is_told(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    limits = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "small"},
        "spec": {"limits": [{"type": "Container", "max": {"memory": "10Mi"}}]},
    }
    cluster.apply(limits, namespace)
    hint = "stay within the namespace's LimitRange"
    refused(cluster, namespace, Fault("limit-range", "LimitRangeViolated", hint, SLEEP))


@pytest.mark.full
def test_pod_security_is_told(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    label = "pod-security.kubernetes.io/enforce=baseline"
    cluster.kubectl("label", "namespace", namespace, label)
    container = {"securityContext": {"privileged": True}, **SLEEP}
    words = "privileged (container"
    refused(cluster, namespace, Fault("security", "PodSecurityViolated", words, container))


@pytest.mark.full
def test_a_missing_service_account_is_told(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    fault = Fault("account", "ObjectMissing", 'serviceaccount "none" not found', SLEEP)
    refused(cluster, namespace, fault._replace(pod={"serviceAccountName": "none"}))


@pytest.mark.full
def test_an_admission_policy_is_told(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    made, binding = policy(namespace)
    try:
        cluster.apply(made, namespace)
        cluster.apply(binding, namespace)
        probe = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}}
        probe["spec"] = {"containers": [{"name": "probe", "image": "probe"}]}

        def holds() -> bool:
            try:
                cluster.dry_run_answer(f"/api/v1/namespaces/{namespace}/pods", probe)
            except clusters.CommandFailed as failed:
                return "no Pods on Sundays" in str(failed)
            return False

        cluster.wait(holds, within=WITHIN, what="the policy at work", namespace=namespace)
        refused(cluster, namespace, Fault("policy", "AdmissionDenied", "no Pods on Sundays", SLEEP))
    finally:
        for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
            cluster.kubectl("delete", kind, namespace, "--ignore-not-found")


def running_head(cluster: clusters.Cluster, namespace: str, manifest: Json) -> Json:
    """Make the cluster and return its head once it runs."""
    cluster.apply(manifest, namespace)

    def runs() -> Json | None:
        found = ray.pods(cluster, namespace, NAME, node_type="head")
        ok = found and ready(cluster, namespace).get("status") == "True"
        return found[0] if ok else None

    return cluster.wait(runs, within=WITHIN, what="the head running", namespace=namespace)


def is_disrupted(cluster: clusters.Cluster, namespace: str, reason: str, name: str) -> bool:
    """Tell whether the Pod is said to be ended from outside, or was."""
    pod = cluster.get("pods", namespace, name)
    return pod is None or ray.condition(pod["status"], "DisruptionTarget").get("reason") == reason


def test_an_eviction_by_request_is_told(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    manifest = head_of(Fault("", "", "", GOOD_PROBE, SOME_TIME))
    head = running_head(cluster, namespace, manifest)["metadata"]["name"]
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": head, "namespace": namespace},
    }
    where = f"/api/v1/namespaces/{namespace}/pods/{head}/eviction"
    cluster.kubectl("create", "--raw", where, "-f", "-", stdin=json.dumps(eviction))
    fault = Fault("eviction", "PodEvicted", "evicted by request")
    there = lambda: is_disrupted(cluster, namespace, "EvictionByEvictionAPI", head)  # noqa: E731
    measure(cluster, namespace, fault, there=there)


@pytest.mark.full
def test_a_preemption_is_told(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    """Only ours has a priority below that of all others, so that nothing else gives way."""
    low = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": "e2e-low"},
        "value": -1000,
    }
    cluster.apply(low, namespace)
    half = {"resources": {"requests": {"cpu": "900m"}, "limits": {"cpu": "900m"}}}
    fault = Fault("", "", "", {**GOOD_PROBE, **half}, {**SOME_TIME, "priorityClassName": "e2e-low"})
    pod = running_head(cluster, namespace, head_of(fault))
    node = pod["spec"]["nodeName"]
    capacity = next(
        each["status"]["allocatable"]["cpu"]
        for each in cluster.list("nodes", None)
        if each["metadata"]["name"] == node
    )
    other = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "important"},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": node},
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "important",
                    "image": "registry.k8s.io/pause:3.10",
                    "resources": {"requests": {"cpu": f"{int(capacity) * 1000 - 800}m"}},
                }
            ],
        },
    }
    cluster.apply(other, namespace)
    name = pod["metadata"]["name"]
    there = lambda: is_disrupted(cluster, namespace, "PreemptionByScheduler", name)  # noqa: E731
    measure(
        cluster,
        namespace,
        Fault("preemption", "PodPreempted", "gave way to a Pod of a higher priority"),
        there=there,
    )


@contextmanager
def silent_node(cluster: clusters.Cluster, namespace: str, node: str) -> Iterator[None]:
    """Stop a node's kubelet for a while; it goes on by itself, whatever becomes of the test."""
    cluster.apply(nodes.agent(node, ray.IMAGE), namespace)
    name = f"{nodes.AGENT}-{node}"
    where = ("-n", namespace)
    cluster.kubectl(*where, "wait", f"pod/{name}", "--for=condition=Ready", "--timeout=60s")
    cluster.kubectl(*where, "exec", name, "--", "python", "-c", nodes.SILENCE, node, "170")
    yield


@pytest.mark.full
def test_a_lost_node_is_told(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    """Its kubelet stops; after a time of grace (here 2 min) the control plane gives it up."""
    busy = {pod["spec"].get("nodeName") for pod in operator.pods()}
    busy |= {pod["spec"].get("nodeName") for pod in cluster.list("pods", "kube-system")}
    names = [each["metadata"]["name"] for each in cluster.list("nodes", None)]
    free = [name for name in names if name not in busy]
    assert free, "every node has something that the test can't do without"
    chosen = {"nodeSelector": {"kubernetes.io/hostname": free[0]}}
    running_head(cluster, namespace, head_of(Fault("", "", "", GOOD_PROBE, chosen)))
    with silent_node(cluster, namespace, free[0]):
        fault = Fault(
            "node", "NodeLost", f"its node {free[0]} doesn't answer", event="NodeNotReady"
        )
        measure(
            cluster,
            namespace,
            fault,
            there=lambda: is_there(cluster, namespace, fault),
            within=timedelta(minutes=3),
        )
    cluster.wait(
        lambda: ready(cluster, namespace)["status"] == "True",
        within=timedelta(minutes=3),
        what="the cluster ready again",
        namespace=namespace,
    )


def with_worker(worker: Json, **pod: Any) -> Json:
    """Return a cluster whose head is ready and has no GCS, with one worker."""
    manifest = broken(GOOD_PROBE)
    template = ray.pod_template("ray-worker", **pod)
    template["spec"]["containers"][0] |= worker
    template["spec"]["terminationGracePeriodSeconds"] = 0
    manifest["spec"]["workerGroupSpecs"] = [ray.worker_group(template=template)]
    return manifest


def init_runs(cluster: clusters.Cluster, namespace: str) -> bool:
    """Tell whether the worker waits for its head."""
    return any(
        each["state"].get("running")
        for pod in ray.pods(cluster, namespace, NAME, node_type="worker")
        for each in pod["status"].get("initContainerStatuses", ())
    )


@pytest.mark.full
def test_a_worker_with_another_ray_is_told(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    cluster.apply(with_worker({"image": "rayproject/ray:2.60.0"}), namespace)
    fault = Fault("versions", "RayVersionMismatch", "its image has Ray 2.60.0, the head's 2.46.0")
    measure(cluster, namespace, fault, there=lambda: init_runs(cluster, namespace))


@pytest.mark.full
def test_a_worker_that_waits_for_its_head_is_told(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    """A minute is normal; the five seconds are counted from there."""
    started: list[float] = []
    cluster.apply(with_worker({}), namespace)

    def waited() -> bool:
        if not started and init_runs(cluster, namespace):
            started.append(time.monotonic())
        return bool(started) and time.monotonic() - started[0] > 60

    address = f"{NAME}-head-svc.{namespace}.svc:6379"
    fault = Fault("waiting", "WaitingForHead", f"waits for the GCS at {address} since ")
    measure(cluster, namespace, fault, there=waited, within=timedelta(minutes=3))
