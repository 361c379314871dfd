"""What is read of RayJobs, and the word in the log when the feature gate is off."""

import sys
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from ray_operator import cronjobs, features, observe, records, resources, settings, wire_runs
from ray_operator.raycronjob import observed
from tests.unit.raycronjob import world

KEY = records.Key("RayCronJob", "ns1", "a")


def ray_job(name: str, **fields: Any) -> bytes:
    metadata = {"namespace": "ns1", "name": name, "uid": f"uid-{name}"}
    return msgspec.json.encode({"metadata": metadata | fields.pop("metadata", {}), **fields})


def annotated(tick: str) -> dict[str, Any]:
    return {"annotations": {"ray.io/cronjob-scheduled-timestamp": tick}}


def test_a_ray_job_is_read() -> None:
    status = {
        "jobDeploymentStatus": "Complete",
        "jobStatus": "SUCCEEDED",
        "endTime": "2026-01-01T13:10:00Z",
        "jobId": "x",
    }
    times = {
        "creationTimestamp": "2026-01-01T13:00:01Z",
        "deletionTimestamp": "2026-01-01T14:00:00Z",
    }
    data = ray_job("a", metadata=times | annotated("2026-01-01T13:00:00Z"), status=status)
    assert wire_runs.run(data) == observed.Run(
        namespace="ns1",
        name="a",
        uid="uid-a",
        created_at=datetime(2026, 1, 1, 13, 0, 1, tzinfo=UTC),
        tick=datetime(2026, 1, 1, 13, tzinfo=UTC),
        phase="Complete",
        job_status="SUCCEEDED",
        ended_at=datetime(2026, 1, 1, 13, 10, tzinfo=UTC),
        is_going=True,
    )


@pytest.mark.parametrize("tick", ["", "noon", "2026-01-01T13:00:00"])
def test_a_broken_annotation_tells_no_tick(tick: str) -> None:
    assert wire_runs.run(ray_job("a", metadata=annotated(tick))).tick is None


def ray_job_of(uid: str, name: str, *, version: int = 1, **metadata: Any) -> dict[str, Any]:
    """Return a RayJob that the RayCronJob of that UID made."""
    owner = {"apiVersion": "ray.io/v1", "kind": "RayCronJob", "name": "nightly", "controller": True}
    given = {"resourceVersion": str(version), "ownerReferences": [{**owner, "uid": uid}]}
    body: dict[str, Any] = msgspec.json.decode(ray_job(name, metadata=given | metadata))
    return body


def world_of(store: resources.Resources) -> observe.World:
    unused: Any = None
    return observe.World(
        unused,
        store,
        heads=unused,
        jobs=unused,
        serve=unused,
        scaling=unused,
        users=unused,
        is_kept=unused,
    )


def test_runs_of_this_very_one_are_seen_in_the_order_of_their_ticks() -> None:
    store = resources.Resources(lambda _: None)
    given: list[tuple[str, str, dict[str, Any]]] = [
        ("b", world.UID, {"creationTimestamp": "2026-01-01T14:00:00Z"}),
        ("former", "another", {}),
        ("z", world.UID, annotated("2026-01-01T13:00:00Z")),
        ("m", world.UID, {}),
    ]
    for name, uid, fields in given:
        store.put(records.Key("RayJob", "ns1", name), ray_job_of(uid, name, **fields))
    found = world_of(store).raycronjob(world.raycronjob(), None)
    assert [each.name for each in found.runs] == ["m", "z", "b"]


def test_of_many_versions_of_a_run_only_the_newest_is_kept_in_memory() -> None:
    store = resources.Resources(lambda _: None)
    seen, cron = world_of(store), world.raycronjob()
    key, still = records.Key("RayJob", "ns1", "a"), records.Key("RayJob", "ns1", "b")
    store.put(still, ray_job_of(world.UID, "b"))
    versions, unchanged = [], []
    for version in range(1, 9):
        store.put(key, ray_job_of(world.UID, "a", version=version))
        runs = seen.raycronjob(cron, None).runs
        assert seen._is_at_work(key)
        versions.append(store.get(key))
        unchanged.append(runs[1])
    assert all(each is unchanged[0] for each in unchanged), "decoded once"
    versions.append(bytes(bytearray(b"held by this test alone")))
    before = [sys.getrefcount(versions[at]) for at in range(9)]
    assert before[:7] == [before[8]] * 7
    assert before[7] > before[8]
    store.drop(key, "uid-a")
    seen.forget(records.Key("RayCronJob", "ns1", "nightly"))
    after = [sys.getrefcount(versions[at]) for at in range(9)]
    assert after == [before[8]] * 9


@pytest.mark.parametrize(("is_on", "count"), [(False, 1), (True, 0)])
def test_ignored_ones_are_told_of_in_the_log_once(
    caplog: pytest.LogCaptureFixture, is_on: bool, count: int
) -> None:
    gates = features.DEFAULT | ({features.Feature.CRON_JOB} if is_on else set())
    options = settings.Settings(version="test", feature_gates=gates)
    seen: list[records.Key] = []
    touched = cronjobs.telling(options, lambda key, _: seen.append(key))
    other = records.Key("RayJob", "ns1", "b")
    for key in (other, KEY, KEY):
        touched(key, {})
    assert seen == [other, KEY, KEY]
    assert [each.levelname for each in caplog.records] == ["WARNING"] * count
