"""What is said of clusters that don't get ready."""

from datetime import timedelta
from typing import Any

import pytest

from ray_operator import actions, conditions, errors, names, records
from ray_operator.raycluster import containers as wanted
from ray_operator.raycluster import observed as seen
from ray_operator.raycluster import plan, turnover
from ray_operator.raycluster.diagnosis import diagnose
from tests.unit import builders

NOTHING = actions.Outcome()
POD = "Pod demo-head-aaaaa"
HEAD = f"container ray-head of {POD}"
IMAGE = "image rayproject/ray:2.46.0"
LONG_AGO = builders.NOW - timedelta(minutes=5)
MAKE_IT = "make the object that is named, or correct its name"
NEEDS = "the image needs bash and Ray"
Said = tuple[str, str] | None


def head(*containers: records.Container, **fields: Any) -> records.Pod:
    return builders.pod(**{"ready": False, "containers": containers, **fields})


def container(state: str = "waiting", name: str = "ray-head", **fields: Any) -> records.Container:
    return records.Container(name=name, state=state, **fields)


def running(name: str = "ray-head", **fields: Any) -> records.Container:
    return container("running", name, **{"started_at": LONG_AGO, **fields})


def event(
    reason: str, message: str, pod: str = "demo-head-aaaaa", **fields: Any
) -> records.PodEvent:
    given: dict[str, Any] = {
        "name": message,
        "last_at": builders.NOW,
        "container": "ray-head",
    } | fields
    return records.PodEvent(
        namespace="ns1",
        resource_version="1",
        pod=pod,
        pod_uid=f"uid-{pod}",
        reason=reason,
        message=message,
        **given,
    )


def world(*pods: records.Pod, events: tuple[records.PodEvent, ...] = ()) -> seen.Observed:
    by_pod: dict[str, tuple[records.PodEvent, ...]] = {}
    for each in events:
        by_pod[each.pod_uid] = (*by_pod.get(each.pod_uid, ()), each)
    return seen.Observed(pods=pods, events=by_pod)


def say(
    *pods: records.Pod,
    memory: str = "2Gi",
    outcome: actions.Outcome = NOTHING,
    events: tuple[records.PodEvent, ...] = (),
    before: conditions.Condition | None = None,
    **spec: Any,
) -> Said:
    template = builders.template("ray-head")
    template["spec"]["containers"][0]["resources"] = {"limits": {"memory": memory}}
    cluster = builders.raycluster(headGroupSpec={"template": template}, **spec)
    observed = world(*pods, events=events)
    found = diagnose.first(cluster, observed, outcome, before=before, now=builders.NOW)
    return (found.reason, found.message) if found else None


def ended(reason: str = "Error", message: str = "", code: int = 1, **fields: Any) -> records.Ended:
    return records.Ended(reason, message, code, **fields)


@pytest.mark.parametrize(
    ("told", "reason", "message"),
    [
        (
            ("ImagePullBackOff", 'Back-off pulling image "a"'),
            "ImagePullFailed",
            "ImagePullBackOff: can node node-1 reach and trust the registry?",
        ),
        (
            (
                "ImagePullBackOff",
                (
                    'Back-off pulling image "a": ErrImagePull: rpc error: code = NotFound desc = a:'
                    " not found"
                ),
            ),
            "ImageNotFound",
            "a: not found: check name and tag of the image",
        ),
        (
            ("ErrImagePull", "rpc error: code = NotFound desc = a: not found"),
            "ImageNotFound",
            "a: not found: check name and tag of the image",
        ),
        (
            ("ErrImagePull", "401 Unauthorized"),
            "ImagePullDenied",
            "401 Unauthorized: check the image's name, and give imagePullSecrets that may read it",
        ),
        (
            ("ErrImagePull", "dial tcp: lookup none: no such host"),
            "ImagePullFailed",
            "dial tcp: lookup none: no such host: can node node-1 reach and trust the registry?",
        ),
        (
            ("ErrImageNeverPull", 'Container image "a" is not present with pull policy of Never'),
            "ImageNotFound",
            (
                'Container image "a" is not present with pull policy of Never: load it into the'
                " node, or let imagePullPolicy allow pulling it"
            ),
        ),
        (
            ("InvalidImageName", 'couldn\'t parse image name "A:"'),
            "ImagePullFailed",
            "couldn't parse image name \"A:\": correct the image's name",
        ),
    ],
)
def test_an_image(told: tuple[str, str], reason: str, message: str) -> None:
    pod = head(container(reason=told[0], message=told[1]))
    assert say(pod) == (reason, f"{HEAD}: {IMAGE}: {message}")


def test_events_tell_of_images_where_the_pod_does_not() -> None:
    pod = head(container(reason="ImagePullBackOff", message='Back-off pulling image "a"'))
    events = (
        event("Failed", "Error: ErrImagePull"),
        event("Failed", 'Failed to pull image "a": rpc error: code = Unknown desc = 403 Forbidden'),
        event("FailedToRetrieveImagePullSecret", "Unable to retrieve some image pull secrets"),
    )
    hint = "check the image's name, and its imagePullSecrets aren't there"
    assert say(pod, events=events) == (
        "ImagePullDenied",
        f"{HEAD}: {IMAGE}: 403 Forbidden: {hint}",
    )


@pytest.mark.parametrize(
    ("pod", "reason", "message"),
    [
        (
            head(container(reason="CreateContainerConfigError", message='configmap "a" not found')),
            "ObjectMissing",
            f'{HEAD}: configmap "a" not found: {MAKE_IT}',
        ),
        (
            head(container(reason="CreateContainerConfigError", message="root, and non-root")),
            "ContainerConfigInvalid",
            f"{HEAD}: root, and non-root",
        ),
        (
            head(container(reason="RunContainerError", message='exec: "/b": no such file or')),
            "ContainerConfigInvalid",
            f'{HEAD}: exec: "/b": no such file or',
        ),
        (
            head(
                container(
                    "terminated",
                    ended=ended("StartError", 'exec: "/bin/bash": no such file or directory', 128),
                )
            ),
            "ProgramMissing",
            f'{HEAD}: exec: "/bin/bash": no such file or directory: {NEEDS}',
        ),
        (
            head(
                container("terminated", ended=ended(message="bash: line 1: ray: command not found"))
            ),
            "ProgramMissing",
            f"{HEAD}: exit code 1: bash: line 1: ray: command not found: {NEEDS}",
        ),
        (
            head(container(reason="CrashLoopBackOff", ended=ended("OOMKilled"))),
            "OutOfMemory",
            f"{HEAD}: killed at its memory limit of 2Gi: raise resources.limits.memory",
        ),
        (
            head(container("terminated", ended=ended(message="a\nb " * 200, code=3))),
            "ContainerCrashed",
            f"{HEAD}: exit code 3: …" + ("a b " * 200).strip()[-300:],
        ),
        (
            head(container(reason="CrashLoopBackOff", ended=ended(), restarts=4)),
            "ContainerCrashed",
            f"{HEAD}: exit code 1",
        ),
        (
            head(running(started_at=builders.NOW, ended=ended(), restarts=4)),
            "ContainerCrashed",
            f"{HEAD}: exit code 1",
        ),
        (
            head(container("terminated", ended=ended(code=139))),
            "ContainerCrashed",
            (
                f"{HEAD}: exit code 139: a segmentation fault: does the image suit the node's CPU,"
                " and its native libraries Ray?"
            ),
        ),
        (
            head(
                container(
                    "terminated",
                    ended=ended(
                        message="Version mismatch: The cluster was started with: Ray: 2.46.0"
                    ),
                )
            ),
            "RayVersionMismatch",
            (
                f"{HEAD}: exit code 1: Version mismatch: The cluster was started with: Ray: 2.46.0:"
                " give head and workers images with the same Ray and Python"
            ),
        ),
    ],
)
def test_a_container(pod: records.Pod, reason: str, message: str) -> None:
    assert say(pod) == (reason, message)


@pytest.mark.parametrize(
    ("said", "reason", "hint"),
    [
        (
            (
                "0/3 nodes are available: 3 Insufficient cpu. no new claims to deallocate,"
                " preemption: 0/3 nodes are available: 3 No preemption victims."
            ),
            "Unschedulable",
            (
                "0/3 nodes are available: 3 Insufficient cpu: ask for less cpu, or add nodes that"
                " have it"
            ),
        ),
        (
            (
                "0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 2 node(s) had untolerated"
                " taint {team: ml}."
            ),
            "Unschedulable",
            (
                "0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 2 node(s) had untolerated"
                " taint {team: ml}: ask for less nvidia.com/gpu, or add nodes that have it;"
                " tolerate team, or add nodes without"
            ),
        ),
        (
            "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.",
            "Unschedulable",
            (
                "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector:"
                " correct nodeSelector or affinity"
            ),
        ),
        (
            'persistentvolumeclaim "a" not found. preemption: none',
            "ObjectMissing",
            f'persistentvolumeclaim "a" not found: {MAKE_IT}',
        ),
        (
            "pod has unbound immediate PersistentVolumeClaims.",
            "VolumeUnavailable",
            (
                "pod has unbound immediate PersistentVolumeClaims: make a PersistentVolume or"
                " StorageClass that suits the claim"
            ),
        ),
        (
            "Scheduling is blocked due to non-empty scheduling gates",
            "SchedulingGated",
            (
                "Scheduling is blocked due to non-empty scheduling gates: what set"
                " spec.schedulingGates, a queue for instance, has to remove them"
            ),
        ),
        ("something new", "Unschedulable", "something new"),
    ],
)
def test_an_unscheduled_pod(said: str, reason: str, hint: str) -> None:
    assert say(head(node="", unscheduled=said)) == (reason, f"{POD}: {hint}")


@pytest.mark.parametrize(
    ("fields", "reason", "message"),
    [
        (
            {"phase": "Failed", "reason": "Evicted", "message": "low on resource: memory."},
            "PodEvicted",
            (
                "Evicted: low on resource: memory: request what it uses, so that it isn't the first"
                " to go, or use larger nodes"
            ),
        ),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "exceeds ephemeral-storage"},
            "PodEvicted",
            (
                "Evicted: exceeds ephemeral-storage: write less to local disk, or raise the limit"
                " that is named"
            ),
        ),
        ({"reason": "NodeLost"}, "NodeLost", "NodeLost: its node doesn't answer"),
        (
            {"phase": "Failed", "reason": "OutOfcpu", "message": "not enough"},
            "PodFailed",
            "OutOfcpu: not enough",
        ),
    ],
)
def test_a_pod_that_its_node_ended(fields: dict[str, str], reason: str, message: str) -> None:
    assert say(head(**fields)) == (reason, f"{POD} (node node-1): {message}")


@pytest.mark.parametrize(
    ("disrupted", "reason"),
    [
        ("DeletionByTaintManager", "NodeLost"),
        ("DeletionByPodGC", "NodeLost"),
        ("EvictionByEvictionAPI", "PodEvicted"),
        ("PreemptionByScheduler", "PodPreempted"),
    ],
)
def test_a_pod_that_was_ended_from_outside(disrupted: str, reason: str) -> None:
    said = say(head(running(), disrupted=disrupted, deletion_at=builders.NOW, ready=True))
    assert said is not None
    assert said[0] == reason


def test_a_node_that_went_silent() -> None:
    pod = head(container("terminated", "init", exit_code=0), running(ready=True))
    events = (event("NodeNotReady", "Node is not ready", container=""),)
    hint = "look at the node; the Pod is replaced once the cluster gives it up"
    assert say(pod, events=events) == (
        "NodeLost",
        f"{POD}: its node node-1 doesn't answer: {hint}",
    )
    assert say(head(running(started_at=builders.NOW)), events=events) is None


@pytest.mark.parametrize(
    ("reason", "message", "expected"),
    [
        (
            "FailedMount",
            'MountVolume.SetUp failed for volume "v" : secret "a" not found',
            (
                "ObjectMissing",
                f'MountVolume.SetUp failed for volume "v" : secret "a" not found: {MAKE_IT}',
            ),
        ),
        (
            "FailedAttachVolume",
            "Multi-Attach error",
            (
                "VolumeUnavailable",
                "Multi-Attach error: look at the volume, its claim and its driver on that node",
            ),
        ),
        (
            "FailedCreatePodSandBox",
            "no addresses",
            (
                "SandboxFailed",
                "no addresses: look at network plugin and container runtime of node node-1",
            ),
        ),
    ],
)
def test_a_pod_that_does_not_start(reason: str, message: str, expected: tuple[str, str]) -> None:
    events = (event(reason, message, container=""),)
    starting = head(container(reason="ContainerCreating"))
    assert say(starting, events=events) == (expected[0], f"{POD}: {expected[1]}")
    assert say(head(running(started_at=builders.NOW)), events=events) is None


UNHEALTHY = event("Unhealthy", "Readiness probe failed: no answer")


def test_a_probe_is_told_once_it_failed_for_as_long_as_it_may() -> None:
    expected = ("ProbeFailing", f"{HEAD}: Readiness probe failed: no answer")
    assert say(head(running()), events=(UNHEALTHY,)) == expected
    fresh = head(running(started_at=builders.NOW - timedelta(seconds=20)))
    assert say(fresh, events=(UNHEALTHY,)) is None
    again = diagnose.look_again(
        builders.raycluster(), world(fresh, events=(UNHEALTHY,)), now=builders.NOW
    )
    assert again == timedelta(seconds=40)  # ours: 10 s, and then ten times 5 s
    restarted = head(running(started_at=builders.NOW + timedelta(seconds=1)))
    assert say(restarted, events=(UNHEALTHY,)) is None


def test_a_head_that_has_too_little_memory() -> None:
    hint = "a Ray head needs 1Gi or more"
    assert say(head(running()), memory="512Mi", events=(UNHEALTHY,)) == (
        "MemoryTooSmall",
        f"{HEAD}: doesn't answer, and its memory limit is 512Mi: {hint}",
    )
    killed = head(container("terminated", ended=ended("OOMKilled", code=137)))
    assert say(killed, memory="512Mi") == (
        "OutOfMemory",
        f"{HEAD}: killed at its memory limit of 512Mi: {hint}",
    )
    child = head(container("terminated", ended=ended(message="gcs_server [exit code=-9]")))
    assert say(child, memory="512Mi") == (
        "MemoryTooSmall",
        f"{HEAD}: exit code 1: gcs_server [exit code=-9]: its memory limit is 512Mi: {hint}",
    )


def test_a_container_that_its_probe_ended() -> None:
    liveness = event("Unhealthy", "Liveness probe failed: no answer")
    at = builders.NOW + timedelta(seconds=30)
    pod = head(container("terminated", ended=ended(code=137, finished_at=at)))
    assert say(pod, events=(liveness,)) == (
        "ProbeFailing",
        f"{HEAD}: restarted because of its probe: Liveness probe failed: no answer",
    )


def test_ray_that_is_older_than_said() -> None:
    """An old Ray's agent answers, and doesn't know the path: that needs no patience."""
    events = (event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 404"),)
    fresh = head(running(started_at=builders.NOW))
    said = say(fresh, events=events, rayVersion="2.53.0")
    assert said is not None
    assert said[0] == "RayVersionMismatch"
    assert said[1].endswith("is Ray in the image older than 2.53.0?")
    assert say(fresh, events=events) is None


def waiting(**fields: Any) -> records.Pod:
    wait = running(wanted.WAIT_GCS_READY, **fields)
    return builders.worker(ready=False, containers=(wait, container(name="ray-worker")))


WAITS = f"container {wanted.WAIT_GCS_READY} of Pod demo-small-worker-aaaaa"
FOR_GCS = "waits for the GCS at demo-head-svc.ns1.svc:6379 since"


def test_a_worker_that_waits_too_long() -> None:
    ready = builders.pod(ready_since=LONG_AGO)
    hint = "does a NetworkPolicy or DNS keep it from the head, or has its image another Ray?"
    long = f"{WAITS}: {FOR_GCS} 2026-01-01T11:55:00Z"
    assert say(ready, waiting()) == ("WaitingForHead", f"{long}: {hint}")
    assert say(head(), waiting()) == ("WaitingForHead", f"{long}: the head isn't ready")
    short = waiting(started_at=builders.NOW - timedelta(seconds=90))
    assert say(head(), short) is None
    assert say(builders.pod(ready_since=builders.NOW), short) is None
    assert say(ready, short) is not None


def test_a_worker_with_the_image_of_another_ray() -> None:
    group = builders.group()
    group["template"]["spec"]["containers"][0]["image"] = "rayproject/ray:2.60.0-py311"
    fresh = waiting(started_at=builders.NOW)
    rest = "its image has Ray 2.60.0, the head's 2.46.0: give head and workers images with the"
    rest += " same Ray and Python"
    assert say(head(), fresh, workerGroupSpecs=[group]) == (
        "RayVersionMismatch",
        f"{WAITS}: {rest}",
    )
    assert say(head(), crashed_worker("FileNotFoundError"), workerGroupSpecs=[group]) == (
        "RayVersionMismatch",
        (
            "container ray-worker of Pod demo-small-worker-bbbbb: exit code 1: FileNotFoundError:"
            f" {rest}"
        ),
    )


def crashed_worker(message: str) -> records.Pod:
    end = ended(message=message)
    return builders.worker(
        "demo-small-worker-bbbbb",
        ready=False,
        containers=(container("terminated", "ray-worker", ended=end),),
    )


def test_roots_come_before_consequences() -> None:
    """What the head suffers first, and last what workers suffer because of it."""
    config = head(container(reason="CreateContainerConfigError", message="m"))
    late, crashed = waiting(), crashed_worker("no license")
    of_worker, of_head = refused("exceeded quota"), refused("exceeded quota", names.HEAD)

    def first(*pods: records.Pod, outcome: actions.Outcome = NOTHING) -> str:
        found = say(*pods, outcome=outcome)
        assert found is not None
        return found[0]

    assert first(late, crashed, config, outcome=of_head) == "QuotaExceeded"
    assert first(late, crashed, config, outcome=of_worker) == "ContainerConfigInvalid"
    assert first(late, crashed, head(), outcome=of_worker) == "QuotaExceeded"
    assert first(late, crashed, head()) == "ContainerCrashed"
    assert first(late, crashed_worker("Failed to connect to GCS"), head()) == "WaitingForHead"
    assert first(crashed_worker("Failed to connect to GCS"), head()) == "HeadUnreachable"


def told(reason: str, message: str, **fields: Any) -> conditions.Condition:
    given: dict[str, Any] = {"status": "False", "observed_generation": 1} | fields
    return conditions.Condition(type="RayClusterReady", reason=reason, message=message, **given)


def test_the_words_stay_while_the_fault_does() -> None:
    """Neither numbers in a log nor the order of events make news."""
    message = f"{HEAD}: exit code 3: 12:00:01 pid 17 no license"
    pod = head(container("terminated", ended=ended(message="13:30:00 pid 9 no license", code=3)))
    assert say(pod, before=told("ContainerCrashed", message)) == ("ContainerCrashed", message)
    worse = head(container("terminated", ended=ended(message="13:30:00 pid 9 no license", code=4)))
    assert say(worse, before=told("ContainerCrashed", message)) != ("ContainerCrashed", message)
    other = event("Unhealthy", "Liveness probe failed: no answer")
    one = f"{HEAD}: Readiness probe failed: no answer"
    for events in ((UNHEALTHY, other), (other, UNHEALTHY)):
        pods = head(running(started_at=builders.NOW - timedelta(hours=1)))
        assert say(pods, events=events, before=told("ProbeFailing", one)) == ("ProbeFailing", one)


def test_what_ended_a_pod_is_told_until_the_next_one_is_ready() -> None:
    evicted = head(phase="Failed", reason="Evicted", message="m")
    delete = turnover.delete(evicted, turnover.DELETE_HEAD, "broken")
    outcome = actions.Outcome(results=(actions.Result(action=delete, name=evicted.name),))
    said = ("PodEvicted", f"{POD} (node node-1): Evicted: m")
    assert say(outcome=outcome) == said
    starting = head(container(reason="ContainerCreating"), name="demo-head-bbbbb")
    assert say(starting, before=told(*said)) == said
    assert say(starting, before=told(*said, observed_generation=0)) is None
    assert say(starting, before=told("ObjectMissing", "m")) is None


@pytest.mark.parametrize(
    "pod",
    [
        builders.pod(),
        head(),
        head(running()),
        head(container(reason="ContainerCreating")),
        head(container("terminated", "init", ended=ended("Completed", code=0))),
        head(container(reason="ErrImagePull"), deletion_at=builders.NOW),
    ],
)
def test_nothing_is_said_while_nothing_is_wrong(pod: records.Pod) -> None:
    assert say(pod) is None


def refused(
    message: str,
    node_type: str = names.WORKER,
    error: type[errors.KubeError] = errors.Forbidden,
    resource: records.Resource = records.PODS,
) -> actions.Outcome:
    manifest = {"metadata": {"generateName": "demo-", "labels": {names.NODE_TYPE_LABEL: node_type}}}
    create = actions.Create(resource=resource, manifest=manifest, reasons=turnover.CREATE_WORKER)
    result = actions.Result(action=create, name="demo-xyz", error=error(message))
    return actions.Outcome(results=(result,))


@pytest.mark.parametrize(
    ("error", "reason", "hint"),
    [
        (
            "exceeded quota: none, requested: pods=1",
            "QuotaExceeded",
            ": ask for less, or have the ResourceQuota raised",
        ),
        (
            "failed quota: q: must specify limits.cpu for: ray-head",
            "QuotaExceeded",
            ": give every container the requests and limits that the ResourceQuota counts",
        ),
        (
            "[maximum memory usage per Container is 10Mi, but limit is 2Gi]",
            "LimitRangeViolated",
            ": stay within the namespace's LimitRange, or have it changed",
        ),
        (
            'violates PodSecurity "restricted:latest": privileged',
            "PodSecurityViolated",
            (
                ": set the securityContext that is named, or let the namespace allow more;"
                " restricted wants runAsNonRoot: true, allowPrivilegeEscalation: false,"
                " capabilities.drop: [ALL] and seccompProfile.type: RuntimeDefault"
            ),
        ),
        (
            'admission webhook "a.b" denied the request: no',
            "AdmissionDenied",
            ": do as the policy says, or ask those who set it",
        ),
        (
            'failed calling webhook "a.b": connection refused',
            "AdmissionUnavailable",
            ": the webhook doesn't answer: mend its service, or remove its configuration",
        ),
        (
            'error looking up service account ns1/a: serviceaccount "a" not found',
            "ObjectMissing",
            f": {MAKE_IT}",
        ),
        (
            'cannot create resource "pods" in API group ""',
            "OperatorForbidden",
            ": the operator's Role lacks this: upgrade it together with the operator",
        ),
        ("something new", "CreateRefused", ""),
    ],
)
def test_a_refused_pod(error: str, reason: str, hint: str) -> None:
    said = say(outcome=refused(f"pods demo-xyz: {error}"))
    assert said == (reason, f"Pod demo-…: pods demo-…: {error}{hint}")


def test_a_name_that_is_taken() -> None:
    taken = refused("services demo-xyz already exists", names.HEAD, errors.AlreadyExists)
    assert say(outcome=taken) == (
        "NameTaken",
        (
            "Pod demo-…: services demo-… already exists: it isn't this cluster's: delete or rename"
            " one of the two"
        ),
    )


def test_a_missing_account_of_the_user_is_told_until_there_is_a_head() -> None:
    template = builders.template("ray-head")
    template["spec"]["serviceAccountName"] = "mine"
    cluster = builders.raycluster(
        enableInTreeAutoscaling=True,
        headGroupSpec={"template": template},
        metadata={"annotations": {names.AUTOSCALER_ANNOTATION: "sidecar"}},
    )
    around = records.Surroundings(has_account=False)

    def cause(*pods: records.Pod) -> Any:
        observed = seen.Observed(around=around, pods=pods)
        return diagnose.first(cluster, observed, NOTHING, before=None, now=builders.NOW)

    found = cause()
    assert found.reason == "ObjectMissing"
    assert "ServiceAccount mine doesn't exist" in found.message
    assert cause(builders.pod()) is None
    decided = plan.plan(cluster, seen.Observed(around=around), builders.SETTINGS, builders.NOW)
    assert "CreatedHeadPod" not in {each.reasons.done for each in decided.actions}
    assert decided.requeue_after == timedelta()
    assert [each.reason for each in decided.events] == ["AutoscalerServiceAccountNotFound"]
    answered = cluster.model_copy(update={"status": {"observedGeneration": 1}})
    again = plan.plan(answered, seen.Observed(around=around), builders.SETTINGS, builders.NOW)
    assert again.events == ()
