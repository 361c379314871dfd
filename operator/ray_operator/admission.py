"""The optional admission webhook: the answer to a review of one of our resources.

Owns: what is refused at once, instead of being told of in a condition later. Does not own: the
rules (`api.validation`) and HTTP (`server`). Invariant: a change is refused only for what it makes
wrong; an object stored with errors can always be changed elsewhere, released and deleted.
Source: Kubernetes, `admission.k8s.io/v1`.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
import pydantic

from ray_operator import features
from ray_operator.api import base, raycluster, raycronjob, rayjob, rayservice, rules
from ray_operator.api.validation import kinds

MODELS: Mapping[str, type[base.Resource]] = {
    "RayCluster": raycluster.RayCluster,
    "RayJob": rayjob.RayJob,
    "RayService": rayservice.RayService,
    "RayCronJob": raycronjob.RayCronJob,
}
PATHS = tuple(f"/validate-ray-io-v1-{kind.lower()}" for kind in MODELS)
"""Those of KubeRay, so that its ValidatingWebhookConfiguration fits."""


NULL = msgspec.Raw(b"null")
"""What stands for the missing object of a creation or deletion."""


class _Object(msgspec.Struct, rename="camel"):
    kind: str


class _Metadata(msgspec.Struct, rename="camel"):
    deletion_timestamp: str | None = None


class _Meta(msgspec.Struct):
    metadata: _Metadata


class _Request(msgspec.Struct, rename="camel"):
    uid: str
    kind: _Object
    object: msgspec.Raw = NULL
    old_object: msgspec.Raw = NULL


class _Review(msgspec.Struct):
    request: _Request


def review(body: bytes, enabled: features.Features) -> dict[str, Any]:
    """Return the AdmissionReview that answers the one in `body`.

    Raises:
        ValueError: the body is no AdmissionReview of one of our kinds.
    """
    request = msgspec.json.decode(body, type=_Review).request
    model = MODELS.get(request.kind.kind)
    if model is None:
        raise ValueError(f"{request.kind.kind} has no rules")
    response: dict[str, Any] = {"uid": request.uid, "allowed": True}
    if request.object != NULL and not _is_deleted(request.object):
        response |= _judge(model, request, enabled)
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


def _judge(
    model: type[base.Resource], request: _Request, enabled: features.Features
) -> dict[str, Any]:
    before = _checked(model, request.old_object, enabled)
    now = _checked(model, request.object, enabled)
    known = Counter(_without_indices(each) for each in before.errors)
    new = []
    for each in now.errors:
        key = _without_indices(each)
        if not known[key]:
            new.append(each)
        known[key] -= 1
    told = {"warnings": list(map(str, now.warnings))} if now.warnings else {}
    return {**told, **_refusal("; ".join(map(str, new)))} if new else told


def _checked(
    model: type[base.Resource], raw: msgspec.Raw, enabled: features.Features
) -> kinds.Checked:
    """Check an object; nothing is wrong with one that isn't there."""
    if raw == NULL:
        return kinds.Checked([], [])
    try:
        return kinds.check(model.model_validate_json(bytes(raw)), enabled)
    except pydantic.ValidationError as error:
        found = [
            rules.FieldError(".".join(map(str, each["loc"])), each["msg"], rules.Rule.FORM)
            for each in error.errors()
        ]
        return kinds.Checked(found, [])


def _without_indices(error: rules.FieldError) -> rules.FieldError:
    """Make the errors of an item equal that moved within its list."""
    return error._replace(path=re.sub(r"\[\d+\]", "[]", error.path))


def _refusal(message: str) -> dict[str, Any]:
    status = {"code": 422, "reason": "Invalid", "message": message}
    return {"allowed": False, "status": status}


def _is_deleted(raw: msgspec.Raw) -> bool:
    return msgspec.json.decode(raw, type=_Meta).metadata.deletion_timestamp is not None
