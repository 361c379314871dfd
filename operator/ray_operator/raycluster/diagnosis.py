"""Why a cluster isn't ready, in words that lead to a cure: reason, object, cause and hint.

Owns: reading Pods and failed actions for the one thing to say first. Does not own: conditions
(`status`). Invariant: pure and total; the same Pods give the same words, so that nothing is written
again and again, and a cured cluster has no diagnosis.
Source: Kubernetes, Pod conditions and container states; Ray, what a head needs.
"""

from collections.abc import Iterable
from typing import NamedTuple

from ray_operator import actions, names, quantity, records
from ray_operator.api import raycluster as api
from ray_operator.raycluster import observed as seen
from ray_operator.raycluster import resources, versions

HEAD_NEEDS = quantity.parse("1Gi")
"""Memory below which the processes of a Ray head alone hardly fit."""
LAST_WORDS = 300
"""Characters of a log that fit into a condition somebody reads."""

_PULL = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
_CONFIG = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")


class Diagnosis(NamedTuple):
    """One cause: `reason` in one word for machines, `message` for people."""

    reason: str
    message: str


def diagnose(
    cluster: api.RayCluster, observed: seen.Observed, outcome: actions.Outcome
) -> Diagnosis | None:
    """Return the first cause there is: what was refused, then the head's, then a worker's."""
    for failure in outcome.failures:
        if found := _refused(failure):
            return found
    if mismatch := versions.obstacle(cluster, observed):
        return Diagnosis(*mismatch)
    for pod in [*observed.head_pods(), *observed.worker_pods()]:
        if found := _of_pod(cluster, pod):
            return found
    return None


def _refused(failure: actions.Result) -> Diagnosis | None:
    if not actions.makes(failure.action):
        return None
    kind, message = failure.action.resource.kind, actions.told(failure)
    if "exceeded quota" in message:
        hint = "ask for less, or have the ResourceQuota raised"
        return Diagnosis("QuotaExceeded", f"{kind} {message}: {hint}")
    return Diagnosis("CreateRefused", f"{kind} {message}")


def _of_pod(cluster: api.RayCluster, pod: records.Pod) -> Diagnosis | None:
    if pod.deletion_at is not None or pod.ready:
        return None
    if pod.reason == "Evicted":
        return Diagnosis("PodEvicted", f"Pod {pod.name} was evicted: {pod.message}")
    if pod.reason == "NodeLost":
        return Diagnosis("NodeLost", f"the node {pod.node} of Pod {pod.name} doesn't answer")
    if pod.unscheduled:
        hint = "lower the requests, or add nodes"
        return Diagnosis("Unschedulable", f"Pod {pod.name}: {pod.unscheduled.rstrip('.')}: {hint}")
    return next(
        (found for each in pod.containers if (found := _of_container(cluster, pod, each))), None
    )


def _of_container(
    cluster: api.RayCluster, pod: records.Pod, container: records.Container
) -> Diagnosis | None:
    where = f"container {container.name} of Pod {pod.name}"
    if container.state == "waiting" and container.reason in _PULL:
        return _image(where, container.message)
    if container.state == "waiting" and container.reason in _CONFIG:
        hint = "make the object that is named, or correct its name"
        return Diagnosis("ContainerConfigInvalid", f"{where}: {container.message}: {hint}")
    ended = container.ended
    if ended is not None and ended.exit_code and container.state != "running":
        return _crash(cluster, pod, container, where)
    return None


def _image(where: str, message: str) -> Diagnosis:
    lowered = message.lower()
    if any(word in lowered for word in ("401", "403", "unauthorized", "denied", "forbidden")):
        hint = "give imagePullSecrets that may read it"
        return Diagnosis("ImagePullDenied", f"{where}: {message}: {hint}")
    return Diagnosis("ImagePullFailed", f"{where}: {message}: check name and tag of the image")


def _crash(
    cluster: api.RayCluster, pod: records.Pod, container: records.Container, where: str
) -> Diagnosis:
    ended = container.ended
    assert ended is not None
    if ended.reason == "OOMKilled":
        return _out_of_memory(cluster, pod, container, where)
    if "no such file or directory" in ended.message or "not found in $PATH" in ended.message:
        hint = "the image needs bash and Ray"
        return Diagnosis("ProgramMissing", f"{where}: {_words(ended.message)}: {hint}")
    times = f", {container.restarts} restarts" if container.restarts else ""
    said = f": {_words(ended.message)}" if ended.message else ""
    return Diagnosis("ContainerCrashed", f"{where}: exit code {ended.exit_code}{times}{said}")


def _out_of_memory(
    cluster: api.RayCluster, pod: records.Pod, container: records.Container, where: str
) -> Diagnosis:
    given = _limits(cluster, pod, container.name)
    limit = resources.amount(given, "memory")
    said = f"killed at its memory limit of {limit}" if limit else "killed for want of memory"
    is_head = pod.labels.get(names.NODE_TYPE_LABEL) == names.HEAD
    small = is_head and limit and limit.value < HEAD_NEEDS.value
    hint = "a Ray head needs 1Gi or more" if small else "raise resources.limits.memory"
    return Diagnosis("OutOfMemory", f"{where}: {said}: {hint}")


def _limits(cluster: api.RayCluster, pod: records.Pod, container: str) -> dict[str, str]:
    spec = cluster.spec
    groups: Iterable[api.GroupSpec] = [
        each
        for each in spec.worker_group_specs
        if each.group_name == pod.labels.get(names.GROUP_LABEL)
    ]
    if pod.labels.get(names.NODE_TYPE_LABEL) == names.HEAD:
        groups = [spec.head_group_spec]
    for group in groups:
        for each in group.containers:
            if each.get("name") == container:
                return dict(resources.limits(each))
    return {}


def _words(log: str) -> str:
    """Return the end of a log as one line."""
    line = " ".join(log.split())
    return line if len(line) <= LAST_WORDS else "…" + line[-LAST_WORDS:]
