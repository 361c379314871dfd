"""Custom resource definitions: what each says beyond its models.

Owns: names, versions, columns, categories. Does not own: schemas (`structural`). Invariant: each
definition stays below `LARGEST`, so that `kubectl apply` can keep it in an annotation.

`v1alpha1` has the fields of `v1`, outlines Kubernetes' types and checks no rules. KubeRay's own
v1alpha1 lacks newer fields, and since there is no conversion, writing through it silently drops
them; with one set of fields a round trip loses nothing. Source: KubeRay 1.7, CRDs.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from ray_operator.api import (
    base,
    cel,
    raycluster,
    raycluster_status,
    raycronjob,
    rayjob,
    rayjob_status,
    rayservice,
    rayservice_status,
    structural,
)
from ray_operator.api.validation import (
    autoscaling,
    deletion,
    fault_tolerance,
    groups,
    history,
    meta,
    security,
    upgrade,
)
from ray_operator.api.validation import rayjob as rayjob_rules
from ray_operator.api.validation import rayservice as rayservice_rules

LARGEST = 255_000
"""Bytes of compact JSON; the annotations of an object hold 262,144 at most."""

EXPRESSIONS: tuple[cel.Cel, ...] = (
    *(
        each
        for module in (
            groups,
            autoscaling,
            fault_tolerance,
            security,
            history,
            upgrade,
            rayjob_rules,
            deletion,
            rayservice_rules,
        )
        for each in module.expressions()
    ),
    *(each for kind in meta.NAME_LENGTHS for each in meta.expressions(kind)),
)


_SPEC_REQUIRED: base.Json = {
    "rule": "has(self.spec) || (oldSelf.hasValue() && !has(oldSelf.value().spec))",
    "message": "spec is missing",
    "optionalOldSelf": True,
}
"""Instead of `required`, which would keep finalizers on what was stored without."""


class Column(NamedTuple):
    """A column of `kubectl get`; `wide` ones show with `-o wide` only."""

    name: str
    type: str
    path: str
    wide: bool = False

    def schema(self) -> base.Json:
        """Render as an entry of `additionalPrinterColumns`."""
        column = {"name": self.name, "type": self.type, "jsonPath": self.path}
        return {**column, "priority": 1} if self.wide else column


class Kind(NamedTuple):
    """A kind of ours; `old_columns` None means that there is no `v1alpha1`."""

    resource: type[base.Resource]
    spec: type[base.Model]
    status: type[base.Model]
    columns: tuple[Column, ...]
    old_columns: tuple[Column, ...] | None
    short_names: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The kind's name, such as `RayCluster`."""
        return self.resource.__name__

    @property
    def plural(self) -> str:
        """The name in paths of the API, such as `rayclusters`."""
        return f"{self.name.lower()}s"

    def schema(self, style: structural.Style) -> base.Json:
        """Return the schema of a whole resource."""
        described = {"description": self.resource.__doc__} if style.described else {}
        rules = style.rules(self.name)
        status = structural.schema(self.status, style)
        return {
            **described,
            "type": "object",
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"type": "object"},
                "spec": structural.schema(self.spec, style),
                # Other controllers may write there too.
                "status": {**status, "x-kubernetes-preserve-unknown-fields": True},
            },
            **({"x-kubernetes-validations": [_SPEC_REQUIRED, *rules]} if rules else {}),
        }


def _reason(condition: str) -> str:
    """Return where a condition says why it is as it is."""
    return f'.status.conditions[?(@.type=="{condition}")].reason'


_AGE = Column("age", "date", ".metadata.creationTimestamp")
_CLUSTER_COLUMNS = (
    Column("desired workers", "integer", ".status.desiredWorkerReplicas"),
    Column("available workers", "integer", ".status.availableWorkerReplicas"),
    Column("cpus", "string", ".status.desiredCPU"),
    Column("memory", "string", ".status.desiredMemory"),
    Column("gpus", "string", ".status.desiredGPU"),
    Column("tpus", "string", ".status.desiredTPU", wide=True),
    Column("status", "string", ".status.state"),
    Column("reason", "string", ".status.reason"),  # ours
    _AGE,
    Column("head pod IP", "string", ".status.head.podIP", wide=True),
    Column("head service IP", "string", ".status.head.serviceIP", wide=True),
    Column("autoscaler", "string", ".status.autoscaler.mode", wide=True),  # ours
    Column("unmet requests", "integer", ".status.autoscaler.unmetRequests", wide=True),  # ours
)
KINDS = (
    Kind(
        resource=raycluster.RayCluster,
        spec=raycluster.RayClusterSpec,
        status=raycluster_status.RayClusterStatus,
        columns=_CLUSTER_COLUMNS,
        old_columns=_CLUSTER_COLUMNS,
    ),
    Kind(
        resource=rayjob.RayJob,
        spec=rayjob.RayJobSpec,
        status=rayjob_status.RayJobStatus,
        columns=(
            Column("job status", "string", ".status.jobStatus"),
            Column("deployment status", "string", ".status.jobDeploymentStatus"),
            Column("ray cluster name", "string", ".status.rayClusterName"),
            Column("start time", "string", ".status.startTime"),
            Column("end time", "string", ".status.endTime"),
            Column("reason", "string", ".status.reason"),  # ours
            Column("ray cluster", "string", _reason("RayClusterReady")),  # ours
            _AGE,
        ),
        old_columns=(),
        short_names=("rj",),
    ),
    Kind(
        resource=rayservice.RayService,
        spec=rayservice.RayServiceSpec,
        status=rayservice_status.RayServiceStatus,
        columns=(
            Column("service status", "string", ".status.serviceStatus"),
            Column("num serve endpoints", "string", ".status.numServeEndpoints"),
            Column("reason", "string", _reason("Ready")),  # ours
            _AGE,
        ),
        old_columns=(),
    ),
    Kind(
        resource=raycronjob.RayCronJob,
        spec=raycronjob.RayCronJobSpec,
        status=raycronjob.RayCronJobStatus,
        columns=(
            Column("schedule", "string", ".spec.schedule"),
            Column("timezone", "string", ".spec.timeZone"),
            Column("last schedule", "date", ".status.lastScheduleTime"),
            _AGE,
            Column("suspend", "boolean", ".spec.suspend"),
        ),
        old_columns=None,
        short_names=("rcj",),
    ),
)


def crds() -> dict[str, str]:
    """Return all CRDs as YAML by file name (`<group>_<plural>.yaml`)."""
    return {f"ray.io_{kind.plural}.yaml": _yaml(definition(kind)) for kind in KINDS}


def definition(kind: Kind) -> base.Json:
    """Return the CustomResourceDefinition of a kind."""
    short_names = {"shortNames": list(kind.short_names)} if kind.short_names else {}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.ray.io"},
        "spec": {
            "group": "ray.io",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                **short_names,
                "categories": ["all"],
            },
            "scope": "Namespaced",
            "versions": list(_versions(kind)),
        },
    }


def compact(manifest: base.Json) -> bytes:
    """Render as compact JSON, the form in which `kubectl apply` keeps it."""
    return json.dumps(manifest, separators=(",", ":")).encode()


def v1(kind: Kind) -> base.Json:
    """Return the schema of the stored version, with everything."""
    style = structural.Style(described=True, complete=True, expressions=EXPRESSIONS)
    return kind.schema(style)


def _versions(kind: Kind) -> Iterator[base.Json]:
    yield _version("v1", v1(kind), kind.columns, storage=True)
    if kind.old_columns is not None:
        old = kind.schema(structural.FIELDS_ONLY)
        _forget_list_maps(old)
        yield {
            **_version("v1alpha1", old, kind.old_columns, storage=False),
            "deprecated": True,
            "deprecationWarning": f"ray.io/v1alpha1 {kind.name} is deprecated: use ray.io/v1",
        }


def _forget_list_maps(node: Any) -> None:
    """Drop keys of lists: the old version takes what it always took."""
    if isinstance(node, dict):
        for key in ("x-kubernetes-list-type", "x-kubernetes-list-map-keys"):
            node.pop(key, None)
        for each in node.values():
            _forget_list_maps(each)


def _version(
    name: str, resource: base.Json, columns: tuple[Column, ...], *, storage: bool
) -> base.Json:
    listed = {"additionalPrinterColumns": [each.schema() for each in columns]} if columns else {}
    return {
        "name": name,
        "served": True,
        "storage": storage,
        "schema": {"openAPIV3Schema": resource},
        "subresources": {"status": {}},
        **listed,
    }


class _Dumper(yaml.CSafeDumper):
    """Writes YAML without anchors, which not every reader of CRDs follows."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


def _yaml(manifest: base.Json) -> str:
    note = "# Generated by `make crds` from operator/ray_operator/api: don't edit.\n"
    return note + yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, width=100)
