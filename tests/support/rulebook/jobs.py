"""Rules about RayJobs, RayServices and RayCronJobs."""

from ray_operator import names
from ray_operator.api.rules import Rule
from tests.support.rulebook.example import INCREMENTAL, REMOVED, Case, Json, template

SELECTOR = {"spec/clusterSelector": {names.CLUSTER_LABEL: "other"}}
SHUTDOWN = {"spec/shutdownAfterJobFinishes": True}
AUTOSCALING = {"spec/rayClusterSpec/enableInTreeAutoscaling": True}
STRATEGY = "spec/deletionStrategy"
RULES = f"{STRATEGY}/deletionRules"
STEPS = "spec/upgradeStrategy/clusterUpgradeOptions"


def _rule(policy: str, seconds: int = 0, **condition: str) -> Json:
    on = condition or {"jobStatus": "FAILED"}
    return {"policy": policy, "condition": {**on, "ttlSeconds": seconds}}


def _legacy(success: str, failure: str) -> Json:
    return {STRATEGY: {"onSuccess": {"policy": success}, "onFailure": {"policy": failure}}}


_RUNNING = (
    Case(
        Rule.JOB_CLUSTER,
        "RayJob",
        {**SELECTOR, "spec/rayClusterSpec": REMOVED},
        {"spec/rayClusterSpec": REMOVED},
        "spec.rayClusterSpec: is missing: describe a cluster, or name one in clusterSelector",
        "rayClusterSpec is missing",
    ),
    Case(
        Rule.JOB_CLUSTER,
        "RayJob",
        SELECTOR,
        {"spec/clusterSelector": {"name": "other"}},
        "spec.clusterSelector: has no ray.io/cluster: give the cluster's name under this key",
        "clusterSelector has no ray.io/cluster",
    ),
    Case(
        Rule.JOB_CLUSTER,
        "RayJob",
        {"spec/submissionMode": "SidecarMode"},
        {**SELECTOR, "spec/submissionMode": "SidecarMode"},
        "spec.submissionMode: can't be SidecarMode with clusterSelector, whose head Pod is made"
        " already",
        "submissionMode can't be SidecarMode with clusterSelector",
    ),
    Case(
        Rule.JOB_SUSPEND,
        "RayJob",
        {**SHUTDOWN, "spec/suspend": True},
        {**SHUTDOWN, **SELECTOR, "spec/suspend": True},
        "spec.suspend: can't be true with clusterSelector, whose cluster others may use",
        "suspend can't be true with clusterSelector",
    ),
    Case(
        Rule.JOB_SUSPEND,
        "RayJob",
        {"spec/suspend": False},
        {"spec/suspend": True},
        "spec.suspend: needs shutdownAfterJobFinishes: true, since suspending deletes the cluster",
        "suspend needs shutdownAfterJobFinishes",
    ),
    Case(
        Rule.JOB_RETRY,
        "RayJob",
        {"spec/backoffLimit": 2},
        {**SELECTOR, "spec/backoffLimit": 2},
        "spec.backoffLimit: must be 0 with clusterSelector: another attempt needs another cluster",
        "backoffLimit must be 0 with clusterSelector",
    ),
    Case(
        Rule.JOB_RETRY,
        "RayJob",
        {"spec/submissionMode": "InteractiveMode", "spec/entrypoint": REMOVED},
        {"spec/submissionMode": "InteractiveMode", "spec/backoffLimit": 1},
        "spec.backoffLimit: must be 0 in InteractiveMode: the operator can't submit another"
        " attempt",
        "backoffLimit must be 0 in InteractiveMode",
    ),
    Case(
        Rule.JOB_RETRY,
        "RayJob",
        {"spec/backoffLimit": 0},
        {"spec/backoffLimit": -1},
        "spec.backoffLimit: is -1: use 0 or more",
        "should be greater than or equal to 0",
    ),
    Case(
        Rule.JOB_SUBMISSION,
        "RayJob",
        {"spec/submissionMode": "HTTPMode"},
        {"spec/submissionMode": "Other"},
        "spec.submissionMode: 'Other' is unknown: use K8sJobMode, HTTPMode, InteractiveMode,"
        " SidecarMode",
        "Unsupported value",
    ),
    *(
        Case(
            Rule.JOB_SUBMITTER,
            "RayJob",
            {f"spec/{field}": value},
            {f"spec/{field}": value, "spec/submissionMode": "SidecarMode"},
            f"spec.{field}: has no effect in SidecarMode: remove it",
            "have no effect in SidecarMode",
        )
        for field, value in (
            ("submitterPodTemplate", template()),
            ("submitterConfig", {"backoffLimit": 1}),
        )
    ),
    Case(
        Rule.JOB_SUBMITTER,
        "RayJob",
        {
            "spec/submissionMode": "SidecarMode",
            "spec/rayClusterSpec/headGroupSpec/template/spec/restartPolicy": "Never",
        },
        {
            "spec/submissionMode": "SidecarMode",
            "spec/rayClusterSpec/headGroupSpec/template/spec/restartPolicy": "Always",
        },
        "spec.rayClusterSpec.headGroupSpec.template.spec.restartPolicy: is Always: in SidecarMode"
        " it must be Never, or unset",
        "restartPolicy of the head must be Never",
    ),
    Case(
        Rule.JOB_ENTRYPOINT,
        "RayJob",
        {
            "spec/entrypoint": REMOVED,
            "spec/submitterPodTemplate": template(command=["submit"]),
        },
        {"spec/entrypoint": REMOVED},
        "spec.entrypoint: is empty: give the command to run",
        "entrypoint is empty",
    ),
    Case(
        Rule.JOB_RESOURCES,
        "RayJob",
        {"spec/entrypointResources": '{"a": 0.5}'},
        {"spec/entrypointResources": '{"a": "b"}'},
        'spec.entrypointResources: {"a": "b"} is no JSON object of numbers: write it like'
        " '{\"name\": 1}'",
    ),
    Case(
        Rule.JOB_METADATA,
        "RayJob",
        {"spec/metadata": {"a": "b"}, "spec/rayClusterSpec/rayVersion": "2.6.0"},
        {"spec/metadata": {"a": "b"}, "spec/rayClusterSpec/rayVersion": "2.5.1"},
        "spec.metadata: needs Ray 2.6.0 or newer, but rayVersion is '2.5.1'",
        "metadata needs Ray 2.6.0",
    ),
    Case(
        Rule.JOB_RUNTIME_ENV,
        "RayJob",
        {"spec/runtimeEnvYAML": "pip: [requests]"},
        {"spec/runtimeEnvYAML": "foo"},
        "spec.runtimeEnvYAML: is no YAML mapping: write it like 'pip: [requests]'",
    ),
    Case(
        Rule.JOB_RUNTIME_ENV,
        "RayJob",
        {"spec/runtimeEnvYAML": "env_vars: {SINCE: 2024-13-45}"},
        {"spec/runtimeEnvYAML": "a: [b"},
        "spec.runtimeEnvYAML: is no YAML mapping: write it like 'pip: [requests]'",
    ),
    *(
        Case(
            Rule.JOB_DEADLINE,
            "RayJob",
            {f"spec/{field}": 1},
            {f"spec/{field}": 0},
            f"spec.{field}: is 0: use 1 or more seconds",
            "should be greater than or equal to 1",
        )
        for field in ("activeDeadlineSeconds", "preRunningDeadlineSeconds")
    ),
    Case(
        Rule.JOB_TTL,
        "RayJob",
        {**SHUTDOWN, "spec/ttlSecondsAfterFinished": 5},
        {"spec/ttlSecondsAfterFinished": 5},
        "spec.ttlSecondsAfterFinished: has no effect: set shutdownAfterJobFinishes to true, or"
        " remove it",
        "ttlSecondsAfterFinished has no effect",
    ),
    Case(
        Rule.JOB_TTL,
        "RayJob",
        {"spec/ttlSecondsAfterFinished": 0},
        {"spec/ttlSecondsAfterFinished": -5},
        "spec.ttlSecondsAfterFinished: is -5: use 0 or more seconds",
        "should be greater than or equal to 0",
    ),
)
_DELETION = (
    Case(
        Rule.JOB_DELETION,
        "RayJob",
        {RULES: [_rule("DeleteSelf")]},
        {**SHUTDOWN, RULES: [_rule("DeleteSelf")]},
        "spec.deletionStrategy.deletionRules: remove it, or shutdownAfterJobFinishes",
        "remove deletionStrategy.deletionRules, or shutdownAfterJobFinishes",
    ),
    Case(
        Rule.JOB_DELETION,
        "RayJob",
        _legacy("DeleteSelf", "DeleteNone"),
        {**_legacy("DeleteSelf", "DeleteNone"), RULES: [_rule("DeleteSelf")]},
        "spec.deletionStrategy.deletionRules: remove it, or onSuccess and onFailure",
        "give either deletionRules, or onSuccess and onFailure",
    ),
    Case(
        Rule.JOB_DELETION,
        "RayJob",
        {},
        {STRATEGY: {}},
        "spec.deletionStrategy: is empty: give deletionRules",
        "give deletionRules (or both",
    ),
    Case(
        Rule.JOB_DELETION,
        "RayJob",
        _legacy("DeleteCluster", "DeleteWorkers"),
        {STRATEGY: {"onSuccess": {"policy": "DeleteSelf"}}},
        "spec.deletionStrategy.onFailure: is missing: give both, or better deletionRules",
        "give deletionRules (or both",
    ),
    Case(
        Rule.JOB_DELETION,
        "RayJob",
        {},
        {STRATEGY: {"onSuccess": {"policy": "DeleteSelf"}, "onFailure": {}}},
        "spec.deletionStrategy.onFailure.policy: is missing: say what to delete",
        "policy is missing",
    ),
    Case(
        Rule.JOB_DELETION,
        "RayJob",
        {**SHUTDOWN, **_legacy("DeleteSelf", "DeleteSelf")},
        {**SHUTDOWN, **_legacy("DeleteSelf", "DeleteNone")},
        "spec.deletionStrategy.onFailure.policy: contradicts shutdownAfterJobFinishes: remove one"
        " of the two",
        "DeleteNone contradicts shutdownAfterJobFinishes",
    ),
    *(
        Case(
            Rule.JOB_DELETION,
            "RayJob",
            {**SELECTOR, **good},
            {**SELECTOR, **bad},
            f"spec.deletionStrategy.{path}.policy: can't be DeleteCluster with clusterSelector,"
            " whose cluster others may use",
            "policy can't be DeleteCluster or DeleteWorkers with clusterSelector",
        )
        for good, bad, path in (
            ({RULES: [_rule("DeleteSelf")]}, {RULES: [_rule("DeleteCluster")]}, "deletionRules[0]"),
            (
                _legacy("DeleteSelf", "DeleteNone"),
                _legacy("DeleteCluster", "DeleteNone"),
                "onSuccess",
            ),
        )
    ),
    Case(
        Rule.JOB_DELETION,
        "RayJob",
        {**AUTOSCALING, RULES: [_rule("DeleteCluster")]},
        {**AUTOSCALING, RULES: [_rule("DeleteWorkers")]},
        "spec.deletionStrategy.deletionRules[0].policy: can't be DeleteWorkers with autoscaling,"
        " which deletes them itself",
        "policy can't be DeleteWorkers with autoscaling",
    ),
    *(
        Case(
            Rule.JOB_DELETION,
            "RayJob",
            {RULES: [_rule("DeleteSelf", jobDeploymentStatus="Failed")]},
            {RULES: [{"policy": "DeleteSelf", "condition": condition}]},
            "spec.deletionStrategy.deletionRules[0].condition: give either jobStatus or"
            " jobDeploymentStatus",
            "give either jobStatus or jobDeploymentStatus",
        )
        for condition in ({}, {"jobStatus": "FAILED", "jobDeploymentStatus": "Failed"})
    ),
    Case(
        Rule.JOB_DELETION,
        "RayJob",
        {RULES: [_rule("DeleteSelf", 0)]},
        {RULES: [_rule("DeleteSelf", -1)]},
        "spec.deletionStrategy.deletionRules[0].condition.ttlSeconds: is -1: use 0 or more seconds",
        "should be greater than or equal to 0",
    ),
    Case(
        Rule.JOB_DELETION,
        "RayJob",
        {RULES: [_rule("DeleteSelf"), _rule("DeleteSelf", jobStatus="SUCCEEDED")]},
        {RULES: [_rule("DeleteSelf"), _rule("DeleteSelf", 9)]},
        "spec.deletionStrategy.deletionRules[0]: DeleteSelf appears twice for one condition: keep"
        " one",
        "a policy appears twice for one condition",
    ),
    *(
        Case(
            Rule.JOB_DELETION,
            "RayJob",
            {RULES: [_rule(first, 5), _rule(later, 5)]},
            {RULES: [_rule(first, 6), _rule(later, 5)]},
            f"spec.deletionStrategy.deletionRules[0].condition.ttlSeconds: is 6, after {later} at"
            " 5: use at most 5",
            f"ttlSeconds of {first} must not be above",
        )
        for first, later in (
            ("DeleteWorkers", "DeleteCluster"),
            ("DeleteWorkers", "DeleteSelf"),
            ("DeleteCluster", "DeleteSelf"),
        )
    ),
)
_SERVICES = (
    Case(
        Rule.SERVICE_TIMEOUT,
        "RayService",
        {"metadata/annotations": {"ray.io/initializing-timeout": "1h30m"}},
        {"metadata/annotations": {"ray.io/initializing-timeout": "-5m"}},
        "metadata.annotations[ray.io/initializing-timeout]: '-5m' is no positive duration of at"
        " most 292 years: write it like 30s, 5m or 300",
    ),
    Case(
        Rule.SERVICE_TIMEOUT,
        "RayService",
        {"metadata/annotations": {"ray.io/initializing-timeout": "9223372036"}},
        {"metadata/annotations": {"ray.io/initializing-timeout": "9223372037"}},
        "metadata.annotations[ray.io/initializing-timeout]: '9223372037' is no positive duration of"
        " at most 292 years: write it like 30s, 5m or 300",
    ),
    Case(
        Rule.SERVICE_CONFIG,
        "RayService",
        {},
        {"spec/serveConfigV2": "foo"},
        "spec.serveConfigV2: is no YAML mapping: give Serve's configuration, 'applications: [...]'",
    ),
    Case(
        Rule.SERVICE_CONFIG,
        "RayService",
        {},
        {"spec/serveConfigV2": "a: [b"},
        "spec.serveConfigV2: is no YAML mapping: give Serve's configuration, 'applications: [...]'",
    ),
    Case(
        Rule.SERVICE_CONFIG,
        "RayService",
        {},
        {"spec/serveConfigV2": ""},
        "spec.serveConfigV2: lists no applications: nothing is deployed",
        warns=True,
    ),
    Case(
        Rule.SERVICE_UPGRADE,
        "RayService",
        {"spec/upgradeStrategy": {"type": "None"}},
        {"spec/upgradeStrategy": {"type": "Rolling"}},
        "spec.upgradeStrategy.type: 'Rolling' is unknown: use NewCluster, None,"
        " NewClusterWithIncrementalUpgrade",
        "Unsupported value",
    ),
    Case(
        Rule.SERVICE_UPGRADE,
        "RayService",
        INCREMENTAL,
        {**INCREMENTAL, STEPS: REMOVED},
        "spec.upgradeStrategy.clusterUpgradeOptions: is missing: give stepSizePercent,"
        " intervalSeconds and gatewayClassName",
        "clusterUpgradeOptions is missing",
    ),
    Case(
        Rule.SERVICE_UPGRADE,
        "RayService",
        INCREMENTAL,
        {**INCREMENTAL, "spec/rayClusterConfig/enableInTreeAutoscaling": False},
        "spec.rayClusterConfig.enableInTreeAutoscaling: must be true for"
        " NewClusterWithIncrementalUpgrade, which scales both clusters",
        "enableInTreeAutoscaling must be true",
    ),
    *(
        Case(
            Rule.SERVICE_UPGRADE,
            "RayService",
            {**INCREMENTAL, f"{STEPS}/{field}": good},
            {**INCREMENTAL, f"{STEPS}/{field}": bad},
            f"spec.upgradeStrategy.clusterUpgradeOptions.{field}: {message}",
            words,
        )
        for field, good, bad, message, words in (
            ("maxSurgePercent", 10, 0, "is 0: use 1 to 100", "maxSurgePercent must be 1 to 100"),
            ("stepSizePercent", 1, 0, "is 0: use 1 to 100", "stepSizePercent must be 1 to 100"),
            (
                "maxSurgePercent",
                10,
                101,
                "is 101: use 1 to 100",
                "maxSurgePercent must be 1 to 100",
            ),
            ("intervalSeconds", 1, 0, "is 0: use 1 or more seconds", "intervalSeconds must be"),
            ("gatewayClassName", "a", "", "is empty: name a GatewayClass", "gatewayClassName is"),
        )
    ),
    Case(
        Rule.SERVICE_UPGRADE,
        "RayService",
        {**INCREMENTAL, f"{STEPS}/maxSurgePercent": 10},
        {**INCREMENTAL, f"{STEPS}/maxSurgePercent": 9},
        "spec.upgradeStrategy.clusterUpgradeOptions.stepSizePercent: is 10, above maxSurgePercent"
        " 9: lower it, or raise maxSurgePercent",
        "stepSizePercent is above maxSurgePercent",
    ),
    Case(
        Rule.SERVICE_UPGRADE,
        "RayService",
        {
            "spec/upgradeStrategy": {
                "type": "NewCluster",
                "clusterUpgradeOptions": {
                    "stepSizePercent": 0,
                    "intervalSeconds": 0,
                    "gatewayClassName": "",
                },
            }
        },
        {"spec/upgradeStrategy": {"type": "NewClusterWithIncrementalUpgrade"}},
        "spec.upgradeStrategy.clusterUpgradeOptions: is missing: give stepSizePercent,"
        " intervalSeconds and gatewayClassName",
        "clusterUpgradeOptions is missing",
    ),
    Case(
        Rule.SERVICE_HEAD_NAME,
        "RayService",
        {"spec/rayClusterConfig/headGroupSpec/headService": {"metadata": {"labels": {"a": "b"}}}},
        {"spec/rayClusterConfig/headGroupSpec/headService": {"metadata": {"name": "a"}}},
        "spec.rayClusterConfig.headGroupSpec.headService.metadata.name: remove it: two clusters"
        " live at once during an upgrade",
        "remove the name of headService",
    ),
    Case(
        Rule.SERVICE_DELETION_DELAY,
        "RayService",
        {"spec/rayClusterDeletionDelaySeconds": 0},
        {"spec/rayClusterDeletionDelaySeconds": -1},
        "spec.rayClusterDeletionDelaySeconds: is -1: use 0 or more seconds",
        "should be greater than or equal to 0",
    ),
)
_CRON_JOBS = (
    *(
        Case(
            Rule.CRON_SCHEDULE,
            "RayCronJob",
            {"spec/schedule": good},
            {"spec/schedule": bad},
            f"spec.schedule: {message}",
        )
        for good, bad, message in (
            (
                "*/5 8-18 ? JAN-mar,6 mon",
                "TZ=UTC 0 4 * * *",
                "holds a time zone: give it in timeZone",
            ),
            (
                "@daily",
                "0 4 * *",
                (
                    "'0 4 * *' has 4 fields: give minute, hour, day of the month,"
                    " month and day of the week"
                ),
            ),
            ("0 4 * * 0", "0 4 * * 7", "'7' is no day of the week: it goes from 0 to 6, upwards"),
            (
                "@every 90s",
                "@every 30s",
                "'@every 30s' is below a minute, the shortest time between two runs",
            ),
        )
    ),
    Case(
        Rule.CRON_TIME_ZONE,
        "RayCronJob",
        {"spec/timeZone": "Europe/Berlin"},
        {"spec/timeZone": "Local"},
        "spec.timeZone: 'Local' is unknown: use an IANA name such as Europe/Berlin or Etc/UTC",
    ),
    Case(
        Rule.CRON_JOB_ID,
        "RayCronJob",
        {"spec/jobTemplate/jobId": "a"},
        {
            "spec/jobTemplate/jobId": "a",
            "spec/jobTemplate/clusterSelector": {names.CLUSTER_LABEL: "a"},
        },
        "spec.jobTemplate.jobId: is the same for all runs on one cluster: the second finds the"
        " first one's job",
        warns=True,
    ),
    Case(
        Rule.JOB_SUSPEND,
        "RayCronJob",
        {"spec/jobTemplate/suspend": False},
        {"spec/jobTemplate/suspend": True},
        "spec.jobTemplate.suspend: needs shutdownAfterJobFinishes: true, since suspending deletes"
        " the cluster",
        "suspend needs shutdownAfterJobFinishes",
    ),
)
CASES: tuple[Case, ...] = (*_RUNNING, *_DELETION, *_SERVICES, *_CRON_JOBS)
