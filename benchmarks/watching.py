"""A client that makes many objects at once and follows what becomes of them.

Owns: requests of the benchmarks themselves, and waiting by a watch. Does not own: what is made.
Invariant: what is waited for is seen as any client of the API server would see it.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

import aiohttp
import msgspec

from benchmarks import control_plane
from ray_operator import credentials, errors, kube, records

AT_ONCE = 64
"""Requests that the client of the cases has under way."""
WITHIN_SECONDS = 1800.0
NAMESPACE = "default"
BEGINNING, LISTED = "BEGINNING", "LISTED"


class _State(msgspec.Struct, rename="camel"):
    state: str = ""
    phase: str = ""
    job_deployment_status: str = ""


class _Metadata(msgspec.Struct):
    name: str = ""  # a bookmark has none


class Item(msgspec.Struct):
    """What the cases read of any object."""

    metadata: _Metadata
    status: _State = msgspec.field(default_factory=_State)


class _Event(msgspec.Struct):
    type: str
    object: Item


class _ListMetadata(msgspec.Struct, rename="camel"):
    resource_version: str


class _List(msgspec.Struct):
    metadata: _ListMetadata
    items: list[Item]


_EVENTS = msgspec.json.Decoder(_Event)
_LIST = msgspec.json.Decoder(_List)


@asynccontextmanager
async def connected(plane: control_plane.ControlPlane) -> AsyncIterator[kube.Kube]:
    """Connect as one who may do all, without limits."""
    access = credentials.from_kubeconfig(plane.admin.kubeconfig)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield kube.Kube(session, access, user_agent="benchmark")


async def at_once(calls: Iterable[Awaitable[object]]) -> None:
    """Make the calls, a bounded number of them at a time."""
    waiting = iter(calls)

    async def some() -> None:
        for call in waiting:
            await call

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))


async def delete_all(client: kube.Kube) -> None:
    """Delete all RayJobs and RayClusters, and wait until no Pod is left."""

    async def delete(resource: records.Resource, name: str, uid: str) -> None:
        with contextlib.suppress(errors.NotFound):  # with its owner
            await client.delete(resource, NAMESPACE, name, uid=uid)

    async with seen(client, records.PODS) as until:
        for resource in (records.RAYJOBS, records.RAYCLUSTERS):
            listed = json.loads(await client.list(resource, namespace=NAMESPACE))["items"]
            found = {each["metadata"]["name"]: each["metadata"]["uid"] for each in listed}
            await at_once(delete(resource, name, uid) for name, uid in found.items())
        await until(lambda there: not there)


Until = Callable[[Callable[[dict[str, Item]], bool]], Awaitable[None]]


@asynccontextmanager
async def seen(client: kube.Kube, resource: records.Resource) -> AsyncIterator[Until]:
    """Follow a resource; what is yielded waits until something holds of what is seen."""
    there: dict[str, Item] = {}
    changed, listed = asyncio.Event(), asyncio.Event()

    async def follow() -> None:
        async for event in events(client, resource):
            if event.type == BEGINNING:
                listed.clear()
                there.clear()
            elif event.type == LISTED:
                listed.set()
            elif event.type == "DELETED":
                there.pop(event.object.metadata.name, None)
            else:
                there[event.object.metadata.name] = event.object
            changed.set()

    async def until(holds: Callable[[dict[str, Item]], bool]) -> None:
        async with asyncio.timeout(WITHIN_SECONDS):
            while not listed.is_set() or not holds(there):
                changed.clear()
                wakening = asyncio.create_task(changed.wait())
                await asyncio.wait([wakening, following], return_when=asyncio.FIRST_COMPLETED)
                if following.done():
                    await following
                await asyncio.sleep(0.02)

    following = asyncio.create_task(follow())
    try:
        yield until
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def events(client: kube.Kube, resource: records.Resource) -> AsyncIterator[_Event]:
    """Yield what is there, between a `BEGINNING` and `LISTED`, and then what changes.

    A watch that ends, as that of a slow client does, begins again, and nothing else tells of what
    was deleted meanwhile.
    """
    nothing = Item(_Metadata())
    while True:
        yield _Event(BEGINNING, nothing)
        try:
            found = _LIST.decode(await client.list(resource, namespace=NAMESPACE))
            for item in found.items:
                yield _Event("ADDED", item)
            yield _Event(LISTED, nothing)
            version = found.metadata.resource_version
            async for line in client.watch(
                resource, namespace=NAMESPACE, selector="", resource_version=version
            ):
                if line.startswith(b'{"type":"ERROR"'):
                    break
                event = _EVENTS.decode(line)
                if event.type != "BOOKMARK":
                    yield event
        except errors.KubeError:
            await asyncio.sleep(0.1)


def is_in(there: dict[str, Item], name: str, state: str) -> bool:
    """Tell whether the object is there and in that state."""
    return name in there and there[name].status.state == state
