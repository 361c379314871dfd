"""Have Ray's nodes leave: idle ones at once, others when they have finished.

Owns: how each is told, and again if it doesn't seem to have heard. Does not own: which shall leave
(`raycluster.drain`, `autoscaler.scale_down`), or the call (`gcs`). Invariant: a node that can't be
told, its raylet being unreachable for instance, keeps nothing else back.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import datetime

from ray_operator import errors, gcs, ray_records

AT_ONCE = 32
TELL_AGAIN_SECONDS = 10.0
"""A node that was told to drain says so after a second; if it doesn't, it is told again."""

_log = logging.getLogger(__name__)


class Drains:
    """Those of one cluster's Pods that are marked, and when each was told."""

    def __init__(self) -> None:
        self._told_at: dict[bytes, float] = {}

    async def tell(
        self,
        client: gcs.Gcs,
        wanted: Sequence[ray_records.Drain],
        state: ray_records.ResourceState,
    ) -> bool:
        """Drain the nodes that shall leave and don't yet; tell whether there were any."""
        now = time.monotonic()
        todo = []
        for drain in wanted:
            node = state.life_of(drain.pod)
            if node is None or node.status is ray_records.NodeStatus.DRAINING:
                continue
            if now - self._told_at.get(node.node_id, -TELL_AGAIN_SECONDS) >= TELL_AGAIN_SECONDS:
                todo.append((drain, node))
        for first in range(0, len(todo), AT_ONCE):
            some = todo[first : first + AT_ONCE]
            await asyncio.gather(*(_drain(client, drain, node) for drain, node in some))
            self._told_at.update({node.node_id: now for _, node in some})
        known = {node.node_id for node in state.nodes}
        self._told_at = {each: at for each, at in self._told_at.items() if each in known}
        return bool(todo)


async def let_go(client: gcs.Gcs, nodes: Sequence[bytes], *, why: str) -> list[str | None]:
    """Have idle nodes leave at once; say of each why it doesn't, None for one that does."""
    return await asyncio.gather(*(_let_go(client, each, why) for each in nodes))


async def end(client: gcs.Gcs, nodes: Sequence[bytes], *, why: str, until: datetime) -> None:
    """Have nodes leave when they have finished what they run."""
    await asyncio.gather(*(_end(client, each, why, until) for each in nodes))


async def _drain(client: gcs.Gcs, drain: ray_records.Drain, node: ray_records.RayNode) -> None:
    why = f"Pod {drain.pod.name} is to be removed"
    if node.status is ray_records.NodeStatus.IDLE:
        refused = await _let_go(client, node.node_id, why)
        if refused is None:
            return
    await _end(client, node.node_id, why, drain.until)


async def _let_go(client: gcs.Gcs, node: bytes, why: str) -> str | None:
    try:
        return await client.drain(node, reason=gcs.Reason.IDLE, message=why)
    except errors.RayError as error:
        return str(error)


async def _end(client: gcs.Gcs, node: bytes, why: str, until: datetime) -> None:
    try:
        await client.drain(node, reason=gcs.Reason.PREEMPTION, message=why, deadline=until)
    except errors.RayError as error:
        _log.warning("node %s not drained: %s", node.hex(), error)
