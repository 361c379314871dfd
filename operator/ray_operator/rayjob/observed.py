"""What the world looks like for one RayJob.

Owns: the frozen snapshot and questions about it. Does not own: reading it from the stores
(`observe`). Invariant: Job, Service and submitter Pods in it are controlled by this very RayJob;
the cluster may be somebody else's, if the RayJob selects it, or did so when the attempt began.
"""

from dataclasses import dataclass, field
from datetime import datetime

from ray_operator import names, ray_records, records
from ray_operator.api import raycluster as cluster_api
from ray_operator.api import rayjob as api
from ray_operator.raycluster import observed as cluster_seen


def is_meant(cluster: cluster_api.RayCluster, job: api.RayJob) -> bool:
    """Tell whether the cluster that bears the name of the attempt's is meant by that.

    One that the attempt has reached stays its own when the selector is edited.
    """
    is_selected = job.spec.cluster_selector.get(names.CLUSTER_LABEL) == cluster.metadata.name
    is_ours = cluster.metadata.controller() == job.metadata.uid
    return is_ours or is_selected or bool(job.status.get("dashboardURL"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The cluster of the attempt with its Pods, what submits, and what Ray says.

    Attributes:
        cluster: the one that the status names; None when there is none.
        is_taken: one of that name is somebody else's, and not meant.
        pods: of the cluster of that name, even when it is gone.
        keeps_head: the served CRD has `status.head`.
        submitter_pods: of `submitter`, and of an earlier attempt's if they don't go.
    """

    cluster: cluster_api.RayCluster | None = None
    is_taken: bool = False
    pods: tuple[records.Pod, ...] = ()
    submitter: records.Job | None = None
    submitter_pods: tuple[records.Pod, ...] = ()
    service: records.Service | None = None
    keeps_head: bool = True
    ray: ray_records.JobAnswer = field(default_factory=ray_records.JobAnswer)

    def head(self) -> records.Pod | None:
        """Return the head Pod that lives, or else ends; None when there is none."""
        heads = [pod for pod in self.pods if cluster_seen.is_head(pod)]
        living = (pod for pod in heads if pod.deletion_at is None)
        return next(living, heads[0] if heads else None)

    def pod(self, uid: str) -> records.Pod | None:
        """Return the cluster's Pod of that UID."""
        return next((pod for pod in self.pods if pod.uid == uid), None)

    def is_cluster_ready(self) -> bool:
        """Tell whether the cluster has been ready since it was made or resumed."""
        return self.cluster is not None and self.cluster.status.get("state") == "ready"

    def is_cluster_going(self) -> bool:
        """Tell whether the cluster is gone or about to be."""
        return self.cluster is None or self.cluster.metadata.deletion_timestamp is not None

    def submitter_container(self) -> records.Container | None:
        """Return the container beside the head that submits; None where there is none (yet)."""
        head = self.head()
        found = head.containers if head else ()
        return next((each for each in found if each.name == names.SUBMITTER), None)

    def followers(self) -> list[records.Pod]:
        """Return the Pods of the present submitter."""
        job = self.submitter
        found = self.submitter_pods if job is not None else ()
        return [pod for pod in found if job and pod.owner and pod.owner.uid == job.uid]

    def submitter_ended_at(self) -> datetime | None:
        """Return when what submits ended for good, Job or container; None while it hasn't."""
        if self.submitter is not None and self.submitter.ended_at is not None:
            return self.submitter.ended_at
        beside = self.submitter_container()
        if beside is not None and beside.state == "terminated" and beside.ended:
            return beside.ended.finished_at
        done = [
            ended.finished_at
            for pod in self.followers()
            if (ended := _ended(pod)) is not None and ended.exit_code == 0
        ]
        return next((each for each in done if each is not None), None)


def _ended(pod: records.Pod) -> records.Ended | None:
    """Return how the Pod's first container ended; None while it runs."""
    first = pod.ray()
    return first.ended if first is not None and first.state == "terminated" else None
