"""What the API server serves of our kinds: whether its CRDs are as new as this operator.

Owns: reading the served schemas, telling what they lack, and leaving out of a status what would be
pruned anyway. Does not own: our own schemas (`api.crds`). Invariant: whatever is served, or can't
be read, the operator works; a status is compared with what can be stored of it, so that a pruned
field is never written again and again.

The schemas come from the API's OpenAPI document, which every account may read, and not from the
CRDs, for which an operator of a single namespace has no rights. Helm never upgrades CRDs, which is
why they are often older than the operator.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import msgspec

from ray_operator import errors, kube

INDEX = "/openapi/v3"
GROUP = "apis/ray.io/v1"
SHOWN = 5

_log = logging.getLogger(__name__)


class Node(msgspec.Struct, rename="camel"):
    """The part of a schema that tells which fields there are."""

    properties: dict[str, "Node"] = {}
    items: "Node | None" = None
    additional_properties: "Node | bool" = False
    is_open: bool = msgspec.field(name="x-kubernetes-preserve-unknown-fields", default=False)
    kinds: list[dict[str, str]] = msgspec.field(
        name="x-kubernetes-group-version-kind", default_factory=list
    )


class _Components(msgspec.Struct):
    schemas: dict[str, Node] = {}


class _Document(msgspec.Struct):
    components: _Components = msgspec.field(default_factory=_Components)


class _Path(msgspec.Struct):
    url: str = msgspec.field(name="serverRelativeURL")


class _Index(msgspec.Struct):
    paths: dict[str, _Path]


class Served:
    """The schemas of our kinds as the API server last served them."""

    def __init__(self, client: kube.Kube, wanted: Mapping[str, Node]) -> None:
        """`wanted` holds, by kind, the schema of this operator's own CRD."""
        self._client = client
        self._wanted = wanted
        self._statuses: dict[str, Node] = {}
        self._read_from = ""

    async def run(self, every: timedelta) -> None:
        """Look again and again, since CRDs may be upgraded while the operator runs."""
        while True:
            await self.refresh()
            await asyncio.sleep(every.total_seconds())

    async def refresh(self) -> None:
        """Read the schemas if they changed, and log what they lack."""
        try:
            index = msgspec.json.decode(await self._client.read(INDEX), type=_Index)
            path = index.paths.get(GROUP)
            if path is None or path.url == self._read_from:
                return
            data = await self._client.read(path.url)
            document = msgspec.json.decode(data, type=_Document)
        except (errors.KubeError, msgspec.MsgspecError) as error:
            _log.warning("can't tell whether the CRDs are current: %s", error)
            return
        self._read_from = path.url
        self._learn(document.components.schemas.values())

    def _learn(self, schemas: Iterable[Node]) -> None:
        for schema in schemas:
            for kind in {each.get("kind", "") for each in schema.kinds} & self._wanted.keys():
                status = schema.properties.get("status")
                if status is not None:
                    self._statuses[kind] = status
                _tell(kind, list(missing(schema, self._wanted[kind])))

    def is_kept(self, kind: str, field: str) -> bool:
        """Tell whether the API server stores a field of the status; true while nobody knows."""
        node = self._statuses.get(kind)
        return node is None or node.is_open or field in node.properties

    def prune(self, kind: str, status: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what of the status the API server can store."""
        node = self._statuses.get(kind)
        pruned: Mapping[str, Any] = prune(status, node) if node is not None else status
        return pruned


def _tell(kind: str, lacking: list[str]) -> None:
    if lacking:
        more = f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
        _log.warning(
            "the CRD of %s is older than this operator and drops its fields %s%s: apply the CRDs of"
            " this version (kubectl apply -f crds/)",
            kind,
            ", ".join(lacking[:SHOWN]),
            more,
        )
    else:
        _log.info("the CRD of %s is current", kind)


def missing(found: Node, wanted: Node, at: str = "") -> Iterable[str]:
    """Yield the paths of the topmost fields that `found` lacks."""
    if found.is_open and not found.properties:
        return
    for name, each in wanted.properties.items():
        path = f"{at}.{name}" if at else name
        if name in found.properties:
            yield from missing(found.properties[name], each, path)
        elif not found.is_open:
            yield path
    if found.items is not None and wanted.items is not None:
        yield from missing(found.items, wanted.items, f"{at}[]")
    ours, theirs = wanted.additional_properties, found.additional_properties
    if isinstance(ours, Node) and isinstance(theirs, Node):
        yield from missing(theirs, ours, f"{at}{{}}")


def prune(value: Any, node: Node) -> Any:
    """Return the value without fields that the schema doesn't know."""
    if isinstance(value, list):
        return [prune(each, node.items) for each in value] if node.items is not None else value
    if not isinstance(value, Mapping):
        return value
    extra = node.additional_properties
    if isinstance(extra, Node):
        return {name: prune(each, extra) for name, each in value.items()}
    if not node.properties:
        return value
    return {
        name: prune(each, node.properties[name]) if name in node.properties else each
        for name, each in value.items()
        if name in node.properties or node.is_open
    }


def node(schema: Mapping[str, Any]) -> Node:
    """Read a schema of ours."""
    return msgspec.convert(schema, Node)
