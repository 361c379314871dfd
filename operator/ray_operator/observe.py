"""Take the frozen snapshots that pure code decides on, from the watched stores.

Owns: one function a kind. Does not own: the stores (`stores`). Invariant: never waits on Ray.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from ray_operator import (
    job_pollers,
    pollers,
    records,
    resources,
    scaling_records,
    serve_pollers,
    stores,
    wire_runs,
)
from ray_operator.api import raycluster as api
from ray_operator.api import raycronjob as cron_api
from ray_operator.api import rayjob as job_api
from ray_operator.api import rayservice as service_api
from ray_operator.raycluster import observed
from ray_operator.raycronjob import observed as cron_observed
from ray_operator.rayjob import observed as job_observed
from ray_operator.rayservice import observed as service_observed
from ray_operator.rayservice import services

_AT_REST = {"Complete", "Failed", "Suspended"}
"""Phases of a RayJob that needs no cluster."""


class World:
    """The stores of all children, and what heads have answered."""

    def __init__(
        self,
        watched: stores.Stores,
        own: resources.Resources,
        *,
        heads: pollers.Pollers,
        jobs: job_pollers.JobPollers,
        serve: serve_pollers.ServePollers,
        scaling: Callable[[records.Key], scaling_records.Standing | None],
        users: Callable[[records.Key], Iterable[records.Key]],
        is_kept: Callable[[str, str], bool],
    ) -> None:
        """`own` are the resources of our own kinds.

        `scaling` tells how a cluster's stands, `users` who uses one; `is_kept` whether a kind's
        served CRD has a field of the status.
        """
        self._is_kept = is_kept
        self._stores = watched
        self._own = own
        self._heads = heads
        self._jobs = jobs
        self._serve = serve
        self._scaling = scaling
        self._users = users
        self._endpoints: dict[records.Key, service_observed.Endpoints] = {}
        self._runs: dict[records.Key, dict[bytes, cron_observed.Run]] = {}

    def raycluster(
        self, cluster: api.RayCluster, around: records.Surroundings
    ) -> observed.Observed:
        """Return the children whose controller is this cluster, by UID."""
        metadata = cluster.metadata
        key = records.Key(records.RAYCLUSTERS.kind, metadata.namespace, metadata.name)
        pods = tuple(self._stores.pods.controlled_by(key, metadata.uid))
        return observed.Observed(
            pods=pods,
            events=self._warnings(metadata.namespace, pods),
            former=tuple(
                pod
                for pod in self._stores.pods.owned_by(key)
                if pod.owner is not None and pod.owner.uid != metadata.uid
            ),
            around=around,
            services=tuple(self._stores.services.controlled_by(key, metadata.uid)),
            jobs=tuple(self._stores.jobs.controlled_by(key, metadata.uid)),
            others=tuple(
                other
                for children in self._stores.others.values()
                for other in children.controlled_by(key, metadata.uid)
            ),
            ray=self._heads.answer(key),
            is_used=any(map(self._is_at_work, self._users(key))),
            doomed=self._stores.doomed.among(pods) if self._stores.doomed else {},
            scaling=self._scaling(key),
        )

    def rayjob(self, job: job_api.RayJob, _: None) -> job_observed.Observed:
        """Return the cluster that the status names, and the job's own children, by UID."""
        metadata = job.metadata
        key = records.Key(records.RAYJOBS.kind, metadata.namespace, metadata.name)
        name = job.status.get("rayClusterName") or ""
        cluster = records.Key(records.RAYCLUSTERS.kind, metadata.namespace, name)
        data = self._own.get(cluster)
        submitter = next(iter(self._stores.submitters.controlled_by(key, metadata.uid)), None)
        found = api.RayCluster.model_validate_json(data) if data else None
        is_taken = found is not None and not job_observed.is_meant(found, job)
        return job_observed.Observed(
            cluster=None if is_taken else found,
            is_taken=is_taken,
            pods=tuple(self._stores.pods.owned_by(cluster)),
            submitter=submitter,
            submitter_pods=tuple(self._stores.submitter_pods.owned_by(key)),
            service=next(iter(self._stores.job_services.controlled_by(key, metadata.uid)), None),
            keeps_head=self._is_kept(records.RAYJOBS.kind, "head"),
            ray=self._jobs.answer(key),
        )

    def raycronjob(self, cron: cron_api.RayCronJob, _: None) -> cron_observed.Observed:
        """Return the RayJobs whose controller is this RayCronJob, by UID.

        All are looked at whenever one of them changes, and by default all are kept: what hasn't
        changed since the last pass isn't decoded again.
        """
        metadata = cron.metadata
        key = records.Key(records.RAYCRONJOBS.kind, metadata.namespace, metadata.name)
        before = self._runs.get(key, {})
        jobs = self._own.owned_by(metadata.uid, records.RAYJOBS.kind)
        runs = {data: before.get(data) or wire_runs.run(data) for data in jobs}
        self._runs[key] = runs
        return cron_observed.Observed(runs=tuple(sorted(runs.values(), key=_age)))

    def rayservice(self, service: service_api.RayService, _: None) -> service_observed.Observed:
        """Return clusters and Services whose controller is this RayService, by UID."""
        metadata = service.metadata
        key = records.Key(records.RAYSERVICES.kind, metadata.namespace, metadata.name)
        found = [
            api.RayCluster.model_validate_json(data)
            for data in self._own.owned_by(metadata.uid, records.RAYCLUSTERS.kind)
        ]
        clusters = {each.metadata.name: each for each in found}
        kind, namespace = records.RAYCLUSTERS.kind, metadata.namespace
        own_services = tuple(self._stores.stable_services.controlled_by(key, metadata.uid))
        serving = services.leading(service, own_services)
        return service_observed.Observed(
            clusters=clusters,
            pods={
                name: tuple(
                    self._stores.pods.controlled_by(
                        records.Key(kind, namespace, name), each.metadata.uid
                    )
                )
                for name, each in clusters.items()
            },
            services=own_services,
            endpoints=self._counted(key, serving.name if serving else ""),
            serve=self._serve.answers(key),
        )

    def _is_at_work(self, user: records.Key) -> bool:
        """Tell whether a RayJob has yet to end; a RayService never does."""
        if user.kind != records.RAYJOBS.kind:
            return True
        data = self._own.get(user)
        return data is not None and wire_runs.run(data).phase not in _AT_REST

    def forget(self, key: records.Key) -> None:
        """Drop what is remembered of a resource that is gone."""
        self._endpoints.pop(key, None)
        self._runs.pop(key, None)

    def _counted(self, key: records.Key, service: str) -> service_observed.Endpoints:
        """Count the Pods that take requests, and remember since when there are some, or none."""
        slices = self._stores.endpoints.owned_by(key)
        count = len({pod for each in slices if each.service == service for pod in each.ready})
        before = self._endpoints.get(key)
        is_as_before = before is not None and bool(before.count) is bool(count)
        since = before.since if before and is_as_before else datetime.now(UTC)
        found = service_observed.Endpoints(count=count, since=since)
        self._endpoints[key] = found
        return found

    def _warnings(
        self, namespace: str, pods: Iterable[records.Pod]
    ) -> dict[str, tuple[records.PodEvent, ...]]:
        """Return what is told of the Pods that aren't ready."""
        heard = [each for each in self._stores.events if each.namespace in (None, namespace)]
        unready = [pod for pod in pods if not pod.ready]
        return {pod.uid: found for each in heard for pod in unready if (found := each.of(pod))}


def _age(run: cron_observed.Run) -> tuple[float, str]:
    since = run.tick or run.created_at
    return (since.timestamp() if since else 0.0, run.name)
