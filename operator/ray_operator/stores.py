"""All that is watched of our children: one store a resource, over all watched namespaces.

Owns: which resources are watched, by which labels, and how much of each is kept. Does not own: how
one is watched (`informers`, `pod_events`), or what is concluded (`observe`). Invariant: every child
that we make carries the labels by which it is found here.
"""

import asyncio
import functools
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from ray_operator import (
    doomed_nodes,
    informers,
    kube,
    names,
    pod_events,
    records,
    wire,
    wire_endpoints,
    wire_pods,
)
from ray_operator.raycluster import cleanup

WATCHED_BY_LABEL = (
    records.SECRETS,
    records.INGRESSES,
    records.SERVICE_ACCOUNTS,
    records.ROLES,
    records.ROLE_BINDINGS,
)
"""Children of which only the metadata matters."""
T = TypeVar("T", bound=informers.Child)

_PODS = f"{names.NODE_TYPE_LABEL} in ({names.HEAD},{names.WORKER})"
_JOBS = f"{names.CLUSTER_LABEL},{names.NODE_TYPE_LABEL}={cleanup.NODE_TYPE}"
_OF_RAYJOBS = f"{names.ORIGIN_KIND_LABEL}={records.RAYJOBS.kind}"
_OF_RAYSERVICES = f"{names.ORIGIN_KIND_LABEL}={records.RAYSERVICES.kind}"


class Families(Generic[T]):
    """The children of one resource that different kinds make, seen as one by who writes them."""

    def __init__(
        self, of_clusters: informers.Children[T], by_maker: Mapping[str, informers.Children[T]]
    ) -> None:
        """`by_maker` holds those of other kinds, by the kind that made them."""
        self._all = (of_clusters, *by_maker.values())
        self._of_clusters, self._by_maker = of_clusters, by_maker

    def written(self, namespace: str, answer: bytes) -> None:
        """Take in the API server's answer to a write of ours."""
        labels = msgspec.json.decode(answer, type=wire.Stub).metadata.labels
        found = self._by_maker.get(labels.get(names.ORIGIN_KIND_LABEL, ""), self._of_clusters)
        if names.CLUSTER_LABEL in labels:
            found = self._of_clusters
        found.written(namespace, answer)

    def deleted(self, namespace: str, name: str, uid: str, answer: bytes) -> None:
        """Take in the API server's answer to a delete of ours."""
        if wire.terminates(answer, uid):
            self.written(namespace, answer)
        else:
            self.removed(namespace, name, uid)

    def removed(self, namespace: str, name: str, uid: str) -> None:
        """Drop an object that is gone."""
        for each in self._all:
            each.removed(namespace, name, uid)


class Stores:
    """The stores; `changed` is called with the owner's key of each child that changed."""

    def __init__(
        self,
        client: kube.Kube,
        *,
        namespaces: Sequence[str],
        changed: Callable[[records.Key], None],
    ) -> None:
        self._client = client
        self._namespaces: Sequence[str | None] = namespaces or (None,)
        self._changed = changed
        self.pods: informers.Children[records.Pod] = self._children(
            records.PODS, _PODS, wire_pods.pod
        )
        self.services: informers.Children[records.Service] = self._children(
            records.SERVICES, names.CLUSTER_LABEL, wire.service
        )
        self.jobs: informers.Children[records.Job] = self._children(records.JOBS, _JOBS, wire.job)
        self.job_services: informers.Children[records.Service] = self._children(
            records.SERVICES, _OF_RAYJOBS, wire.service
        )
        self.submitters: informers.Children[records.Job] = self._children(
            records.JOBS, _OF_RAYJOBS, wire.job
        )
        self.submitter_pods: informers.Children[records.Pod] = self._children(
            records.PODS, _OF_RAYJOBS, wire_pods.submitter
        )
        self.stable_services: informers.Children[records.Service] = self._children(
            records.SERVICES, _OF_RAYSERVICES, wire.service
        )
        self.endpoints: informers.Children[records.EndpointSlice] = self._children(
            records.ENDPOINT_SLICES, _OF_RAYSERVICES, wire_endpoints.endpoint_slice
        )
        self.others: dict[records.Resource, informers.Children[records.Meta]] = {
            resource: self._children(
                resource,
                names.CLUSTER_LABEL,
                functools.partial(wire.meta, kind=resource.kind),
                metadata_only=True,
            )
            for resource in WATCHED_BY_LABEL
        }
        self.doomed = (
            doomed_nodes.DoomedNodes(client, pods=self.pods, changed=changed)
            if not namespaces  # with rights in some namespaces there are none to nodes
            else None
        )
        self.events = [
            pod_events.PodEvents(client, namespace=namespace, pods=self.pods, changed=changed)
            for namespace in self._namespaces
        ]

    def by_resource(self) -> dict[records.Resource, informers.Children[Any] | Families[Any]]:
        """Return where answers to writes of each resource go."""
        return {
            records.PODS: self.pods,
            records.SERVICES: Families(
                self.services,
                {
                    records.RAYJOBS.kind: self.job_services,
                    records.RAYSERVICES.kind: self.stable_services,
                },
            ),
            records.JOBS: Families(self.jobs, {records.RAYJOBS.kind: self.submitters}),
            **self.others,
        }

    async def relist_since(self, moment: float) -> None:
        """Make all stores true to the server's state of that moment, or a later one.

        Raises `KubeError`.
        """
        await asyncio.gather(*(each.relist_since(moment) for each in self._all()))

    async def refresh(self, key: records.Key) -> None:
        """Make a RayCluster's children true to the server's newest state. Raises `KubeError`."""
        selector = f"{names.CLUSTER_LABEL}={key.name}"
        await asyncio.gather(*(each.relist_owned(key, selector) for each in self._of_clusters()))

    async def refresh_job(self, key: records.Key) -> None:
        """Make a RayJob's children true to the server's newest state. Raises `KubeError`."""
        selector = f"{_OF_RAYJOBS},{names.ORIGIN_NAME_LABEL}={key.name}"
        await asyncio.gather(*(each.relist_owned(key, selector) for each in self._of_jobs()))

    async def refresh_service(self, key: records.Key) -> None:
        """Make a RayService's children true to the server's newest state. Raises `KubeError`."""
        selector = f"{_OF_RAYSERVICES},{names.ORIGIN_NAME_LABEL}={names.label_value(key.name)}"
        await asyncio.gather(*(each.relist_owned(key, selector) for each in self._of_services()))

    def _of_clusters(self) -> tuple[informers.Children[Any], ...]:
        return (self.pods, self.services, self.jobs, *self.others.values())

    def _of_jobs(self) -> tuple[informers.Children[Any], ...]:
        return (self.job_services, self.submitters, self.submitter_pods)

    def _of_services(self) -> tuple[informers.Children[Any], ...]:
        return (self.stable_services, self.endpoints)

    def _all(self) -> tuple[informers.Children[Any], ...]:
        return (*self._of_clusters(), *self._of_jobs(), *self._of_services())

    def is_synced(self) -> bool:
        """Tell whether all have listed at least once."""
        return all(each.is_synced() for each in self._all())

    def work(self) -> dict[str, Coroutine[None, None, None]]:
        """Return all watches, which run until cancelled, by name."""
        families = {
            "": self._of_clusters(),
            "RayJobs' ": self._of_jobs(),
            "RayServices' ": self._of_services(),
        }
        watches = [
            (whose, each)
            for whose, stores in families.items()
            for store in stores
            for each in store.informers
        ]
        return {
            f"the watch of {whose}{each.resource.plural} in {each.namespace or 'all namespaces'}": (
                each.run()
            )
            for whose, each in [*watches, *(("events: ", each) for each in self.events)]
        } | ({"the watch of nodes": self.doomed.run()} if self.doomed else {})

    def _children(
        self,
        resource: records.Resource,
        selector: str,
        decode: Callable[[bytes | msgspec.Raw], Any],
        *,
        metadata_only: bool = False,
    ) -> informers.Children[Any]:
        return informers.Children(
            informers.Informer(
                self._client,
                resource,
                selector=selector,
                namespace=namespace,
                decode=decode,
                changed=self._changed,
                metadata_only=metadata_only,
            )
            for namespace in self._namespaces
        )
