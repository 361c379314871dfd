"""Scale clusters: carry out what follows from each answer of a GCS.

Owns: the order of an autoscaling step (decide, drain, patch, report), and its events. Does not own:
asking the GCS (`pollers`), what is remembered (`scaling_case`), or any decision (`autoscaler`).
Invariant: a worker is given up only after Ray let it go, and only as many Pods as the patch says;
whatever is cut off in between is finished at the next look, by whoever leads then.
"""

import asyncio
import contextlib
import dataclasses
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from ray_operator import (
    actions,
    drains,
    errors,
    events,
    gcs,
    informers,
    kube,
    metrics,
    packers,
    ray_records,
    records,
    resources,
    scaling_case,
    scaling_records,
)
from ray_operator.api import raycluster as api
from ray_operator.autoscaler import (
    decide,
    demand,
    memory,
    model,
    news,
    patch,
    question,
    report,
    scale_down,
    scale_up,
)

REPORT_AFTER = timedelta(seconds=15)
TOLD_AFTER = timedelta(hours=1)
IDLE_TOLD_AFTER = timedelta(seconds=10)
"""Who is idle changes with every task; it is no reason to write a status more often."""
MANY = 100
"""Pods, of which each step takes so long that others should have their turn in between."""
_STATES = ("desired", "pending", "running", "idle")
MISSES = 3
"""Before it is told that a GCS doesn't answer."""

_log = logging.getLogger(__name__)


class Scaler:
    """Scale; `changed` is told of clusters of which there is something new to say."""

    def __init__(
        self,
        client: kube.Kube,
        own: resources.Resources,
        pods: informers.Children[records.Pod],
        *,
        changed: Callable[[records.Key], None],
        may_write: Callable[[], bool],
    ) -> None:
        self._client = client
        self._own = own
        self._pods = pods
        self._changed = changed
        self._may_write = may_write
        self._cases: dict[records.Key, scaling_case.Case] = {}
        self._packers = packers.Packers()
        self._measured: dict[records.Key, set[str]] = {}

    def standing(self, key: records.Key) -> scaling_records.Standing | None:
        """Return what is to be said of the cluster's scaling; None while there is nothing."""
        case = self._cases.get(key)
        return case.standing if case else None

    def forget(self, key: records.Key) -> None:
        """Drop what is remembered of a cluster."""
        if self._cases.pop(key, None) is not None:
            self._measure(key, scaling_records.Standing())

    def close(self) -> None:
        """Forget all; what happens meanwhile is another leader's."""
        for key in list(self._cases):
            self.forget(key)
        self._packers.close()

    def _measure(self, key: records.Key, standing: scaling_records.Standing) -> None:
        """Say in the metrics how the groups stand; those that are gone say nothing."""
        groups = {each.group: each for each in standing.groups}
        for gone in self._measured.pop(key, set()) - groups.keys():
            for state in _STATES:
                metrics.scaled_replicas.remove(key.namespace, key.name, gone, state)
        if not groups:
            return
        self._measured[key] = set(groups)
        for name, each in groups.items():
            for state in _STATES:
                gauge = metrics.scaled_replicas.labels(key.namespace, key.name, name, state)
                gauge.set(getattr(each, state))

    def miss(self, key: records.Key, error: str) -> None:
        """Take in that the GCS gave no answer: nothing is decided until it does."""
        if self._own.get(key) is None:
            return
        case = self._cases.setdefault(key, scaling_case.Case())
        case.remembered = memory.failed(case.remembered)
        case.misses += 1
        if case.misses == MISSES:
            trouble = f"the head's GCS doesn't answer: {error}"
            case.standing = msgspec.structs.replace(case.standing, trouble=trouble)
            self._changed(key)

    async def look(
        self,
        key: records.Key,
        client: gcs.Gcs,
        state: ray_records.ResourceState,
        drivers: scaling_records.Drivers | None,
    ) -> timedelta:
        """Scale the cluster by what its GCS says; return when to look again."""
        data = self._own.get(key)
        if data is None:
            return decide.Pace.QUIET
        case = self._cases.setdefault(key, scaling_case.Case())
        if case.is_asleep(data, state, drivers):
            return case.pace
        case.misses = 0
        cluster = case.read(data)
        now = datetime.now(UTC)
        pods = self._pods.controlled_by(key, cluster.metadata.uid)
        with _aside(key):
            await self._keep_constraint(client, case, state)
        wanted = demand.normalised(state.demand)
        await _breathe(pods)
        asked = case.question(cluster, pods, state, now=now, demand=wanted, drivers=drivers)
        await _breathe(pods)
        problem = question.problem(asked, case.remembered, now)
        await _breathe(pods)
        solution = await self._solve(case, problem)
        decision, case.remembered = decide.decide(asked, solution, case.remembered, now)
        gone = await self._drain(client, case, decision.removals, now)
        is_done = await self._write(key, cluster, asked.cluster, decision, gone)
        done = news.events(decision, gone) if is_done else []
        for each in done:
            metrics.scalings.labels("up" if each.reason == news.UP else "down").inc()
        with _aside(key):
            await self._report(client, case, decision, asked.cluster, now)
        await self._tell(key, case, cluster, decision, done, now=now)
        case.is_calm, case.pace = decision.is_calm, decision.look_after
        return decision.look_after

    async def _keep_constraint(
        self, client: gcs.Gcs, case: scaling_case.Case, state: ray_records.ResourceState
    ) -> None:
        """Ask again for what a GCS has forgotten that it was asked to hold."""
        lost = memory.lost_constraint(case.remembered, state)
        if lost and self._may_write():
            await client.request_constraint(lost)

    async def _solve(self, case: scaling_case.Case, problem: scale_up.Problem) -> scale_up.Solution:
        """Solve a problem that isn't the last one."""
        if case.remembered.solved is not None and case.remembered.solved[0] == problem:
            return case.remembered.solved[1]
        solution = await self._packers.solve(problem)
        case.remembered = dataclasses.replace(case.remembered, solved=(problem, solution))
        return solution

    async def _drain(
        self,
        client: gcs.Gcs,
        case: scaling_case.Case,
        removals: Sequence[scale_down.Removal],
        now: datetime,
    ) -> list[scale_down.Removal]:
        """Have Ray let nodes go that do nothing; return the replicas of which it did all."""
        if not self._may_write():
            return []
        gone = []
        refused = dict(case.remembered.refused)
        for removal in removals:
            if not removal.drains:
                gone.append(removal)
                continue
            if removal.is_broken:
                todo = [each for each in removal.workers if each.pod not in refused]
                running = [each for each in todo if each.state is model.State.RUNNING]
                nodes = [each.node_id for each in running]
                until = now + scale_down.BROKEN_FOR
                await drains.end(client, nodes, why=removal.why, until=until)
                refused.update({each.pod: now for each in running})
                continue
            nodes = [each.node_id for each in removal.workers]
            answers = await drains.let_go(client, nodes, why=removal.why)
            late = list(itertools.compress(removal.workers, answers))
            refused.update({each.pod: now for each in late})
            if not late:
                gone.append(removal)
        fresh = {name: at for name, at in refused.items() if now - at < scale_down.REFUSED_FOR}
        case.remembered = dataclasses.replace(case.remembered, refused=fresh)
        return gone

    async def _write(
        self,
        key: records.Key,
        cluster: api.RayCluster,
        view: model.Cluster,
        decision: decide.Decision,
        gone: Sequence[scale_down.Removal],
    ) -> bool:
        """Write the decision; tell whether it stands. One that is refused is made anew."""
        pods: dict[str, list[tuple[str, ...]]] = {}
        for removal in gone:
            names = tuple(each.pod for each in removal.workers)
            pods.setdefault(removal.group, []).append(names)
        operations = patch.operations(view.groups, launches=decision.launches, gone=pods)
        if not operations or not self._may_write():
            return False
        # Only this very object: one of the same name may have come since.
        guard = {"op": "test", "path": "/metadata/uid", "value": cluster.metadata.uid}
        try:
            answer = await self._client.patch_exactly(
                records.RAYCLUSTERS, key.namespace, key.name, operations=[guard, *operations]
            )
        except errors.KubeError as error:
            _log.warning("%s %s/%s: not scaled: %s", *key, error.message)
            return False
        self._own.written(key.namespace, answer)
        return True

    async def _report(
        self,
        client: gcs.Gcs,
        case: scaling_case.Case,
        decision: decide.Decision,
        view: model.Cluster,
        now: datetime,
    ) -> None:
        """Tell Ray, for its own tools; what an older Ray doesn't know isn't told again."""
        if not self._may_write():
            return
        is_old = case.reported_at is None or now - case.reported_at > REPORT_AFTER
        is_empty = decision.told == scaling_records.Report()
        if decision.told != case.reported or (is_old and not is_empty):
            await client.report(decision.told, now=now)
            case.reported, case.reported_at = decision.told, now
        config = report.configs(view)
        if config != case.configured:
            with contextlib.suppress(errors.Unsupported):
                await client.report_config(config)
            case.configured = config

    async def _tell(
        self,
        key: records.Key,
        case: scaling_case.Case,
        cluster: api.RayCluster,
        decision: decide.Decision,
        done: Sequence[actions.Event],
        *,
        now: datetime,
    ) -> None:
        """Say what was done and what can't be, in events and for the status."""
        before = case.standing
        after = news.standing(before, decision, done, now)
        is_late = case.told_at is None or now - case.told_at > IDLE_TOLD_AFTER
        if news.is_news(before, after) or (after != before and is_late):
            case.standing, case.told_at = after, now
            self._measure(key, after)
            self._changed(key)
        metadata = cluster.metadata
        about = events.regarding(
            records.RAYCLUSTERS,
            {"namespace": key.namespace, "name": key.name, "uid": metadata.uid},
        )
        for event in [*done, *self._infeasible(case, decision, now)]:
            if self._may_write():
                await events.post(self._client, about, event, now=now)

    def _infeasible(
        self, case: scaling_case.Case, decision: decide.Decision, now: datetime
    ) -> list[actions.Event]:
        """Return the events of requests that no group could ever hold: one an hour of each."""
        found = []
        standing = case.infeasible.items()
        case.infeasible = {text: at for text, at in standing if now - at <= TOLD_AFTER}
        for each in decision.unmet:
            if each.is_infeasible and each.request not in case.infeasible:
                case.infeasible[each.request] = now
                found.append(news.infeasible(each))
        return found


@contextlib.contextmanager
def _aside(key: records.Key) -> Iterator[None]:
    """Go on without what is not essential; it comes with the next look."""
    try:
        yield
    except errors.RayError as error:
        _log.info("%s %s/%s: %s", *key, error)


async def _breathe(pods: Sequence[records.Pod]) -> None:
    """Let others have their turn between two steps over very many Pods."""
    if len(pods) > MANY:
        await asyncio.sleep(0)
