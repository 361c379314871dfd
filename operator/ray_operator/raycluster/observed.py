"""What the world looks like for one RayCluster.

Owns: the frozen snapshot and questions about one Pod in it. Does not own: reading it from the
stores (`observe`). Invariant: only children controlled by this very cluster (by UID) are in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ray_operator import names, ray_records, records, scaling_records, settings
from ray_operator.api import raycluster as api

SETTLED_AFTER = timedelta(seconds=10)
"""Names that weren't there are remembered as such for some seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The children of a cluster, by name, and what Ray itself says.

    Attributes:
        events: warnings, by the UID of the Pod, newest first.
        former: Pods of a cluster of the same name that is gone, on their way out.
        around: what the cluster depends on and doesn't own.
        doomed: nodes of Kubernetes that will soon be gone, and why.
        is_used: a RayJob is at work on it, or a RayService.
        scaling: how the operator scales it; None while it doesn't.
    """

    pods: tuple[records.Pod, ...] = ()
    services: tuple[records.Service, ...] = ()
    others: tuple[records.Meta, ...] = ()
    jobs: tuple[records.Job, ...] = ()
    ray: ray_records.RayAnswer = field(default_factory=ray_records.RayAnswer)
    events: Mapping[str, tuple[records.PodEvent, ...]] = field(default_factory=dict)
    former: tuple[records.Pod, ...] = ()
    around: records.Surroundings = field(default_factory=records.Surroundings)
    doomed: Mapping[str, str] = field(default_factory=dict)
    is_used: bool = False
    scaling: scaling_records.Standing | None = None

    def head_pods(self) -> Sequence[records.Pod]:
        """Return the head Pods; more than one only in the moment of a replacement."""
        return [pod for pod in self.pods if is_head(pod)]

    def head(self) -> records.Pod | None:
        """Return the head that Ray runs in now, None when there is none."""
        return next((pod for pod in self.head_pods() if has_ray(pod)), None)

    def has_settled_head(self, now: datetime) -> bool:
        """Tell whether the head has been ready long enough for everyone to find it by its name."""
        head = self.head()
        if head is None or not head.ready or head.ready_since is None:
            return False
        return now - head.ready_since >= SETTLED_AFTER

    def worker_pods(self, group: str | None = None) -> Sequence[records.Pod]:
        """Return the worker Pods, of one group or of all."""
        return [
            pod
            for pod in self.pods
            if pod.labels.get(names.NODE_TYPE_LABEL) == names.WORKER
            and (group is None or pod.labels.get(names.GROUP_LABEL) == group)
        ]

    def orphans(self, cluster: api.RayCluster) -> Sequence[records.Pod]:
        """Return the workers of groups that the spec doesn't list (any more)."""
        listed = {group.group_name for group in cluster.spec.worker_group_specs}
        return [
            pod for pod in self.worker_pods() if pod.labels.get(names.GROUP_LABEL) not in listed
        ]


def has_ray(pod: records.Pod) -> bool:
    """Tell whether Ray's container runs in the Pod, ready or not."""
    ray = pod.ray()
    runs = ray is None or ray.state == "running"
    return pod.phase == "Running" and runs and bool(pod.ip) and pod.deletion_at is None


def is_head(pod: records.Pod) -> bool:
    """Tell whether it is a head Pod."""
    return pod.labels.get(names.NODE_TYPE_LABEL) == names.HEAD


def is_ready(pod: records.Pod) -> bool:
    """Tell whether the Pod runs and does its work."""
    return pod.phase == "Running" and pod.ready is not False and pod.deletion_at is None


def is_finished(pod: records.Pod) -> bool:
    """Tell whether no container of the Pod runs or will run again."""
    return pod.phase in {"Failed", "Succeeded"}


def is_broken(pod: records.Pod) -> bool:
    """Tell whether the Pod can't come back by itself and has to be replaced.

    Source: KubeRay 1.7: a finished phase, or Ray's container terminated under `Never`.
    """
    ray = next((item for item in pod.containers if item.name == pod.ray_container), None)
    stopped = ray is not None and ray.state == "terminated" and pod.restart_policy == "Never"
    return is_finished(pod) or (pod.phase == "Running" and stopped)


def is_stuck(pod: records.Pod, *, options: settings.Settings, now: datetime) -> bool:
    """Tell whether the Pod should long be gone: its node no longer answers."""
    return pod.deletion_at is not None and now - pod.deletion_at > options.stuck_after
