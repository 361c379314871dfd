"""What Serve says of the applications, for the status and in words.

Owns: the map in the status, the condition about them, and what a RayService waits for. Does not
own: when traffic moves (`traffic`). Invariant: messages are Serve's own, cut in the middle where
they are long: the beginning says what failed, the end of a traceback why.
Source: KubeRay 1.7, `applicationStatuses`.
"""

from collections.abc import Iterator
from typing import Any

from ray_operator import conditions, serve_records
from ray_operator.api import service_vocabulary, vocabulary
from ray_operator.raycluster import rollup
from ray_operator.rayservice import services, traffic
from ray_operator.rayservice.case import Case
from ray_operator.rayservice.state import State

Type = service_vocabulary.ServiceCondition
Told = service_vocabulary.ServiceReason
FAILED = frozenset({"DEPLOY_FAILED", "UNHEALTHY"})
_HEAD_LENGTH, _TAIL_LENGTH = 1000, 3000
_SHORT_LENGTH = 300
_NO_PORT = (
    "the head declares ports, and none of them is named serve: name one so, or give ports in"
    " serveService"
)
_LACKS_ROOM = frozenset({vocabulary.NotReady.UNSCHEDULABLE, vocabulary.NotReady.QUOTA_EXCEEDED})
_ROOM = (
    "; both clusters need room at once: make some, or set upgradeStrategy.type None to keep the"
    " one that serves"
)


def statuses(state: serve_records.ServeState) -> dict[str, Any]:
    """Return the applications as the status shows them, by name."""
    return {
        name: {
            "status": each.status,
            "message": bounded(each.message),
            "serveDeploymentStatuses": {
                deployment: {"status": found.status, "message": bounded(found.message)}
                for deployment, found in sorted(each.deployments.items())
            },
        }
        for name, each in sorted(state.applications.items())
    }


def bounded(message: str) -> str:
    """Cut a long message in the middle."""
    if len(message) <= _HEAD_LENGTH + _TAIL_LENGTH:
        return message
    return f"{message[:_HEAD_LENGTH]}\n…\n{message[-_TAIL_LENGTH:]}"


def condition(case: Case, cluster: str) -> conditions.Condition:
    """Say whether all applications run on the cluster."""
    answer, config = case.observed.answer(cluster), case.config()
    if config is None and not case.invalid:
        return _condition("False", Told.NO_CONFIG, "serveConfigV2 lists no applications")
    if answer.refusal:
        return _condition("False", Told.CONFIG_REFUSED, answer.refusal)
    if answer.state is None or answer.error:
        return _condition("Unknown", Told.NOT_ASKED, answer.error or "Serve hasn't answered yet")
    if config and answer.applied != config.digest:
        return _condition("False", Told.CONFIG_NOT_APPLIED)
    is_running = traffic.runs(case, cluster)
    return _condition("True", Told.RUNNING) if is_running else _not_running(answer.state)


def is_open(case: Case, cluster: str) -> bool:
    """Tell whether nothing is known of the applications, or only what doesn't count any more."""
    answer, config = case.observed.answer(cluster), case.config()
    if answer.state is None:
        return True
    found = answer.state.applications.values()
    all_run = bool(found) and all(each.status == serve_records.RUNNING for each in found)
    is_old = config is not None and answer.applied != config.digest
    return all_run and answer.running_since is None and not (answer.refusal or is_old)


def _not_running(state: serve_records.ServeState) -> conditions.Condition:
    if failed := "; ".join(_failed(state)):
        return _condition("False", Told.UNHEALTHY, failed)
    waiting = (
        f"{name} is {each.status}"
        for name, each in sorted(state.applications.items())
        if each.status != serve_records.RUNNING
    )
    return _condition("False", Told.DEPLOYING, ", ".join(waiting))


def waits_for(case: Case, state: State) -> str:
    """Say what the cluster lacks that is waited for; `""` when that can't be told."""
    name = state.pending or state.active
    if not name:
        return "waiting for a RayCluster to be made"
    cluster = case.observed.cluster(name)
    if cluster is None:
        return f"waiting for RayCluster {name} to be made"
    said = rollup.ready(name, cluster)
    head = case.observed.head(name)
    if head is None or not head.ready:
        room = _ROOM if said.reason in _LACKS_ROOM and state.active else ""
        return f"waiting for {said.message or f'RayCluster {name}'}{room}"
    serve = condition(case, name)
    if serve.status != "True":
        more = f"; {said.message}{_ROOM}" if said.reason in _LACKS_ROOM else ""
        return f"waiting for the applications on RayCluster {name}: {serve.reason}" + (
            f": {serve.message}{more}" if serve.message else more
        )
    if services.serve_service(case.service, cluster) is None:
        return _NO_PORT
    return f"waiting for Pods of RayCluster {name} to take requests"


def _failed(state: serve_records.ServeState) -> Iterator[str]:
    """Say of each application that fails what Serve says, of its deployments too."""
    for name, each in sorted(state.applications.items()):
        if each.status in FAILED:
            yield f"{name} is {each.status}: {_short(each.message)}"
            for deployment, found in sorted(each.deployments.items()):
                if found.status in FAILED and found.message not in each.message:
                    yield f"{name}/{deployment} is {found.status}: {_short(found.message)}"


def _short(message: str) -> str:
    """Return the end of a message, where a traceback says what is wrong."""
    text = message.strip()
    return text if len(text) <= _SHORT_LENGTH else f"…{text[-_SHORT_LENGTH:]}"


def _condition(status: str, reason: str, message: str = "") -> conditions.Condition:
    type_ = Type.APPLICATIONS_RUNNING
    return conditions.Condition(type=type_, status=status, reason=reason, message=message)
