"""Whether the Ray that runs is the one that `rayVersion` promises.

Owns: the comparison, its condition and event, and how it explains a head that isn't ready. Does not
own: finding the version out (`pollers`). Invariant: what can't be read as a version is never called
wrong, and what was said stands while the version isn't known, as after a start of the operator.

It matters because probes and flags are made for `rayVersion`: those of 2.53 ask an endpoint that
older images lack, so that a healthy head would never be ready.
"""

from ray_operator import actions, conditions
from ray_operator.api import ray_version, vocabulary
from ray_operator.api import raycluster as api
from ray_operator.raycluster import observed as seen
from ray_operator.raycluster import probes

MATCHES = vocabulary.ClusterCondition.RAY_VERSION_MATCHES
MISMATCH = vocabulary.NotReady.RAY_VERSION_MISMATCH


def condition(cluster: api.RayCluster, observed: seen.Observed) -> conditions.Condition | None:
    """Return the condition; None where nothing is wrong, or was while there was a head."""
    given, runs = cluster.spec.ray_version or "", observed.ray.version
    if ray_version.parse(given) is None or not observed.head_pods():
        return None
    if not runs:
        return _said_before(cluster)
    if ray_version.parse(runs) is None:
        return None
    if _agree(given, runs):
        if _said(cluster) is None:
            return None
        message = f"the head runs Ray {runs}"
        return conditions.Condition(
            type=MATCHES,
            status="True",
            reason=vocabulary.ClusterReason.VERSION_AS_SPECIFIED,
            message=message,
        )
    message = _mismatch(given, runs)
    return conditions.Condition(type=MATCHES, status="False", reason=MISMATCH, message=message)


def obstacle(cluster: api.RayCluster, observed: seen.Observed) -> str:
    """Say what is wrong if a wrong version may be why the head isn't ready; else `""`."""
    found = condition(cluster, observed)
    head = observed.head()
    if found is None or found.status == "True" or head is None or head.ready:
        return ""
    return found.message


def events(cluster: api.RayCluster, observed: seen.Observed) -> tuple[actions.Event, ...]:
    """Warn once a generation."""
    found, before = condition(cluster, observed), _said_before(cluster)
    is_news = before is None or before.status == "True"
    if found is None or found.status == "True" or not is_news:
        return ()
    return (
        actions.Event(type="Warning", reason=MISMATCH, action="Validate", message=found.message),
    )


def unremarkable(cluster: api.RayCluster) -> str:
    """Return the version that says nothing new; `""` when any would."""
    return (cluster.spec.ray_version or "") if _said(cluster) is None else ""


def _said(cluster: api.RayCluster) -> conditions.Condition | None:
    """Return the condition as it was last written; that all is well is worth no first write."""
    return conditions.find(conditions.read(cluster.status.get("conditions", ())), MATCHES)


def _said_before(cluster: api.RayCluster) -> conditions.Condition | None:
    """Return what was said of this generation."""
    found = _said(cluster)
    is_current = found is not None and found.observed_generation == cluster.metadata.generation
    return found if is_current else None


def _agree(given: str, runs: str) -> bool:
    """Compare as far as `given` goes: 2.46 promises any 2.46.x."""
    parts = 3 if given.count(".") >= 2 else 2
    wanted, found = ray_version.parse(given), ray_version.parse(runs)
    assert wanted is not None
    assert found is not None
    return wanted[:parts] == found[:parts]


def _mismatch(given: str, runs: str) -> str:
    wanted, found = ray_version.parse(given), ray_version.parse(runs)
    assert wanted is not None
    assert found is not None
    said = f"the head runs Ray {runs}, but rayVersion says {given}"
    if wanted >= probes.HTTP_SINCE > found:
        said += f", whose health endpoint /api/healthz {runs} lacks"
    return f"{said}: set rayVersion to {runs}, or use an image of Ray {given}"
