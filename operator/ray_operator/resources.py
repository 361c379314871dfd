"""Our own resources as last seen: compact JSON by key.

Owns: the store that kopf's events and the resync fill. Does not own: decoding (`api`), watching
(`handlers`), or who cares for another one's change (`relations`). Invariant: an entry never goes
back in time, and what was seen to be deleted doesn't come back, though the answer to our last
change of it may come after that event; what the store holds is exactly what the API server sent,
less `managedFields`.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from ray_operator import listwatch, records, wire

_GONE = 4096
"""So many are remembered of what is gone: longer than any answer takes."""
_CAUSES = ("generation", "labels", "annotations", "deletionTimestamp", "finalizers")


Touched = Callable[[records.Key, dict[str, Any]], None]


class Entry(msgspec.Struct, frozen=True):
    """One resource: its identity, version and whole JSON, and what a pass could care for.

    `owner` is the UID of its controller, empty when there is none.
    """

    uid: str
    resource_version: str
    data: bytes
    cause: tuple[Any, ...]
    owner: str = ""


class Resources:
    """Keep entries by key; `changed` is told of every change that a pass could care for.

    `touched` is told of all that is taken in, changes of nothing but the status too, and of all
    that is dropped: of its key, and the object as it is, or was last. `forgotten` is told of the
    latter only, in the end.
    """

    def __init__(
        self,
        changed: Callable[[records.Key], None],
        touched: Touched = lambda _, __: None,
        forgotten: Callable[[records.Key], None] = lambda _: None,
    ) -> None:
        self._entries: dict[records.Key, Entry] = {}
        self._by_owner: dict[str, set[records.Key]] = {}
        self._gone: dict[tuple[records.Key, str], None] = {}
        self._changed = changed
        self._touched = touched
        self._forgotten = forgotten

    def get(self, key: records.Key) -> bytes | None:
        """Return the resource's JSON, None when it is gone."""
        entry = self._entries.get(key)
        return entry.data if entry else None

    def known(self) -> list[records.Key]:
        """Return the keys of all resources."""
        return list(self._entries)

    def entries(self) -> list[tuple[records.Key, Entry]]:
        """Return all resources as they are now; any thread may ask."""
        return list(self._entries.items())

    def all(self, kind: str) -> Iterator[bytes]:
        """Yield the JSON of each resource of a kind."""
        for key, entry in list(self._entries.items()):
            if key.kind == kind:
                yield entry.data

    def owned_by(self, uid: str, kind: str) -> list[bytes]:
        """Return the JSON of those of a kind whose controller has that UID, by name."""
        keys = sorted(key for key in self._by_owner.get(uid, ()) if key.kind == kind)
        return [self._entries[key].data for key in keys]

    def put(self, key: records.Key, body: dict[str, Any]) -> None:
        """Take in an object unless a newer one is here, or it was seen to be gone.

        A change of nothing but the status doesn't wake its own key: it is our own, and would cut
        short every back-off.
        """
        metadata = body["metadata"]
        standing = self._entries.get(key)
        version, uid = metadata["resourceVersion"], metadata["uid"]
        if (key, uid) in self._gone:
            return
        if standing and not listwatch.is_newer(version, standing.resource_version):
            return
        slim = {**body, "metadata": {k: v for k, v in metadata.items() if k != "managedFields"}}
        cause = (uid, *(metadata.get(field) for field in _CAUSES))
        if standing:
            self._forget(key, standing)
        owner = next(
            (each["uid"] for each in metadata.get("ownerReferences", ()) if each.get("controller")),
            "",
        )
        self._entries[key] = Entry(uid, version, msgspec.json.encode(slim), cause, owner)
        if owner:
            self._by_owner.setdefault(owner, set()).add(key)
        if standing is None or standing.cause != cause:
            self._changed(key)
        self._touched(key, slim)

    def written(self, _namespace: str, answer: bytes) -> None:
        """Take in the API server's answer to a change of ours.

        What has no version was made in a rehearsal, and isn't there.
        """
        body = msgspec.json.decode(answer)
        metadata = body["metadata"]
        if "resourceVersion" not in metadata:
            return
        self.put(records.Key(body["kind"], metadata["namespace"], metadata["name"]), body)

    def drop(self, key: records.Key, uid: str) -> None:
        """Forget the object of that UID; a younger one of the same name stays."""
        self._gone[key, uid] = None
        if len(self._gone) > _GONE:
            del self._gone[next(iter(self._gone))]
        self._let_go(key, uid)

    def _let_go(self, key: records.Key, uid: str) -> None:
        standing = self._entries.get(key)
        if standing and standing.uid == uid:
            self._forget(key, standing)
            self._changed(key)
            self._touched(key, msgspec.json.decode(standing.data))
            self._forgotten(key)

    def _forget(self, key: records.Key, entry: Entry) -> None:
        del self._entries[key]
        siblings = self._by_owner.get(entry.owner, set())
        siblings.discard(key)
        if not siblings:
            self._by_owner.pop(entry.owner, None)

    def reconcile(
        self,
        kind: str,
        listed: Iterable[tuple[records.Key, str, str]],
        *,
        namespace: str | None,
        version: str,
    ) -> list[records.Key]:
        """Drop what a complete list of the kind lacks; return the keys to fetch.

        `listed` holds key, UID and resource version, as of `version`, of a namespace or (None) of
        all. A key is to be fetched when it is missing here or older than listed: its watch event
        was missed, or is still on its way. What is newer than the list isn't dropped.
        """
        seen = {key: (uid, version) for key, uid, version in listed}
        for key, entry in list(self._entries.items()):
            covered = key.kind == kind and namespace in (None, key.namespace)
            newer = listwatch.is_newer(entry.resource_version, version)
            if covered and key not in seen and not newer:
                self._let_go(key, entry.uid)
        return [
            key
            for key, (uid, version) in seen.items()
            if (standing := self._entries.get(key)) is None
            or standing.uid != uid
            or listwatch.is_newer(version, standing.resource_version)
        ]


class OfKind:
    """The resources of one kind, as a store of what a pass over their owner writes."""

    def __init__(self, store: Resources, kind: str) -> None:
        self._store = store
        self._kind = kind

    def written(self, namespace: str, answer: bytes) -> None:
        """Take in the API server's answer to a create or change."""
        self._store.written(namespace, answer)

    def deleted(self, namespace: str, name: str, uid: str, answer: bytes) -> None:
        """Take in the API server's answer to a delete: the object as it terminates, or gone."""
        if wire.terminates(answer, uid):
            self.written(namespace, answer)
        else:
            self.removed(namespace, name, uid)

    def removed(self, namespace: str, name: str, uid: str) -> None:
        """Drop an object that a delete found gone or removed at once."""
        self._store.drop(records.Key(self._kind, namespace, name), uid)
