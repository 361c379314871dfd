"""The lease: what a process leaves behind when it stops."""

import asyncio
import json
from typing import Any

import msgspec

from ray_operator import kube, leader


class Server(kube.Kube):
    """Keeps a lease, and never answers the claim to it."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.claimed = asyncio.Event()

    async def get(self, kind: Any, namespace: Any, name: Any) -> Any:
        del kind, namespace, name
        return None if self.lease is None else json.dumps(self.lease).encode()

    async def create(self, kind: Any, namespace: Any, manifest: Any, *, manager: Any = None) -> Any:
        del manager
        await self.replace(kind, namespace, manifest)
        self.claimed.set()
        await asyncio.Event().wait()

    async def replace(self, kind: Any, namespace: Any, manifest: Any) -> Any:
        del kind, namespace
        self.lease = msgspec.to_builtins(manifest)
        self.lease["metadata"]["resourceVersion"] = "1"
        return json.dumps(self.lease).encode()


async def lead() -> None:
    await asyncio.Event().wait()


async def test_a_claim_cut_off_by_the_stop_is_released() -> None:
    server = Server()
    task = asyncio.create_task(leader.Leader(server, namespace="a", identity="me").run(lead))
    await asyncio.wait_for(server.claimed.wait(), 5)
    task.cancel()
    await asyncio.wait({task}, timeout=5)
    assert server.lease is not None
    assert server.lease["spec"]["holderIdentity"] == ""
