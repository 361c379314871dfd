"""Read what a cluster depends on without owning it, for one pass.

Owns: which objects are read, and what an answer that can't be had means. Does not own: what
follows (`raycluster`). Invariant: nothing is kept between passes but which API groups are served,
and most clusters need no request at all.

These objects are asked for and not watched: a watch would have to be of all claims and accounts in
all namespaces, for the few that a head names.
"""

import asyncio
import logging
from datetime import timedelta
from typing import TypeVar

import msgspec

from ray_operator import errors, kube, records, settings, wire
from ray_operator.api import base
from ray_operator.api import raycluster as api
from ray_operator.raycluster import account, plan, route, storage

GROUPS = "/apis"
OPENSHIFT = frozenset({"route.openshift.io", "security.openshift.io", "config.openshift.io"})
RETRY = timedelta(seconds=5)
SINCE = {
    (1, 30): "the API server refuses our CRDs, whose rules need it; with KubeRay's, what breaks"
    " a rule is accepted, and told by the condition of the resource",
    (1, 28): "the chart's admission webhook can't be restricted to what it is for: leave it off",
}
"""What needs a newer Kubernetes."""

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Lookups:
    """What is around the clusters."""

    def __init__(self, client: kube.Kube, options: settings.Settings) -> None:
        self._client = client
        self._settings = options
        self._is_openshift: bool | None = None

    async def run(self, every: timedelta) -> None:
        """Look again and again whether this is OpenShift; soon, as long as it isn't known."""
        await self.tell_age()
        while True:
            await self.discover()
            pause = RETRY if self._is_openshift is None else every
            await asyncio.sleep(pause.total_seconds())

    async def tell_age(self) -> None:
        """Say once what is missing on an older Kubernetes; all else works there."""
        try:
            found = msgspec.json.decode(await self._client.read("/version"), type=wire.Version)
        except (errors.KubeError, msgspec.MsgspecError):
            return  # `discover` tells of it
        number = found.number()
        for since, missing in SINCE.items():
            if number is not None and number < since:
                _log.warning("Kubernetes %d.%d is older than %d.%d: %s", *number, *since, missing)

    async def discover(self) -> None:
        """Read the served API groups; what was known stays when they can't be read."""
        try:
            data = await self._client.read(GROUPS)
            served = {each.name for each in msgspec.json.decode(data, type=wire.Groups).groups}
        except (errors.KubeError, msgspec.MsgspecError) as error:
            _log.warning("can't tell whether this is OpenShift: %s", error)
            return
        found = bool(served & OPENSHIFT)
        if found != self._is_openshift:
            _log.info("dashboards are shown by %s", "Routes" if found else "Ingresses")
        self._is_openshift = found

    async def around(self, cluster: api.RayCluster) -> records.Surroundings:
        """Read what the cluster depends on. Raises `KubeError`, but not for want of rights."""
        if cluster.metadata.deletion_timestamp or not plan.is_ours(cluster):
            return records.Surroundings(is_openshift=self._is_openshift)
        namespace = cluster.metadata.namespace
        has_account = has_claim = grows = claim = found_route = None
        if name := account.needed(cluster, self._settings):
            data, has_account = await self._get(records.SERVICE_ACCOUNTS, namespace, name)
        if storage.is_on(cluster):
            data, has_claim = await self._get(
                records.CLAIMS, namespace, storage.claim_name(cluster)
            )
            claim = wire.claim(data) if data else None
        if claim and claim.storage_class:
            data, grows = await self._get(records.STORAGE_CLASSES, "", claim.storage_class)
            grows = _grows(data) if data else grows
        if self._is_openshift:
            data, _ = await self._get(records.ROUTES, namespace, route.name(cluster))
            found_route = wire.meta(data, kind=records.ROUTES.kind) if data else None
        return records.Surroundings(
            is_openshift=self._is_openshift,
            has_account=has_account,
            has_claim=has_claim,
            claim=claim,
            claim_grows=grows,
            route=found_route,
        )

    async def _get(
        self, resource: records.Resource, namespace: str, name: str
    ) -> tuple[bytes | None, bool | None]:
        """Return the object's JSON, and whether it is there; None is for unknown."""
        try:
            data = await self._client.get(resource, namespace, name)
        except errors.Forbidden as error:
            _log.warning("can't read %s %s: %s", resource.kind, name, error.message)
            return None, None
        return data, data is not None


async def nothing(_: base.Resource) -> None:
    """Read nothing, for kinds that depend on nothing but what they own."""


def _grows(data: bytes) -> bool:
    found: wire.StorageClass = msgspec.json.decode(data, type=wire.StorageClass)
    return found.allow_volume_expansion
