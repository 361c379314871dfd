"""Make the store of our own resources true to what the API server has.

Owns: lists of metadata, and fetching what they show to be missing or old. Does not own: the watch
between two of them (`handlers`). Invariant: what is newer here than a list stays.
"""

import asyncio
import math
import time
from collections.abc import Collection, Iterable, Sequence

import msgspec

from ray_operator import errors, kube, listwatch, records, resources, wire

PAGE = 100
"""Objects of one answer, ours and kopf's, which needs 74 KiB for each while it works on it."""
MOST_GETS = 10
"""More objects than that are listed with all others rather than read one by one."""


class Resync:
    """Look at all our resources; `namespaces` empty means the whole cluster.

    `optional` kinds may have no CRD: older KubeRays' lack them.
    """

    def __init__(
        self,
        client: kube.Kube,
        *,
        kinds: Sequence[records.Resource],
        optional: Collection[records.Resource],
        namespaces: Sequence[str],
        store: resources.Resources,
    ) -> None:
        self.synced = asyncio.Event()
        self._client = client
        self.kinds = kinds
        self.optional = optional
        self.namespaces = namespaces
        self.store = store
        self._syncing = asyncio.Lock()
        self._synced_at = -math.inf

    async def sync_since(self, moment: float) -> None:
        """Make the store true to the server's state of that moment, or a later one.

        Raises `KubeError`.
        """
        async with self._syncing:
            if self._synced_at < moment:
                await self._sync()

    async def sync_once(self) -> bool:
        """Do as `sync`, unless somebody has.

        Raises `KubeError`.
        """
        async with self._syncing:
            return not self.synced.is_set() and await self._sync()

    async def sync(self) -> bool:
        """Make the store true by lists of metadata; tell whether it had missed an object.

        Raises `KubeError`.
        """
        async with self._syncing:
            return await self._sync()

    async def _sync(self) -> bool:
        began, missed = time.monotonic(), False
        for kind in self.kinds:
            for namespace in self.namespaces or (None,):
                try:
                    data = await self._client.list(kind, namespace=namespace, metadata_only=True)
                except errors.NotFound:
                    if kind in self.optional:
                        continue
                    raise
                found = msgspec.json.decode(data, type=wire.StubList)
                listed = [
                    (
                        records.Key(kind.kind, stub.metadata.namespace, stub.metadata.name),
                        stub.metadata.uid,
                        stub.metadata.resource_version,
                    )
                    for stub in found.items or ()
                ]
                version = found.metadata.resource_version
                stale = self.store.reconcile(
                    kind.kind, listed, namespace=namespace, version=version
                )
                missed |= await self._fetch(kind, namespace, stale)
        self._synced_at = began
        self.synced.set()
        return missed

    async def _fetch(
        self, kind: records.Resource, namespace: str | None, stale: Sequence[records.Key]
    ) -> bool:
        """Take in the objects of these keys; tell whether the store had missed one of them."""
        wanted = set(stale)
        if len(stale) <= MOST_GETS:
            gets = [await self._client.get(kind, key.namespace, key.name) for key in stale]
            return self._take(kind, [each for each in gets if each is not None], wanted)
        missed = False  # as at the start
        async for page in listwatch.pages(self._client, kind, namespace=namespace, limit=PAGE):
            missed |= self._take(kind, page.items or (), wanted)
        return missed

    def _take(
        self,
        kind: records.Resource,
        found: Iterable[bytes | msgspec.Raw],
        wanted: Collection[records.Key],
    ) -> bool:
        """Take in those objects that are wanted; tell whether the store had missed one of them."""
        missed = False
        for each in found:
            identity = {"apiVersion": kind.api_version, "kind": kind.kind}  # lists may leave it out
            body = identity | msgspec.json.decode(each)
            metadata = body["metadata"]
            key = records.Key(kind.kind, metadata["namespace"], metadata["name"])
            if key in wanted:
                missed |= self.store.get(key) is None
                self.store.put(key, body)
        return missed
