"""A frozen fake of the RayJobs of one RayCronJob: apply plans to it and let time pass."""

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from ray_operator import actions, features, records, settings, wire_runs
from ray_operator.api import raycronjob as api
from ray_operator.raycronjob import observed as seen
from ray_operator.raycronjob import plan, status, transitions
from tests.support.rulebook import example
from tests.unit import builders

NOW = builders.NOW
SETTINGS = settings.Settings(
    version="test", feature_gates=features.DEFAULT | {features.Feature.CRON_JOB}
)
UID = builders.UID
MINUTE = timedelta(minutes=1)


def raycronjob(
    *,
    metadata: Mapping[str, Any] | None = None,
    status: Mapping[str, Any] | None = None,
    **spec: Any,
) -> api.RayCronJob:
    """Build a valid one, made at `NOW`."""
    manifest = example.manifest("RayCronJob", {}, name="nightly")
    manifest["metadata"] |= {
        "namespace": "ns1",
        "uid": UID,
        "generation": 1,
        "creationTimestamp": NOW.isoformat(),
    } | dict(metadata or {})
    manifest["spec"] |= spec
    manifest["status"] = status or {}
    return api.RayCronJob.model_validate_json(msgspec.json.encode(manifest))


def run(name: str, **fields: Any) -> seen.Run:
    """Build a run that hasn't ended."""
    given: dict[str, Any] = {"namespace": "ns1", "uid": f"uid-{name}", "phase": "Running"}
    return seen.Run(name=name, **(given | fields))


@dataclasses.dataclass(frozen=True, kw_only=True)
class World:
    """RayJobs as they would be read back, and the status as it was last written."""

    runs: tuple[seen.Run, ...] = ()
    status: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    now: datetime = NOW
    events: tuple[actions.Event, ...] = ()

    @property
    def observed(self) -> seen.Observed:
        return seen.Observed(runs=self.runs)

    def seen_by(self, cron: api.RayCronJob) -> api.RayCronJob:
        return cron.model_copy(update={"status": dict(self.status)})

    def decide(self, cron: api.RayCronJob, options: settings.Settings = SETTINGS) -> actions.Plan:
        return plan.plan(self.seen_by(cron), self.observed, options, self.now)

    def apply(self, todo: Sequence[actions.Action]) -> "World":
        runs = self.runs
        for action in todo:
            if isinstance(action, actions.Delete):
                runs = tuple(each for each in runs if each.uid != action.uid)
            else:
                assert isinstance(action, actions.Create)
                runs = (*runs, *self._created(action, runs))
        return dataclasses.replace(self, runs=runs)

    def say(self, cron: api.RayCronJob, options: settings.Settings = SETTINGS) -> "World":
        """Write the status, as a pass does in the end, and keep the events it is worth."""
        stored = self.seen_by(cron)
        outcome = actions.Outcome(invalid=self.decide(cron, options).invalid)
        said = status.next_status(stored, self.observed, outcome, self.now, options=options) or {}
        news = transitions.events(stored, said, options=options) if said != self.status else ()
        return dataclasses.replace(self, status=said, events=(*self.events, *news))

    def passed(self, cron: api.RayCronJob, options: settings.Settings = SETTINGS) -> "World":
        """Make one whole pass."""
        return self.apply(self.decide(cron, options).actions).say(cron, options)

    def settle(
        self,
        cron: api.RayCronJob,
        options: settings.Settings = SETTINGS,
        *,
        crash_after: int | None = None,
    ) -> "World":
        """Make passes until one changes nothing; the first may stop after so many actions."""
        world = self
        if crash_after is not None:
            world = world.apply(world.decide(cron, options).actions[:crash_after])
        for _ in range(6):
            after = world.passed(cron, options)
            if after == world:
                return world
            world = after
        raise AssertionError("still not quiet")

    def at(self, now: datetime) -> "World":
        return dataclasses.replace(self, now=now)

    def ended(self, name: str, phase: str = "Complete", job: str = "SUCCEEDED") -> "World":
        """Let a run end now."""
        runs = tuple(
            dataclasses.replace(each, phase=phase, job_status=job, ended_at=self.now)
            if each.name == name
            else each
            for each in self.runs
        )
        return dataclasses.replace(self, runs=runs)

    def names(self) -> list[str]:
        return [each.name for each in self.runs]

    def told(self) -> list[tuple[str, str]]:
        return [(each.reason, each.message) for each in self.events]

    def reason(self) -> str:
        (found,) = (
            each["reason"]
            for each in self.status["conditions"]
            if each["type"] == "RayCronJobScheduled"
        )
        return str(found)

    def _created(self, action: actions.Create, runs: Sequence[seen.Run]) -> tuple[seen.Run, ...]:
        assert action.resource == records.RAYJOBS
        manifest = msgspec.json.decode(msgspec.json.encode(action.manifest))
        if manifest["metadata"]["name"] in [each.name for each in runs]:
            return ()
        uid = f"uid-{manifest['metadata']['name']}"
        manifest["metadata"] |= {"uid": uid, "creationTimestamp": self.now.isoformat()}
        return (wire_runs.run(msgspec.json.encode(manifest)),)
