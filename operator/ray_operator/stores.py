"""All that is watched of our children: one store a resource, over all watched namespaces.

Owns: which resources are watched, by which labels, and how much of each is kept. Does not own: how
one is watched (`informers`, `pod_events`), or what is concluded (`observe`). Invariant: every child
that we make carries the labels by which it is found here.
"""

import asyncio
import functools
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec

from ray_operator import informers, kube, names, pod_events, records, wire, wire_pods
from ray_operator.raycluster import cleanup

WATCHED_BY_LABEL = (
    records.SECRETS,
    records.INGRESSES,
    records.SERVICE_ACCOUNTS,
    records.ROLES,
    records.ROLE_BINDINGS,
)
"""Children of which only the metadata matters."""
_PODS = f"{names.NODE_TYPE_LABEL} in ({names.HEAD},{names.WORKER})"
_JOBS = f"{names.CLUSTER_LABEL},{names.NODE_TYPE_LABEL}={cleanup.NODE_TYPE}"


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
        self.others: dict[records.Resource, informers.Children[records.Meta]] = {
            resource: self._children(
                resource,
                names.CLUSTER_LABEL,
                functools.partial(wire.meta, kind=resource.kind),
                metadata_only=True,
            )
            for resource in WATCHED_BY_LABEL
        }
        self.events = [
            pod_events.PodEvents(client, namespace=namespace, pods=self.pods, changed=changed)
            for namespace in self._namespaces
        ]

    def by_resource(self) -> dict[records.Resource, informers.Children[Any]]:
        """Return all of the stores of children."""
        return {
            records.PODS: self.pods,
            records.SERVICES: self.services,
            records.JOBS: self.jobs,
            **self.others,
        }

    async def relist(self) -> None:
        """Make all stores true to the server's newest state. Raises `KubeError`."""
        await asyncio.gather(*(each.relist() for each in self.by_resource().values()))

    async def refresh(self, key: records.Key) -> None:
        """Make the children of one owner true to the server's newest state. Raises `KubeError`."""
        selector = f"{names.CLUSTER_LABEL}={key.name}"
        await asyncio.gather(
            *(each.relist_owned(key, selector) for each in self.by_resource().values())
        )

    def is_synced(self) -> bool:
        """Tell whether all have listed at least once."""
        return all(each.is_synced() for each in self.by_resource().values())

    def work(self) -> dict[str, Coroutine[None, None, None]]:
        """Return all watches, which run until cancelled, by name."""
        watches = (
            *(each for store in self.by_resource().values() for each in store.informers),
            *self.events,
        )
        return {
            f"the watch of {each.resource.plural} in {each.namespace or 'all namespaces'}": (
                each.run()
            )
            for each in watches
        }

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
