"""List and watch one resource, whatever is made of what comes.

Owns: paging, watching on from a version, and beginning anew after an error. Does not own: keeping
what comes (`informers`, `pod_events`, `doomed_nodes`). Invariant: what is handed on goes forward in
time, but for a list after the API server forgot the version that was reached.
"""

import asyncio
import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from typing import Generic, Protocol, TypeVar

import msgspec

from ray_operator import errors, kube, records, wire

RETRY_SECONDS = 1.0
PAGE = 500
"""Objects of one answer: all Pods of a thousand clusters at once would be 100 MiB for a moment."""

_log = logging.getLogger(__name__)
_LIST = msgspec.json.Decoder(wire.RawList)
_EVENT = msgspec.json.Decoder(wire.WatchEvent)


class Versioned(Protocol):
    """What a watch must know of the records it hands on."""

    @property
    def resource_version(self) -> str: ...  # noqa: D102


V = TypeVar("V", bound=Versioned)


def is_newer(version: str, than: str) -> bool:
    """Compare resource versions; Kubernetes 1.35 declares them comparable as integers."""
    return not than or int(version) > int(than)


async def pages(
    client: kube.Kube,
    resource: records.Resource,
    *,
    namespace: str | None,
    limit: int,
    selector: str = "",
    fields: str = "",
    metadata_only: bool = False,
) -> AsyncIterator[wire.RawList]:
    """Yield what is listed, at most `limit` objects at a time. Raises `KubeError`."""
    after = ""
    while True:
        data = await client.list(
            resource,
            namespace=namespace,
            selector=selector,
            fields=fields,
            metadata_only=metadata_only,
            limit=limit,
            after=after,
        )
        page = _LIST.decode(data)
        yield page
        after = page.metadata.following
        if not after:
            return


class ListWatch(ABC, Generic[V]):
    """List and watch one resource, and hand on what comes."""

    forbidden_pause_seconds = 0.0
    """Before another attempt, where it isn't essential."""

    def __init__(
        self,
        client: kube.Kube,
        resource: records.Resource,
        *,
        namespace: str | None,
        decode: Callable[[bytes | msgspec.Raw], V],
        selector: str = "",
        fields: str = "",
        metadata_only: bool = False,
        has_bookmarks: bool = True,
    ) -> None:
        """`fields` is a field selector; `has_bookmarks` as of `Kube.watch`."""
        self.resource = resource
        self.namespace = namespace
        self.synced = asyncio.Event()
        self._client = client
        self._selector = selector
        self._fields = fields
        self._metadata_only = metadata_only
        self._has_bookmarks = has_bookmarks
        self._decode = decode
        self._version = ""
        self._listed_at = -math.inf

    async def relist(self) -> None:
        """Take in a list of the server's newest state. Raises `KubeError`."""
        began = time.monotonic()
        items, version = await self._list(self.namespace, self._selector)
        if not is_newer(self._version or "0", version):  # else the watch has seen more
            self._listed(items, version=version)
            self._version = version
        self._listed_at = began
        self.synced.set()

    async def relist_since(self, moment: float) -> None:
        """Take in a list of the server's state of that moment or a later one. Raises `KubeError`.

        Before the first list was taken in, that is what is waited for.
        """
        await self.synced.wait()
        if self._listed_at < moment:
            await self.relist()

    async def _list(self, namespace: str | None, selector: str) -> tuple[list[V], str]:
        """Return what is listed, page by page, and the version that the list is of."""
        items: list[V] = []
        version = ""
        async for page in pages(
            self._client,
            self.resource,
            namespace=namespace,
            limit=PAGE,
            selector=selector,
            fields=self._fields,
            metadata_only=self._metadata_only,
        ):
            items += [self._decode(raw) for raw in page.items or ()]
            version = page.metadata.resource_version
        return items, version

    async def run(self) -> None:
        """List and watch until cancelled; errors are logged and retried."""
        while True:
            started = time.monotonic()
            try:
                if not self._version:
                    await self.relist()
                await self._watch()
            except errors.Gone:
                self._version = ""
            except errors.KubeError as error:
                _log.warning("watch of %s: %s", self.resource.plural, error)
                self._version = "" if isinstance(error, errors.Invalid) else self._version
                if isinstance(error, errors.Forbidden):
                    await asyncio.sleep(self.forbidden_pause_seconds)
            if time.monotonic() - started < RETRY_SECONDS:  # whatever ended it so soon
                await asyncio.sleep(RETRY_SECONDS)

    async def _watch(self) -> None:
        async for line in self._client.watch(
            self.resource,
            namespace=self.namespace,
            selector=self._selector,
            fields=self._fields,
            resource_version=self._version,
            metadata_only=self._metadata_only,
            has_bookmarks=self._has_bookmarks,
        ):
            event = _EVENT.decode(line)
            if event.type == "ERROR":
                status = msgspec.json.decode(event.object, type=wire.Status)
                if status.code == 410:
                    raise errors.Gone(status.message, status=410)
                raise errors.Unavailable(status.message, status=status.code)
            if event.type == "BOOKMARK":
                stub = msgspec.json.decode(event.object, type=wire.Stub)
                self._version = stub.metadata.resource_version
                continue
            item = self._decode(event.object)
            if self._version and not is_newer(item.resource_version, self._version):
                continue  # a list was faster
            self._version = item.resource_version
            if event.type == "DELETED":
                self._gone(item)
            else:
                self._came(item)

    @abstractmethod
    def _listed(self, items: list[V], *, version: str) -> None:
        """Replace what is kept by a complete list."""

    @abstractmethod
    def _came(self, item: V) -> None:
        """Take in what was added or changed."""

    @abstractmethod
    def _gone(self, item: V) -> None:
        """Drop what was deleted."""
