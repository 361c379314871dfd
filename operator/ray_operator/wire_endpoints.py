"""Decoding of EndpointSlices: which Pods take the requests to a Service.

Owns: which of their fields we read. Does not own: what is concluded. Invariant: as in `wire`.
Source: Kubernetes discovery.k8s.io/v1; a slice's labels are those of its Service.
"""

import msgspec

from ray_operator import names, records, wire


class _TargetReference(msgspec.Struct):
    uid: str = ""


class _EndpointConditions(msgspec.Struct):
    ready: bool | None = None


class _Endpoint(msgspec.Struct, rename="camel"):
    conditions: _EndpointConditions = msgspec.field(default_factory=_EndpointConditions)
    target_ref: _TargetReference | None = None


class _EndpointSlice(msgspec.Struct):
    metadata: wire.Metadata
    endpoints: list[_Endpoint] | None = None


_ENDPOINT_SLICE = msgspec.json.Decoder(_EndpointSlice)
_SERVICE_NAME_LABEL = "kubernetes.io/service-name"


def endpoint_slice(data: bytes | msgspec.Raw) -> records.EndpointSlice:
    """Decode an EndpointSlice's JSON.

    Raises:
        msgspec.DecodeError: it is none.
    """
    decoded = _ENDPOINT_SLICE.decode(data)
    metadata, labels = decoded.metadata, decoded.metadata.labels
    maker, kind = labels.get(names.ORIGIN_NAME_LABEL), labels.get(names.ORIGIN_KIND_LABEL)
    return records.EndpointSlice(
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        owner=records.Owner(kind, maker, "") if kind and maker else None,
        service=labels.get(_SERVICE_NAME_LABEL, ""),
        ready=frozenset(
            each.target_ref.uid
            for each in decoded.endpoints or ()
            if each.target_ref and each.conditions.ready is not False
        ),
    )
