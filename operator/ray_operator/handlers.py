"""Watch our own kinds: kopf at the edge, a metadata-only resync as the truth.

Owns: kopf (the only importer), its supervision, and the resync. Does not own: what an event leads
to (the store tells the work queue). Invariant: an event's content is only a hint. kopf sends no
DELETED for what vanished in a watch gap and ends on errors other than 410, so the store is made
true by `Watcher.sync` at start and at every resync, and kopf is restarted.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import kopf
import msgspec

from ray_operator import credentials, errors, kube, records, resources, wire

RETRY_SECONDS = 2.0
TOKEN_LIFETIME = timedelta(minutes=10)
"""Service account tokens are rotated on disk: read them again this often."""

_log = logging.getLogger(__name__)


class Watcher:
    """Keep the store of our own resources true; `namespaces` empty means the whole cluster."""

    def __init__(
        self,
        client: kube.Kube,
        *,
        kinds: Sequence[records.Resource],
        namespaces: Sequence[str],
        store: resources.Resources,
        access: credentials.Credentials,
        started: Callable[[], None],
    ) -> None:
        self.synced = asyncio.Event()
        self._client = client
        self._kinds = kinds
        self._namespaces = namespaces
        self._store = store
        self._access = access
        self._started = started

    async def run(self, *, resync: timedelta) -> None:
        """Sync, then watch and sync again every `resync`, until cancelled."""
        await self._sync_until_done()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            while True:
                await asyncio.sleep(resync.total_seconds())
                await self._sync_until_done()

    async def sync(self) -> None:
        """Make the store true by lists of metadata. Raises `KubeError`."""
        for kind in self._kinds:
            listed: list[tuple[records.Key, str, str]] = []
            for namespace in self._namespaces or (None,):
                data = await self._client.list(kind, namespace=namespace, metadata_only=True)
                for stub in msgspec.json.decode(data, type=wire.StubList).items or ():
                    meta = stub.metadata
                    key = records.Key(kind.kind, meta.namespace, meta.name)
                    listed.append((key, meta.uid, meta.resource_version))
            for key in self._store.reconcile(kind.kind, listed):
                found = await self._client.get(kind, key.namespace, key.name)
                if found is not None:
                    self._store.put(key, msgspec.json.decode(found))
        self.synced.set()

    async def _sync_until_done(self) -> None:
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
        """Run kopf until it ends. In between it must not keep the process's signals."""
        others = asyncio.all_tasks()
        tasks = await kopf.spawn_tasks(
            registry=self._registry(),
            settings=_settings(),
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=list(self._namespaces),
        )
        self._started()
        await kopf.run_tasks(tasks, ignored=others)

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        async def seen(event: Any, **_: Any) -> None:
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
            group, version = kind.api_version.split("/")
            kopf.on.event(group, version, kind.plural, registry=registry)(seen)
        kopf.on.login(registry=registry)(login)
        return registry


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
