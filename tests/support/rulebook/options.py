"""Rules about the option blocks of a cluster."""

from typing import Any

from ray_operator.api.rules import Rule
from tests.support.rulebook.example import (
    COLLECTOR,
    FT,
    GROUP,
    HEAD,
    HEAD_ENV,
    OPTIONS,
    S3,
    Case,
    Json,
    env,
)


def _collector(backend: str, *variables: str) -> Json:
    given = [env("STORAGE_BACKEND", backend), *(env(name) for name in variables)]
    return {"image": "i", "env": [each for pair in given for each in pair]}


def rolling(**fields: Any) -> Json:
    return {"spec/upgradeStrategy": {"type": "RollingUpdate", "rollingUpdate": fields}}


CASES: tuple[Case, ...] = (
    # GCS fault tolerance.
    Case(
        Rule.FT_ANNOTATIONS,
        "RayCluster",
        {"metadata/annotations": {"ray.io/ft-enabled": "true"}},
        {FT: {}, "metadata/annotations": {"ray.io/ft-enabled": "true"}},
        "metadata.annotations[ray.io/ft-enabled]: remove it: gcsFaultToleranceOptions is given,"
        " its presence is enough",
    ),
    Case(
        Rule.FT_ANNOTATIONS,
        "RayCluster",
        {FT: {"externalStorageNamespace": "a"}},
        {FT: {}, "metadata/annotations": {"ray.io/external-storage-namespace": "a"}},
        "metadata.annotations[ray.io/external-storage-namespace]: remove it:"
        " gcsFaultToleranceOptions is given, use its externalStorageNamespace",
    ),
    Case(
        Rule.FT_OFF,
        "RayCluster",
        {
            HEAD_ENV: env("RAY_REDIS_ADDRESS"),
            "metadata/annotations": {"ray.io/ft-enabled": "TRUE"},
        },
        {HEAD_ENV: env("RAY_REDIS_ADDRESS")},
        "spec.headGroupSpec.template.spec.containers[0].env: RAY_REDIS_ADDRESS has no effect: set"
        " gcsFaultToleranceOptions.redisAddress instead",
    ),
    Case(
        Rule.FT_BACKEND,
        "RayCluster",
        {FT: {"backend": "rocksdb", "storage": {"size": "1Gi"}}},
        {FT: {"storage": {"size": "1Gi"}}},
        "spec.gcsFaultToleranceOptions.storage: is for the backend rocksdb: remove it, or set"
        " backend to rocksdb",
        "storage is for the backend rocksdb",
    ),
    Case(
        Rule.FT_BACKEND,
        "RayCluster",
        {FT: {"backend": "redis", "redisAddress": "r:1"}},
        {FT: {"backend": "rocksdb", "redisAddress": "r:1"}},
        "spec.gcsFaultToleranceOptions.redisAddress: is for the backend redis: remove it",
        "are for the backend redis",
    ),
    Case(
        Rule.FT_STORAGE,
        "RayCluster",
        {FT: {"backend": "rocksdb", "storage": {"claimName": "c"}}},
        {FT: {"backend": "rocksdb", "storage": {"claimName": "c", "size": "1Gi"}}},
        "spec.gcsFaultToleranceOptions.storage.size: describes a claim to make, but claimName"
        " names one: keep one of the two",
        "describe a claim to make, but claimName names one",
    ),
    Case(
        Rule.FT_STORAGE,
        "RayCluster",
        {HEAD_ENV: env("RAY_gcs_storage")},
        {FT: {"backend": "rocksdb"}, HEAD_ENV: env("RAY_gcs_storage")},
        "spec.headGroupSpec.template.spec.containers[0].env: remove RAY_gcs_storage: the operator"
        " sets it for the backend rocksdb",
        "remove the variables RAY_gcs_storage",
    ),
    Case(
        Rule.FT_STORAGE,
        "RayCluster",
        {FT: {"backend": "rocksdb"}, f"{HEAD}/template/spec/volumes": [{"name": "v"}]},
        {FT: {"backend": "rocksdb"}, f"{HEAD}/template/spec/volumes": [{"name": "gcs-storage"}]},
        "spec.headGroupSpec.template.spec.volumes: remove the volume gcs-storage: the operator"
        " adds it",
        "remove the variables RAY_gcs_storage",
    ),
    Case(
        Rule.FT_STORAGE,
        "RayCluster",
        {FT: {"backend": "rocksdb"}},
        {
            FT: {"backend": "rocksdb"},
            f"{HEAD}/template/spec/containers/0/volumeMounts": [
                {"name": "v", "mountPath": "/data/gcs"}
            ],
        },
        "spec.headGroupSpec.template.spec.containers[0].volumeMounts: remove the mount gcs-storage"
        " or /data/gcs: the operator adds it",
        "remove the variables RAY_gcs_storage",
    ),
    Case(
        Rule.REDIS_ADDRESS,
        "RayCluster",
        {FT: {"redisAddress": "r:1"}},
        {FT: {}, HEAD_ENV: env("RAY_REDIS_ADDRESS")},
        "spec.headGroupSpec.template.spec.containers[0].env: move RAY_REDIS_ADDRESS to"
        " gcsFaultToleranceOptions.redisAddress",
        "move RAY_REDIS_ADDRESS of the head",
    ),
    *(
        Case(
            rule,
            "RayCluster",
            {FT: {field: {"value": "x"}}},
            {FT: {}, **bad},
            f"{path} to gcsFaultToleranceOptions.{field}",
            words,
        )
        for rule, field, bad, path, words in (
            (
                Rule.REDIS_PASSWORD,
                "redisPassword",
                {HEAD_ENV: env("REDIS_PASSWORD")},
                "spec.headGroupSpec.template.spec.containers[0].env: move REDIS_PASSWORD",
                "move REDIS_PASSWORD of the head",
            ),
            (
                Rule.REDIS_PASSWORD,
                "redisPassword",
                {f"{HEAD}/rayStartParams": {"redis-password": "x"}},
                "spec.headGroupSpec.rayStartParams.redis-password: move it",
                "move redis-password of the head",
            ),
            (
                Rule.REDIS_USERNAME,
                "redisUsername",
                {HEAD_ENV: env("REDIS_USERNAME")},
                "spec.headGroupSpec.template.spec.containers[0].env: move REDIS_USERNAME",
                "move REDIS_USERNAME of the head",
            ),
            (
                Rule.REDIS_USERNAME,
                "redisUsername",
                {f"{HEAD}/rayStartParams": {"redis-username": "x"}},
                "spec.headGroupSpec.rayStartParams.redis-username: move it",
                "move redis-username of the head",
            ),
        )
    ),
    # Other blocks of a cluster.
    Case(
        Rule.UPGRADE_STRATEGY,
        "RayCluster",
        {"spec/upgradeStrategy": {"type": "Recreate"}},
        {"spec/upgradeStrategy": {"type": "Rolling"}},
        "spec.upgradeStrategy.type: 'Rolling' is unknown: use Recreate, RollingUpdate or None",
        "Unsupported value",
    ),
    Case(
        Rule.UPGRADE_STRATEGY,
        "RayCluster",
        rolling(maxUnavailable=0, maxSurge="1%", replaceHead="Always"),
        rolling(maxUnavailable=0, maxSurge="00%", replaceHead="Always"),
        "spec.upgradeStrategy.rollingUpdate: lets nothing happen: allow a maxUnavailable or a"
        " maxSurge above 0",
        "allow a maxUnavailable or a maxSurge above 0",
    ),
    Case(
        Rule.UPGRADE_STRATEGY,
        "RayCluster",
        rolling(),
        {"spec/upgradeStrategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}},
        "spec.upgradeStrategy.rollingUpdate: belongs to type RollingUpdate: set that, or remove"
        " this",
        "belongs to type RollingUpdate",
    ),
    *(
        Case(
            Rule.UPGRADE_STRATEGY,
            "RayCluster",
            rolling(maxUnavailable="100%", maxSurge=3, replaceHead="Never"),
            rolling(**bad),
            f"spec.upgradeStrategy.rollingUpdate.{field}: {says}",
            server,
        )
        for field, bad, says, server in (
            (
                "maxUnavailable",
                {"maxUnavailable": "1"},
                "is '1': use a number such as 1, or a percentage such as 25%",
                "should match",
            ),
            (
                "maxSurge",
                {"maxSurge": -1},
                "is -1: use a number such as 1, or a percentage such as 25%",
                "greater than or equal to 0",
            ),
            (
                "replaceHead",
                {"replaceHead": "Maybe"},
                "'Maybe' is unknown: use IfStateSurvives, Always, Never",
                "Unsupported value",
            ),
        )
    ),
    Case(
        Rule.UPGRADE_STRATEGY,
        "RayJob",
        {"spec/rayClusterSpec/upgradeStrategy": {}},
        {"spec/rayClusterSpec/upgradeStrategy": {"type": "None"}},
        "spec.rayClusterSpec.upgradeStrategy.type: remove it: the RayJob decides about upgrades",
        "the RayJob decides about upgrades",
    ),
    Case(
        Rule.UPGRADE_STRATEGY,
        "RayService",
        {},
        {"spec/rayClusterConfig/upgradeStrategy": {"type": "None"}},
        "spec.rayClusterConfig.upgradeStrategy.type: remove it: the RayService decides about"
        " upgrades",
        "the RayService decides about upgrades",
    ),
    *(
        Case(
            Rule.AUTH,
            "RayCluster",
            {"spec/authOptions": given, "spec/rayVersion": good},
            {"spec/authOptions": given, "spec/rayVersion": bad},
            f"spec.authOptions.{field}: needs Ray {least} or newer: set rayVersion to the version"
            " of the image",
            f"needs Ray {least} or newer",
        )
        for given, good, bad, least, field in (
            ({"mode": "token"}, "2.52.0", "2.51.9", "2.52.0", "mode"),
            ({"mode": "token"}, "3.0", "nightly", "2.52.0", "mode"),
            *(
                (given, "2.55.0.dev0", "2.54.0", "2.55.0", "enableK8sTokenAuth")
                for given in (
                    {"mode": "token", "enableK8sTokenAuth": True},
                    {"enableK8sTokenAuth": True},
                )
            ),
        )
    ),
    Case(
        Rule.AUTH,
        "RayCluster",
        {"spec/authOptions": {"mode": "token", "enableK8sTokenAuth": True}},
        {"spec/authOptions": {"mode": "disabled", "enableK8sTokenAuth": True}},
        "spec.authOptions.enableK8sTokenAuth: needs mode token: set it, or remove"
        " enableK8sTokenAuth",
        "needs mode token",
    ),
    Case(
        Rule.AUTH,
        "RayCluster",
        {"spec/authOptions": {"mode": "token", "secretName": "s"}},
        {"spec/authOptions": {"mode": "token", "secretName": "s", "enableK8sTokenAuth": True}},
        "spec.authOptions.secretName: is not used with enableK8sTokenAuth: remove one of the two",
        "secretName is not used with enableK8sTokenAuth",
    ),
    *(
        Case(
            Rule.AUTH,
            kind,
            {f"{path}/authOptions": {"mode": "token"}},
            {f"{path}/authOptions": {"mode": "token", "enableK8sTokenAuth": True}},
            f"{path.replace('/', '.')}.authOptions.enableK8sTokenAuth: works for a RayCluster"
            " only: use a secret",
            "enableK8sTokenAuth works for a RayCluster only",
        )
        for kind, path in (
            ("RayJob", "spec/rayClusterSpec"),
            ("RayService", "spec/rayClusterConfig"),
        )
    ),
    Case(
        Rule.SERVE_PORT,
        "RayCluster",
        {"metadata/annotations": {"ray.io/enable-serve-service": "true"}},
        {
            "metadata/annotations": {"ray.io/enable-serve-service": "true"},
            f"{HEAD}/template/spec/containers/0/ports": [{"name": "server", "containerPort": 1}],
        },
        "metadata.annotations[ray.io/enable-serve-service]: makes no Service: name a port of the"
        " head's Ray container serve, or serve-…",
        warns=True,
    ),
    *(
        Case(
            Rule.NETWORK_POLICY,
            "RayCluster",
            {"spec/networkPolicy": {"mode": "DenyAll", **rules}},
            {"spec/networkPolicy": {"mode": mode, **rules}},
            f"spec.networkPolicy.{path}.{field}: {words} traffic is not denied with mode {mode}:"
            " remove the rules",
            f"{words} traffic is not denied with mode {mode}",
        )
        for mode, rules, path, field, words in (
            ("DenyAllEgress", {"head": {"ingressRules": [{}]}}, "head", "ingressRules", "incoming"),
            (
                "DenyAllIngress",
                {"worker": {"egressRules": [{}]}},
                "worker",
                "egressRules",
                "outgoing",
            ),
            (
                "DenyAllEgress",
                {"workerGroups": [{"groupName": "small", "ingressRules": [{}]}]},
                "workerGroups[0]",
                "ingressRules",
                "incoming",
            ),
        )
    ),
    Case(
        Rule.NETWORK_POLICY,
        "RayCluster",
        {"spec/networkPolicy": {"workerGroups": [{"groupName": "small"}]}},
        {"spec/networkPolicy": {"workerGroups": [{"groupName": "big"}]}},
        "spec.networkPolicy.workerGroups[0].groupName: 'big' is no worker group: use a groupName"
        " of the cluster",
    ),
    Case(
        Rule.NETWORK_POLICY,
        "RayCluster",
        {f"{GROUP}/groupName": "Small"},
        {"spec/networkPolicy": {}, f"{GROUP}/groupName": "Small"},
        "spec.workerGroupSpecs[0].groupName: 'Small' names a NetworkPolicy: use a-z, 0-9 and '-'"
        " only",
        "groupName names a NetworkPolicy",
    ),
    Case(
        Rule.TLS,
        "RayCluster",
        {"spec/tlsOptions": {"enabled": False}, HEAD_ENV: env("RAY_USE_TLS")},
        {"spec/tlsOptions": {"enabled": True}, HEAD_ENV: env("RAY_USE_TLS")},
        "spec.headGroupSpec.template.spec.containers[0].env: remove RAY_USE_TLS: the operator sets"
        " it with tlsOptions.enabled",
        "remove RAY_USE_TLS",
    ),
    Case(
        Rule.TLS,
        "RayCluster",
        {"spec/tlsOptions": {"enabled": True}},
        {
            "spec/tlsOptions": {"enabled": True},
            f"{GROUP}/template/spec/containers/0/volumeMounts": [
                {"name": "ray-tls", "mountPath": "/x"}
            ],
        },
        "spec.workerGroupSpecs[0].template.spec.containers[0].volumeMounts: remove the mount"
        " ray-tls or /etc/ray/tls: the operator adds it",
    ),
    Case(
        Rule.TLS,
        "RayCluster",
        {"spec/tlsOptions": {"enabled": True}, OPTIONS: {"env": env("OTHER")}},
        {"spec/tlsOptions": {"enabled": True}, OPTIONS: {"env": env("RAY_TLS_CA_CERT")}},
        "spec.autoscalerOptions.env: remove RAY_TLS_CA_CERT: the operator sets it with"
        " tlsOptions.enabled",
        "remove RAY_USE_TLS",
    ),
    Case(
        Rule.HISTORY_SERVER,
        "RayCluster",
        {COLLECTOR: S3},
        {"spec/historyServerOptions": {}},
        "spec.historyServerOptions.collectorOptions: is missing: say at least its image and"
        " STORAGE_BACKEND",
        "collectorOptions is missing",
    ),
    Case(
        Rule.HISTORY_SERVER,
        "RayCluster",
        {COLLECTOR: S3},
        {COLLECTOR: {"env": S3["env"]}},
        "spec.historyServerOptions.collectorOptions.image: is empty: name an image",
        "image is empty",
    ),
    Case(
        Rule.HISTORY_SERVER,
        "RayCluster",
        {COLLECTOR: S3},
        {COLLECTOR: {"image": "i", "env": [*S3["env"], *env("RAY_ROLE")]}},
        "spec.historyServerOptions.collectorOptions.env: remove RAY_ROLE: the operator sets it",
        "remove POD_IP",
    ),
    Case(
        Rule.HISTORY_SERVER,
        "RayCluster",
        {COLLECTOR: {"image": "i", "env": env("STORAGE_BACKEND", "own")}},
        {COLLECTOR: {"image": "i"}},
        "spec.historyServerOptions.collectorOptions.env: add STORAGE_BACKEND with a value such as"
        " S3, GCS, AzureBlob or AliyunOSS",
        "add STORAGE_BACKEND",
    ),
    *(
        Case(
            Rule.HISTORY_SERVER,
            "RayCluster",
            {COLLECTOR: _collector(backend, *needed)},
            {COLLECTOR: _collector(backend, *(each for each in needed if each != missing))},
            f"spec.historyServerOptions.collectorOptions.env: add {missing}: STORAGE_BACKEND"
            f" {backend} needs it",
            f"add {missing}",
        )
        for backend, needed in (
            ("s3", ("S3_REGION",)),
            ("GCS", ("GCS_BUCKET",)),
            ("AliyunOSS", ("OSS_BUCKET", "OSS_ENDPOINT", "OSS_REGION")),
        )
        for missing in needed
    ),
    Case(
        Rule.HISTORY_SERVER,
        "RayCluster",
        {
            COLLECTOR: {
                "image": "i",
                "env": [
                    *env("STORAGE_BACKEND", "AzureBlob"),
                    *env("AZURE_STORAGE_AUTH_MODE", " Default"),
                    *env("AZURE_STORAGE_ACCOUNT_URL"),
                ],
            }
        },
        {COLLECTOR: {"image": "i", "env": env("STORAGE_BACKEND", "AzureBlob")}},
        "spec.historyServerOptions.collectorOptions.env: add AZURE_STORAGE_CONNECTION_STRING or"
        " AZURE_STORAGE_ACCOUNT_URL: STORAGE_BACKEND AzureBlob needs it",
    ),
    Case(
        Rule.HISTORY_SERVER,
        "RayCluster",
        {COLLECTOR: S3},
        {COLLECTOR: S3, f"{GROUP}/template/spec/containers/0/name": "ray-history-collector"},
        "spec.workerGroupSpecs[0].template.spec.containers: rename the container"
        " ray-history-collector: the operator adds one of that name",
        "rename the container ray-history-collector",
    ),
)
