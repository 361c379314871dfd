"""Probes of the Ray container: is this node's raylet alive, and on the head the GCS.

Owns: when a node counts as alive and ready. Does not own: the readiness of Serve on the head
(RayService looks itself). Invariant: the time-outs of the checks of a probe add up to less than
the probe's own.

Ray before 2.53 has no endpoint that a plain HTTP probe could use (the answer's text matters), so
bash asks. Measured in a head of 2.46, CPU for its two checks: 5 ms by bash's own TCP redirection,
19 ms by wget, which slim images lack, and 80 ms by a Python that asks only one of them.
Source: KubeRay 1.7, probes.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from ray_operator.api import ray_version
from ray_operator.api import raycluster as api
from ray_operator.raycluster import metadata, rayparams

HTTP_SINCE = (2, 53, 0)
SERVE_PORT = 8000

_CHECK_SECONDS = 2
_EXEC_TIMEOUT_SECONDS = 5  # two checks, and the start of the shell on a busy machine
_LIVENESS = {"initialDelaySeconds": 30, "failureThreshold": 120}
_READINESS = {"initialDelaySeconds": 10, "failureThreshold": 10}
_COMMON = {"periodSeconds": 5, "successThreshold": 1}
OURS = {
    "livenessProbe": {**_LIVENESS, **_COMMON},
    "readinessProbe": {**_READINESS, **_COMMON},
    "startupProbe": {**_READINESS, **_COMMON},
}
"""How often and how long we ask; Serve's readiness is stricter. Of a slow start we tell as early as
of a node that doesn't get ready."""
_STARTUP_SECONDS = 8
_STARTUP = {
    "periodSeconds": 1,
    "timeoutSeconds": _STARTUP_SECONDS + 2 * _CHECK_SECONDS + 2,
    "failureThreshold": 80,
    "successThreshold": 1,
}
"""One run asks for so long, and there are runs for as long as the liveness probe would wait."""

# HTTP/1.0 makes the server close the connection after its answer, which ends the read. Ray's
# dashboard fails on requests without a User-Agent (2.46). What is printed on failure ends up in the
# event about the failed probe.
_ASK = """\
ask() {
  exec 3<>"/dev/tcp/localhost/$1" || return
  printf '%s\\r\\n' "GET $2 HTTP/1.0" 'Host: localhost' 'User-Agent: ray-operator' '' >&3
  IFS= read -r -d '' -t {_CHECK_SECONDS} answer <&3
  [[ $answer == HTTP/1.?' 200 '*success* ]] && return
  echo "localhost:$1$2: ${answer:-no answer in {_CHECK_SECONDS} s}"
  return 1
}
""".replace("{_CHECK_SECONDS}", str(_CHECK_SECONDS))

# Starting this shell costs the node more than all that it asks.
_UNTIL_UP = """\
while [ $SECONDS -lt {seconds} ]; do
  said=$({{ {checks}; }} 2>&1) && exit
  sleep 0.3
done
echo "$said"
exit 1
"""


def probes(
    cluster: api.RayCluster, group: api.GroupSpec, *, params: Mapping[str, str]
) -> dict[str, Any]:
    """Return `livenessProbe` and `readinessProbe` for a group with these completed flags.

    With no probe of the user's a `startupProbe` sees within a second that Ray is up, and the node
    is ready then; without it the first look would be after ten seconds.
    """
    is_head = isinstance(group, api.HeadGroupSpec)
    serves = not is_head and metadata.workers_serve(cluster)
    agent = rayparams.port(params, "dashboard-agent-listen-port", rayparams.AGENT_PORT)
    alive = f"ask {agent} /api/local_raylet_healthz"
    checks = [alive]
    if is_head:
        dashboard = rayparams.port(params, "dashboard-port", rayparams.DASHBOARD_PORT)
        checks.append(f"ask {dashboard} /api/gcs_healthz")
    http = {
        "httpGet": {"path": "/api/healthz", "port": agent},
        "timeoutSeconds": 5 if is_head else 2,
    }
    asked = http if has_http_health(cluster.spec, group) else _exec(checks)
    given = group.ray_container
    has_startup = not any(given.get(each) for each in OURS)
    soon = {"initialDelaySeconds": 0} if has_startup else {}
    readiness = {**_READINESS, **_COMMON, **soon, **asked}
    if serves:
        readiness = _serves(group)
    liveness = {**_LIVENESS, **_COMMON, **asked}
    found = {"livenessProbe": liveness, "readinessProbe": readiness}
    return {**found, "startupProbe": _startup(checks)} if has_startup else found


def patience(probe: Mapping[str, Any]) -> timedelta:
    """Return how long after the container's start a probe may fail before that means something.

    Source: Kubernetes 1.34, defaults of Probe.
    """
    period = int(probe.get("periodSeconds") or 10)
    failures = int(probe.get("failureThreshold") or 3)
    return timedelta(seconds=int(probe.get("initialDelaySeconds") or 0) + period * failures)


def has_http_health(spec: api.RayClusterSpec, group: api.GroupSpec) -> bool:
    """Tell whether this Ray has the endpoint for plain HTTP probes.

    Without a `rayVersion`, the tag of Ray's own images tells; an unknown version has none.
    """
    if spec.ray_version:
        version = ray_version.parse(spec.ray_version)
    else:
        version = ray_version.of_image(group.ray_container.get("image") or "")
    return version is not None and version >= HTTP_SINCE


def _serves(group: api.GroupSpec) -> dict[str, Any]:
    """Return the readiness of a worker that takes requests: as its Serve proxy says.

    Whether its raylet is well is the liveness probe's to ask. The probe waits in line with the
    requests: to take a proxy away for being busy would leave the others all of its work.
    """
    return {
        "httpGet": {"path": "/-/healthz", "port": serve_port(group)},
        "periodSeconds": 2,
        "timeoutSeconds": 5,
        "failureThreshold": 2,
        "successThreshold": 1,
    }


def _startup(checks: Sequence[str]) -> dict[str, Any]:
    until_up = _UNTIL_UP.format(seconds=_STARTUP_SECONDS, checks=" && ".join(checks))
    return {**_STARTUP, "exec": {"command": ["bash", "-c", _ASK + until_up]}}


def _exec(checks: Sequence[str]) -> dict[str, Any]:
    return {
        "exec": {"command": ["bash", "-c", _ASK + " && ".join(checks)]},
        "timeoutSeconds": _EXEC_TIMEOUT_SECONDS,
    }


def serve_port(group: api.GroupSpec) -> int:
    """Return the port of the Serve proxy on the nodes of a group."""
    ports = group.ray_container.get("ports") or []
    found = (each["containerPort"] for each in ports if each.get("name") == "serve")
    return next(found, SERVE_PORT)
