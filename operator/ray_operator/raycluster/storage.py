"""The head's embedded store: which volume it is on, and how the head gets there.

Owns: the volume, its mount and the variables that name it. Does not own: the claim behind it
(`claim`), or that no two heads write at once (`head`). Source: KubeRay 1.7, GCS fault tolerance
with embedded storage.
"""

from typing import Any

from ray_operator import names
from ray_operator.api import options
from ray_operator.api import raycluster as api
from ray_operator.api.validation import fault_tolerance as rules

BACKEND = "rocksdb"


def is_on(cluster: api.RayCluster) -> bool:
    """Tell whether the head keeps its state in a volume."""
    block = cluster.spec.gcs_fault_tolerance_options
    return block is not None and block.backend == BACKEND


def claim_name(cluster: api.RayCluster) -> str:
    """Name the claim: as the user says, else after the cluster."""
    return given(cluster).claim_name or names.storage_claim(cluster.metadata.name)


def volume(cluster: api.RayCluster) -> dict[str, Any]:
    """Return the head's volume."""
    return {
        "name": rules.VOLUME,
        "persistentVolumeClaim": {"claimName": claim_name(cluster)},
    }


def mount(cluster: api.RayCluster) -> dict[str, Any]:
    """Return the mount of the head's Ray container."""
    path = given(cluster).sub_path
    return {
        "name": rules.VOLUME,
        "mountPath": rules.MOUNT_PATH,
        **({"subPath": path} if path else {}),
    }


def variables() -> list[dict[str, Any]]:
    """Return what tells the head's Ray where its state is."""
    backend, path = rules.STORAGE_VARIABLES
    return [{"name": backend, "value": BACKEND}, {"name": path, "value": rules.MOUNT_PATH}]


def given(cluster: api.RayCluster) -> options.GcsStorage:
    """Return what the user says of the volume, empty when nothing."""
    block = cluster.spec.gcs_fault_tolerance_options
    return (block.storage if block else None) or options.GcsStorage()
