"""One cluster that is scaled: its spec as last read, what is remembered of it, and what was told.

Owns: putting together what there is to decide on. Does not own: the steps (`scaling`) or decisions
(`autoscaler`). Invariant: nothing here waits; a spec is decoded once a change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ray_operator import ray_records, records, scaling_records
from ray_operator.api import raycluster as api
from ray_operator.autoscaler import decide, memory, model, options, question, survey
from ray_operator.autoscaler import demand as needs
from ray_operator.raycluster import observed, spec_hash


@dataclass(slots=True)
class Case:
    """What is known of the cluster from look to look.

    Attributes:
        prints: of the groups' templates, by name.
        misses: looks in a row that got no answer.
        is_calm: at the last look there was nothing to decide, and nothing to wait for.
        pace: how soon to look again while it is.
        infeasible: requests that were told of as such, and when.
    """

    data: bytes = b""
    cluster: api.RayCluster | None = None
    prints: Mapping[str, str] = field(default_factory=dict)
    outline: model.Cluster | None = None
    wanted: options.Options = field(default_factory=options.Options)
    remembered: memory.Memory = field(default_factory=memory.Memory)
    standing: scaling_records.Standing = field(default_factory=scaling_records.Standing)
    misses: int = 0
    is_calm: bool = False
    pace: timedelta = decide.Pace.SLEEPY
    reported: scaling_records.Report | None = None
    reported_at: datetime | None = None
    configured: tuple[scaling_records.GroupConfig, ...] | None = None
    infeasible: dict[str, datetime] = field(default_factory=dict)
    told_at: datetime | None = None

    def is_asleep(
        self,
        data: bytes,
        state: ray_records.ResourceState,
        drivers: scaling_records.Drivers | None,
    ) -> bool:
        """Tell whether nothing goes on, as at the last look, so that there is nothing to decide.

        With no workers and no demand, only another spec, driver or life of the GCS is news.
        """
        before = self.remembered
        is_same_life = state.session == before.session and state.version > before.version
        is_same = self.is_calm and data is self.data and is_same_life
        is_quiet = drivers is not None and not drivers.count and not state.demand
        if not is_same or not is_quiet or self.misses:
            return False
        self.remembered = replace(before, version=state.version, looks=before.looks + 1)
        return True

    def read(self, data: bytes) -> api.RayCluster:
        """Take in the cluster's JSON, and return it decoded."""
        if data is self.data and self.cluster is not None:
            return self.cluster
        cluster = api.RayCluster.model_validate_json(data)
        former = self.cluster
        self.outline = None
        if former is None or former.metadata.generation != cluster.metadata.generation:
            spec = cluster.spec
            self.prints = {
                each.group_name: spec_hash.group_hash(spec, each)
                for each in spec.worker_group_specs
            }
            self.wanted = options.read(spec.autoscaler_options)
        self.data, self.cluster = data, cluster
        return cluster

    def question(
        self,
        cluster: api.RayCluster,
        pods: Sequence[records.Pod],
        state: ray_records.ResourceState,
        *,
        now: datetime,
        demand: needs.Demand,
        drivers: scaling_records.Drivers | None,
    ) -> question.Question:
        """Return what there is to decide on, and take in whose answer it is."""
        if self.outline is None:
            known = self.remembered.known
            self.outline = survey.outline(cluster, templates=self.prints, known=known)
        view = survey.filled(self.outline, pods, state)
        head = next((pod.uid for pod in pods if observed.is_head(pod) and pod.ip), "")
        longest = max((group.idle_timeout for group in view.groups), default=timedelta())
        after = memory.look(self.remembered, state, head=head, idle_timeout=longest, now=now)
        if (after.session, after.head) != (self.remembered.session, self.remembered.head):
            self.reported = self.configured = None
        learnt = survey.learnt(view)
        if not learnt.items() <= after.known.items():
            after, self.outline = replace(after, known={**after.known, **learnt}), None
        self.remembered = after
        return question.Question(
            cluster=view,
            demand=demand,
            has_drivers=drivers is None or drivers.count > 0,
            options=self.wanted,
        )
