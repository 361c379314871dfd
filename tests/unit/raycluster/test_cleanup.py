"""State in Redis: the finalizer that holds a deleted cluster until it is removed."""

from datetime import timedelta
from typing import Any

import pytest

from ray_operator import actions, names, records, settings
from ray_operator.raycluster import cleanup, plan
from ray_operator.raycluster import observed as seen
from tests.unit import builders

OPTIONS = {"redisAddress": "redis:6379", "redisPassword": {"value": "x"}}
FOREVER = timedelta(days=1)


def cluster(*, deleted_for: timedelta | None = None, held: bool = True, **fields: Any) -> Any:
    metadata: dict[str, Any] = {"resourceVersion": "7"} | fields.pop("metadata", {})
    others = metadata.get("finalizers", ["other"])
    metadata["finalizers"] = [*others, *([cleanup.FINALIZER] if held else [])]
    if deleted_for is not None:
        metadata["deletionTimestamp"] = (builders.NOW - deleted_for).isoformat()
    given = {"gcsFaultToleranceOptions": OPTIONS} | fields
    return builders.raycluster(metadata=metadata, **given)


def decide(
    given: Any, *pods: records.Pod, jobs: tuple[records.Job, ...] = (), **options: Any
) -> actions.Plan:
    observed = seen.Observed(pods=pods, jobs=jobs, services=(builders.head_service(),))
    chosen = settings.Settings(version="test", **options)
    return plan.plan(given, observed, chosen, builders.NOW)


def finalizers(decided: actions.Plan) -> list[str] | None:
    """Return the finalizers that the plan leaves, None when it leaves them alone."""
    for action in decided.actions:
        if isinstance(action, actions.Patch):
            metadata = action.change["metadata"]
            assert metadata["resourceVersion"] == "7"
            return list(metadata["finalizers"])
    return None


def job(*, is_finished: bool = False) -> records.Job:
    owner = records.Owner("RayCluster", "demo", builders.UID)
    return records.Job("ns1", "demo-redis-cleanup", "j", "1", {}, owner, is_finished)


def test_the_finalizer_comes_before_anything_else() -> None:
    decided = decide(cluster(held=False))
    assert finalizers(decided) == ["other", cleanup.FINALIZER]
    assert len(decided.actions) == 1
    assert decided.requeue_after == timedelta()


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({"gcsFaultToleranceOptions": None}, {}),
        ({}, {"redis_cleanup": False}),
    ],
)
def test_no_finalizer_where_nothing_is_to_be_removed(
    fields: dict[str, Any], options: dict[str, Any]
) -> None:
    assert finalizers(decide(cluster(held=False, **fields), **options)) is None


def test_the_head_goes_first_and_only_then_the_job_comes() -> None:
    given = cluster(deleted_for=timedelta(seconds=1))
    first = decide(given, builders.pod(), builders.worker(index=0))
    assert {each.name for each in first.actions if isinstance(each, actions.Delete)} == {
        "demo-head-aaaaa",
        "demo-small-worker-aaaaa",
    }
    going = builders.pod(deletion_at=builders.NOW)
    assert decide(given, going).actions == ()
    (create,) = decide(given).actions
    assert isinstance(create, actions.Create)
    assert create.resource == records.JOBS
    waiting = decide(given, jobs=(job(),))
    assert (waiting.actions, waiting.requeue_after) == ((), timedelta(seconds=299))
    assert finalizers(decide(given, jobs=(job(is_finished=True),))) == ["other"]


@pytest.mark.parametrize(
    ("annotation", "seconds"), [("5", 5), ("0", 300), ("soon", 300), ("", 300), ("9" * 12, 300)]
)
def test_a_cluster_is_let_go_in_bounded_time(annotation: str, seconds: int) -> None:
    metadata = {"annotations": {names.CLEANUP_TIMEOUT_ANNOTATION: annotation}}
    late = decide(
        cluster(deleted_for=timedelta(seconds=seconds), metadata=metadata), builders.pod()
    )
    assert finalizers(late) == ["other"]
    (event,) = late.events
    assert (event.type, event.reason) == ("Warning", "ForceDeletedStuckCluster")
    assert f"RAY{builders.UID}@" in event.message
    almost = timedelta(seconds=seconds - 1)
    assert (
        finalizers(decide(cluster(deleted_for=almost, metadata=metadata), builders.pod())) is None
    )


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({"gcsFaultToleranceOptions": None}, {}),
        ({}, {"redis_cleanup": False}),
        ({"gcsFaultToleranceOptions": {"backend": "rocksdb"}}, {}),
    ],
)
def test_a_finalizer_that_is_left_over_goes(
    fields: dict[str, Any], options: dict[str, Any]
) -> None:
    given = cluster(deleted_for=timedelta(), **fields)
    assert finalizers(decide(given, builders.pod(), **options)) == ["other"]


def test_the_job_comes_after_a_deletion_in_the_foreground() -> None:
    """The garbage collector would delete it with all else."""
    soon = timedelta(seconds=1)
    begun = cluster(deleted_for=soon, metadata={"finalizers": ["foregroundDeletion"]})
    assert decide(begun).actions == ()
    (created,) = decide(cluster(deleted_for=soon)).actions
    assert isinstance(created, actions.Create)
    late = cluster(deleted_for=FOREVER, metadata={"finalizers": ["foregroundDeletion"]})
    assert finalizers(decide(late)) == ["foregroundDeletion"]


def test_what_is_orphaned_runs_on_with_its_state() -> None:
    orphaned = cluster(deleted_for=timedelta(seconds=1), metadata={"finalizers": ["orphan"]})
    decided = decide(orphaned, builders.pod())
    assert finalizers(decided) == ["orphan"]
    assert len(decided.actions) == 1


def test_an_invalid_spec_holds_up_no_deletion() -> None:
    groups = [builders.group("twice"), builders.group("twice")]
    given = cluster(deleted_for=timedelta(), groups=groups)
    assert finalizers(decide(given, jobs=(job(is_finished=True),))) == ["other"]


def test_the_job_runs_anywhere_and_ends() -> None:
    template = builders.template("ray-head")
    template["spec"] |= {
        "nodeSelector": {"a": "b"},
        "tolerations": [{"operator": "Exists"}],
        "priorityClassName": "high",
        "imagePullSecrets": [{"name": "pull"}],
    }
    template["spec"]["containers"].append({"name": "sidecar", "image": "s"})
    head = {"template": template}
    made = cleanup.job(cluster(headGroupSpec=head), settings=builders.SETTINGS)
    spec = made["spec"]["template"]["spec"]
    assert (made["spec"]["backoffLimit"], made["spec"]["activeDeadlineSeconds"]) == (0, 300)
    assert spec["restartPolicy"] == "Never"
    assert spec["imagePullSecrets"] == [{"name": "pull"}]
    assert not {"nodeSelector", "tolerations", "priorityClassName"} & set(spec)
    (container,) = spec["containers"]
    assert not {"livenessProbe", "readinessProbe", "ports"} & set(container)
    env = {each["name"]: each.get("value") for each in container["env"]}
    assert env["RAY_REDIS_ADDRESS"] == "redis:6379"
    assert env["RAY_external_storage_namespace"] == builders.UID
    assert env["REDIS_PASSWORD"] == "x"
    assert made["metadata"]["labels"][names.NODE_TYPE_LABEL] == "redis-cleanup"
