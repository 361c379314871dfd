"""Lease election: only the holder writes, and it stops before another one can begin.

Owns: acquiring, renewing and releasing the lease, and the answer to `may_write`. Does not own:
what the leader does. Invariant: `may_write` turns false `RENEW_DEADLINE` after the start of the
last renewal that succeeded, while others wait for the longer `LEASE_DURATION`; it is measured on
the monotonic clock, so a process that was stopped and continued sees at once that it is too late.
Source: client-go's leaderelection, whose Lease fields and timings users know.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import msgspec

from ray_operator import errors, kube, metrics, names, records

LEASE_DURATION_SECONDS = 15
RENEW_DEADLINE_SECONDS = 10.0
RETRY_SECONDS = 2.0

_log = logging.getLogger(__name__)


class _LeaseSpec(msgspec.Struct, rename="camel"):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class _Lease(msgspec.Struct):
    metadata: dict[str, Any]
    spec: _LeaseSpec = msgspec.field(default_factory=_LeaseSpec)


class Leader:
    """Run work while, and only while, this process holds the lease.

    `identity` begins with `names.IDENTITY_PREFIX`. It must be the same for a restarted container of
    one Pod (its predecessor is surely dead, so it may go on at once) and differ between processes
    that can live at one time.
    """

    def __init__(self, client: kube.Kube, *, namespace: str, identity: str) -> None:
        self._client = client
        self._namespace = namespace
        self._identity = identity
        self._renewed_at: float | None = None
        self._seen: tuple[str, float] = ("", 0.0)
        self._written: _Lease | None = None

    def may_write(self) -> bool:
        """Tell whether the lease is young enough to write under it."""
        return (
            self._renewed_at is not None
            and time.monotonic() - self._renewed_at < RENEW_DEADLINE_SECONDS
        )

    async def run(self, lead: Callable[[], Coroutine[None, None, None]]) -> None:
        """Stand for election until cancelled; run `lead` while elected, cancel it when lost."""
        try:
            while True:
                await self._acquire()
                _log.info("leading as %s", self._identity)
                metrics.leading.labels(names.LEASE).set(1)
                await self._lead(lead)
                metrics.leading.labels(names.LEASE).set(0)
                _log.warning("lease lost; standing by")
        finally:
            await self._release()

    async def _lead(self, lead: Callable[[], Coroutine[None, None, None]]) -> None:
        work = asyncio.create_task(lead())
        try:
            while self.may_write():
                await asyncio.wait({work}, timeout=RETRY_SECONDS)
                if work.done():
                    work.result()
                    raise RuntimeError("the leader's work ended by itself")
                if self.may_write():
                    await self._try_hold()
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _acquire(self) -> None:
        while not await self._try_hold():  # noqa: ASYNC110 - the lease is elsewhere
            await asyncio.sleep(RETRY_SECONDS)

    async def _try_hold(self) -> bool:
        """Take or renew the lease; False when another one holds it or the API can't say."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(RENEW_DEADLINE_SECONDS / 2):
                held = await self._hold()
        except (errors.KubeError, TimeoutError) as error:
            _log.warning("lease %s: %s", names.LEASE, str(error) or "no answer")
            return False
        if held:
            self._renewed_at = started
        return held

    async def _hold(self) -> bool:
        if await self._renew():
            return True
        data = await self._client.get(records.LEASES, self._namespace, names.LEASE)
        now = _micro_time()
        if data is None:
            spec = _LeaseSpec(self._identity, LEASE_DURATION_SECONDS, now, now, 0)
            lease = _Lease({"name": names.LEASE, "namespace": self._namespace}, spec)
            self._keep(await self._client.create(records.LEASES, self._namespace, _manifest(lease)))
            return True
        lease = msgspec.json.decode(data, type=_Lease)
        mine = lease.spec.holder_identity == self._identity
        if not mine and not self._has_expired(lease):
            self._renewed_at = None
            return False
        if not mine:
            lease.spec.acquire_time = now
            lease.spec.lease_transitions = (lease.spec.lease_transitions or 0) + 1
        await self._write(lease)
        return True

    async def _renew(self) -> bool:
        """Write the lease as it was last written, if nobody has written it since."""
        last, self._written = self._written, None
        if last is None:
            return False
        try:
            await self._write(last)
        except (errors.Conflict, errors.NotFound):
            return False
        return True

    async def _write(self, lease: _Lease) -> None:
        lease.spec.holder_identity = self._identity
        lease.spec.lease_duration_seconds = LEASE_DURATION_SECONDS
        lease.spec.renew_time = _micro_time()
        self._keep(await self._client.replace(records.LEASES, self._namespace, _manifest(lease)))

    def _keep(self, data: bytes) -> None:
        self._written = msgspec.json.decode(data, type=_Lease)

    def _has_expired(self, lease: _Lease) -> bool:
        """Judge by our own clock: the lease did not change for its whole duration."""
        if not lease.spec.holder_identity:
            return True
        version, since = self._seen
        if version != lease.metadata["resourceVersion"]:
            self._seen = (lease.metadata["resourceVersion"], time.monotonic())
            return False
        duration = lease.spec.lease_duration_seconds or LEASE_DURATION_SECONDS
        return time.monotonic() - since > duration

    async def _release(self) -> None:
        """Let the next one begin at once. The writers have been stopped before.

        The server is asked, not `may_write`: a claim whose answer was cancelled may stand there.
        """
        self._renewed_at = None
        try:
            data = await self._client.get(records.LEASES, self._namespace, names.LEASE)
            if data is None:
                return
            lease = msgspec.json.decode(data, type=_Lease)
            if lease.spec.holder_identity == self._identity:
                lease.spec.holder_identity = ""
                lease.spec.lease_duration_seconds = 1
                await self._client.replace(records.LEASES, self._namespace, _manifest(lease))
        except errors.KubeError as error:
            _log.warning("lease %s not released: %s", names.LEASE, error)


def _manifest(lease: _Lease) -> dict[str, Any]:
    return {
        "apiVersion": records.LEASES.api_version,
        "kind": records.LEASES.kind,
        "metadata": lease.metadata,
        "spec": msgspec.to_builtins(lease.spec),
    }


def _micro_time() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
