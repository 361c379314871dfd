"""What the API server was asked by whom: its audit log.

Owns: reading the log that the local cluster writes (JSON lines, service accounts only). Invariant:
only what came after `since` counts, because a warm cluster keeps the log of earlier runs.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


class Request(NamedTuple):
    """One request: `resource` as in RBAC (`rayclusters/status`), `code` the HTTP status.

    `denied` is the authorizer's answer. A 403 alone can also be admission's, as for creations in a
    namespace that is going away, which no permission would have allowed.
    """

    at: datetime
    user: str
    verb: str
    group: str
    resource: str
    namespace: str
    name: str
    code: int
    denied: bool


@dataclass(frozen=True, slots=True)
class Log:
    """The audit log of a cluster from a moment on."""

    path: Path
    since: datetime

    def later(self, since: datetime) -> "Log":
        """Return the same log from then on, if that is later."""
        return Log(self.path, max(since, self.since))

    def requests(self) -> Iterator[Request]:
        """Yield the finished requests, oldest first; those of full files before those of now."""
        full = sorted(self.path.parent.glob(f"{self.path.stem}-*{self.path.suffix}"))
        for path in (*full, self.path):
            with path.open() as lines:
                for line in lines:
                    if not line.endswith("\n"):
                        return  # still being written
                    request = _request(json.loads(line))
                    if request.at >= self.since:
                        yield request

    def writes(self, user: str) -> list[Request]:
        """Return the user's writes that were carried out."""
        return [
            request
            for request in self.requests()
            if request.user == user and request.verb in WRITES and request.code < 300
        ]

    def denied(self, account: str) -> list[Request]:
        """Return what was refused to service accounts of that name, in any namespace."""
        return [
            request
            for request in self.requests()
            if request.denied and request.user.endswith(f":{account}")
        ]


def _request(event: dict[str, Any]) -> Request:
    target = event.get("objectRef") or {}
    subresource = f"/{target['subresource']}" if target.get("subresource") else ""
    annotations = event.get("annotations") or {}
    return Request(
        at=datetime.fromisoformat(event["requestReceivedTimestamp"]),
        user=event["user"]["username"],
        verb=event["verb"],
        group=target.get("apiGroup", ""),
        resource=target.get("resource", "") + subresource,
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        code=(event.get("responseStatus") or {}).get("code", 0),
        denied=annotations.get("authorization.k8s.io/decision") == "forbid",
    )
