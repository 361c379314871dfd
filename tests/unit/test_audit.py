"""Reading the audit log of the local cluster."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support import audit as audits

MORNING = datetime(2026, 1, 1, 8, tzinfo=UTC)
USER = "system:serviceaccount:ray-system:operator"


def line(hours: int, name: str, decision: str = "allow") -> str:
    return (
        json.dumps(
            {
                "requestReceivedTimestamp": (MORNING + timedelta(hours=hours)).isoformat(),
                "user": {"username": USER},
                "verb": "create",
                "objectRef": {"resource": "pods", "namespace": "a", "name": name},
                "responseStatus": {"code": 201 if decision == "allow" else 403},
                "annotations": {"authorization.k8s.io/decision": decision},
            }
        )
        + "\n"
    )


def test_files_that_were_full_are_read_first(tmp_path: Path) -> None:
    (tmp_path / "audit-2026-01-01T09-00-00.000.log").write_text(line(0, "a") + line(1, "b"))
    (tmp_path / "audit-2026-01-01T10-00-00.000.log").write_text(line(2, "c", "forbid"))
    (tmp_path / "audit.log").write_text(line(3, "d") + line(4, "e")[:20])
    log = audits.Log(tmp_path / "audit.log", MORNING)
    assert [each.name for each in log.requests()] == ["a", "b", "c", "d"]
    assert [each.name for each in log.writes(USER)] == ["a", "b", "d"]
    assert [each.name for each in log.denied("operator")] == ["c"]
    later = log.later(MORNING + timedelta(hours=1))
    assert [each.name for each in later.requests()] == ["b", "c", "d"]
    assert [each.name for each in later.later(MORNING).requests()] == ["b", "c", "d"]
