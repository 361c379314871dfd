"""The statuses of our own resources, written when they say something else than before.

Owns: what is sent of a status, and telling on a resource that a pass over it broke. Does not own:
what a status says (`status` of each kind), when one that is no news is written (`pacing`), or what
comes before and after (`reconcile`). Invariant: one is only written over the version of the
resource that it was made from.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from ray_operator import (
    conditions,
    errors,
    kube,
    merge_patch,
    pacing,
    records,
    resources,
    workqueue,
)

INTERNAL_ERROR = "InternalError"
UPDATE_TIME = "lastUpdateTime"
"""The field that alone is no reason to write."""

_log = logging.getLogger(__name__)

Status = Mapping[str, Any]


class Envelope(msgspec.Struct):
    """What is the same in all of our resources."""

    metadata: dict[str, Any]
    status: dict[str, Any] = {}


class Statuses:
    """Write them, and remember which have yet to be written."""

    def __init__(
        self,
        client: kube.Kube,
        *,
        store: resources.Resources,
        queue: workqueue.WorkQueue,
        may_write: Callable[[], bool],
        storable: Callable[[str, Status], Status],
    ) -> None:
        """`storable` leaves out of a kind's status what the served CRD doesn't know."""
        self._client = client
        self._store = store
        self._queue = queue
        self._may_write = may_write
        self._storable = storable
        self._pacing = pacing.Pacing(queue)

    async def write(
        self,
        key: records.Key,
        resource: records.Resource,
        data: bytes,
        status: Status | None,
        *,
        follows: Callable[[Status], datetime | None] | None,
    ) -> Status | None:
        """Write the status of what `data` holds if it changed, and return it then.

        `follows` tells when one was last written that this one only carries on, and so may wait;
        without it none does. Raises `KubeError`.
        """
        now = datetime.now(UTC)
        envelope = msgspec.json.decode(data, type=Envelope)
        patch = self._difference(key, envelope, status) if status is not None else {}
        if status is None or not patch:
            self._pacing.written(key)
            return None
        self._pacing.changes(key)
        last = follows(status) if follows is not None else None
        if last and (wait := self._pacing.wait(key, last=last, now=now)):
            self._queue.add_after(key, wait)
            return None
        is_written = await self._patch(key, resource, envelope, patch)
        self._pacing.written(key)
        return status if is_written else None

    async def report(self, key: records.Key, resource: records.Resource, error: Exception) -> None:
        """Say on the resource that it, or the operator, is broken; a later good pass clears it."""
        data = self._store.get(key)
        if data is None:
            return
        envelope = msgspec.json.decode(data, type=Envelope)
        before = conditions.read(envelope.status.get("conditions", ()))
        broken = conditions.Condition(
            type=INTERNAL_ERROR,
            status="True",
            reason=type(error).__name__,
            message=str(error),
            observed_generation=envelope.metadata.get("generation", 0),
        )
        others = [item for item in before if item.type != INTERNAL_ERROR]
        merged = conditions.merge(before, [*others, broken], now=datetime.now(UTC))
        status = {**envelope.status, "conditions": [item.manifest() for item in merged]}
        try:
            if patch := self._difference(key, envelope, status):
                await self._patch(key, resource, envelope, patch)
        except Exception as failure:  # noqa: BLE001 - nothing is left to tell it to
            _log.warning("%s %s/%s: not reported: %r", *key, failure)

    def waits(self, key: records.Key) -> bool:
        """Tell whether the resource has a status that is yet to be written."""
        return self._pacing.waits(key)

    def forget(self, key: records.Key) -> None:
        """Take in that the resource is gone."""
        self._pacing.written(key)

    def _difference(self, key: records.Key, envelope: Envelope, status: Status) -> Status:
        """Return what is to be written of a status; nothing where the rest can't be stored."""
        if status == envelope.status:
            return {}
        patch = merge_patch.difference(envelope.status, self._storable(key.kind, status))
        return {} if patch.keys() <= {UPDATE_TIME} else patch

    async def _patch(
        self, key: records.Key, resource: records.Resource, envelope: Envelope, patch: Status
    ) -> bool:
        if not self._may_write():
            raise errors.NotLeading
        try:
            answer = await self._client.patch_status(
                resource,
                key.namespace,
                key.name,
                status=patch,
                resource_version=envelope.metadata["resourceVersion"],
            )
        except errors.NotFound:  # deleted meanwhile: its event is on the way
            return False
        self._store.put(key, msgspec.json.decode(answer))
        return True
