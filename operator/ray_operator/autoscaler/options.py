"""How a cluster wants to be scaled, beyond its groups.

Owns: which variables of Ray's autoscaler have a meaning here, and their defaults. Does not own:
fields of the spec (`survey`). Invariant: a variable that can't be read counts as not given.
Source: Ray, constants of the autoscaler.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from ray_operator.api import options
from ray_operator.api import raycluster as api

_CONSERVES_GPUS = "AUTOSCALER_CONSERVE_GPU_NODES"
_INTERVAL = "AUTOSCALER_UPDATE_INTERVAL_S"
_MOST_LAUNCHES = "AUTOSCALER_MAX_CONCURRENT_LAUNCHES"
_PENDING_TIMEOUT = "RAY_AUTOSCALER_PENDING_NODE_IDLE_TIMEOUT_S"
_RECOVERY = "RAY_AUTOSCALER_AVAILABILITY_RECOVERY_S"
HONOURED = (_CONSERVES_GPUS, _INTERVAL, _MOST_LAUNCHES, _PENDING_TIMEOUT, _RECOVERY)
MOST_PODS = 500
"""To add by one decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the variables say.

    Attributes:
        interval: between looks; None leaves it to us.
        most_launches: Pods on their way at one time.
        pending_timeout: after which a Pod that nobody needs any more isn't waited for; None means
            the group's idle timeout.
        recovery: after which a group that failed to bring nodes is as good as any other.
    """

    conserves_gpus: bool = True
    interval: timedelta | None = None
    most_launches: int = MOST_PODS
    pending_timeout: timedelta | None = None
    recovery: timedelta = timedelta(seconds=600)


def read(given: options.AutoscalerOptions | None) -> Options:
    """Read the variables meant for the sidecar."""
    said = {
        each.get("name", ""): each["value"]
        for each in (given.env if given else ())
        if isinstance(each.get("value"), str)
    }
    pending = _seconds(said, _PENDING_TIMEOUT)
    return Options(
        conserves_gpus=said.get(_CONSERVES_GPUS, "1") not in {"0", "false"},
        interval=_seconds(said, _INTERVAL),
        most_launches=_count(said.get(_MOST_LAUNCHES, "")) or MOST_PODS,
        pending_timeout=pending,
        recovery=_seconds(said, _RECOVERY) or timedelta(seconds=600),
    )


def disregarded(cluster: api.RayCluster) -> list[str]:
    """Return what is said of the sidecar and means nothing without one."""
    given = cluster.spec.autoscaler_options
    if given is None:
        return []
    fields = {
        "resources": given.resources,
        "securityContext": given.security_context,
        "imagePullPolicy": given.image_pull_policy,
        "envFrom": given.env_from,
        "volumeMounts": given.volume_mounts,
    }
    variables = [
        f"env[{each.get('name')}]" for each in given.env if each.get("name") not in HONOURED
    ]
    return [name for name, value in fields.items() if value] + variables


def _seconds(said: Mapping[str, str], name: str) -> timedelta | None:
    try:
        seconds = float(said[name])
    except (KeyError, ValueError):
        return None
    return timedelta(seconds=seconds) if 0 <= seconds < 10**9 else None


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() else 0
