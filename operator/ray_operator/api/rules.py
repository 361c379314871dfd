"""The rules of the API by name, and the form of what breaks them.

Owns: the one table of rules. Does not own: the rules themselves: `cel` holds those that the API
server checks, `validation` all of them for what passes by it (older CRDs, objects stored earlier,
`ray-operator validate`). Invariant: each rule has a good and a bad manifest in the tests.
"""

import enum
from typing import NamedTuple


class Rule(enum.StrEnum):
    """What a resource must hold to; the value is what users see."""

    # Any kind.
    NAME_LENGTH = "name-length"
    NAME_FORM = "name-form"
    MANAGED_BY = "managed-by"
    FEATURE_GATE = "feature-gate"
    FORM = "form"
    # Groups of a cluster, and their Pods.
    CONTAINERS = "containers"
    CONTAINER_NAME = "container-name"
    CONTAINER_PORT = "container-port"
    QUANTITY = "quantity"
    RAY_RESOURCES = "ray-resources"
    CUSTOM_RESOURCES = "custom-resources"
    RAY_LABELS = "ray-labels"
    LABELS = "labels"
    GROUP_NAME = "group-name"
    REPLICAS = "replicas"
    GROUP_SUSPEND = "group-suspend"
    # Autoscaling.
    GROUP_IDLE_TIMEOUT = "group-idle-timeout"
    GROUP_PRIORITY = "group-priority"
    AUTOSCALER_IDLE_TIMEOUT = "autoscaler-idle-timeout"
    AUTOSCALER_VERSION = "autoscaler-version"
    AUTOSCALER_ENV = "autoscaler-env"
    AUTOSCALER_PORT = "autoscaler-port"
    AUTOSCALER_RESTART_POLICY = "autoscaler-restart-policy"
    # GCS fault tolerance.
    FT_ANNOTATIONS = "ft-annotations"
    FT_OFF = "ft-off"
    FT_BACKEND = "ft-backend"
    FT_STORAGE = "ft-storage"
    REDIS_ADDRESS = "redis-address"
    REDIS_USERNAME = "redis-username"
    REDIS_PASSWORD = "redis-password"
    # Other blocks of a cluster.
    UPGRADE_STRATEGY = "upgrade-strategy"
    AUTH = "auth"
    NETWORK_POLICY = "network-policy"
    TLS = "tls"
    HISTORY_SERVER = "history-server"
    SERVE_PORT = "serve-port"
    # RayJob.
    JOB_CLUSTER = "job-cluster"
    JOB_ENTRYPOINT = "job-entrypoint"
    JOB_RESOURCES = "job-resources"
    JOB_METADATA = "job-metadata"
    JOB_RUNTIME_ENV = "job-runtime-env"
    JOB_SUBMISSION = "job-submission"
    JOB_SUSPEND = "job-suspend"
    JOB_RETRY = "job-retry"
    JOB_DEADLINE = "job-deadline"
    JOB_TTL = "job-ttl"
    JOB_DELETION = "job-deletion"
    JOB_SUBMITTER = "job-submitter"
    # RayService.
    SERVICE_TIMEOUT = "service-timeout"
    SERVICE_CONFIG = "service-config"
    SERVICE_UPGRADE = "service-upgrade"
    SERVICE_HEAD_NAME = "service-head-name"
    SERVICE_DELETION_DELAY = "service-deletion-delay"
    # RayCronJob.
    CRON_SCHEDULE = "cron-schedule"
    CRON_TIME_ZONE = "cron-time-zone"
    CRON_JOB_ID = "cron-job-id"


class FieldError(NamedTuple):
    """One rule broken: `path` as in `spec.workerGroupSpecs[0].groupName`.

    The message reads on from the path, and says what to do. Of a rule that only warns, it is a
    warning: work goes on.
    """

    path: str
    message: str
    rule: Rule

    def __str__(self) -> str:
        """Write as one line."""
        return f"{self.path}: {self.message}"
