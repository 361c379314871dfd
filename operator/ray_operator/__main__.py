"""Composition root: wire the objects, read environment and clock, run.

Owns: construction order, start and shutdown. Does not own: any decision. Invariant: nothing else
in the package reads the environment, installs signal handlers or has logging configured.
"""

import asyncio
import contextlib
import dataclasses
import functools
import importlib.metadata
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import prometheus_client
import uvloop

from ray_operator import (
    admission,
    apply,
    chores,
    cli,
    credentials,
    cronjobs,
    dashboard,
    errors,
    events,
    handlers,
    heads,
    inventory,
    job_pollers,
    kinds,
    kube,
    leader,
    logs,
    lookout,
    lookups,
    names,
    observe,
    pollers,
    reconcile,
    records,
    rehearsal,
    relations,
    resources,
    resync,
    rivals,
    scaling,
    serve_pollers,
    served,
    server,
    stores,
    workqueue,
)
from ray_operator.api import crds, structural

DRAIN = timedelta(seconds=20)
RETRY_SECONDS = 2.0
SYNC_SECONDS = 0.1
HEAD_START_SECONDS = 1.0
"""To get the lease, before a replica that stands by looks around."""

_log = logging.getLogger("ray_operator")


def main() -> None:
    """Run the command line."""
    version = importlib.metadata.version("ray-operator")
    command = cli.parse(sys.argv[1:], os.environ, version=version)
    if not isinstance(command, cli.Run):
        sys.exit(chores.run(command, _access, version=version))
    try:
        logs.configure(command.logs)
    except OSError as error:
        raise SystemExit(f"the log file {command.logs.file}: {error.strerror}") from error
    for warning in command.warnings:
        _log.warning("%s", warning)
    uvloop.run(run(command))


def _access(kubeconfig: Path | None) -> credentials.Credentials:
    if kubeconfig is not None:
        return credentials.from_kubeconfig(kubeconfig)
    host = os.environ.get("KUBERNETES_SERVICE_HOST")
    if host is None:
        raise SystemExit("not in a Pod: give --kubeconfig")
    return credentials.in_cluster(host, os.environ.get("KUBERNETES_SERVICE_PORT", "443"))


async def run(command: cli.Run) -> None:
    """Run the operator until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    access = _access(command.kubeconfig)
    async with aiohttp.ClientSession(
        auto_decompress=True, connector=aiohttp.TCPConnector(limit=0)
    ) as session:
        if command.is_rehearsal:
            told = rehearsal.Rehearsal(functools.partial(print, flush=True))
            await Operator(session, command, access=access, told=told).rehearse(told)
        else:
            await Operator(session, command, access=access).run(stop)


class Operator:
    """All parts of a running operator, wired."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        command: cli.Run,
        *,
        access: credentials.Credentials,
        told: rehearsal.Rehearsal | None = None,
    ) -> None:
        self._command = command
        user_agent = f"ray-operator/{command.settings.version}"
        # Of its own, so that a renewal never waits behind a thousand Pods.
        lease_client = kube.Kube(session, access, user_agent=user_agent)
        lease_namespace = command.leader_election_namespace or access.namespace
        self._leader = leader.Leader(
            lease_client,
            namespace=lease_namespace,
            identity=names.IDENTITY_PREFIX
            + (command.pod_name or f"{socket.gethostname()}_{uuid4()}"),
        )
        self._lookout = self._looking(lease_client, access.namespace, lease_namespace)
        may_write = self._may_write
        client = kube.Kube(
            session,
            access,
            user_agent=user_agent,
            rate_limit=kube.RateLimit(qps=command.qps, burst=command.burst)
            if command.qps is not None and command.qps > 0  # as client-go: else no limit
            else None,
            may_write=may_write,
            rehearsal=told,
        )
        self._leads = asyncio.Event()
        self._queue = workqueue.WorkQueue()
        self._relations = relations.Relations(
            self._queue.add_spaced, kinds={each.kind for each in records.OURS}
        )
        touched = cronjobs.telling(command.settings, self._relations.touched)
        self._store = resources.Resources(self._queue.add, touched=touched, forgotten=self._forget)
        prometheus_client.REGISTRY.register(self._queue)
        if command.enable_metrics:
            for collector in (inventory.RayClusters, inventory.RayJobs, inventory.RayServices):
                prometheus_client.REGISTRY.register(collector(self._store.entries))
        self._stores = stores.Stores(
            client, namespaces=command.namespaces, changed=self._relations.changed
        )
        self._truth = resync.Resync(
            client,
            kinds=records.OURS,
            optional={records.RAYCRONJOBS},
            namespaces=command.namespaces,
            store=self._store,
        )
        self._watcher = handlers.Watcher(client, truth=self._truth, access=access)
        wanted = {
            kind.name: served.node(kind.schema(structural.FIELDS_ONLY)) for kind in crds.KINDS
        }
        self._served = served.Served(client, wanted)
        way = heads.Heads(
            client,
            access,
            connect=functools.partial(dashboard.Dashboard, session, user_agent=user_agent),
            is_proxied=command.settings.use_kubernetes_proxy,
        )
        self._scaler = scaling.Scaler(
            client, self._store, self._stores.pods, changed=self._queue.add, may_write=may_write
        )
        self._heads = pollers.Pollers(
            way, scaler=self._scaler, changed=self._queue.add, may_write=may_write
        )
        self._jobs = job_pollers.JobPollers(way, changed=self._queue.add, may_write=may_write)
        self._serve = serve_pollers.ServePollers(way, changed=self._queue.add, may_write=may_write)
        self._world = observe.World(
            self._stores,
            self._store,
            heads=self._heads,
            jobs=self._jobs,
            serve=self._serve,
            scaling=self._scaler.standing,
            users=self._relations.users,
            is_kept=self._served.is_kept,
        )
        self._lookups = lookups.Lookups(client, command.settings)
        written: dict[records.Resource, apply.Store] = {
            **self._stores.by_resource(),
            **{each: resources.OfKind(self._store, each.kind) for each in records.OURS},
            records.CLAIMS: apply.Unwatched(),
            records.ROUTES: apply.Unwatched(),
        }
        self._reconciler = reconcile.Reconciler(
            client,
            kinds=self._kinds(),
            store=self._store,
            queue=self._queue,
            applier=apply.Applier(client, written, may_write=may_write),
            options=command.settings,
            concurrency=command.concurrency,
            may_write=may_write,
            storable=self._served.prune,
        )

    def _forget(self, key: records.Key) -> None:
        """Drop what is remembered of a resource that is gone."""
        self._relations.forget(key)
        self._world.forget(key)
        self._scaler.forget(key)

    def _kinds(self) -> dict[str, reconcile.Kind[Any, Any]]:
        """Return what the loop must know of each kind."""
        world = self._world
        options = self._command.settings
        found: list[reconcile.Kind[Any, Any]] = [
            kinds.raycluster(world, self._stores, self._heads, self._lookups),
            kinds.rayjob(world, self._stores, self._jobs, options),
            kinds.rayservice(world, self._stores, self._serve, options),
            cronjobs.kind(world.raycronjob, options),
        ]
        if self._command.is_rehearsal:  # what is asked of Ray may be to start something
            found = [dataclasses.replace(each, ask=lambda *_: None) for each in found]
        return {each.resource.kind: each for each in found}

    def _looking(self, client: kube.Kube, own: str, election: str) -> lookout.Lookout:
        """Wire the look for other operators; `own` is the namespace we live in."""
        command = self._command
        about = {"namespace": own, "name": command.pod_name, "uid": command.pod_uid}
        return lookout.Lookout(
            client,
            us=rivals.Us(
                namespaces=frozenset(command.namespaces),
                election_namespace=election if command.leader_election else "",
            ),
            places=sorted({*command.namespaces, own}) if command.namespaces else (),
            pod=events.regarding(records.PODS, about) if command.pod_uid else None,
            clusters=lambda: self._store.all(records.RAYCLUSTERS.kind),
            ignored=command.ignore_other_operators,
        )

    def _may_write(self) -> bool:
        if self._command.is_rehearsal:
            return True
        leads = self._leader.may_write() or not self._command.leader_election
        return leads and self._lookout.is_clear()

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, then finish the passes in hand and give the lease back."""
        command = self._command
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(
                server.serve(
                    health_address=command.health_address,
                    metrics_address=command.metrics_address,
                    is_healthy=lambda: "a worker is stuck" if self._reconciler.is_stuck() else "",
                    is_ready=self._unready,
                )
            )
            if command.webhook_certificates is not None:
                await stack.enter_async_context(
                    server.serve_admission(
                        address=command.webhook_address,
                        certificates=command.webhook_certificates,
                        paths=admission.PATHS,
                        review=lambda body: admission.review(body, command.settings.feature_gates),
                    )
                )
            running = {
                asyncio.create_task(work, name=name): name for name, work in self._work().items()
            }
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait([*running, stopped], return_when=asyncio.FIRST_COMPLETED)
            ended = [name for task, name in running.items() if task.done()]
            _log.info("shutting down")
            await self._reconciler.drain(DRAIN)
            for task in [*running, stopped]:
                task.cancel()
            results = await asyncio.gather(*running, return_exceptions=True)
            for result in results:
                if isinstance(result, Exception):
                    raise result
            if ended and not stop.is_set():
                raise RuntimeError(f"{', '.join(ended)} ended by itself")

    async def rehearse(self, told: rehearsal.Rehearsal) -> None:
        """Tell what the first pass over each resource would write, and end."""
        work = [asyncio.create_task(each) for each in self._looks().values()]
        try:
            await self._served.refresh()
            while not self._is_synced():
                if ended := [each for each in work if each.done()]:
                    await ended[0]
                await asyncio.sleep(SYNC_SECONDS)
            told.end(await self._reconciler.rehearse())
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)

    def _work(self) -> dict[str, Coroutine[None, None, None]]:
        """Return all that runs until the end, by name."""
        lead = functools.partial(self._lookout.work_alone, self._lead)
        return {
            "the look for other operators": self._lookout.run(),
            "the event loop's clock": server.sample_lag(),
            "leading": self._leader.run(lead) if self._command.leader_election else lead(),
            **{name: self._begun(look) for name, look in self._looks().items()},
        }

    async def _begun(self, look: Coroutine[None, None, None]) -> None:
        """Look once we lead, or are known not to: what was seen before wouldn't count."""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEAD_START_SECONDS):
                    await self._leads.wait()
            await look
        finally:
            look.close()

    def _looks(self) -> dict[str, Coroutine[None, None, None]]:
        """Return what keeps us informed of the cluster."""
        every = self._command.settings.resync
        return {
            "the watch of our kinds": self._watcher.run(every=every),
            "the look at CRDs": self._served.run(every),
            "the look at API groups": self._lookups.run(every),
            **self._stores.work(),
        }

    def _unready(self) -> str:
        """Say why we aren't ready; empty when we are.

        While another operator is active nothing is done, which users see best in the count of ready
        Pods. The webhook is good all the same, and not to answer would refuse all changes.
        """
        if not self._is_synced():
            return "caches are not synced yet"
        return self._lookout.why() if self._command.webhook_certificates is None else ""

    def _is_synced(self) -> bool:
        return self._truth.synced.is_set() and self._stores.is_synced()

    async def _lead(self) -> None:
        """Look at the truth once, since another one may have written last; then work."""
        since = time.monotonic()
        self._leads.set()
        while True:
            try:
                await self._truth.sync_since(since)
                await self._stores.relist_since(since)
                break
            except errors.KubeError as error:
                _log.warning("can't read the cluster yet: %s", error.message)
                await asyncio.sleep(RETRY_SECONDS)
        try:
            await self._reconciler.run()
        finally:
            await asyncio.gather(self._heads.close(), self._jobs.close(), self._serve.close())
            self._scaler.close()


if __name__ == "__main__":
    main()
