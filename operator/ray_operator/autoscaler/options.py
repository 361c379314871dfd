"""How a cluster wants to be scaled, beyond its groups.

Owns: what the variables of Ray's autoscaler mean here, and their defaults. Does not own: which they
are (`raycluster.autoscaling`) or fields of the spec (`survey`). Invariant: a variable that can't be
read counts as not given.
Source: Ray, constants of the autoscaler.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from ray_operator.api import options
from ray_operator.raycluster import autoscaling

Knob = autoscaling.Knob
MOST_PODS = 500
"""To add by one decision."""
RECOVERY = timedelta(seconds=600)


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
    recovery: timedelta = RECOVERY


def read(given: options.AutoscalerOptions | None) -> Options:
    """Read the variables meant for the sidecar."""
    said = {
        each.get("name", ""): each["value"]
        for each in (given.env if given else ())
        if isinstance(each.get("value"), str)
    }
    return Options(
        conserves_gpus=said.get(Knob.CONSERVES_GPUS, "1") not in {"0", "false"},
        interval=_seconds(said, Knob.INTERVAL),
        most_launches=_count(said.get(Knob.MOST_LAUNCHES, "")) or MOST_PODS,
        pending_timeout=_seconds(said, Knob.PENDING_TIMEOUT),
        recovery=_seconds(said, Knob.RECOVERY) or RECOVERY,
    )


def _seconds(said: Mapping[str, str], name: str) -> timedelta | None:
    try:
        seconds = float(said[name])
    except (KeyError, ValueError):
        return None
    return timedelta(seconds=seconds) if 0 <= seconds < 10**9 else None


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() else 0
