"""The volume of an embedded store: its claim, its head, and that only one head writes."""

import dataclasses
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from ray_operator import actions, names, quantity, records
from ray_operator.raycluster import claim, desired, head
from ray_operator.raycluster import observed as seen
from ray_operator.raycluster.diagnosis import diagnose
from tests.unit import builders
from tests.unit.raycluster import world as worlds

OWNER = {
    "apiVersion": "ray.io/v1",
    "kind": "RayCluster",
    "name": "demo",
    "uid": builders.UID,
    "controller": True,
    "blockOwnerDeletion": True,
}
OTHER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "other"}


def cluster(**storage: Any) -> Any:
    fields = storage.pop("fields", {})
    options = {"backend": "rocksdb", **({"storage": storage} if storage else {})}
    return builders.raycluster(groups=[], gcsFaultToleranceOptions=options, **fields)


def around(*, grows: bool | None = True, **fields: Any) -> records.Surroundings:
    given: dict[str, Any] = {
        "namespace": "ns1",
        "name": "demo-gcs-pvc",
        "uid": "uid-claim",
        "resource_version": "7",
        "size": quantity.parse("1Gi"),
        "access_modes": ("ReadWriteOnce",),
        "storage_class": "fast",
        "owners": (OWNER,),
        "is_bound": True,
    }
    found = records.Claim(**(given | fields))
    return records.Surroundings(is_openshift=False, has_claim=True, claim=found, claim_grows=grows)


def cause(given: Any, observed: seen.Observed) -> Any:
    return diagnose.first(given, observed, actions.Outcome(), before=None, now=builders.NOW)


def change(plan: actions.Plan) -> Any:
    """Return the one change of the claim."""
    (action,) = plan.actions
    assert isinstance(action, actions.Patch)
    assert (action.name, action.uid) == ("demo-gcs-pvc", "uid-claim")
    return action.change


def test_a_claim_is_made_and_then_left_alone() -> None:
    made = claim.plan(cluster(), worlds.AROUND)
    (create,) = made.actions
    assert isinstance(create, actions.Create)
    assert create.manifest == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "demo-gcs-pvc",
            "namespace": "ns1",
            "labels": {names.CLUSTER_LABEL: "demo"},
            "ownerReferences": [OWNER],
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    assert claim.plan(cluster(), around()) == actions.Plan()


def test_what_is_not_known_is_not_acted_on() -> None:
    assert claim.plan(cluster(), records.Surroundings()) == actions.Plan()
    assert claim.plan(builders.raycluster(), worlds.AROUND) == actions.Plan()


def test_a_retained_claim_has_no_owner() -> None:
    retained = cluster(deletionPolicy="Retain", size="2Gi", storageClassName="fast")
    manifest = claim.manifest(retained)
    assert "ownerReferences" not in manifest["metadata"]
    assert manifest["spec"]["storageClassName"] == "fast"
    kept = around(owners=(OWNER, OTHER), size=quantity.parse("2Gi"))
    assert change(claim.plan(retained, kept)) == {
        "metadata": {"resourceVersion": "7", "ownerReferences": [OTHER]}
    }
    assert claim.plan(retained, around(owners=(OTHER,), size=quantity.parse("2Gi"))) == (
        actions.Plan()
    )


def test_a_claim_that_was_retained_is_owned_again() -> None:
    assert change(claim.plan(cluster(), around(owners=(OTHER,)))) == {
        "metadata": {"resourceVersion": "7", "ownerReferences": [OTHER, OWNER]}
    }


@pytest.mark.parametrize(
    "fields", [{"deletion_at": builders.NOW}, {"owners": ({**OWNER, "uid": "former"},)}]
)
def test_a_claim_that_may_go_yet_is_waited_for(fields: dict[str, Any]) -> None:
    assert claim.plan(cluster(size="5Gi"), around(**fields)) == actions.Plan(
        requeue_after=claim.LOOK_AGAIN
    )


def test_a_claim_grows_where_its_class_lets_it() -> None:
    assert change(claim.plan(cluster(size="2Gi"), around())) == {
        "spec": {"resources": {"requests": {"storage": "2Gi"}}}
    }
    assert claim.plan(cluster(size="1024Mi"), around()) == actions.Plan()
    unbound = claim.plan(cluster(size="2Gi"), around(is_bound=False))
    assert unbound == actions.Plan(requeue_after=claim.LOOK_AGAIN)


@pytest.mark.parametrize(
    ("storage", "grows", "told"),
    [
        ({"size": "2Gi"}, False, "size is 1Gi, asked for is 2Gi: its storage class doesn't allow"),
        ({"size": "2Gi"}, None, "can't be read; grow the claim by hand"),
        ({"size": "1Mi"}, True, "size is 1Gi, asked for is 1Mi: claims never shrink"),
        ({"accessModes": ["ReadWriteMany"]}, True, "asked for are ReadWriteMany"),
        (
            {"storageClassName": "slow", "size": "2Gi"},
            True,
            "storageClassName is fast, asked for is slow; size is 1Gi, asked for is 2Gi: it grows",
        ),
    ],
)
def test_what_cannot_be_changed_is_told_once_a_generation(
    storage: dict[str, Any], grows: bool | None, told: str
) -> None:
    plan = claim.plan(cluster(**storage), around(grows=grows))
    (event,) = plan.events
    assert (event.type, event.reason, event.action) == ("Warning", "FailedToCreatePVC", "Update")
    assert told in event.message
    assert plan.actions == ()
    answered = cluster(**storage, fields={"status": {"observedGeneration": 1}})
    assert claim.plan(answered, around(grows=grows)) == actions.Plan()


def test_a_claim_of_the_user_is_never_touched_and_missed_once() -> None:
    mine = cluster(claimName="mine")
    plan = claim.plan(mine, worlds.AROUND)
    assert (plan.actions, plan.requeue_after) == ((), claim.LOOK_AGAIN)
    (event,) = plan.events
    assert (event.reason, event.action) == ("FailedToCreatePVC", "Validate")
    assert "mine doesn't exist" in event.message
    assert claim.plan(mine, around(owners=())) == actions.Plan()
    answered = cluster(claimName="mine", fields={"status": {"observedGeneration": 1}})
    assert claim.plan(answered, worlds.AROUND).events == ()
    found = cause(mine, seen.Observed(around=worlds.AROUND))
    assert found.reason == "ObjectMissing"
    assert "PersistentVolumeClaim mine doesn't exist" in found.message


def test_the_head_keeps_its_state_in_the_volume() -> None:
    spec = desired.head_pod(cluster(subPath="a"), settings=builders.SETTINGS)["spec"]
    ray = spec["containers"][0]
    env = {each["name"]: each.get("value") for each in ray["env"]}
    assert (env["RAY_gcs_storage"], env["RAY_gcs_storage_path"]) == ("rocksdb", "/data/gcs")
    assert ray["volumeMounts"][-1] == {
        "name": "gcs-storage",
        "mountPath": "/data/gcs",
        "subPath": "a",
    }
    assert spec["volumes"][-1] == {
        "name": "gcs-storage",
        "persistentVolumeClaim": {"claimName": "demo-gcs-pvc"},
    }


def heads(plan: actions.Plan) -> int:
    return sum(isinstance(each, actions.Create) for each in plan.actions)


def decide(observed: seen.Observed, given: Any) -> actions.Plan:
    return head.plan(given, observed, options=builders.SETTINGS, now=builders.NOW)


LOST = builders.pod(deletion_at=builders.NOW - timedelta(hours=1), ready=False)


def test_no_second_head_writes_while_the_first_may() -> None:
    """Its node may be cut off and alive."""
    plan = decide(seen.Observed(pods=(LOST,)), cluster())
    assert (heads(plan), plan.requeue_after) == (0, head.LOOK_AGAIN)
    assert heads(decide(seen.Observed(pods=(LOST,)), builders.raycluster())) == 1
    ended = msgspec.structs.replace(LOST, phase="Failed")
    assert heads(decide(seen.Observed(pods=(ended,)), cluster())) == 1
    found = cause(cluster(), seen.Observed(pods=(LOST,)))
    assert found.reason == "FormerHeadTerminates"
    assert "node-1" in found.message
    assert "--force" in found.message


def test_the_head_of_a_former_cluster_is_waited_for() -> None:
    """A retained claim goes on to a new cluster of the same name."""
    former = seen.Observed(former=(builders.pod(),))
    assert heads(decide(former, cluster())) == 0
    assert heads(decide(former, builders.raycluster())) == 1
    assert heads(decide(seen.Observed(former=(builders.worker(),)), cluster())) == 1


def test_a_cluster_with_a_volume_converges() -> None:
    end = worlds.converge(cluster(), worlds.World())
    assert end.shape() == [("Pod", "headgroup", ""), ("Service", "demo-head-svc", "")]
    assert end.observed.around.has_claim
    lost = dataclasses.replace(end, observed=dataclasses.replace(end.observed, pods=()))
    assert worlds.converge(cluster(), lost).shape() == end.shape()
