"""Watch our own kinds: kopf at the edge, a metadata-only resync as the truth.

Owns: kopf (the only importer), its supervision, and the resync. Does not own: what an event leads
to (the store tells the work queue). Invariant: an event's content is only a hint. kopf sends no
DELETED for what vanished in a watch gap and ends on errors other than 410, so the store is made
true by `Watcher.sync` at start and at every resync, and kopf is restarted.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import kopf
import msgspec

from ray_operator import credentials, errors, kube, records, resources, wire

RETRY_SECONDS = 2.0
DISCOVERY_SECONDS = 10.0
TOKEN_LIFETIME = timedelta(minutes=10)
"""Service account tokens are rotated on disk: read them again this often."""

_log = logging.getLogger(__name__)


class _Name(msgspec.Struct):
    name: str


class _Found(msgspec.Struct):
    """What discovery says of a version of an API group."""

    resources: list[_Name] = []


class Watcher:
    """Keep the store of our own resources true; `namespaces` empty means the whole cluster.

    `optional` kinds are watched once their CRDs are there: older KubeRays' CRDs lack them, and
    the others must not wait for them.
    """

    def __init__(
        self,
        client: kube.Kube,
        *,
        kinds: Sequence[records.Resource],
        optional: Collection[records.Resource] = (),
        namespaces: Sequence[str],
        store: resources.Resources,
        access: credentials.Credentials,
    ) -> None:
        self.synced = asyncio.Event()
        self._client = client
        self._kinds = kinds
        self._optional = optional
        self._absent: set[records.Resource] = set()
        self._namespaces = namespaces
        self._store = store
        self._access = access
        self._end_watch = threading.Event()

    async def run(self, *, resync: timedelta) -> None:
        """Sync, then watch and sync again every `resync`, until cancelled."""
        await self._sync_until_done()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            group.create_task(self._await_absent())
            while True:
                await asyncio.sleep(resync.total_seconds())
                if await self._sync_until_done():
                    _log.warning("the watch missed changes: starting it again")
                    self._end_watch.set()

    async def sync(self) -> bool:
        """Make the store true by lists of metadata; tell whether it had missed an object.

        Raises `KubeError`.
        """
        missed = False
        for kind in self._kinds:
            for namespace in self._namespaces or (None,):
                try:
                    data = await self._client.list(kind, namespace=namespace, metadata_only=True)
                except errors.NotFound:
                    if kind in self._optional:
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
                stale = self._store.reconcile(
                    kind.kind, listed, namespace=namespace, version=version
                )
                for key in stale:
                    body = await self._client.get(kind, key.namespace, key.name)
                    missed |= body is not None and self._store.get(key) is None
                    if body is not None:
                        self._store.put(key, msgspec.json.decode(body))
        self.synced.set()
        return missed

    async def _sync_until_done(self) -> bool:
        while True:
            try:
                return await self.sync()
            except errors.NotFound:
                _log.warning("the ray.io CRDs are not installed; waiting for them")
            except errors.KubeError as error:
                _log.warning("can't list our resources: %s", error.message)
            await asyncio.sleep(RETRY_SECONDS)

    async def _watch(self) -> None:
        """Run kopf; when it ends, make good what was missed and run it again."""
        while True:
            try:
                await self._run_kopf()
                _log.warning("the watch ended; starting again")
            except Exception as error:  # noqa: BLE001 - whatever ends kopf, we go on
                _log.warning("the watch failed, starting again: %r", error)
            await asyncio.sleep(RETRY_SECONDS)
            await self._sync_until_done()

    async def _run_kopf(self) -> None:
        """Run kopf until it ends, in a thread with a loop of its own.

        When kopf ends it cancels whatever tasks its loop has, and it takes the process's signals;
        here neither is the operator's.
        """
        await self._wait_discovered()
        ended = asyncio.get_running_loop().create_future()
        self._end_watch = stop = threading.Event()
        threading.Thread(
            target=self._kopf, args=(asyncio.get_running_loop(), ended, stop), daemon=True
        ).start()
        try:
            await ended
        finally:
            stop.set()

    async def _wait_discovered(self) -> None:
        """Wait until the API server tells of our kinds: kopf looks once, at its start."""
        while True:
            absent = await self._undiscovered()
            if absent is not None and absent <= set(self._optional):
                for kind in absent - self._absent:
                    _log.warning("the CRD of %s is not installed: it isn't watched", kind.kind)
                self._absent = absent
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def _await_absent(self) -> None:
        """Watch anew once the CRD of a kind that had none is there."""
        while True:
            await asyncio.sleep(DISCOVERY_SECONDS)
            if self._absent:
                absent = await self._undiscovered()
                if absent is not None and self._absent - absent:
                    self._end_watch.set()

    async def _undiscovered(self) -> set[records.Resource] | None:
        """Return those of our kinds that the API server doesn't tell of, None if it tells none."""
        try:
            data = await self._client.read(f"/apis/{records.GROUP_VERSION}")
        except errors.KubeError as error:
            _log.warning("can't discover %s: %s", records.GROUP_VERSION, error.message)
            return None
        found = {each.name for each in msgspec.json.decode(data, type=_Found).resources}
        return {kind for kind in self._kinds if kind.plural not in found}

    def _kopf(
        self, loop: asyncio.AbstractEventLoop, ended: asyncio.Future[None], stop: threading.Event
    ) -> None:
        def tell(error: Exception | None) -> None:
            if ended.done():
                return
            if error is None:
                ended.set_result(None)
            else:
                ended.set_exception(error)

        async def run() -> None:
            asyncio.get_running_loop().set_exception_handler(_unheard)
            try:
                await kopf.operator(
                    registry=self._registry(loop),
                    settings=_settings(),
                    standalone=True,
                    clusterwide=not self._namespaces,
                    namespaces=list(self._namespaces),
                    stop_flag=stop,
                )
            finally:
                stop.set()  # or the thread in which kopf waits for it would hold up the end

        failure = None
        try:
            asyncio.run(run())
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            failure = error
        with contextlib.suppress(RuntimeError):  # our own loop may have ended meanwhile
            loop.call_soon_threadsafe(tell, failure)

    def _registry(self, loop: asyncio.AbstractEventLoop) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        async def seen(event: Any, **_: Any) -> None:
            loop.call_soon_threadsafe(take, event)

        def take(event: Any) -> None:
            body = event["object"]
            meta = body["metadata"]
            key = records.Key(body["kind"], meta["namespace"], meta["name"])
            if event["type"] == "DELETED":
                self._store.drop(key, meta["uid"])
            else:
                self._store.put(key, body)

        async def login(**_: Any) -> kopf.ConnectionInfo:
            return _connection(self._access)

        for kind in self._kinds:
            if kind in self._absent:
                continue
            group, version = kind.api_version.split("/")
            kopf.on.event(group, version, kind.plural, registry=registry)(seen)
        kopf.on.login(registry=registry)(login)
        return registry


def _unheard(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log in a line what ended a task of kopf's that it didn't ask.

    It has one a kind, and raises what the first to fail says: of deleted CRDs all fail.
    """
    _log.warning("the watch: %s: %r", context["message"], context.get("exception"))


def _settings() -> kopf.OperatorSettings:
    options = kopf.OperatorSettings()
    options.posting.enabled = False
    options.scanning.disabled = True
    options.queueing.idle_timeout = 0.5
    options.watching.server_timeout = 290
    options.watching.client_timeout = 300
    options.watching.connect_timeout = 10
    options.networking.request_timeout = 30
    options.networking.connect_timeout = 10
    options.process.ultimate_exiting_timeout = None  # kopf would kill us 10 min after it ended
    return options


def _connection(access: credentials.Credentials) -> kopf.ConnectionInfo:
    return kopf.ConnectionInfo(
        server=access.server,
        ca_data=access.ca.decode() if access.ca else None,
        insecure=access.insecure or None,
        token=access.bearer(),
        certificate_data=access.certificate.decode() if access.certificate else None,
        private_key_data=access.private_key.decode() if access.private_key else None,
        default_namespace=access.namespace,
        expiration=datetime.now(UTC) + TOKEN_LIFETIME if access.token_path else None,
    )
