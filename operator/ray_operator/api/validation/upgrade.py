"""Rules of a cluster's upgrade strategy.

Source: KubeRay 1.7, validation of the upgrade strategy; Kubernetes, rolling updates of Deployments.
"""

import re
from collections.abc import Iterator

from ray_operator.api import cel, options
from ray_operator.api import raycluster as api
from ray_operator.api.rules import FieldError, Rule

PARENTS = {"RayJob", "RayService"}
_PERCENT = re.compile(r"[0-9]{1,3}%")


def errors(spec: api.RayClusterSpec, at: str, *, creator: str) -> Iterator[FieldError]:
    """Check the upgrade strategy; `creator` is the kind that made the cluster, or ``""``."""
    given = spec.upgrade_strategy
    if given is None:
        return
    path = f"{at}.upgradeStrategy"
    if given.type and given.type not in options.UPGRADE_TYPES:
        message = f"{given.type!r} is unknown: use Recreate, RollingUpdate or None"
        yield FieldError(f"{path}.type", message, Rule.UPGRADE_STRATEGY)
    if given.type and creator in PARENTS:
        message = f"remove it: the {creator} decides about upgrades"
        yield FieldError(f"{path}.type", message, Rule.UPGRADE_STRATEGY)
    if given.rolling_update is not None:
        yield from _rolling(given.rolling_update, f"{path}.rollingUpdate", given.type)


def _rolling(given: options.RollingUpdate, path: str, type_: str | None) -> Iterator[FieldError]:
    if type_ != options.ROLLING_UPDATE:
        message = f"belongs to type {options.ROLLING_UPDATE}: set that, or remove this"
        yield FieldError(path, message, Rule.UPGRADE_STRATEGY)
    counts = {"maxUnavailable": given.max_unavailable, "maxSurge": given.max_surge}
    for name, value in counts.items():
        if value is not None and not _is_count(value):
            message = f"is {value!r}: use a number such as 1, or a percentage such as 25%"
            yield FieldError(f"{path}.{name}", message, Rule.UPGRADE_STRATEGY)
    if all(value is not None and not str(value).strip("0%") for value in counts.values()):
        message = "lets nothing happen: allow a maxUnavailable or a maxSurge above 0"
        yield FieldError(path, message, Rule.UPGRADE_STRATEGY)
    if given.replace_head and given.replace_head not in options.REPLACE_HEAD:
        message = f"{given.replace_head!r} is unknown: use {', '.join(options.REPLACE_HEAD)}"
        yield FieldError(f"{path}.replaceHead", message, Rule.UPGRADE_STRATEGY)


def _is_count(value: str | int) -> bool:
    return value >= 0 if isinstance(value, int) else bool(_PERCENT.fullmatch(value))


def expressions() -> Iterator[cel.Cel]:
    """Yield the rules for the API server."""
    strategy, rolling = ("UpgradeStrategy",), "has(self.rollingUpdate)"
    yield cel.Cel(
        Rule.UPGRADE_STRATEGY,
        strategy,
        cel.refuse(rolling, f"!({cel.is_(options.ROLLING_UPDATE, 'type')})"),
        f"rollingUpdate belongs to type {options.ROLLING_UPDATE}: set that, or remove it",
        ".rollingUpdate",
    )
    zero = [
        f"(has(self.{each}) && (self.{each} == 0 || self.{each} in ['0%', '00%', '000%']))"
        for each in ("maxUnavailable", "maxSurge")
    ]
    yield cel.Cel(
        Rule.UPGRADE_STRATEGY,
        ("RollingUpdate",),
        cel.refuse(*zero),
        "allow a maxUnavailable or a maxSurge above 0",
    )
