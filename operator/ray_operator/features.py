"""Feature gates: their names and which are on by default.

Owns: the gates of KubeRay 1.7 and reading `--feature-gates`. Does not own: what a gate switches.
Invariant: an unknown gate is an error, as for KubeRay's users.
"""

import enum
from collections.abc import Mapping


class Feature(enum.StrEnum):
    """A gate by its name on the command line."""

    STATUS_CONDITIONS = "RayClusterStatusConditions"
    DELETION_POLICY = "RayJobDeletionPolicy"
    MULTI_HOST_INDEXING = "RayMultiHostIndexing"
    INCREMENTAL_UPGRADE = "RayServiceIncrementalUpgrade"
    CRON_JOB = "RayCronJob"
    SIDECAR_SUBMITTER_RESTART = "SidecarSubmitterRestart"
    NETWORK_POLICY = "RayClusterNetworkPolicy"
    EMBEDDED_STORAGE = "GCSFaultToleranceEmbeddedStorage"
    MTLS = "RayClusterMTLS"
    HISTORY_SERVER = "RayClusterHistoryServer"
    WORKLOAD_AWARE_SCHEDULING = "KubernetesWAS"


Features = frozenset[Feature]

DEFAULT: Features = frozenset(
    {
        Feature.STATUS_CONDITIONS,
        Feature.DELETION_POLICY,
        Feature.MULTI_HOST_INDEXING,
        Feature.INCREMENTAL_UPGRADE,
    }
)
UNBUILT: Features = frozenset(
    {
        Feature.SIDECAR_SUBMITTER_RESTART,
        Feature.NETWORK_POLICY,
        Feature.MTLS,
        Feature.HISTORY_SERVER,
        Feature.WORKLOAD_AWARE_SCHEDULING,
    }
)
"""Gates behind which nothing is yet. They stay off, so that what asks for them is refused."""
NOTES: Mapping[Feature, str] = {
    Feature.STATUS_CONDITIONS: "stays on",
    Feature.INCREMENTAL_UPGRADE: "checks `NewClusterWithIncrementalUpgrade`, which isn't built yet",
    **dict.fromkeys(UNBUILT, "nothing is built behind it yet"),
}
"""What to know of gates that don't do all that they do in KubeRay."""
_SWITCHES: Mapping[str, bool] = {"true": True, "false": False}


def built(given: Features) -> tuple[Features, list[str]]:
    """Return the gates that can be obeyed, and a warning for each that can't."""
    warnings = [
        f"the feature gate {gate} stays off: nothing is built behind it yet"
        for gate in sorted(given & UNBUILT)
    ]
    if Feature.STATUS_CONDITIONS not in given:
        warnings.append(f"the feature gate {Feature.STATUS_CONDITIONS} stays on")
    return (given - UNBUILT) | {Feature.STATUS_CONDITIONS}, warnings


def lacking(gate: Feature) -> str:
    """Say of a field what helps when its gate is off."""
    if gate in UNBUILT:
        return f"isn't built yet: remove it (feature gate {gate})"
    return f"needs the feature gate {gate}"


def parse(text: str) -> Features:
    """Read `A=true,B=false` as changes of the defaults.

    Raises ValueError for an unknown gate or value; the message names it.
    """
    switched = set(DEFAULT)
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        if name not in set(Feature):
            raise ValueError(f"{name!r} is no feature gate: use {', '.join(Feature)}")
        if value.lower() not in _SWITCHES:
            raise ValueError(f"{part!r} switches nothing: write {name}=true or {name}=false")
        (switched.add if _SWITCHES[value.lower()] else switched.discard)(Feature(name))
    return frozenset(switched)
