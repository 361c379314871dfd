"""The head Service in the life of a cluster: how it may change its name and its address.

Owns: what is wanted of it now, given those that stand, and which of those go. Does not own: the
manifest that the spec alone makes (`services`). Invariant: Pods that run keep finding their head:
one of a former name goes when no Pod was told of it, and one gets or loses its address, which takes
another Service, only while there are no Pods.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ray_operator import names, records, settings
from ray_operator.api import raycluster as api
from ray_operator.raycluster import desired, rayparams, services, spec_hash, upgrade
from ray_operator.raycluster import observed as seen

HEADLESS = services.HEADLESS["clusterIP"]


def standing(cluster: api.RayCluster, observed: seen.Observed) -> records.Service | None:
    """Return the head Service that the spec names, else one of a former name, if there is any."""
    found = _standing(observed)
    name = rayparams.head_service_name(cluster)
    return next((each for each in found if each.name == name), found[0] if found else None)


def wanted(
    cluster: api.RayCluster, observed: seen.Observed, *, options: settings.Settings
) -> dict[str, Any]:
    """Return the manifest; with Pods there, one that stands keeps the address it was made with."""
    manifest = desired.head_service(cluster, settings=options)
    found = standing(cluster, observed)
    if found is None or found.name != manifest["metadata"]["name"] or not observed.pods:
        return manifest
    return {**manifest, "spec": _with_address_of(found, manifest["spec"])}


def leaving(
    cluster: api.RayCluster, observed: seen.Observed, *, options: settings.Settings
) -> Sequence[records.Service]:
    """Return those that go: of former names, or in the way of one with another address."""
    manifest = desired.head_service(cluster, settings=options)
    name = manifest["metadata"]["name"]
    found = _standing(observed)
    same = [each for each in found if each.name == name]
    is_headless = manifest["spec"].get("clusterIP") == HEADLESS
    if not observed.pods:
        replaced = [each for each in same if (each.cluster_ip == HEADLESS) is not is_headless]
        return [*replaced, *(each for each in found if each.name != name)]
    others = [each for each in found if each.name != name]
    if not others or not same:
        return ()
    progress = upgrade.progress(cluster, observed)
    return () if progress.head or progress.workers else others


def obstacle(cluster: api.RayCluster, observed: seen.Observed) -> str:
    """Say why the head Service isn't as the spec wants it; `""` when it is, or soon will be."""
    found = standing(cluster, observed)
    is_headless = found is not None and found.cluster_ip == HEADLESS
    if not is_headless or not observed.pods or not spec_hash.has_address(cluster.spec):
        return ""
    return (
        "the head Service gets an address of its own only while there are no Pods: suspend the"
        " cluster and resume it, or set upgradeStrategy.type to Recreate"
    )


def _standing(observed: seen.Observed) -> Sequence[records.Service]:
    return [
        each for each in observed.services if each.labels.get(names.NODE_TYPE_LABEL) == names.HEAD
    ]


def _with_address_of(found: records.Service, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Leave the address as it is, with the type that depends on it.

    Older operators gave head Services one; those of now are headless unless told not to be.
    """
    kept = {key: each for key, each in spec.items() if key != "clusterIP"}
    if found.cluster_ip == HEADLESS:
        return {**{key: kept[key] for key in kept if key != "type"}, **services.HEADLESS}
    return kept if spec.get("clusterIP") == HEADLESS else dict(spec)
