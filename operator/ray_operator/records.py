"""Small frozen types that cross layers: objects of the cluster as we read them.

Owns: what the operator knows of a child (never its whole manifest). Does not own: decoding
(`informers`) or decisions. Invariant: every value is immutable, times are aware UTC.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from ray_operator import quantity


class Resource(NamedTuple):
    """Name one resource of the Kubernetes API.

    `api_version` is as in manifests (`v1`, `ray.io/v1`), `plural` as in URLs.
    """

    api_version: str
    plural: str
    kind: str

    @property
    def path(self) -> str:
        """URL prefix of its API version: `/api/v1` or `/apis/<group>/<version>`."""
        root = "apis" if "/" in self.api_version else "api"
        return f"/{root}/{self.api_version}"


PODS = Resource("v1", "pods", "Pod")
NODES = Resource("v1", "nodes", "Node")
SERVICES = Resource("v1", "services", "Service")
JOBS = Resource("batch/v1", "jobs", "Job")
SECRETS = Resource("v1", "secrets", "Secret")
SERVICE_ACCOUNTS = Resource("v1", "serviceaccounts", "ServiceAccount")
ROLES = Resource("rbac.authorization.k8s.io/v1", "roles", "Role")
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io/v1", "rolebindings", "RoleBinding")
CLAIMS = Resource("v1", "persistentvolumeclaims", "PersistentVolumeClaim")
STORAGE_CLASSES = Resource("storage.k8s.io/v1", "storageclasses", "StorageClass")
ROUTES = Resource("route.openshift.io/v1", "routes", "Route")
ENDPOINT_SLICES = Resource("discovery.k8s.io/v1", "endpointslices", "EndpointSlice")
INGRESSES = Resource("networking.k8s.io/v1", "ingresses", "Ingress")
EVENTS = Resource("events.k8s.io/v1", "events", "Event")
CORE_EVENTS = Resource("v1", "events", "Event")
"""The same, with field selectors."""
DEPLOYMENTS = Resource("apps/v1", "deployments", "Deployment")
LEASES = Resource("coordination.k8s.io/v1", "leases", "Lease")
CRDS = Resource("apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition")
GROUP_VERSION = "ray.io/v1"
RAYCLUSTERS = Resource(GROUP_VERSION, "rayclusters", "RayCluster")
RAYJOBS = Resource(GROUP_VERSION, "rayjobs", "RayJob")
RAYCRONJOBS = Resource(GROUP_VERSION, "raycronjobs", "RayCronJob")
RAYSERVICES = Resource(GROUP_VERSION, "rayservices", "RayService")
OURS = (RAYCLUSTERS, RAYJOBS, RAYSERVICES, RAYCRONJOBS)


class Key(NamedTuple):
    """Identify one of our own resources: what the work queue holds."""

    kind: str
    namespace: str
    name: str


class Owner(msgspec.Struct, frozen=True):
    """The controlling owner reference of a child."""

    kind: str
    name: str
    uid: str


class Ended(msgspec.Struct, frozen=True):
    """How a container ended, now or before its last restart; `message` may be the log's end."""

    reason: str = ""
    message: str = ""
    exit_code: int = 0
    finished_at: datetime | None = None


class Container(msgspec.Struct, frozen=True):
    """The status of one (init) container.

    `state` is `waiting`, `running`, `terminated`, or empty before the kubelet reported it.
    `exit_code` is None unless terminated; `started_at` is None unless running.
    """

    name: str
    ready: bool = False
    restarts: int = 0
    state: str = ""
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    started_at: datetime | None = None
    ended: Ended | None = None


class Pod(msgspec.Struct, frozen=True):
    """A Ray Pod.

    Attributes:
        ray_container: name of container 0, which runs Ray (never looked up by name).
        ray_image: its image, as in the template.
        phase: `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
        ready: the Ready condition's status; None while there is no such condition.
        ready_since: when `ready` last changed; None while there is no such condition.
        unscheduled: why no node takes it; empty once one did, or while nobody tried.
        disrupted: why the cluster ends it through no fault of its own (DisruptionTarget); else "".
        deletion_at: when the API server will have let it go (includes the grace period).
        grace: how long its containers may take to end.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    labels: Mapping[str, str]
    owner: Owner | None
    created_at: datetime
    ray_container: str
    ray_image: str = ""
    annotations: Mapping[str, str] = {}
    restart_policy: str = "Always"
    deletion_at: datetime | None = None
    node: str = ""
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    ip: str = ""
    ready: bool | None = None
    ready_reason: str = ""
    ready_message: str = ""
    ready_since: datetime | None = None
    unscheduled: str = ""
    disrupted: str = ""
    grace: timedelta = timedelta(seconds=30)
    containers: tuple[Container, ...] = ()

    def ray(self) -> Container | None:
        """Return the status of the container that runs Ray, None before the kubelet said any."""
        return next((each for each in self.containers if each.name == self.ray_container), None)


class Node(msgspec.Struct, frozen=True):
    """A node of Kubernetes; `doom` says why it will soon be gone, empty while it stays."""

    name: str
    resource_version: str
    doom: str = ""


class PodEvent(msgspec.Struct, frozen=True):
    """A warning about a Pod, by kubelet, scheduler or a controller; `name` is the event's own.

    `container` is empty when it is about the Pod as a whole. `last_at` is when it last happened.
    """

    namespace: str
    name: str
    resource_version: str
    pod: str
    pod_uid: str
    reason: str
    message: str
    last_at: datetime
    container: str = ""


class Meta(msgspec.Struct, frozen=True):
    """A child of which only the metadata is watched."""

    kind: str
    namespace: str
    name: str
    uid: str
    resource_version: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    owner: Owner | None
    deletion_at: datetime | None = None


class Claim(msgspec.Struct, frozen=True):
    """A PersistentVolumeClaim; `size` is the one asked for, `owners` all owner references.

    One that isn't bound to a volume yet can't grow.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    size: quantity.Quantity
    access_modes: tuple[str, ...] = ()
    storage_class: str = ""
    owners: tuple[Mapping[str, Any], ...] = ()
    is_bound: bool = False
    deletion_at: datetime | None = None


class Surroundings(msgspec.Struct, frozen=True):
    """What a cluster depends on without owning it, read anew for a pass.

    None always means that nobody knows: it wasn't needed, or couldn't be read.

    Attributes:
        is_openshift: Routes are served.
        has_account: the ServiceAccount that the user gave the head is there.
        has_claim: the claim of the embedded store is there; it is `claim`.
        claim_grows: the claim's storage class lets it grow.
        route: the head's Route, whoever controls it; None also when there is none.
    """

    is_openshift: bool | None = None
    has_account: bool | None = None
    has_claim: bool | None = None
    claim: Claim | None = None
    claim_grows: bool | None = None
    route: Meta | None = None


class Job(msgspec.Struct, frozen=True):
    """A Job; `is_finished` whatever its outcome.

    Attributes:
        ended_at: when it was complete or had failed for good; None before.
        failure: why it failed for good, as the Job controller says; empty unless it did.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    labels: Mapping[str, str]
    owner: Owner | None
    is_finished: bool = False
    ended_at: datetime | None = None
    failure: str = ""
    deletion_at: datetime | None = None


class ServicePort(msgspec.Struct, frozen=True):
    """One port of a Service; `target` is a number or a container port's name."""

    name: str
    port: int
    target: int | str
    node_port: int = 0


class Service(msgspec.Struct, frozen=True):
    """A Service; `cluster_ip` is `None` (the string) for a headless one.

    `selector` holds the labels of the Pods that it leads to.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    labels: Mapping[str, str]
    owner: Owner | None
    annotations: Mapping[str, str] = {}
    type: str = "ClusterIP"
    cluster_ip: str = ""
    ports: tuple[ServicePort, ...] = ()
    selector: Mapping[str, str] = {}
    deletion_at: datetime | None = None


class EndpointSlice(msgspec.Struct, frozen=True):
    """Some of the endpoints of a Service; `ready` holds the UIDs of the Pods that take requests.

    `owner` is whom the Service belongs to, by its labels; its UID isn't known.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    owner: Owner | None
    service: str = ""
    ready: frozenset[str] = frozenset()
