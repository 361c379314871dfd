"""What the operator would write first, were it started: `ray-operator adopt --dry-run`.

Owns: collecting the writes and telling of them. Does not own: the passes that lead to them
(`reconcile`) or sending them so that nothing is kept (`kube`). Invariant: statuses and events are
ours to write at any time and only counted, but for the cluster that a RayService announces; all
else is told, Pods last of all in a count, since whether any of them goes is what one asks before an
operator changes hands.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

LONGEST_CHANGE = 300
_PLACE = re.compile(
    r"/namespaces/(?P<namespace>[^/]+)/(?P<plural>[^/]+)"
    r"(/(?P<name>[^/]+))?(/(?P<subresource>[^/]+))?$"
)
_VERBS = {"POST": "create", "PUT": "replace", "PATCH": "change", "DELETE": "delete"}
Body = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class Rehearsal:
    """The writes of one pass over everything."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._pods = {"create": 0, "delete": 0}
        self._statuses = 0
        self._others = 0

    def take(self, method: str, url: str, body: Body) -> None:
        """Take in a write that isn't kept."""
        found = _PLACE.search(url)
        if found is None or found["plural"] == "events":
            return
        if found["subresource"] == "status":
            self._statuses += 1
            if next_one := _cluster_to_come(body):
                where = f"{found['plural']} {found['namespace']}/{found['name']}"
                self._say(f"{where} would get RayCluster {next_one}, and its Pods")
            return
        self._others += 1
        verb = _VERBS[method]
        if found["plural"] == "pods" and verb in self._pods:
            self._pods[verb] += 1
        name = found["name"] or _named(body)
        self._say(f"{verb} {found['plural']} {found['namespace']}/{name}{_change(verb, body)}")

    def end(self, resources: int) -> None:
        """Sum up."""
        self._say(
            f"{resources} resources: {self._pods['create']} Pods would be made and"
            f" {self._pods['delete']} deleted, {self._others} writes in all,"
            f" {self._statuses} statuses beside them"
        )


def _cluster_to_come(body: Body) -> str:
    """Return the cluster that a RayService's status names before it is made; `""` if none."""
    status = body.get("status", {}) if isinstance(body, Mapping) else {}
    return str((status.get("pendingServiceStatus") or {}).get("rayClusterName") or "")


def _named(body: Body) -> str:
    metadata = body.get("metadata", {}) if isinstance(body, Mapping) else {}
    return str(metadata.get("name") or f"{metadata.get('generateName', '')}*")


def _change(verb: str, body: Body) -> str:
    if verb != "change" or body is None:
        return ""
    text = msgspec.json.encode(body).decode()
    return f": {text[:LONGEST_CHANGE]}{'…' if len(text) > LONGEST_CHANGE else ''}"
