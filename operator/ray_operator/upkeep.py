"""What an installation needs beside a running operator: its CRDs, a check, and a clean end.

Owns: bringing CRDs up to date, asking whether an installation works, and letting go of resources
before their operator goes for good. Does not own: when that is done (Helm's hooks, users), or what
CRDs say (`api.crds`). Invariant: all of it may be repeated, ends in bounded time, and tells each
thing that it did.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import NamedTuple

import msgspec

from ray_operator import errors, kube, records, wire
from ray_operator.api import base, crds, raycluster
from ray_operator.raycluster import cleanup
from ray_operator.rayjob import plan as rayjob
from ray_operator.rayservice import plan as rayservice

FINALIZERS = {
    records.RAYCLUSTERS: cleanup.FINALIZER,
    records.RAYJOBS: rayjob.FINALIZER,
    records.RAYSERVICES: rayservice.FINALIZER,
}
LOST = {
    records.RAYCLUSTERS: ": what it keeps in Redis stays there",
    records.RAYJOBS: ": deleted now, its job isn't stopped on a cluster that stays",
    records.RAYSERVICES: "",
}
"""What a deletion without the operator leaves undone; owned objects go all the same."""
PATIENCE = timedelta(seconds=60)
"""With what should come within seconds."""
FAREWELL = timedelta(seconds=30)
"""How long a running operator may take to finish deletions that have begun."""
PAUSE_SECONDS = 1.0
IMAGE = "rayproject/ray:2.60.0"
"""Of the RayCluster that is tried; nothing pulls it."""

Say = Callable[[str], None]
Probe = Callable[[], Awaitable[str]]
"""Return an empty string when all is well, else what is wrong."""


class Failed(Exception):
    """It can't be done, or not in time; the message says what was found."""


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""


class _Meta(wire.Metadata):
    finalizers: list[str] = msgspec.field(default_factory=list)


class _Selector(msgspec.Struct, rename="camel"):
    match_labels: dict[str, str] = {}


class _Spec(msgspec.Struct):
    selector: _Selector = msgspec.field(default_factory=_Selector)


class _Status(msgspec.Struct):
    phase: str = ""
    conditions: list[_Condition] | None = None


class _Object(msgspec.Struct):
    """What is read of a CRD, a Deployment or a Pod."""

    metadata: _Meta
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


class _Pods(msgspec.Struct):
    items: list[_Object] | None = None


class _Ours(msgspec.Struct):
    metadata: _Meta


class _AllOurs(msgspec.Struct):
    items: list[_Ours] | None = None


class _Held(NamedTuple):
    """One of our resources, with our finalizer on it."""

    resource: records.Resource
    meta: _Meta

    def __str__(self) -> str:
        return f"{self.resource.kind} {self.meta.namespace}/{self.meta.name}"


async def apply_crds(client: kube.Kube, say: Say) -> None:
    """Apply this version's CRDs server-side, whoever made those that are there.

    The list of a CRD's versions is replaced as a whole, so nothing of an older schema is left.

    Raises:
        KubeError: the API server refuses one, or can't be reached.
        Failed: one isn't served in time.
    """
    for kind in crds.KINDS:
        manifest = crds.definition(kind)
        await client.apply(records.CRDS, "", manifest)
        say(f"applied {manifest['metadata']['name']}")
    await _until_well(lambda: _unserved(client), PATIENCE)


async def _unserved(client: kube.Kube) -> str:
    for kind in crds.KINDS:
        name = f"{kind.plural}.ray.io"
        data = await client.get(records.CRDS, "", name)
        found = msgspec.json.decode(data, type=_Object).status.conditions if data else None
        if _Condition("Established", "True") not in (found or ()):
            return f"{name} isn't established"
    return ""


async def check(client: kube.Kube, ask: Probe, *, namespace: str, say: Say) -> None:
    """Ask the operator's Service, behind which are ready Pods only, and try a RayCluster.

    The RayCluster is a dry run: it meets the CRDs, the operator's rights and all webhooks, and is
    never made.

    Raises:
        Failed: the Service doesn't answer, or the RayCluster is refused.
    """
    await _until_well(ask, PATIENCE)
    say("a ready operator answers at its Service")
    template = {"spec": {"containers": [{"name": "ray-head", "image": IMAGE}]}}
    head = raycluster.HeadGroupSpec(template=template)
    tried = raycluster.RayCluster(
        metadata=base.Metadata(generate_name="ray-operator-check-"),
        spec=raycluster.RayClusterSpec(head_group_spec=head),
    )
    try:
        await client.try_create(records.RAYCLUSTERS, namespace, tried.manifest())
    except errors.KubeError as error:
        raise Failed(f"a RayCluster in {namespace} is refused: {error.message}") from error
    say(f"a RayCluster in {namespace} would be taken")


async def retire(
    client: kube.Kube, *, deployment: str, namespace: str, watched: Iterable[str], say: Say
) -> None:
    """Stop an operator and take its finalizers off, so that no deletion waits for it any more.

    Ray goes on as it runs, and an operator that is installed later takes all of it over. What is
    being deleted when this begins gets a moment to be finished as usual. `deployment` empty means
    that the operator is stopped already, `watched` empty all namespaces.

    Raises:
        KubeError: the API server refuses something, or can't be reached.
        Failed: the operator doesn't stop, or a finalizer can't be removed, or comes again.
    """
    places = tuple(watched) or (None,)
    if deployment:
        await _finish_deletions(client, places)
        await _stop(client, deployment, namespace)
        say(f"stopped Deployment {namespace}/{deployment}")

    await _until_well(lambda: _release_all(client, places, say), PATIENCE)
    say("nothing waits for the operator")


async def _finish_deletions(client: kube.Kube, places: Iterable[str | None]) -> None:
    """Leave the operator what it has begun; what it can't finish in time is released."""

    async def going() -> str:
        return next((str(e) for e in await _held(client, places) if e.meta.deletion_timestamp), "")

    try:
        await _until_well(going, FAREWELL)
    except Failed:
        return


async def _stop(client: kube.Kube, name: str, namespace: str) -> None:
    """Scale a Deployment to 0, and wait until its Pods are gone, which shut down in their time."""
    data = await client.get(records.DEPLOYMENTS, namespace, name)
    if data is None:
        return
    found = msgspec.json.decode(data, type=_Object)
    change = {"spec": {"replicas": 0}}
    await client.patch(records.DEPLOYMENTS, namespace, name, uid=found.metadata.uid, change=change)
    selector = ",".join(f"{key}={value}" for key, value in found.spec.selector.match_labels.items())

    async def running() -> str:
        data = await client.list(records.PODS, namespace=namespace, selector=selector)
        pods = msgspec.json.decode(data, type=_Pods).items or ()
        left = (each for each in pods if each.status.phase not in {"Succeeded", "Failed"})
        return next((f"Pod {each.metadata.name} still runs" for each in left), "")

    await _until_well(running, PATIENCE)


async def _held(
    client: kube.Kube, places: Iterable[str | None], say: Say = lambda _: None
) -> list[_Held]:
    """List what carries our finalizers; a kind that isn't served has nothing.

    Nor has a namespace that is gone, and with it our rights in it.
    """
    found = []
    for place in places:
        for resource, finalizer in FINALIZERS.items():
            try:
                data = await client.list(resource, namespace=place, metadata_only=True)
            except errors.NotFound:
                continue
            except errors.Forbidden as error:
                if place is None:
                    raise
                say(f"left alone: {error.message}")
                continue
            items = msgspec.json.decode(data, type=_AllOurs).items or ()
            found += [
                _Held(resource, each.metadata)
                for each in items
                if finalizer in each.metadata.finalizers
            ]
    return found


async def _release_all(client: kube.Kube, places: Iterable[str | None], say: Say) -> str:
    """Go through all that is held; say what is wrong, or that another look is due."""
    found = await _held(client, places, say)
    wrong = [await _release(client, each, say) for each in found]
    first = next(filter(None, wrong), "")
    return first or (f"{found[0]} had a finalizer" if found else "")


async def _release(client: kube.Kube, held: _Held, say: Say) -> str:
    """Take our finalizer off; say why that failed."""
    meta = held.meta
    left = [each for each in meta.finalizers if each != FINALIZERS[held.resource]]
    change = {"metadata": {"finalizers": left, "resourceVersion": meta.resource_version}}
    try:
        await client.patch(held.resource, meta.namespace, meta.name, uid=meta.uid, change=change)
    except errors.NotFound:
        return ""
    except errors.KubeError as error:
        return f"{held} keeps its finalizer: {error.message}"
    say(f"released {held}{LOST[held.resource]}")
    return ""


async def _until_well(probe: Probe, within: timedelta) -> None:
    """Ask until all is well; raise Failed with what was wrong last when that takes too long."""
    loop = asyncio.get_running_loop()
    until = loop.time() + within.total_seconds()
    while wrong := await probe():
        if loop.time() >= until:
            raise Failed(f"{wrong}, after {within.total_seconds():.0f} s")
        await asyncio.sleep(PAUSE_SECONDS)
