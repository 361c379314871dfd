"""What the world looks like for one RayService.

Owns: the frozen snapshot and questions about one cluster in it. Does not own: reading it from the
stores (`observe`). Invariant: clusters and Services in it are controlled by this very RayService.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ray_operator import names, records, serve_records
from ray_operator.api import raycluster as cluster_api
from ray_operator.raycluster import observed as cluster_seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """How many Pods take the requests to the serve Service.

    `since` is when there began to be any, or none; None while nobody has looked.
    """

    count: int = 0
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The clusters with their Pods, the Services, and what Serve says.

    Attributes:
        clusters: by name, those that are being deleted too.
        pods: by their cluster's name.
        serve: by the cluster's name.
    """

    clusters: Mapping[str, cluster_api.RayCluster] = field(default_factory=dict)
    pods: Mapping[str, tuple[records.Pod, ...]] = field(default_factory=dict)
    services: tuple[records.Service, ...] = ()
    endpoints: Endpoints = Endpoints()
    serve: Mapping[str, serve_records.ServeAnswer] = field(default_factory=dict)

    def cluster(self, name: str) -> cluster_api.RayCluster | None:
        """Return the cluster unless it is on its way out."""
        found = self.clusters.get(name)
        return None if found is None or found.metadata.deletion_timestamp else found

    def head(self, cluster: str) -> records.Pod | None:
        """Return the cluster's head Pod that lives, None when there is none."""
        heads = (pod for pod in self.pods.get(cluster, ()) if cluster_seen.is_head(pod))
        return next((pod for pod in heads if pod.deletion_at is None), None)

    def answer(self, cluster: str) -> serve_records.ServeAnswer:
        """Return what Serve has said in the cluster."""
        return self.serve.get(cluster, serve_records.ServeAnswer())

    def serving(self, cluster: str) -> Sequence[records.Pod]:
        """Return the Pods that would take requests if the Service led to the cluster."""
        return [
            pod
            for pod in self.pods.get(cluster, ())
            if pod.labels.get(names.SERVE_LABEL) == "true" and pod.ready and pod.deletion_at is None
        ]

    def service(self, name: str) -> records.Service | None:
        """Return our Service of that name."""
        return next((each for each in self.services if each.name == name), None)
