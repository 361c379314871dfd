"""How what a RayService makes, changes and deletes is told of.

Owns: event and condition reasons. Does not own: any object. Source: KubeRay 1.7, events of
RayServices.
"""

from ray_operator import actions


def _reasons(done: str, what: str) -> actions.Reasons:
    verb = {"Created": "Create", "Updated": "Update", "Deleted": "Delete"}[done]
    return actions.Reasons(f"{done}{what}", f"FailedTo{verb}{what}", f"Failed{verb}{what}")


CLUSTER = _reasons("Created", "RayCluster")
CLUSTER_UPDATED = _reasons("Updated", "RayCluster")
CLUSTER_DELETED = _reasons("Deleted", "RayCluster")
SERVICE = _reasons("Created", "Service")
SERVICE_UPDATED = _reasons("Updated", "Service")
SERVICE_DELETED = _reasons("Deleted", "Service")
APPLICATIONS = _reasons("Updated", "ServeApplications")
HEAD_LABEL = _reasons("Updated", "HeadPodServeLabel")
NOTED = actions.Reasons("NotedRayCluster", "FailedToNoteRayCluster", "FailedNoteRayCluster")
FINALIZER = actions.Reasons("AddedFinalizer", "FailedToAddFinalizer", "FailedAddFinalizer")
RELEASE = actions.Reasons("RemovedFinalizer", "FailedToRemoveFinalizer", "FailedRemoveFinalizer")
