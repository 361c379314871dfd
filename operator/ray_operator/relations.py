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
        self._used: dict[records.Key, records.Key] = {}

    def touched(self, key: records.Key, body: dict[str, Any]) -> None:
        """Take in that one of our own resources changed, in whatever way, or went."""
        for owner in owners(body, namespace=key.namespace, kinds=self._kinds):
            self._wake(owner)
        self._wake_users(key)
        if key.kind == records.RAYJOBS.kind:
            self._use(key, _cluster_in_use(body))

    def changed(self, key: records.Key) -> None:
        """Take in that a child of the key's resource changed; of clusters' Pods, jobs live too."""
        self._wake(key)
        self._wake_users(key)

    def forget(self, key: records.Key) -> None:
        """Drop what is known of a key whose object is gone."""
        self._use(key, None)

    def _wake_users(self, key: records.Key) -> None:
        for user in self._users.get(key, ()):
            self._wake(user)

    def _use(self, key: records.Key, cluster: str | None) -> None:
        """Note which cluster, if any, a job uses; it needn't be one that the job made."""
        found = records.Key(records.RAYCLUSTERS.kind, key.namespace, cluster) if cluster else None
        before = self._used.pop(key, None)
        if before is not None and before != found:
            self._users[before].discard(key)
            if not self._users[before]:
                del self._users[before]
        if found is not None:
            self._used[key] = found
            self._users.setdefault(found, set()).add(key)


def _cluster_in_use(body: dict[str, Any]) -> str | None:
    """Name the cluster that a RayJob must hear of: none any more after its end on another's."""
    status = body.get("status") or {}
    is_over = status.get("jobDeploymentStatus") in {"Complete", "Failed"}
    is_others = bool((body.get("spec") or {}).get("clusterSelector"))
    name: str | None = status.get("rayClusterName")
    return None if is_over and is_others else name


def _is_ours(reference: dict[str, Any]) -> bool:
    group = records.GROUP_VERSION.partition("/")[0]
    return bool(reference["apiVersion"].partition("/")[0] == group)
