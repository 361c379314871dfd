"""The option blocks of a RayCluster: models of what users may switch on besides the groups.

Owns: their fields. Does not own: what they do (`raycluster`) or rules across fields (`validate`).
Source: KubeRay 1.7, `ray.io/v1` RayClusterSpec.
"""

from pydantic import Field
from pydantic.config import JsonDict

from ray_operator.api import kubernetes
from ray_operator.api.base import CountOrPercent, Model, NonNegative, Quantity, list_map, one_of

VARIABLES: JsonDict = {"maxItems": kubernetes.VARIABLES}
GROUPS = 500
"""More worker groups than any cluster has; a bound lets the API server price rules over them."""


class AutoscalerOptions(Model):
    """How the cluster's workers are scaled; ignored unless autoscaling is on."""

    version: str | None = Field(None, json_schema_extra=one_of("v1", "v2"))
    """v1 asks for Ray's own autoscaler. v2, or unset, leaves scaling to the operator, and to that
    version of Ray's own where that is asked for otherwise."""
    idle_timeout_seconds: NonNegative | None = None
    """Seconds without work after which a worker is removed; 60 when unset."""
    upscaling_mode: str | None = Field(
        None, json_schema_extra=one_of("Default", "Aggressive", "Conservative")
    )
    """How fast workers are added; Aggressive is another name for Default."""
    image: str | None = None
    """Image of the autoscaler sidecar; the Ray container's when unset."""
    image_pull_policy: str | None = None
    """Pull policy of the sidecar's image; IfNotPresent when unset."""
    resources: kubernetes.ResourceRequirements | None = None
    """Resources of the sidecar; replaces the default as a whole."""
    security_context: kubernetes.SecurityContext | None = None
    """Security context of the sidecar."""
    env: list[kubernetes.EnvVar] = Field(default_factory=list, json_schema_extra=VARIABLES)
    """Environment variables appended to the sidecar's."""
    env_from: list[kubernetes.EnvFrom] = Field(default_factory=list)
    """Environment sources appended to the sidecar's."""
    volume_mounts: list[kubernetes.VolumeMount] = Field(
        default_factory=list, json_schema_extra=VARIABLES
    )
    """Volume mounts appended to the sidecar's."""
    command: list[str] = Field(default_factory=list)
    """Command of the sidecar, replacing the generated one."""
    args: list[str] = Field(default_factory=list)
    """Arguments of the sidecar, replacing the generated ones."""


class IdleTerminationOptions(Model):
    """What happens to a cluster in which nothing goes on: no driver, actor or task."""

    timeout_seconds: NonNegative | None = None
    """Seconds of that after which it happens; never when unset."""
    policy: str | None = Field(None, json_schema_extra=one_of("Suspend", "Delete"))
    """Suspend stops all Pods, Delete deletes the RayCluster; Suspend when unset."""


class RedisCredential(Model):
    """A Redis user name or password, given or referenced."""

    value: str | None = None
    """The value itself."""
    value_from: kubernetes.EnvVarSource | None = None
    """Where the value comes from, as in a container's env."""


class GcsStorage(Model):
    """The volume of an embedded GCS store (backend rocksdb)."""

    claim_name: str | None = None
    """An existing PersistentVolumeClaim, which the operator then never touches."""
    size: Quantity | None = None
    """Size of the claim to make; 1Gi when unset."""
    storage_class_name: str | None = None
    """Storage class of the claim to make."""
    access_modes: list[str] = Field(default_factory=list)
    """Access modes of the claim to make; ReadWriteOnce when unset."""
    sub_path: str | None = None
    """Directory within the volume."""
    deletion_policy: str | None = Field(
        None, json_schema_extra=one_of("DeleteWithCluster", "Retain")
    )
    """What happens to the claim when the cluster goes; DeleteWithCluster when unset."""


class GcsFaultToleranceOptions(Model):
    """Where the head's state survives a restart; giving the block switches it on."""

    backend: str | None = Field(None, json_schema_extra=one_of("redis", "rocksdb"))
    """Where the state is kept; redis when unset."""
    redis_address: str | None = None
    """Address of the Redis server, host:port."""
    redis_username: RedisCredential | None = None
    """User name at the Redis server."""
    redis_password: RedisCredential | None = None
    """Password at the Redis server."""
    external_storage_namespace: str | None = None
    """Key namespace within Redis; the cluster's UID when unset."""
    storage: GcsStorage | None = None
    """The volume of the embedded store (backend rocksdb)."""


RECREATE = "Recreate"
ROLLING_UPDATE = "RollingUpdate"
UPGRADE_TYPES = (RECREATE, "None", ROLLING_UPDATE)
REPLACE_HEAD = ("IfStateSurvives", "Always", "Never")


class RollingUpdate(Model):
    """How the Pods of changed groups are replaced. The defaults are those of a Deployment."""

    max_unavailable: CountOrPercent | None = None
    """How many replicas of a group may be missing or not ready, of those it shall have; a
    percentage is rounded down. 25% when unset."""
    max_surge: CountOrPercent | None = None
    """How many replicas a group may have beyond those it shall have; a percentage is rounded up.
    25% when unset."""
    replace_head: str | None = Field(None, json_schema_extra=one_of(*REPLACE_HEAD))
    """Whether a changed head is replaced, after the workers: IfStateSurvives (also when unset) if
    GCS fault tolerance keeps what it knows; Always, which ends jobs and actors; Never."""


class UpgradeStrategy(Model):
    """What a change of the spec does to running Pods."""

    type: str | None = Field(None, json_schema_extra=one_of(*UPGRADE_TYPES))
    """Recreate replaces all Pods at once, RollingUpdate those of changed groups bit by bit; None
    (also when unset) leaves them running."""
    rolling_update: RollingUpdate | None = None
    """How a RollingUpdate proceeds."""


class AuthOptions(Model):
    """How callers of Ray authenticate."""

    mode: str | None = Field(None, json_schema_extra=one_of("disabled", "token"))
    """Whether a token is asked for."""
    secret_name: str | None = None
    """An existing Secret with the token under the key auth_token."""
    enable_k8s_token_auth: bool | None = Field(None, alias="enableK8sTokenAuth")
    """Accept Kubernetes tokens instead of a secret of the cluster."""


class NetworkPolicyRules(Model):
    """Additional traffic to allow for some Pods."""

    ingress_rules: list[kubernetes.IngressRule] = Field(default_factory=list)
    """Allowed incoming traffic, as in a NetworkPolicy."""
    egress_rules: list[kubernetes.EgressRule] = Field(default_factory=list)
    """Allowed outgoing traffic, as in a NetworkPolicy."""


class NetworkPolicyGroup(NetworkPolicyRules):
    """Additional traffic to allow for one worker group."""

    group_name: str = Field(json_schema_extra={"maxLength": 63})
    """The worker group."""


class NetworkPolicyOptions(Model):
    """Which traffic of the cluster's Pods is denied."""

    mode: str = Field(
        "DenyAll", json_schema_extra=one_of("DenyAll", "DenyAllIngress", "DenyAllEgress")
    )
    """The directions to deny."""
    head: NetworkPolicyRules | None = None
    """Exceptions for the head."""
    worker: NetworkPolicyRules | None = None
    """Exceptions for all workers."""
    worker_groups: list[NetworkPolicyGroup] = Field(
        default_factory=list, json_schema_extra=list_map("groupName", max_items=GROUPS)
    )
    """Exceptions for single worker groups."""


class TlsOptions(Model):
    """Mutual TLS between the nodes of the cluster."""

    enabled: bool | None = None
    """Whether it is on."""


class CollectorOptions(Model):
    """The sidecar that collects logs and events for the history server."""

    image: str | None = None
    """Image of the sidecar (required)."""
    image_pull_policy: str | None = None
    """Pull policy of the image; IfNotPresent when unset."""
    resources: kubernetes.ResourceRequirements | None = None
    """Resources of the sidecar; replaces the default as a whole."""
    env: list[kubernetes.EnvVar] = Field(default_factory=list, json_schema_extra=VARIABLES)
    """Environment variables of the sidecar, the storage backend's among them."""


class HistoryServerOptions(Model):
    """What is kept of the cluster for the history server."""

    collector_options: CollectorOptions | None = None
    """The collecting sidecar."""


class IngressOptions(Model):
    """How the head's dashboard is exposed by an Ingress."""

    host: str | None = None
    """Host of the rule; any host when unset."""
    path: str | None = None
    """Path of the rule; / when unset."""
    path_type: str | None = Field(
        None, json_schema_extra=one_of("Exact", "Prefix", "ImplementationSpecific")
    )
    """How the path is matched; Prefix when unset."""
    tls: list[kubernetes.IngressTLS] = Field(default_factory=list)
    """TLS blocks, as in an Ingress."""
