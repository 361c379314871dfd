"""All parts of a running operator, wired.

Owns: which part is given which, and what all of them look at. Does not own: their life (`__main__`)
or any decision. Invariant: nothing is asked or waited for here; in a rehearsal the parts are the
same, but that writes are only told and nothing is asked of Ray, which may be to start something.
"""

import asyncio
import dataclasses
import functools
import socket
from collections.abc import Coroutine
from typing import Any
from uuid import uuid4

import aiohttp
import prometheus_client

from ray_operator import (
    apply,
    cli,
    credentials,
    cronjobs,
    dashboard,
    events,
    handlers,
    heads,
    inventory,
    job_pollers,
    kinds,
    kube,
    leader,
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
    stores,
    workqueue,
)
from ray_operator.api import crds, structural


class Parts:
    """What an operator is made of."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        command: cli.Run,
        *,
        access: credentials.Credentials,
        told: rehearsal.Rehearsal | None = None,
    ) -> None:
        self._command = command
        self._is_rehearsal = told is not None
        user_agent = f"ray-operator/{command.settings.version}"
        # Of its own, so that a renewal never waits behind a thousand Pods.
        lease_client = kube.Kube(session, access, user_agent=user_agent)
        lease_namespace = command.leader_election_namespace or access.namespace
        self.leader = leader.Leader(
            lease_client,
            namespace=lease_namespace,
            identity=names.IDENTITY_PREFIX
            + (command.pod_name or f"{socket.gethostname()}_{uuid4()}"),
        )
        self.lookout = self._looking(lease_client, access.namespace, lease_namespace)
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
        self.stores = stores.Stores(
            client, namespaces=command.namespaces, changed=self._relations.changed
        )
        self.truth = resync.Resync(
            client,
            kinds=records.OURS,
            optional={records.RAYCRONJOBS},
            namespaces=command.namespaces,
            store=self._store,
        )
        self.watcher = handlers.Watcher(client, truth=self.truth, access=access)
        wanted = {
            kind.name: served.node(kind.schema(structural.FIELDS_ONLY)) for kind in crds.KINDS
        }
        self.served = served.Served(client, wanted)
        way = heads.Heads(
            client,
            access,
            connect=functools.partial(dashboard.Dashboard, session, user_agent=user_agent),
            is_proxied=command.settings.use_kubernetes_proxy,
        )
        self.scaler = scaling.Scaler(
            client, self._store, self.stores.pods, changed=self._queue.add, may_write=may_write
        )
        self.heads = pollers.Pollers(
            way, scaler=self.scaler, changed=self._queue.add, may_write=may_write
        )
        self.jobs = job_pollers.JobPollers(way, changed=self._queue.add, may_write=may_write)
        self.serve = serve_pollers.ServePollers(way, changed=self._queue.add, may_write=may_write)
        self._world = observe.World(
            self.stores,
            self._store,
            heads=self.heads,
            jobs=self.jobs,
            serve=self.serve,
            scaling=self.scaler.standing,
            users=self._relations.users,
            is_kept=self.served.is_kept,
        )
        self.lookups = lookups.Lookups(client, command.settings)
        written: dict[records.Resource, apply.Store] = {
            **self.stores.by_resource(),
            **{each: resources.OfKind(self._store, each.kind) for each in records.OURS},
            records.CLAIMS: apply.Unwatched(),
            records.ROUTES: apply.Unwatched(),
        }
        self.reconciler = reconcile.Reconciler(
            client,
            kinds=self._kinds(),
            store=self._store,
            queue=self._queue,
            applier=apply.Applier(client, written, may_write=may_write),
            options=command.settings,
            concurrency=command.concurrency,
            may_write=may_write,
            storable=self.served.prune,
        )

    def looks(self) -> dict[str, Coroutine[None, None, None]]:
        """Return what keeps us informed of the cluster."""
        every = self._command.settings.resync
        return {
            "the watch of our kinds": self.watcher.run(every=every),
            "the look at CRDs": self.served.run(every),
            "the look at API groups": self.lookups.run(every),
            **self.stores.work(),
        }

    def is_synced(self) -> bool:
        """Tell whether all that is decided by has been read once."""
        return self.truth.synced.is_set() and self.stores.is_synced()

    async def close(self) -> None:
        """Ask nothing of Ray any more."""
        await asyncio.gather(self.heads.close(), self.jobs.close(), self.serve.close())
        self.scaler.close()

    def _forget(self, key: records.Key) -> None:
        """Drop what is remembered of a resource that is gone."""
        self._relations.forget(key)
        self._world.forget(key)
        self.scaler.forget(key)

    def _kinds(self) -> dict[str, reconcile.Kind[Any, Any]]:
        """Return what the loop must know of each kind."""
        world = self._world
        options = self._command.settings
        found: list[reconcile.Kind[Any, Any]] = [
            kinds.raycluster(world, self.stores, self.heads, self.lookups),
            kinds.rayjob(world, self.stores, self.jobs, options),
            kinds.rayservice(world, self.stores, self.serve, options),
            cronjobs.kind(world.raycronjob, options),
        ]
        if self._is_rehearsal:
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
        if self._is_rehearsal:
            return True
        leads = self.leader.may_write() or not self._command.leader_election
        return leads and self.lookout.is_clear()
