"""Take the frozen snapshots that pure code decides on, from the watched stores.

Owns: one function a kind. Does not own: the stores (`stores`). Invariant: never waits on Ray.
"""

from collections.abc import Iterable

from ray_operator import pollers, records, stores
from ray_operator.api import raycluster as api
from ray_operator.raycluster import observed


class World:
    """The stores of all children, and what heads have answered."""

    def __init__(self, watched: stores.Stores, *, heads: pollers.Pollers) -> None:
        self._stores = watched
        self._heads = heads

    def raycluster(
        self, cluster: api.RayCluster, around: records.Surroundings
    ) -> observed.Observed:
        """Return the children whose controller is this cluster, by UID."""
        metadata = cluster.metadata
        key = records.Key(records.RAYCLUSTERS.kind, metadata.namespace, metadata.name)
        pods = tuple(
            pod
            for pod in self._stores.pods.owned_by(key)
            if pod.owner is not None and pod.owner.uid == metadata.uid
        )
        return observed.Observed(
            pods=pods,
            events=self._warnings(metadata.namespace, pods),
            former=tuple(
                pod
                for pod in self._stores.pods.owned_by(key)
                if pod.owner is not None and pod.owner.uid != metadata.uid
            ),
            around=around,
            services=tuple(
                service
                for service in self._stores.services.owned_by(key)
                if service.owner is not None and service.owner.uid == metadata.uid
            ),
            jobs=tuple(
                job
                for job in self._stores.jobs.owned_by(key)
                if job.owner is not None and job.owner.uid == metadata.uid
            ),
            others=tuple(
                other
                for children in self._stores.others.values()
                for other in children.owned_by(key)
                if other.owner is not None and other.owner.uid == metadata.uid
            ),
            ray=self._heads.answer(key),
        )

    def _warnings(
        self, namespace: str, pods: Iterable[records.Pod]
    ) -> dict[str, tuple[records.PodEvent, ...]]:
        """Return what is told of the Pods that aren't ready."""
        heard = [each for each in self._stores.events if each.namespace in (None, namespace)]
        unready = [pod for pod in pods if not pod.ready]
        return {pod.uid: found for each in heard for pod in unready if (found := each.of(pod))}
