"""Why one Pod isn't ready.

Owns: a Pod's whole life in order: ended from outside, not placed, not started, down, unwell. Does
not own: the details of each (`scheduling`, `starting`, `containers`, `health`). Invariant: nothing
is said of a Pod that somebody deletes for a reason of his own.
Source: Kubernetes 1.34, Pod conditions and reasons.
"""

from collections.abc import Iterator

from ray_operator import records
from ray_operator.raycluster.diagnosis import cause, containers, health, scheduling, starting
from ray_operator.raycluster.diagnosis import subject as subjects

Reason = cause.Reason

_DISRUPTED = {
    "DeletionByPodGC": (Reason.NODE_LOST, "its node {node} is gone"),
    "DeletionByTaintManager": (
        Reason.NODE_LOST,
        "its node {node} doesn't answer, or got a NoExecute taint: look at the node",
    ),
    "EvictionByEvictionAPI": (
        Reason.POD_EVICTED,
        "evicted by request, as when its node {node} is drained",
    ),
    "PreemptionByScheduler": (
        Reason.POD_PREEMPTED,
        "gave way to a Pod of a higher priority: give it a PriorityClass, or add nodes",
    ),
}
_ENDED = {
    "Evicted": Reason.POD_EVICTED,
    "NodeLost": Reason.NODE_LOST,
    "NodeShutdown": Reason.NODE_LOST,
    "Preempting": Reason.POD_PREEMPTED,
    "Shutdown": Reason.NODE_LOST,
    "Terminated": Reason.NODE_LOST,
}
_NOTHING_WRONG = ("", "ContainerCreating", "PodInitializing")


def causes(subject: subjects.Subject) -> Iterator[cause.Cause]:
    """Give the likely causes, the likeliest first; none for a Pod that is just starting."""
    pod = subject.pod
    if pod.disrupted in _DISRUPTED:
        reason, words = _DISRUPTED[pod.disrupted]
        yield cause.Cause(reason, f"Pod {pod.name}: {words.format(node=pod.node)}")
        return
    if pod.reason:
        yield _ended(pod)
    if pod.deletion_at is not None:
        return
    if pod.unscheduled:
        yield scheduling.unschedulable(pod)
        return
    if is_on_lost_node(subject):
        hint = "look at the node; the Pod is replaced once the cluster gives it up"
        yield cause.Cause(
            Reason.NODE_LOST, f"Pod {pod.name}: its node {pod.node} doesn't answer: {hint}"
        )
        return
    if all(each.state == "waiting" and each.reason in _NOTHING_WRONG for each in pod.containers):
        yield from starting.held_up(subject)
    for container in pod.containers:
        yield from containers.down(subject, container)
    for container in pod.containers:
        yield from health.unwell(subject, container)
    for container in pod.containers:
        yield from containers.was_down(subject, container)


def is_on_lost_node(subject: subjects.Subject) -> bool:
    """Tell whether the Pod's last word is that it was fine, and the node has gone silent."""
    running = [each for each in subject.pod.containers if each.state == "running"]
    fine = bool(running) and all(each.ready for each in running)
    return fine and bool(subject.said("NodeNotReady"))


def _ended(pod: records.Pod) -> cause.Cause:
    reason = _ENDED.get(pod.reason, Reason.POD_FAILED)
    said = cause.one_line(pod.message)
    hint = ""
    if "ephemeral" in said.lower() or "emptydir" in said.lower():
        hint = ": write less to local disk, or raise the limit that is named"
    elif "low on resource" in said:
        hint = ": request what it uses, so that it isn't the first to go, or use larger nodes"
    elif pod.reason == "NodeLost":
        said = said or "its node doesn't answer"
    where = f" (node {pod.node})" if pod.node else ""
    told = f"{pod.reason}: {said}" if said else pod.reason
    return cause.Cause(reason, f"Pod {pod.name}{where}: {told}{hint}")
