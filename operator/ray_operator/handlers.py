"""Watch our own kinds: kopf at the edge, a resync as the truth.

Owns: kopf (the only importer) and its supervision. Does not own: what an event leads to (the store
tells the work queue), or the truth (`resync`). Invariant: an event's content is only a hint. kopf
sends no DELETED for what vanished in a watch gap and ends on errors other than 410, so the store is
made true at start and again and again, and kopf is restarted.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import kopf
import msgspec
import uvloop

from ray_operator import credentials, errors, kube, records, resync

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
    """Keep the store of our own resources true, by watches and by the truth of now and then.

    Optional kinds are watched once their CRDs are there; the others must not wait for them.
    """

    def __init__(
        self, client: kube.Kube, *, truth: resync.Resync, access: credentials.Credentials
    ) -> None:
        self._client = client
        self._truth = truth
        self._absent: set[records.Resource] = set()
        self._access = access
        self._end_watch = threading.Event()

    async def run(self, *, every: timedelta) -> None:
        """Sync if nobody has, then watch and sync again `every` so often, until cancelled."""
        await self._until_done(self._truth.sync_once)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            group.create_task(self._await_absent())
            while True:
                await asyncio.sleep(every.total_seconds())
                if await self._until_done(self._truth.sync):
                    _log.warning("the watch missed changes: starting it again")
                    self._end_watch.set()

    async def _until_done(self, sync: Callable[[], Awaitable[bool]]) -> bool:
        while True:
            try:
                return await sync()
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
            await self._until_done(self._truth.sync)

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
            if absent is not None and absent <= set(self._truth.optional):
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
        return {kind for kind in self._truth.kinds if kind.plural not in found}

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
                    clusterwide=not self._truth.namespaces,
                    namespaces=list(self._truth.namespaces),
                    stop_flag=stop,
                )
            finally:
                stop.set()  # or the thread in which kopf waits for it would hold up the end

        failure = None
        try:
            uvloop.run(run())
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
                self._truth.store.drop(key, meta["uid"])
            else:
                self._truth.store.put(key, body)

        async def login(**_: Any) -> kopf.ConnectionInfo:
            return _connection(self._access)

        for kind in self._truth.kinds:
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


class _Unremembered(kopf.DiffBaseStorage):
    """Nothing of what objects were: no handler asks, and the copies cost a quarter of an event."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Return nothing of the object."""
        return cast("kopf.BodyEssence", {})

    def fetch(self, **_: Any) -> None:
        """Remember nothing."""

    def store(self, **_: Any) -> None:
        """Keep nothing."""


def _settings() -> kopf.OperatorSettings:
    options = kopf.OperatorSettings()
    options.posting.enabled = False
    options.scanning.disabled = True
    options.queueing.idle_timeout = 0.1
    options.watching.chunk_size = resync.PAGE
    options.watching.server_timeout = kube.WATCH_SECONDS
    options.watching.client_timeout = kube.WATCH_SECONDS + 10
    options.watching.connect_timeout = 10
    options.networking.request_timeout = 30
    options.networking.connect_timeout = 10
    options.persistence.diffbase_storage = _Unremembered()
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
