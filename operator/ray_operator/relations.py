"""Whom a change of one of our own resources concerns beside itself.

Owns: finding the keys to wake for it. Does not own: the store that tells of changes (`resources`),
or what a pass makes of them. Invariant: only keys of kinds that are reconciled come out, so that
nothing is queued that no one works off; a job whose cluster is somebody else's hears of it too.
"""

from collections.abc import Callable, Collection
from typing import Any

from ray_operator import records


def owners(body: dict[str, Any], *, namespace: str, kinds: Collection[str]) -> list[records.Key]:
    """Return the key of the object's controller if that is of one of the kinds.

    A RayJob's changes concern the RayCronJob that made it, a RayCluster's the RayJob.
    """
    return [
        records.Key(each["kind"], namespace, each["name"])
        for each in body["metadata"].get("ownerReferences", ())
        if each.get("controller") and _is_ours(each) and each["kind"] in kinds
    ]


class Relations:
    """Wake whom a change concerns: `wake` is told of the keys."""

    def __init__(self, wake: Callable[[records.Key], None], *, kinds: Collection[str]) -> None:
        self._wake = wake
        self._kinds = kinds
        self._users: dict[records.Key, set[records.Key]] = {}
        self._used: dict[records.Key, set[records.Key]] = {}

    def touched(self, key: records.Key, body: dict[str, Any]) -> None:
        """Take in that one of our own resources changed, in whatever way, or went."""
        for owner in owners(body, namespace=key.namespace, kinds=self._kinds):
            self._wake(owner)
        self._wake_users(key)
        if find := _IN_USE.get(key.kind):
            self._use(key, find(body))

    def changed(self, key: records.Key) -> None:
        """Take in that a child of the key's resource changed; of clusters' Pods, jobs live too."""
        self._wake(key)
        self._wake_users(key)

    def users(self, key: records.Key) -> list[records.Key]:
        """Return those that use a cluster, whatever for."""
        return sorted(self._users.get(key, ()))

    def forget(self, key: records.Key) -> None:
        """Drop what is known of a key whose object is gone."""
        self._use(key, set())

    def _wake_users(self, key: records.Key) -> None:
        for user in self._users.get(key, ()):
            self._wake(user)

    def _use(self, key: records.Key, clusters: set[str]) -> None:
        """Note which clusters a resource uses; they needn't be ones that it made."""
        kind = records.RAYCLUSTERS.kind
        found = {records.Key(kind, key.namespace, each) for each in clusters}
        for gone in self._used.pop(key, set()) - found:
            self._users[gone].discard(key)
            if not self._users[gone]:
                del self._users[gone]
        if found:
            self._used[key] = found
        for each in found:
            self._users.setdefault(each, set()).add(key)


def _of_job(body: dict[str, Any]) -> set[str]:
    """Name the cluster that a RayJob must hear of: none any more after its end on another's."""
    status = body.get("status") or {}
    is_over = status.get("jobDeploymentStatus") in {"Complete", "Failed"}
    is_others = bool((body.get("spec") or {}).get("clusterSelector"))
    name = status.get("rayClusterName")
    return {name} if name and not (is_over and is_others) else set()


def _of_service(body: dict[str, Any]) -> set[str]:
    """Name the clusters whose Pods a RayService must hear of."""
    status = body.get("status") or {}
    roles = ("activeServiceStatus", "pendingServiceStatus")
    names = ((status.get(role) or {}).get("rayClusterName") for role in roles)
    return {name for name in names if name}


_IN_USE: dict[str, Callable[[dict[str, Any]], set[str]]] = {
    records.RAYJOBS.kind: _of_job,
    records.RAYSERVICES.kind: _of_service,
}


def _is_ours(reference: dict[str, Any]) -> bool:
    group = records.GROUP_VERSION.partition("/")[0]
    return bool(reference["apiVersion"].partition("/")[0] == group)
