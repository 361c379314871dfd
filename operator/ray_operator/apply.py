"""Carry out a plan's actions against the API server.

Owns: order, concurrency, drawing name suffixes, and telling the informers what was written. Does
not own: deciding (`plan`) or retrying (`reconcile`). Invariant: before every write the lease is
asked; after every write the store knows.
"""

import asyncio
import base64
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast

import msgspec

from ray_operator import actions, errors, informers, kube, names, records, wire

TOKEN_BYTES = 32
MAX_AT_ONCE = 16


class Store(Protocol):
    """Where answers to our writes go."""

    def written(self, namespace: str, answer: bytes, /) -> None:
        """Take in an object as it is now."""


class Unwatched:
    """The store of what is asked for when it is needed, and not watched."""

    def written(self, namespace: str, answer: bytes) -> None:
        """Forget it."""

    def deleted(self, namespace: str, name: str, uid: str, answer: bytes) -> None:
        """Forget it."""

    def removed(self, namespace: str, name: str, uid: str) -> None:
        """Forget it."""


class Applier:
    """Carry out actions; `stores` are the informers by resource, for read-your-writes."""

    def __init__(
        self,
        client: kube.Kube,
        stores: Mapping[records.Resource, Store],
        *,
        may_write: Callable[[], bool],
    ) -> None:
        self._client = client
        self._stores = stores
        self._may_write = may_write

    async def apply(self, plan: actions.Plan) -> actions.Outcome:
        """Carry out the plan's actions in order, in batches that double while all goes well.

        After a failed create, further creates of the same kind (and worker group) are left for a
        later pass: a quota that refuses one Pod refuses the next thousand too.

        Raises:
            NotLeading: the lease is too old; what was not done is left undone.
        """
        results: list[actions.Result] = []
        refused: set[tuple[actions.Reasons, str]] = set()
        rest, size = list(plan.actions), 1
        while rest:
            batch, rest = rest[:size], rest[size:]
            done = await asyncio.gather(*(self._carry_out(action) for action in batch))
            results.extend(done)
            failed = {_kind(result.action) for result in done if result.error is not None}
            refused |= failed
            size = 1 if failed else min(size * 2, MAX_AT_ONCE)
            rest = [
                action
                for action in rest
                if not (actions.makes(action) and _kind(action) in refused)
            ]
        return actions.Outcome(results=tuple(results), invalid=plan.invalid)

    async def _carry_out(self, action: actions.Action) -> actions.Result:
        if not self._may_write():
            raise errors.NotLeading
        if isinstance(action, actions.Delete):
            return await self._delete(action)
        if isinstance(action, actions.Patch):
            return await self._patch(action)
        if isinstance(action, actions.Apply):
            if action.is_new:
                return await self._made(action, action.manifest)
            return await self._apply(action)
        return await self._create(action)

    async def _apply(self, action: actions.Apply) -> actions.Result:
        manifest = action.manifest
        namespace, name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
        try:
            if found := await self._client.get(action.resource, namespace, name):
                await self._take_over(action.resource, found)
            answer = await self._client.apply(action.resource, namespace, manifest)
        except errors.KubeError as error:
            return actions.Result(action=action, name=name, error=error)
        self._stores[action.resource].written(namespace, answer)
        return actions.Result(action=action, name=name)

    async def _take_over(self, resource: records.Resource, found: bytes) -> None:
        """Make what another operator said of an object ours, or we could never unsay it.

        Else a port that the user renames would stay beside the new one, and be refused.
        """
        metadata = msgspec.json.decode(found, type=_Fields).metadata
        if change := inherited(metadata.managed_fields):
            version = {"resourceVersion": metadata.resource_version}
            await self._client.patch(
                resource,
                metadata.namespace,
                metadata.name,
                uid=metadata.uid,
                change={"metadata": {**version, "managedFields": change}},
            )

    async def _patch(self, action: actions.Patch) -> actions.Result:
        try:
            answer = await self._client.patch(
                action.resource, action.namespace, action.name, uid=action.uid, change=action.change
            )
        except errors.NotFound:  # gone: its event is on the way
            return actions.Result(action=action, name=action.name)
        except errors.KubeError as error:
            return actions.Result(action=action, name=action.name, error=error)
        self._stores[action.resource].written(action.namespace, answer)
        return actions.Result(action=action, name=action.name)

    async def _create(self, action: actions.Create) -> actions.Result:
        manifest = _named(action.manifest)
        if action.secret_key:
            token = base64.b64encode(secrets.token_bytes(TOKEN_BYTES)).decode()
            manifest["stringData"] = {action.secret_key: token}
        result = await self._made(action, manifest)
        if isinstance(result.error, errors.NamespaceEnds) and action.otherwise is not None:
            return await self._carry_out(action.otherwise)
        return result

    async def _made(
        self, action: actions.Create | actions.Apply, manifest: actions.Manifest
    ) -> actions.Result:
        """Create what isn't there yet.

        To create costs half of what a first apply does; `_take_over` makes up for it when the
        object is first changed.
        """
        namespace, name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
        manager = kube.MAKER if isinstance(action, actions.Apply) else kube.FIELD_MANAGER
        try:
            answer = await self._client.create(
                action.resource, namespace, manifest, manager=manager
            )
        except errors.AlreadyExists as error:
            return await self._standing(action, manifest, error)
        except errors.KubeError as error:
            return actions.Result(action=action, name=name, error=error)
        self._stores[action.resource].written(namespace, answer)
        return actions.Result(action=action, name=name)

    async def _standing(
        self,
        action: actions.Create | actions.Apply,
        manifest: actions.Manifest,
        refusal: errors.AlreadyExists,
    ) -> actions.Result:
        """Look at the object whose name made a create fail: our view of it may be late."""
        namespace, name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
        try:
            found = await self._client.get(action.resource, namespace, name)
            if found is not None:
                return await self._adopt(action, manifest, found)
        except errors.KubeError as error:
            return actions.Result(action=action, name=name, error=error)
        return actions.Result(action=action, name=name, error=refusal)

    async def _adopt(
        self,
        action: actions.Create | actions.Apply,
        manifest: actions.Manifest,
        found: bytes,
    ) -> actions.Result:
        """Take in an object of that name if it is our owner's, with labels by which we see it.

        An older operator may have made it with other labels. Raises `KubeError`.
        """
        stub = msgspec.json.decode(found, type=wire.Stub).metadata
        kept = actions.Patch(
            resource=action.resource,
            namespace=stub.namespace,
            name=stub.name,
            uid=stub.uid,
            change={"metadata": {"labels": manifest["metadata"].get("labels", {})}},
            reasons=action.reasons,
        )
        if not _has_owner(found, manifest):
            refusal = errors.AlreadyExists(f'{action.resource.plural} "{stub.name}" already exists')
            return actions.Result(action=action, name=stub.name, error=refusal)
        if kept.change["metadata"]["labels"].items() <= stub.labels.items():
            self._stores[action.resource].written(stub.namespace, found)
            return actions.Result(action=kept, name=stub.name)
        return await self._patch(kept)

    async def _delete(self, action: actions.Delete) -> actions.Result:
        store = cast("informers.Children[Any]", self._stores[action.resource])
        try:
            answer = await self._client.delete(
                action.resource,
                action.namespace,
                action.name,
                uid=action.uid,
                propagation=action.propagation,
            )
        except (errors.NotFound, errors.Conflict):  # gone, or another one of that name
            store.removed(action.namespace, action.name, action.uid)
            return actions.Result(action=action, name=action.name)
        except errors.KubeError as error:
            return actions.Result(action=action, name=action.name, error=error)
        store.deleted(action.namespace, action.name, action.uid, answer)
        return actions.Result(action=action, name=action.name)


class _FieldsMetadata(wire.Metadata):
    managed_fields: list[dict[str, Any]] = msgspec.field(default_factory=list)


class _Fields(msgspec.Struct):
    metadata: _FieldsMetadata


def inherited(fields: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]] | None:
    """Return the managed fields with those of the object's maker as ours; None when they are.

    Its maker is who named its owner, by an update rather than by applying. Source: client-go's
    csaupgrade, which does so for users of kubectl.
    """
    applied = {"manager": kube.FIELD_MANAGER, "operation": "Apply"}
    if any(applied.items() <= each.items() for each in fields):
        return None
    for index, each in enumerate(fields):
        said = each.get("fieldsV1", {}).get("f:metadata", {})
        if each.get("operation") == "Update" and "f:ownerReferences" in said:
            return [
                *map(dict, fields[:index]),
                {**each, **applied},
                *map(dict, fields[index + 1 :]),
            ]
    return None


def _kind(action: actions.Action) -> tuple[actions.Reasons, str]:
    """Return what is alike in actions of which one failing lets expect that the others fail."""
    if isinstance(action, actions.Apply):
        return action.reasons, action.manifest["metadata"]["name"]
    manifest = action.manifest if isinstance(action, actions.Create) else {}
    labels = manifest.get("metadata", {}).get("labels", {})
    return action.reasons, labels.get(names.GROUP_LABEL, "")


def _has_owner(found: bytes, manifest: actions.Manifest) -> bool:
    """Tell whether the object is controlled by the one that the manifest names."""
    owner = msgspec.json.decode(found, type=wire.Stub).metadata.owner()
    wanted = [each["uid"] for each in manifest["metadata"].get("ownerReferences", ())]
    return owner is not None and owner.uid in wanted


def _named(manifest: actions.Manifest) -> dict[str, Any]:
    """Draw the name's suffix here, so that a create whose answer is lost can be found again."""
    metadata = dict(manifest["metadata"])
    if "name" not in metadata:
        suffix = "".join(random.choices(names.SUFFIX_ALPHABET, k=names.SUFFIX_LENGTH))
        metadata["name"] = metadata["generateName"] + suffix
    return {**manifest, "metadata": metadata}
