"""Rules about any kind, and about the groups of a cluster and their scaling."""

from ray_operator import features
from ray_operator.api.rules import Rule
from tests.support.rulebook.example import (
    CLUSTER,
    FT,
    GROUP,
    HEAD,
    HEAD_ENV,
    INCREMENTAL,
    LABEL,
    ON,
    OPTIONS,
    PLAIN,
    REMOVED,
    S3,
    V1,
    V2,
    Case,
    env,
    template,
)

CASES: tuple[Case, ...] = (
    # Any kind.
    *(
        Case(
            Rule.NAME_LENGTH,
            kind,
            {"metadata/name": "a" * most},
            {"metadata/name": "a" * (most + 1)},
            f"metadata.name: is {most + 1} characters long: use at most {most}, since names of"
            " Services are made of it",
            f"metadata.name must have at most {most} characters",
        )
        for kind, most in (
            ("RayCluster", 53),
            ("RayJob", 47),
            ("RayService", 47),
            ("RayCronJob", 36),
        )
    ),
    *(
        Case(
            Rule.NAME_FORM,
            kind,
            {"metadata/name": "a1"},
            {"metadata/name": "1a"},
            "metadata.name: '1a' must start with a lower-case letter, end with a letter or digit,"
            " and hold only lower-case letters, digits and '-'",
            "metadata.name must start with a lower-case letter",
        )
        for kind in PLAIN
    ),
    Case(
        Rule.FEATURE_GATE,
        "RayCluster",
        {},
        {"spec/networkPolicy": {"mode": "DenyAll"}},
        "spec.networkPolicy: isn't built yet: remove it (feature gate RayClusterNetworkPolicy)",
        gates=features.DEFAULT,
    ),
    Case(
        Rule.FEATURE_GATE,
        "RayCluster",
        {},
        {"spec/tlsOptions": {"enabled": False}},
        "spec.tlsOptions: isn't built yet: remove it (feature gate RayClusterMTLS)",
        gates=features.DEFAULT,
    ),
    Case(
        Rule.FEATURE_GATE,
        "RayCluster",
        {},
        {"spec/historyServerOptions": {"collectorOptions": S3}},
        "spec.historyServerOptions: isn't built yet: remove it"
        " (feature gate RayClusterHistoryServer)",
        gates=features.DEFAULT,
    ),
    Case(
        Rule.FEATURE_GATE,
        "RayCluster",
        {FT: {"backend": "redis"}},
        {FT: {"backend": "rocksdb"}},
        "spec.gcsFaultToleranceOptions.backend: rocksdb needs the feature gate"
        " GCSFaultToleranceEmbeddedStorage",
        gates=features.DEFAULT,
    ),
    Case(
        Rule.FEATURE_GATE,
        "RayCluster",
        {f"{GROUP}/suspend": False},
        {f"{GROUP}/suspend": True},
        "spec.workerGroupSpecs[0].suspend: needs the feature gate RayJobDeletionPolicy",
        gates=frozenset(),
    ),
    Case(
        Rule.FEATURE_GATE,
        "RayJob",
        {},
        {
            "spec/deletionStrategy/deletionRules": [
                {"policy": "DeleteSelf", "condition": {"jobStatus": "FAILED"}}
            ]
        },
        "spec.deletionStrategy: needs the feature gate RayJobDeletionPolicy",
        gates=frozenset(),
    ),
    Case(
        Rule.FEATURE_GATE,
        "RayService",
        {},
        INCREMENTAL,
        "spec.upgradeStrategy.type: never upgrades without the feature gate"
        " RayServiceIncrementalUpgrade",
        warns=True,
        gates=frozenset(),
    ),
    *(
        Case(Rule.FORM, kind, good, bad, says, "must be of type")
        for kind, good, bad, says in (
            (
                "RayCluster",
                {HEAD_ENV: env("A")},
                {HEAD_ENV: "A"},
                "spec.headGroupSpec.template.spec.containers[0].env: must be a list",
            ),
            (
                "RayCluster",
                {f"{GROUP}/template/spec/volumes": [{"name": "a"}]},
                {f"{GROUP}/template/spec/volumes": ["a"]},
                ("spec.workerGroupSpecs[0].template.spec.volumes[0]: must be an object of fields"),
            ),
            (
                "RayCluster",
                {OPTIONS: {"env": env("A")}},
                {OPTIONS: {"env": [{"name": 1}]}},
                "spec.autoscalerOptions.env[0].name: must be a text",
            ),
            (
                "RayJob",
                {"spec/submitterPodTemplate": template(command=["a"])},
                {"spec/submitterPodTemplate": template(command="a")},
                "spec.submitterPodTemplate.spec.containers[0].command: must be a list",
            ),
            (
                "RayService",
                {"spec/serveService": {"metadata": {"labels": {}}}},
                {"spec/serveService": {"metadata": "a"}},
                "spec.serveService.metadata: must be an object of fields",
            ),
            (
                "RayCronJob",
                {},
                {"spec/jobTemplate/rayClusterSpec/headGroupSpec/headService": {"spec": []}},
                (
                    "spec.jobTemplate.rayClusterSpec.headGroupSpec.headService.spec: must be an"
                    " object of fields"
                ),
            ),
        )
    ),
    # Groups.
    Case(
        Rule.CONTAINERS,
        "RayCluster",
        {},
        {f"{GROUP}/template/spec/containers": []},
        "spec.workerGroupSpecs[0].template.spec.containers: is empty: add the container that runs"
        " Ray",
        "spec.workerGroupSpecs[0].template.spec.containers",
    ),
    Case(
        Rule.CONTAINERS,
        "RayJob",
        {"spec/submitterPodTemplate": template()},
        {"spec/submitterPodTemplate": {"spec": {"containers": []}}},
        "spec.submitterPodTemplate.spec.containers: is empty: add the container that submits",
        "submitterPodTemplate has no container",
    ),
    Case(
        Rule.CONTAINER_NAME,
        "RayCluster",
        {f"{HEAD}/template/spec/containers/0/name": "ray"},
        {f"{HEAD}/template/spec/containers/0/name": REMOVED},
        "spec.headGroupSpec.template.spec.containers[0].name: is empty: name the container",
        "spec.headGroupSpec.template.spec.containers[0].name: Required",
    ),
    Case(
        Rule.CONTAINER_PORT,
        "RayCluster",
        {f"{HEAD}/template/spec/containers/0/ports": [{"containerPort": 1}]},
        {f"{HEAD}/template/spec/containers/0/ports": [{"name": "a"}]},
        "spec.headGroupSpec.template.spec.containers[0].ports[0].containerPort: must be a port"
        " number",
        "containerPort: Required",
    ),
    Case(
        Rule.QUANTITY,
        "RayCluster",
        {f"{HEAD}/template/spec/containers/0/resources": {"limits": {"cpu": "500m"}}},
        {f"{HEAD}/template/spec/containers/0/resources": {"limits": {"cpu": "many"}}},
        "spec.headGroupSpec.template.spec.containers[0].resources.limits[cpu]: 'many' is not a"
        " quantity such as 500m, 2 or 4Gi",
        "resources.limits.cpu",
    ),
    *(
        Case(
            Rule.RAY_RESOURCES,
            "RayCluster",
            {f"{path}/resources": {"CPU": "1"}, f"{path}/rayStartParams": {"num-cpus": ""}},
            {f"{path}/resources": {"CPU": "1"}, f"{path}/rayStartParams": {"num-cpus": "1"}},
            f"{words}.resources: contradicts rayStartParams num-cpus: keep one of the two",
            "resources contradicts",
        )
        for path, words in ((HEAD, "spec.headGroupSpec"), (GROUP, "spec.workerGroupSpecs[0]"))
    ),
    Case(
        Rule.CUSTOM_RESOURCES,
        "RayCluster",
        {f"{HEAD}/rayStartParams": {"resources": '{"a": 1}'}},
        {f"{HEAD}/rayStartParams": {"resources": "{a: 1}"}},
        "spec.headGroupSpec.rayStartParams.resources: {a: 1} is no JSON object of numbers: write"
        " it like '{\"name\": 1}'",
    ),
    Case(
        Rule.RAY_LABELS,
        "RayCluster",
        {f"{HEAD}/labels": {"a": "b"}},
        {f"{HEAD}/rayStartParams": {"labels": ""}},
        "spec.headGroupSpec.rayStartParams.labels: move the labels to the field"
        " spec.headGroupSpec.labels",
        "move the labels of rayStartParams to the field labels",
    ),
    Case(
        Rule.LABELS,
        "RayCluster",
        {f"{HEAD}/labels": {"example.com/a": "b"}},
        {f"{HEAD}/labels": {"example.com/-a": "b"}},
        f"spec.headGroupSpec.labels[example.com/-a]: the key {LABEL}; a DNS name and '/' may"
        " precede it",
        "a key of labels must be",
    ),
    Case(
        Rule.LABELS,
        "RayCluster",
        {f"{HEAD}/labels": {"a": ""}},
        {f"{HEAD}/labels": {"a": "b c"}},
        f"spec.headGroupSpec.labels[a]: the value 'b c' {LABEL}",
        "spec.headGroupSpec.labels.a",
    ),
    Case(
        Rule.GROUP_NAME,
        "RayCluster",
        {f"{GROUP}/groupName": "A.b_c-1"},
        {f"{GROUP}/groupName": "a b"},
        f"spec.workerGroupSpecs[0].groupName: 'a b' names Pods in a label: it {LABEL}",
        "spec.workerGroupSpecs[0].groupName",
    ),
    Case(
        Rule.GROUP_NAME,
        "RayCluster",
        {},
        {f"{GROUP}/groupName": ""},
        "spec.workerGroupSpecs[0].groupName: is empty: name the group",
        "spec.workerGroupSpecs[0].groupName",
    ),
    Case(
        Rule.GROUP_NAME,
        "RayCluster",
        {"spec/workerGroupSpecs": [*CLUSTER["workerGroupSpecs"]]},
        {"spec/workerGroupSpecs": [*CLUSTER["workerGroupSpecs"]] * 2},
        "spec.workerGroupSpecs[1].groupName: 'small' names 2 groups: give each its own name",
        "Duplicate value",
    ),
    Case(
        Rule.REPLICAS,
        "RayCluster",
        {f"{GROUP}/minReplicas": 3},
        {f"{GROUP}/minReplicas": 4},
        "spec.workerGroupSpecs[0].minReplicas: is 4, above maxReplicas 3: lower it, or raise"
        " maxReplicas",
        "minReplicas is above maxReplicas",
    ),
    Case(
        Rule.REPLICAS,
        "RayCluster",
        {},
        {f"{GROUP}/minReplicas": -1},
        "spec.workerGroupSpecs[0].minReplicas: is -1: use 0 or more",
        "should be greater than or equal to 0",
    ),
    Case(
        Rule.REPLICAS,
        "RayCluster",
        {f"{GROUP}/numOfHosts": 10_000},
        {f"{GROUP}/numOfHosts": 10_001},
        "spec.workerGroupSpecs[0].numOfHosts: is 10001: use 10000 at most",
        "should be less than or equal to 10000",
    ),
    Case(
        Rule.GROUP_SUSPEND,
        "RayCluster",
        {f"{GROUP}/suspend": True},
        {**ON, f"{GROUP}/suspend": True},
        "spec.workerGroupSpecs[0].suspend: can't be true with autoscaling on: set maxReplicas to"
        " 0 instead",
        "can't be true with autoscaling on",
    ),
    # Autoscaling.
    Case(
        Rule.GROUP_IDLE_TIMEOUT,
        "RayCluster",
        {**ON, f"{GROUP}/idleTimeoutSeconds": 5},
        {**V1, f"{GROUP}/idleTimeoutSeconds": 5},
        "spec.workerGroupSpecs[0].idleTimeoutSeconds: means nothing to Ray's autoscaler v1: remove"
        " it, or autoscalerOptions.version",
        "idleTimeoutSeconds of a group means nothing to Ray's autoscaler v1",
    ),
    Case(
        Rule.GROUP_IDLE_TIMEOUT,
        "RayCluster",
        {**ON, HEAD_ENV: env("RAY_enable_autoscaler_v2"), f"{GROUP}/idleTimeoutSeconds": 0},
        {**V2, f"{GROUP}/idleTimeoutSeconds": -5},
        "spec.workerGroupSpecs[0].idleTimeoutSeconds: is -5: use 0 or more seconds",
        "should be greater than or equal to 0",
    ),
    Case(
        Rule.GROUP_PRIORITY,
        "RayCluster",
        {**ON, f"{GROUP}/priority": 1},
        {**V1, f"{GROUP}/priority": 1},
        "spec.workerGroupSpecs[0].priority: means nothing to Ray's autoscaler v1: remove it, or"
        " autoscalerOptions.version",
        "priority of a group means nothing to Ray's autoscaler v1",
    ),
    Case(
        Rule.GROUP_PRIORITY,
        "RayCluster",
        {**V2, f"{GROUP}/priority": 1},
        {**ON, HEAD_ENV: env("RAY_enable_autoscaler_v2", "0"), f"{GROUP}/priority": 1},
        "spec.workerGroupSpecs[0].priority: means nothing to Ray's autoscaler v1: remove it, or"
        " autoscalerOptions.version",
        "priority of a group means nothing to Ray's autoscaler v1",
    ),
    Case(
        Rule.AUTOSCALER_IDLE_TIMEOUT,
        "RayCluster",
        {OPTIONS: {"idleTimeoutSeconds": 0}},
        {OPTIONS: {"idleTimeoutSeconds": -1}},
        "spec.autoscalerOptions.idleTimeoutSeconds: is -1: use 0 or more seconds",
        "should be greater than or equal to 0",
    ),
    Case(
        Rule.AUTOSCALER_VERSION,
        "RayCluster",
        {**ON, HEAD_ENV: env("RAY_enable_autoscaler_v2")},
        {HEAD_ENV: env("RAY_enable_autoscaler_v2")},
        "spec.headGroupSpec.template.spec.containers[0].env: RAY_enable_autoscaler_v2 has no"
        " effect: set enableInTreeAutoscaling to true, or remove it",
        "RAY_enable_autoscaler_v2 of the head has no effect",
    ),
    Case(
        Rule.AUTOSCALER_VERSION,
        "RayCluster",
        V2,
        {**V2, HEAD_ENV: env("RAY_enable_autoscaler_v2")},
        "spec.headGroupSpec.template.spec.containers[0].env: remove RAY_enable_autoscaler_v2:"
        " autoscalerOptions.version decides",
        "remove RAY_enable_autoscaler_v2 of the head",
    ),
    Case(
        Rule.AUTOSCALER_ENV,
        "RayCluster",
        {OPTIONS: {"env": env("OTHER")}},
        {OPTIONS: {"env": env("KUBERAY_GEN_AUTOSCALER_START_CMD")}},
        "spec.autoscalerOptions.env: remove KUBERAY_GEN_AUTOSCALER_START_CMD: the operator sets it",
        "remove KUBERAY_GEN_AUTOSCALER_START_CMD",
    ),
    Case(
        Rule.AUTOSCALER_PORT,
        "RayCluster",
        {f"{HEAD}/rayStartParams": {"port": "6380"}},
        {**ON, f"{HEAD}/rayStartParams": {"port": "6380"}},
        "spec.headGroupSpec.rayStartParams[port]: is 6380: Ray's own autoscaler asks at 6379 only,"
        " and nothing would scale",
        warns=True,
    ),
    Case(
        Rule.AUTOSCALER_RESTART_POLICY,
        "RayCluster",
        {**V2, f"{GROUP}/template/spec/restartPolicy": "Never"},
        {**V2, f"{GROUP}/template/spec/restartPolicy": "Always"},
        "spec.workerGroupSpecs[0].template.spec.restartPolicy: is Always: with autoscaling it must"
        " be Never, or unset",
        "restartPolicy of every group must be Never",
    ),
    Case(
        Rule.AUTOSCALER_RESTART_POLICY,
        "RayCluster",
        {**ON, OPTIONS: {"version": "v1"}},
        {**ON, OPTIONS: {"version": "v1"}, f"{GROUP}/template/spec/restartPolicy": "Always"},
        "spec.workerGroupSpecs[0].template.spec.restartPolicy: is Always: with autoscaling it must"
        " be Never, or unset",
        warns=True,
    ),
)
