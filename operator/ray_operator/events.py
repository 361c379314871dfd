"""Post Kubernetes events about our resources.

Owns: the shape of an `events.k8s.io/v1` Event. Does not own: which events there are (`actions`).
Invariant: an event that can't be posted costs a log line, never a pass.
"""

import logging
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ray_operator import actions, errors, kube, records

NOTE_LENGTH = 1024
"""Bytes; the API server refuses longer notes."""

_log = logging.getLogger(__name__)


def regarding(resource: records.Resource, metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the object reference of one of our resources."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }


async def post(
    client: kube.Kube, about: Mapping[str, str], event: actions.Event, *, now: datetime
) -> None:
    """Create the event; failures are logged."""
    moment = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    manifest = {
        "apiVersion": records.EVENTS.api_version,
        "kind": records.EVENTS.kind,
        "metadata": {
            "namespace": about["namespace"],
            "name": f"{about['name']}.{secrets.token_hex(8)}",
        },
        "eventTime": moment,
        "reportingController": "ray-operator"
        if about["kind"] == "Pod"
        else f"{about['kind'].lower()}-controller",
        "reportingInstance": "ray-operator",
        "type": event.type,
        "reason": event.reason,
        "action": event.action,
        "note": event.message.encode()[:NOTE_LENGTH].decode(errors="ignore"),
        "regarding": dict(about),
    }
    try:
        await client.create(records.EVENTS, about["namespace"], manifest)
    except errors.KubeError as error:
        _log.warning("event %s of %s not posted: %s", event.reason, about["name"], error.message)
