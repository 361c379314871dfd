"""What an example of a rule is, and the plain manifests that examples change."""

import copy
from typing import Any, NamedTuple

from ray_operator import features
from ray_operator.api.rules import Rule

Json = dict[str, Any]
ALL = frozenset(features.Feature)


class Case(NamedTuple):
    """One rule broken.

    Attributes:
        good: changes of the kind's plain manifest, by path such as `spec/suspend`, that are fine.
        bad: changes that aren't.
        says: what the Python answers to the bad one, `path: message`.
        server: words of the API server's refusal; empty where only the Python can tell.
        warns: the Python only warns.
    """

    rule: Rule
    kind: str
    good: Json
    bad: Json
    says: str
    server: str = ""
    warns: bool = False
    gates: features.Features = ALL

    @property
    def title(self) -> str:
        """Name the case for pytest."""
        return f"{self.rule}-{self.kind}-{'/'.join(self.bad)[-40:]}"


def container(**fields: Any) -> Json:
    return {"name": "ray", "image": "rayproject/ray:2.60.0", **fields}


def template(**fields: Any) -> Json:
    return {"spec": {"containers": [container(**fields)]}}


def env(name: str, value: str = "1") -> list[Json]:
    return [{"name": name, "value": value}]


CLUSTER: Json = {
    "rayVersion": "2.60.0",
    "headGroupSpec": {"template": template()},
    "workerGroupSpecs": [
        {"groupName": "small", "minReplicas": 0, "maxReplicas": 3, "template": template()}
    ],
}
JOB: Json = {"entrypoint": "true", "rayClusterSpec": CLUSTER}
PLAIN: dict[str, Json] = {
    "RayCluster": CLUSTER,
    "RayJob": JOB,
    "RayService": {"rayClusterConfig": CLUSTER, "serveConfigV2": "applications: [{name: a}]"},
    "RayCronJob": {"schedule": "0 4 * * *", "jobTemplate": JOB},
}
NO_RESOURCES = {"spec/headGroupSpec/rayStartParams": {"resources": "{a: 1}"}}
"""An error that the CRD itself can't refuse, and what is said of it."""
NO_RESOURCES_SAID = "{a: 1} is no JSON object of numbers"
REMOVED = object()
"""Stands for a field that is taken away."""


def manifest(kind: str, changes: Json, *, name: str = "demo") -> Json:
    """Return the kind's plain manifest with changes."""
    result: Json = {
        "apiVersion": "ray.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": copy.deepcopy(PLAIN[kind]),
    }
    for path, value in changes.items():
        *parents, last = (int(part) if part.isdigit() else part for part in path.split("/"))
        at: Any = result
        for part in parents:
            at = at[part] if isinstance(part, int) else at.setdefault(part, {})
        if value is REMOVED:
            del at[last]
        else:
            at[last] = copy.deepcopy(value)
    return result


LABEL = (
    "must be at most 63 letters, digits, '-', '_' and '.', starting and ending with a letter or"
    " digit"
)
HEAD = "spec/headGroupSpec"
GROUP = "spec/workerGroupSpecs/0"
OPTIONS = "spec/autoscalerOptions"
HEAD_ENV = f"{HEAD}/template/spec/containers/0/env"
FT = "spec/gcsFaultToleranceOptions"
COLLECTOR = "spec/historyServerOptions/collectorOptions"
S3 = {"image": "i", "env": [*env("STORAGE_BACKEND", "S3"), *env("S3_REGION")]}
ON = {"spec/enableInTreeAutoscaling": True}
V2 = {**ON, OPTIONS: {"version": "v2"}}
V1 = {**ON, OPTIONS: {"version": "v1"}}
INCREMENTAL: Json = {
    "spec/rayClusterConfig/enableInTreeAutoscaling": True,
    "spec/upgradeStrategy": {
        "type": "NewClusterWithIncrementalUpgrade",
        "clusterUpgradeOptions": {
            "stepSizePercent": 10,
            "intervalSeconds": 10,
            "gatewayClassName": "istio",
        },
    },
}
