"""RayCronJobs: how many RayJobs are made, of which times, and what is told."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.api import operators
from tests.support import cluster as clusters
from tests.support.rulebook import example

SOON = timedelta(seconds=60)
SAMPLE = Path(__file__).parents[2] / "samples/ray-cronjob.sample.yaml"
ON_TIME = "OnTime"
ELSEWHERE = "kueue.x-k8s.io/multikueue"
"""Who manages the RayJobs here, so that no controller writes the status that a test gives them."""
TEMPLATE = example.JOB | {"managedBy": ELSEWHERE}
JOBS = "/apis/ray.io/v1/namespaces/default/rayjobs"


@pytest.fixture(scope="module", autouse=True)
def operator(api: clusters.Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    log = tmp_path_factory.mktemp("operator") / "log"
    with operators.running(api, log, "--feature-gates=RayCronJob=true"):
        yield


def made(
    api: clusters.Cluster, name: str, *, last: datetime | None = None, **spec: Any
) -> clusters.Json:
    """Make a RayCronJob, with that last run; return it once the operator has seen it."""
    given = {"schedule": "0 4 * * *", "timeZone": "Etc/UTC", "jobTemplate": TEMPLATE} | spec
    manifest = example.manifest("RayCronJob", {}, name=name)
    manifest["spec"] |= given | {"suspend": True}
    api.apply(manifest, "default")
    wait_reason(api, name, "Suspended")
    go_on(api, name, last=last, suspend=spec.get("suspend", False))
    return found(api, name)


def go_on(
    api: clusters.Cluster, name: str, *, last: datetime | None, suspend: bool = False
) -> None:
    """Have one that is suspended, and at rest, go on as if it had been running until now."""
    status: Any = {"observedSchedule": None}  # by the status alone, which wakes nobody
    if last:
        status["lastScheduleTime"] = stamp(last)
    api.patch("raycronjobs", "default", name, {"status": status}, subresource="status")
    api.patch("raycronjobs", "default", name, {"spec": {"suspend": suspend}})


def found(api: clusters.Cluster, name: str) -> clusters.Json:
    cron = api.get("raycronjobs", "default", name)
    assert cron is not None
    return cron


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(api: clusters.Cluster, name: str, type_: str) -> clusters.Json:
    told = found(api, name).get("status", {}).get("conditions", ())
    return next((dict(each) for each in told if each["type"] == type_), {})


def wait_reason(api: clusters.Cluster, name: str, reason: str) -> clusters.Json:
    def is_told() -> clusters.Json | None:
        said = condition(api, name, "RayCronJobScheduled")
        is_new = said.get("observedGeneration") == found(api, name)["metadata"]["generation"]
        return said if said.get("reason") == reason and is_new else None

    return api.wait(is_told, within=SOON, what=f"{name} {reason}", namespace="default")


def jobs(api: clusters.Cluster, name: str) -> list[clusters.Json]:
    """Return the RayJobs that the RayCronJob controls."""
    uid = found(api, name)["metadata"]["uid"]
    owned = [
        each
        for each in api.list("rayjobs", "default")
        if uid in [owner["uid"] for owner in each["metadata"].get("ownerReferences", ())]
    ]
    return sorted(owned, key=lambda each: str(each["metadata"]["name"]))


def wait_jobs(
    api: clusters.Cluster, name: str, count: int, *, within: timedelta = SOON
) -> list[clusters.Json]:
    api.wait(
        lambda: len(jobs(api, name)) == count,
        within=within,
        what=f"{count} RayJobs of {name}",
        namespace="default",
    )
    return jobs(api, name)


def told(api: clusters.Cluster, name: str, reason: str) -> list[str]:
    return [
        each["message"]
        for each in api.list("events", "default")
        if each["involvedObject"]["name"] == name and each["reason"] == reason
    ]


def wait_told(api: clusters.Cluster, name: str, reason: str, *messages: str) -> None:
    api.wait(
        lambda: told(api, name, reason) == list(messages),
        within=SOON,
        what=f"{reason} of {name}",
        namespace="default",
    )


def earlier_run(api: clusters.Cluster, name: str, run: str, **status: str) -> None:
    """Make a RayJob of the RayCronJob, as if it had been made at another time."""
    manifest = example.manifest("RayJob", {"spec/managedBy": ELSEWHERE}, name=run)
    owner = found(api, name)["metadata"]
    manifest["metadata"]["ownerReferences"] = [
        {
            "apiVersion": "ray.io/v1",
            "kind": "RayCronJob",
            "name": name,
            "uid": owner["uid"],
            "controller": True,
        }
    ]
    api.send("POST", JOBS, manifest)
    if status:
        report(api, run, **status)


def seen_run(api: clusters.Cluster, name: str, run: str) -> None:
    """Make a RayJob that begins, and wait until the operator knows: no later pass is owed to it."""
    earlier_run(api, name, run)
    api.wait(
        lambda: found(api, name)["status"].get("active"),
        within=SOON,
        what="the RayJob seen",
        namespace="default",
    )


def report(api: clusters.Cluster, run: str, **status: str) -> None:
    """Say of a RayJob what its own controller would."""
    given = {"jobId": "a"} | status
    api.patch("rayjobs", "default", run, {"status": given}, subresource="status")


def last_tick() -> datetime:
    """Return the latest 4:00 UTC."""
    now = datetime.now(UTC)
    today = now.replace(hour=4, minute=0, second=0, microsecond=0)
    return today if today <= now else today - timedelta(days=1)


def test_of_many_missed_times_only_the_latest_is_run(api: clusters.Cluster) -> None:
    tick = last_tick()
    cron = made(api, "missed", last=tick - timedelta(days=4), suspend=False)
    (job,) = wait_jobs(api, "missed", 1)
    wait_reason(api, "missed", ON_TIME)
    assert job["metadata"]["name"] == f"missed-{int(tick.timestamp()) // 60}"
    assert job["metadata"]["labels"] == {"ray.io/cronjob-name": "missed"}
    annotation = {"ray.io/cronjob-scheduled-timestamp": stamp(tick)}
    assert job["metadata"]["annotations"] == annotation
    (owner,) = job["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == (cron["metadata"]["uid"], True)
    wanted = cron["spec"]["jobTemplate"]
    assert {name: job["spec"][name] for name in wanted} == wanted
    status = found(api, "missed")["status"]
    assert status["lastScheduleTime"] == stamp(tick)
    assert [each["name"] for each in status["active"]] == [job["metadata"]["name"]]
    wait_told(
        api,
        "missed",
        "MissedSchedule",
        f"missed runs since {stamp(tick - timedelta(days=4))}: 3; only the latest is made up for,"
        f" that of {stamp(tick)}",
    )
    wait_told(api, "missed", "CreatedRayJob", f"Created RayJob {job['metadata']['name']}")
    (event,) = (
        each for each in api.list("events", "default") if each["reason"] == "MissedSchedule"
    )
    assert event["reportingComponent"] == "raycronjob-controller"


def test_decades_of_missed_hours_cost_one_run(api: clusters.Cluster) -> None:
    made(api, "decades", last=datetime(1970, 1, 1, tzinfo=UTC), schedule="0 * * * *")
    wait_jobs(api, "decades", 1)
    api.wait(
        lambda: any(": more than 100;" in each for each in told(api, "decades", "MissedSchedule")),
        within=SOON,
        what="the warning",
        namespace="default",
    )


def test_a_run_whose_status_was_not_written_is_not_made_again(api: clusters.Cluster) -> None:
    tick = last_tick()
    manifest = example.manifest("RayCronJob", {}, name="crashed")
    manifest["spec"] |= {"timeZone": "Etc/UTC", "suspend": True, "jobTemplate": TEMPLATE}
    api.apply(manifest, "default")
    wait_reason(api, "crashed", "Suspended")
    run = f"crashed-{int(tick.timestamp()) // 60}"
    seen_run(api, "crashed", run)  # without the annotation that tells the tick
    go_on(api, "crashed", last=tick - timedelta(days=1))
    api.wait(
        lambda: jobs(api, "crashed")[0]["metadata"].get("labels"),
        within=SOON,
        what="the RayJob taken over",
        namespace="default",
    )
    assert [each["metadata"]["name"] for each in jobs(api, "crashed")] == [run]


def test_a_suspended_one_makes_none_and_then_only_what_comes_due(api: clusters.Cluster) -> None:
    start = datetime.now(UTC) - timedelta(minutes=10)
    made(api, "paused", last=start, schedule="@every 1m", suspend=True)
    wait_told(api, "paused", "SuspendedRayCronJob", "no RayJob is made: suspend is true")
    api.kubectl("label", "raycronjob", "paused", "touched=yes")
    assert jobs(api, "paused") == []
    api.kubectl("label", "raycronjob", "paused", "touched-")
    api.wait(
        lambda: found(api, "paused")["status"].get("observedSchedule"),
        within=SOON,
        what="the schedule seen",
        namespace="default",
    )
    before = datetime.now(UTC).replace(microsecond=0)
    api.patch("raycronjobs", "default", "paused", {"spec": {"suspend": False}})
    wait_reason(api, "paused", ON_TIME)
    assert jobs(api, "paused") == []
    since = datetime.fromisoformat(found(api, "paused")["status"]["observedSchedule"]["since"])
    assert before <= since <= before + SOON
    (job,) = wait_jobs(api, "paused", 1, within=timedelta(seconds=75))
    born = datetime.fromisoformat(job["metadata"]["creationTimestamp"])
    assert timedelta() <= born - since - timedelta(minutes=1) <= timedelta(seconds=3)
    api.wait(
        lambda: (
            found(api, "paused")["status"].get("lastScheduleTime")
            == stamp(since + timedelta(minutes=1))
        ),
        within=SOON,
        what="the tick as the last one",
        namespace="default",
    )
    assert told(api, "paused", "MissedSchedule") == []
    api.patch("raycronjobs", "default", "paused", {"spec": {"suspend": True}})
    wait_reason(api, "paused", "Suspended")
    assert len(jobs(api, "paused")) == 1


@pytest.mark.parametrize(
    ("name", "spec", "says"),
    [
        ("bad-schedule", {"schedule": "0 4 * * 7"}, "spec.schedule: '7' is no day of the week"),
        ("bad-zone", {"timeZone": "Local"}, "spec.timeZone: 'Local' is unknown"),
        (
            "bad-template",
            {"jobTemplate": example.JOB | {"runtimeEnvYAML": "a: ["}},
            "spec.jobTemplate.runtimeEnvYAML: ",
        ),
    ],
)
def test_a_bad_spec_is_told_once_and_makes_nothing(
    api: clusters.Cluster, name: str, spec: clusters.Json, says: str
) -> None:
    manifest = example.manifest("RayCronJob", {}, name=name)
    manifest["spec"] |= {"timeZone": "Etc/UTC"} | spec
    api.apply(manifest, "default")
    wait_reason(api, name, "InvalidSpec")
    assert says in condition(api, name, "RayCronJobSpecValid")["message"]
    api.wait(
        lambda: told(api, name, "InvalidRayCronJobSpec"),
        within=SOON,
        what="an event",
        namespace="default",
    )
    api.kubectl("label", "raycronjob", name, "touched=yes")
    template = example.JOB | {"runtimeEnvYAML": None}
    good = {"schedule": "0 0 31 2 *", "timeZone": "Etc/UTC", "jobTemplate": template}
    api.patch("raycronjobs", "default", name, {"spec": good})
    wait_reason(api, name, "NoNextTime")
    never = "'0 0 31 2 *' names no time in the next five years"
    api.wait(
        lambda: never in told(api, name, "InvalidRayCronJobSpec"),
        within=SOON,
        what="the second event",
        namespace="default",
    )
    assert len(told(api, name, "InvalidRayCronJobSpec")) == 2
    assert jobs(api, name) == []


def held(api: clusters.Cluster, name: str, **spec: Any) -> None:
    """Make a RayCronJob that is due, with a RayJob that still runs."""
    manifest = example.manifest("RayCronJob", {}, name=name)
    manifest["spec"] |= {"timeZone": "Etc/UTC", "suspend": True, "jobTemplate": TEMPLATE} | spec
    api.apply(manifest, "default")
    wait_reason(api, name, "Suspended")
    seen_run(api, name, f"{name}-1")
    go_on(api, name, last=last_tick() - timedelta(days=1))


def test_forbid_waits_for_the_end_of_the_run_before(api: clusters.Cluster) -> None:
    held(api, "forbid", concurrencyPolicy="Forbid")
    said = wait_reason(api, "forbid", "PreviousRunActive")
    expected = "a RayJob is due once forbid-1 ended: concurrencyPolicy is Forbid"
    assert said["message"] == expected
    wait_told(api, "forbid", "PreviousRunActive", expected)
    ended = stamp(datetime.now(UTC))
    report(api, "forbid-1", jobDeploymentStatus="Complete", jobStatus="SUCCEEDED", endTime=ended)
    old, new = wait_jobs(api, "forbid", 2)
    assert old["metadata"]["name"] == "forbid-1"
    wait_reason(api, "forbid", ON_TIME)
    status = found(api, "forbid")["status"]
    assert status["lastSuccessfulTime"] == ended
    assert status["lastScheduleTime"] == stamp(last_tick())
    assert [each["uid"] for each in status["active"]] == [new["metadata"]["uid"]]
    assert len(told(api, "forbid", "PreviousRunActive")) == 1


def test_replace_deletes_the_run_before(api: clusters.Cluster) -> None:
    held(api, "replace", concurrencyPolicy="Replace")
    wait_reason(api, "replace", ON_TIME)
    run = f"replace-{int(last_tick().timestamp()) // 60}"
    assert [each["metadata"]["name"] for each in wait_jobs(api, "replace", 1)] == [run]
    wait_told(
        api,
        "replace",
        "DeletedRayJob",
        "Deleted RayJob replace-1: another RayJob is due, and concurrencyPolicy is Replace",
    )


def test_a_run_too_late_is_told_and_not_made(api: clusters.Cluster) -> None:
    tick = last_tick()
    if datetime.now(UTC) - tick < timedelta(minutes=1):
        tick -= timedelta(days=1)  # it is 4 o'clock: the run would be on time
    base = tick - timedelta(days=1)
    made(api, "late", last=base, startingDeadlineSeconds=30)
    wait_told(
        api,
        "late",
        "MissedSchedule",
        f"missed runs since {stamp(base)}: 1; startingDeadlineSeconds is 30",
    )
    assert found(api, "late")["status"]["lastScheduleTime"] == stamp(base)
    assert jobs(api, "late") == []
    api.kubectl("label", "raycronjob", "late", "touched=yes")
    wait_reason(api, "late", ON_TIME)
    assert len(told(api, "late", "MissedSchedule")) == 1


def test_only_so_many_ended_runs_are_kept_as_the_limits_say(api: clusters.Cluster) -> None:
    limits: Any = {"successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 0}
    made(api, "kept", schedule="0 0 1 1 *", **limits)
    wait_reason(api, "kept", ON_TIME)
    good = {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}
    for number in (1, 2):
        earlier_run(api, "kept", f"kept-{number}", **good)
    earlier_run(api, "kept", "kept-3", jobDeploymentStatus="Running")
    earlier_run(api, "kept", "kept-4", jobDeploymentStatus="Failed")
    left = wait_jobs(api, "kept", 2)
    assert [each["metadata"]["name"] for each in left] == ["kept-2", "kept-3"]
    report(api, "kept-3", **good)
    left = wait_jobs(api, "kept", 1)
    assert [each["metadata"]["name"] for each in left] == ["kept-3"]


def test_the_sample_waits_for_its_morning(api: clusters.Cluster) -> None:
    api.apply(SAMPLE, "default")
    said = wait_reason(api, "raycronjob-sample", ON_TIME)
    assert said["message"].endswith(" (Europe/Berlin)")
    assert "T04:00:00+0" in said["message"]
    assert condition(api, "raycronjob-sample", "RayCronJobSpecValid")["status"] == "True"


def test_a_changed_schedule_counts_from_its_change(api: clusters.Cluster) -> None:
    made(api, "changed", schedule="0 0 1 1 *", suspend=False)
    wait_reason(api, "changed", ON_TIME)
    last = {"lastScheduleTime": stamp(datetime.now(UTC) - timedelta(hours=2))}
    api.patch("raycronjobs", "default", "changed", {"status": last}, subresource="status")
    api.patch("raycronjobs", "default", "changed", {"spec": {"schedule": "@every 1h"}})
    wait_reason(api, "changed", ON_TIME)
    assert jobs(api, "changed") == []
    assert "since" in found(api, "changed")["status"]["observedSchedule"]
