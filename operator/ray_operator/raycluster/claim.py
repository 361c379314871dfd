"""The claim of the head's embedded store: made, grown, and kept or let go with the cluster.

Owns: its manifest, and what is done and told about one that is there. Does not own: its volume in
the head (`storage`). Invariant: a claim that the user names is never touched, and one that is
there is used as it is, whoever made it: it may hold the state of a cluster that came before.
Source: KubeRay 1.7, GCS storage.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from ray_operator import actions, names, quantity, records
from ray_operator.api import raycluster as api
from ray_operator.raycluster import metadata, storage

CREATE = actions.Reasons("CreatedPVC", "FailedToCreatePVC", "FailedCreatePVC")
UPDATE = actions.Reasons("UpdatedPVC", "FailedToUpdatePVC", "FailedUpdatePVC")
SIZE = "1Gi"
ACCESS_MODES = ("ReadWriteOnce",)
RETAIN = "Retain"
LOOK_AGAIN = timedelta(seconds=10)


def plan(cluster: api.RayCluster, around: records.Surroundings) -> actions.Plan:
    """Make the claim, or bring it near to what the spec says of it."""
    if not storage.is_on(cluster) or around.has_claim is None:
        return actions.Plan()
    if storage.given(cluster).claim_name:
        return _plan_users(cluster, is_there=around.has_claim)
    found = around.claim
    if found is not None and (found.deletion_at or _is_anothers(cluster, found)):
        return actions.Plan(requeue_after=LOOK_AGAIN)  # it may go yet, with the one it belongs to
    if found is None:
        create = actions.Create(resource=records.CLAIMS, manifest=manifest(cluster), reasons=CREATE)
        return actions.Plan(actions=(create,))
    todo: list[actions.Action] = []
    if (references := owners(cluster, found)) is not None:
        version = {"resourceVersion": found.resource_version}  # another's reference stays
        todo.append(_patch(found, {"metadata": {**version, "ownerReferences": references}}))
    told = list(drift(cluster, found))
    size = growth(cluster, found)
    waits = None
    if size is not None and around.claim_grows and not told:
        if found.is_bound:
            change = {"spec": {"resources": {"requests": {"storage": size}}}}
            todo.append(_patch(found, change))
        else:
            waits = LOOK_AGAIN
    elif size is not None:
        told.append(f"size is {found.size}, asked for is {size}: {_cannot_grow(around)}")
    return actions.Plan(
        actions=tuple(todo), requeue_after=waits, events=_told(cluster, found, told)
    )


def _plan_users(cluster: api.RayCluster, *, is_there: bool) -> actions.Plan:
    """Tell once of a claim that the user has yet to make; the head waits for it by itself."""
    if is_there:
        return actions.Plan()
    name = storage.claim_name(cluster)
    message = f"PersistentVolumeClaim {name} doesn't exist: make it, or correct claimName"
    events = _once(cluster, _event("Validate", message))
    return actions.Plan(events=events, requeue_after=LOOK_AGAIN)


def manifest(cluster: api.RayCluster) -> dict[str, Any]:
    """Return the claim to make; one that is retained has no owner with which it would go."""
    given = storage.given(cluster)
    class_ = {"storageClassName": given.storage_class_name} if given.storage_class_name else {}
    meta = metadata.child(
        cluster,
        {"name": storage.claim_name(cluster)},
        labels={names.CLUSTER_LABEL: cluster.metadata.name},
        annotations={},
    )
    if _is_retained(cluster):
        del meta["ownerReferences"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": meta,
        "spec": {
            "accessModes": list(given.access_modes or ACCESS_MODES),
            "resources": {"requests": {"storage": str(given.size or SIZE)}},
            **class_,
        },
    }


def owners(cluster: api.RayCluster, found: records.Claim) -> Sequence[Any] | None:
    """Return the owner references that the claim shall have; None when it has them."""
    others = [each for each in found.owners if not _is_by(cluster, each)]
    is_owned = len(others) < len(found.owners)
    if is_owned != _is_retained(cluster):
        return None
    return others if is_owned else [*others, metadata.owner(cluster)]


def growth(cluster: api.RayCluster, found: records.Claim) -> str | None:
    """Return the size to grow to; None when the claim is large enough, or no size is given."""
    size = storage.given(cluster).size
    if size is None or quantity.parse(size).value <= found.size.value:
        return None
    return str(size)


def drift(cluster: api.RayCluster, found: records.Claim) -> Iterator[str]:
    """Yield what of a claim differs from the spec and can never be changed."""
    given = storage.given(cluster)
    if given.size is not None and quantity.parse(given.size).value < found.size.value:
        yield f"size is {found.size}, asked for is {given.size}: claims never shrink"
    if given.access_modes and Counter(given.access_modes) != Counter(found.access_modes):
        wanted, there = (", ".join(each) for each in (given.access_modes, found.access_modes))
        yield f"accessModes are {there}, asked for are {wanted}"
    if given.storage_class_name and given.storage_class_name != found.storage_class:
        there = found.storage_class or "unset"
        yield f"storageClassName is {there}, asked for is {given.storage_class_name}"


def _is_anothers(cluster: api.RayCluster, found: records.Claim) -> bool:
    return any(each.get("controller") for each in found.owners if not _is_by(cluster, each))


def _is_by(cluster: api.RayCluster, reference: Mapping[str, Any]) -> bool:
    return bool(reference.get("uid") == cluster.metadata.uid)


def _is_retained(cluster: api.RayCluster) -> bool:
    return storage.given(cluster).deletion_policy == RETAIN


def _cannot_grow(around: records.Surroundings) -> str:
    if around.claim_grows is None:
        return "whether its storage class allows growth can't be read; grow the claim by hand"
    if around.claim_grows:
        return "it grows once the other differences are gone"
    return "its storage class doesn't allow growth"


def _told(
    cluster: api.RayCluster, found: records.Claim, told: Sequence[str]
) -> tuple[actions.Event, ...]:
    if not told:
        return ()
    message = f"PersistentVolumeClaim {found.name} is used as it is: {'; '.join(told)}"
    return _once(cluster, _event("Update", message))


def _event(action: str, message: str) -> actions.Event:
    return actions.Event(type="Warning", reason=CREATE.failed, action=action, message=message)


def _once(cluster: api.RayCluster, event: actions.Event) -> tuple[actions.Event, ...]:
    """Tell once a generation, the first time that it is answered."""
    answered = cluster.status.get("observedGeneration")
    return () if answered == cluster.metadata.generation else (event,)


def _patch(found: records.Claim, change: dict[str, Any]) -> actions.Patch:
    return actions.Patch(
        resource=records.CLAIMS,
        namespace=found.namespace,
        name=found.name,
        uid=found.uid,
        change=change,
        reasons=UPDATE,
    )
