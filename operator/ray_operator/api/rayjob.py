"""The RayJob models: a command that Ray runs, the cluster it runs on, and what is left of them.

Owns: the fields of `ray.io/v1` RayJob and their defaults. Does not own: rules across fields
(`validation.rayjob`). Source: KubeRay 1.7, `ray.io/v1`.
"""

from typing import Literal

from pydantic import Field

from ray_operator.api import kubernetes
from ray_operator.api.base import Model, NonNegative, Positive, Resource, one_of
from ray_operator.api.raycluster import MANAGED_BY, RayClusterSpec

SUBMISSION_MODES = ("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode")
DELETION_POLICIES = ("DeleteCluster", "DeleteWorkers", "DeleteSelf", "DeleteNone")
RULES = 16
"""More deletion rules than can differ: four policies for three conditions."""


class SubmitterConfig(Model):
    """How the Pod that submits the job behaves."""

    backoff_limit: NonNegative | None = None
    """Attempts after the first; 2 when unset."""


class DeletionCondition(Model):
    """When a deletion rule applies: one of the two statuses, and how long after it."""

    job_status: str | None = Field(None, json_schema_extra=one_of("SUCCEEDED", "FAILED"))
    """What became of the Ray job."""
    job_deployment_status: str | None = Field(None, json_schema_extra=one_of("Failed"))
    """What became of the RayJob."""
    ttl_seconds: NonNegative = 0
    """Seconds from the end of the job until the rule applies."""


class DeletionRule(Model):
    """What to delete, and when."""

    policy: str = Field(json_schema_extra=one_of(*DELETION_POLICIES))
    """What to delete: the cluster, its workers, this resource with all it made, or nothing."""
    condition: DeletionCondition
    """When to delete it."""


class DeletionPolicy(Model):
    """What to delete (deprecated: use deletionRules)."""

    policy: str | None = Field(None, json_schema_extra=one_of(*DELETION_POLICIES))
    """What to delete (required)."""


class DeletionStrategy(Model):
    """What is deleted once the job has ended: either by rules, or both of the older fields."""

    on_success: DeletionPolicy | None = None
    """Deprecated: what to delete after success."""
    on_failure: DeletionPolicy | None = None
    """Deprecated: what to delete after failure."""
    deletion_rules: list[DeletionRule] = Field(
        default_factory=list, json_schema_extra={"minItems": 1, "maxItems": RULES}
    )
    """What to delete, step by step."""


class RayJobSpec(Model):
    """What shall run, and where."""

    entrypoint: str = ""
    """Shell command of the job."""
    runtime_env_yaml: str = Field("", alias="runtimeEnvYAML")
    """Ray's runtime environment as YAML: packages, variables, working directory."""
    job_id: str = ""
    """Ray's submission id; generated when unset. In InteractiveMode, the job to follow."""
    metadata: dict[str, str] = Field(default_factory=dict)
    """Metadata of the Ray job."""
    submission_mode: str = Field("K8sJobMode", json_schema_extra=one_of(*SUBMISSION_MODES))
    """Who submits: a Kubernetes Job, the operator, the user, or a container in the head Pod."""
    entrypoint_num_cpus: float | None = None
    """CPUs that Ray reserves for the entrypoint."""
    entrypoint_num_gpus: float | None = None
    """GPUs that Ray reserves for the entrypoint."""
    entrypoint_resources: str = ""
    """Custom resources that Ray reserves for the entrypoint, as a JSON object of numbers."""
    ray_cluster_spec: RayClusterSpec | None = None
    """The cluster to make for the job."""
    cluster_selector: dict[str, str] = Field(default_factory=dict)
    """The cluster to use instead: its name under the key ray.io/cluster."""
    submitter_pod_template: kubernetes.PodTemplate | None = None
    """Template of the Pod that submits, in K8sJobMode; made of the head's when unset."""
    submitter_config: SubmitterConfig | None = None
    """How that Pod behaves."""
    backoff_limit: NonNegative = 0
    """Further attempts after a failed one, each on a new cluster."""
    active_deadline_seconds: Positive | None = None
    """Seconds that an attempt may take."""
    pre_running_deadline_seconds: Positive | None = None
    """Seconds that an attempt may take until the job runs."""
    shutdown_after_job_finishes: bool | None = None
    """Whether the cluster is deleted once the job has ended."""
    ttl_seconds_after_finished: NonNegative = 0
    """Seconds until then."""
    deletion_strategy: DeletionStrategy | None = None
    """What is deleted once the job has ended, in detail."""
    suspend: bool | None = None
    """Whether to keep no cluster and run nothing."""
    managed_by: str | None = Field(None, json_schema_extra=MANAGED_BY)
    """Who reconciles this resource; unset means this operator."""


class RayJob(Resource):
    """A job on Ray."""

    kind: Literal["RayJob"] = "RayJob"
    spec: RayJobSpec
