"""Looking for other operators for Ray, saying so, and keeping ours still while one is active.

Owns: looking again and again, the log line, the metric and the events. Does not own: what counts as
a rival (`rivals`), or stopping our writes (`assembly` asks `Lookout.is_clear`). Invariant: not
clear before the first look.

Leases and Deployments are listed twice a minute rather than watched: a Lease changes every two
seconds, and no stream of that is worth the little that is learnt from it. More often would be most
of what an operator at rest asks.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from ray_operator import actions, errors, events, kube, metrics, names, records, rivals

QUIET_SECONDS = 30.0
ALERT_SECONDS = 2.0
REMINDER_SECONDS = 10.0
PATIENCE_SECONDS = 30.0
"""An active rival answers a changed RayCluster much sooner than that: KubeRay knows no wait."""
REPEAT_SECONDS = 3600.0
"""The API server forgets events after an hour."""
MOST_NOTICES = 20
"""Of one look, so that a thousand clusters don't flood the API server."""
REASON = "AnotherOperatorActive"

_log = logging.getLogger(__name__)

T = TypeVar("T", rivals.Deployment, rivals.Lease)


class _List(msgspec.Struct):
    items: list[msgspec.Raw] | None = None


class _Metadata(msgspec.Struct, rename="camel"):
    namespace: str
    name: str
    uid: str
    generation: int = 0
    deletion_timestamp: str | None = None


class _Spec(msgspec.Struct, rename="camel"):
    managed_by: str | None = None


class _Status(msgspec.Struct, rename="camel"):
    observed_generation: int = 0


class _RayCluster(msgspec.Struct):
    """What tells whether a RayCluster waits for an operator."""

    metadata: _Metadata
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


def waiting(data: bytes) -> dict[str, str] | None:
    """Return the reference of a RayCluster that no operator has answered as it is now, else None.

    One that is deleted, or is another controller's, waits for nobody.
    """
    cluster = msgspec.json.decode(data, type=_RayCluster)
    meta = cluster.metadata
    if meta.deletion_timestamp or cluster.spec.managed_by not in {None, names.MANAGED_BY_US}:
        return None
    if cluster.status.observed_generation >= meta.generation:
        return None
    return events.regarding(records.RAYCLUSTERS, msgspec.to_builtins(meta))


class Lookout:
    """Look for rivals, again and again."""

    def __init__(
        self,
        client: kube.Kube,
        *,
        us: rivals.Us,
        places: Sequence[str],
        pod: Mapping[str, str] | None,
        clusters: Callable[[], Iterable[bytes]],
        ignored: bool = False,
    ) -> None:
        """Look in the namespaces `places`, or everywhere if there are none.

        `pod` is the reference of our own Pod, for events, if we are in one; `clusters` gives all
        RayClusters. With `ignored`, rivals are told of, and nothing waits for them.
        """
        self._client = client
        self._us = us
        self._places = tuple(places) or (None,)
        self._pod = pod
        self._clusters = clusters
        self._ignored = ignored
        self._rivals: tuple[rivals.Rival, ...] = ()
        self._sightings: dict[str, rivals.Sighting] = {}
        self._blind: set[str] = set()
        self._clear, self._clash = asyncio.Event(), asyncio.Event()
        self._told: dict[str, float] = {}

    def is_clear(self) -> bool:
        """Tell whether we may work."""
        return self._ignored or self._clear.is_set()

    def why(self) -> str:
        """Say what keeps us from working; empty when nothing does."""
        if self.is_clear():
            return ""
        if not self._rivals:
            return "looking for other operators"
        return f"another operator for Ray is active, so this one waits: {self._described()}"

    def unready(self) -> str:
        """Say why we aren't ready to take over; empty also while what is there is to make room."""
        is_leaving = bool(self._rivals) and all(each.leaves for each in self._rivals)
        return "" if is_leaving else self.why()

    def _described(self) -> str:
        return "; ".join(each.describe() for each in self._rivals)

    async def work_alone(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """Run `work` until it ends, while no rival is active.

        It is cancelled when one comes, and begins anew when that has gone.
        """
        while True:
            await self._wait_clear()
            working = asyncio.create_task(work())
            clash = asyncio.create_task(self._wait_clash())
            try:
                await asyncio.wait({working, clash}, return_when=asyncio.FIRST_COMPLETED)
                if working.done():
                    return working.result()
            finally:
                working.cancel()
                clash.cancel()
                await asyncio.gather(working, clash, return_exceptions=True)

    async def _wait_clear(self) -> None:
        if self._ignored:
            return
        telling = asyncio.create_task(self._tell_waiting())
        try:
            await self._clear.wait()
        finally:
            telling.cancel()

    async def _wait_clash(self) -> None:
        await (asyncio.Event() if self._ignored else self._clash).wait()

    async def run(self) -> None:
        """Look until cancelled: often while there is a rival, since users wait for us then."""
        while True:
            try:
                self._take(rivals.active(*await self._look(), self._us))
            except errors.KubeError as error:
                _log.warning("can't look for other operators: %s", error.message)
            if self._rivals and not self._ignored and self._pod is not None:
                await self._tell(self._pod)
            await asyncio.sleep(QUIET_SECONDS if self._clear.is_set() else ALERT_SECONDS)

    async def _tell_waiting(self) -> None:
        """Say on the RayClusters that nobody answers why we don't, until cancelled."""
        since: dict[str, float] = {}
        while True:
            now = time.monotonic()
            found = {each["uid"]: each for data in self._clusters() if (each := waiting(data))}
            since = {uid: since.get(uid, now) for uid in found}
            late = [uid for uid in found if now - since[uid] > PATIENCE_SECONDS]
            for uid in [uid for uid in late if self._is_news(uid)][:MOST_NOTICES]:
                await self._tell(found[uid])
            await asyncio.sleep(REMINDER_SECONDS)

    async def _look(self) -> tuple[list[rivals.Deployment], list[rivals.Lease]]:
        deployments: list[rivals.Deployment] = []
        leases: list[rivals.Lease] = []
        for place in self._places:
            deployments += await self._list(
                rivals.Deployment, records.DEPLOYMENTS, place, labels=rivals.SELECTOR
            )
            leases += await self._list(
                rivals.Lease, records.LEASES, place, fields=f"metadata.name={names.LEASE}"
            )
        seconds, now = time.monotonic(), datetime.now(UTC)
        before, self._sightings = self._sightings, {}
        for lease in leases:
            at = lease.metadata.namespace
            seen = rivals.sighted(lease, before.get(at), seconds=seconds, now=now)
            self._sightings[at] = seen
        held = [
            lease
            for lease in leases
            if rivals.is_held(lease, self._sightings[lease.metadata.namespace], seconds=seconds)
        ]
        return deployments, held

    async def _list(
        self,
        type_: type[T],
        resource: records.Resource,
        place: str | None,
        *,
        labels: str = "",
        fields: str = "",
    ) -> list[T]:
        """List; find nothing where we may not look, which is told once."""
        try:
            data = await self._client.list(
                resource, namespace=place, selector=labels, fields=fields
            )
        except errors.Forbidden as error:
            if error.message not in self._blind:
                self._blind.add(error.message)
                _log.warning("can't see whether another operator is active: %s", error.message)
            return []
        found = msgspec.json.decode(data, type=_List).items or ()
        return [msgspec.json.decode(each, type=type_) for each in found]

    def _take(self, found: tuple[rivals.Rival, ...]) -> None:
        changed, self._rivals = found != self._rivals, found
        metrics.other_operators.set(len(found))
        now, past = (self._clash, self._clear) if found else (self._clear, self._clash)
        now.set()
        past.clear()
        if not changed:
            return
        self._told.clear()
        if not found:
            _log.warning("no other operator for Ray is active any more")
        elif self._ignored:
            _log.warning("another operator for Ray is active, and ignored: %s", self._described())
        else:
            _log.warning("%s", self.why())

    def _is_news(self, uid: str) -> bool:
        return time.monotonic() - self._told.get(uid, float("-inf")) > REPEAT_SECONDS

    async def _tell(self, about: Mapping[str, str]) -> None:
        """Post the event, unless it was posted within the hour."""
        if not self._is_news(about["uid"]):
            return
        self._told[about["uid"]] = time.monotonic()
        event = actions.Event(type="Warning", reason=REASON, action="Wait", message=self.why())
        await events.post(self._client, about, event, now=datetime.now(UTC))
