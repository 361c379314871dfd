"""The hash by which a changed spec is noticed: over what the user wrote and Pods depend on.

Owns: which fields count. Does not own: what a change leads to (`plan`). Invariant: writing out a
default changes nothing, nor do scaling, suspension and what only Services and policies read, so a
newer operator with more defaults finds its older Pods unchanged.
Source: KubeRay 1.7, upgrade strategy hash.
"""

import base64
import hashlib
import json
from typing import Any

from ray_operator import quantity
from ray_operator.api import base
from ray_operator.api import raycluster as api

_SPEC = {
    "headServiceAnnotations",
    "idleSuspend",
    "idleTerminationOptions",
    "managedBy",
    "networkPolicy",
    "suspend",
    "upgradeStrategy",
}
_HEAD = {"enableIngress", "headService", "ingressOptions", "serviceType"}
_WORKERS = {
    "idleTimeoutSeconds",
    "maxReplicas",
    "minReplicas",
    "priority",
    "replicas",
    "scaleStrategy",
    "suspend",
}
_AUTOSCALER = {"idleTimeoutSeconds", "upscalingMode"}
_POD = {"schedulingGates", "tolerations"}  # Kueue writes them
_AMOUNTS, _AMOUNT = {"limits", "requests"}, {"divisor", "sizeLimit"}
_TEXTS = {"annotations", "labels", "matchLabels", "nodeSelector", "rayStartParams"}
"""Maps of the user's words, of which an empty one may mean something."""
_SWITCHES = {"hostIPC", "hostNetwork", "hostPID", "readOnly", "stdin", "stdinOnce", "tty"}
"""Fields that Go's types have as bare booleans, so that false is as good as nothing."""


def spec_hash(spec: api.RayClusterSpec) -> str:
    """Hash the spec; 32 characters of base32hex, as a label or annotation value."""
    return _hash(_counted(spec))


def is_alike(goal: api.RayClusterSpec, live: api.RayClusterSpec, *, is_queued: bool) -> bool:
    """Tell whether two specs would have one hash if Go's types had written both.

    What KubeRay stores has `metadata: {}` and `cpu: "1"` where a user wrote nothing and `cpu: 1`;
    where Kueue queues it, also on which nodes Pods may run.
    """
    wanted, found = _counted(goal), _counted(live)
    if is_queued:
        for one, other in zip(_pods(wanted), _pods(found), strict=False):
            if "nodeSelector" not in one:
                other.pop("nodeSelector", None)
    return bool(_plain(wanted) == _plain(found))


def group_hash(spec: api.RayClusterSpec, group: api.GroupSpec) -> str:
    """Hash what the Pods of one group, or the head, depend on; shaped as `spec_hash`'s."""
    shared = _shared(spec)
    if group is spec.head_group_spec:
        return _hash({**shared, "group": _group(written(group), _HEAD)})
    autoscaler, store = shared.pop("autoscalerOptions", {}), "gcsFaultToleranceOptions"
    return _hash(
        {
            **shared,
            "autoscalerVersion": autoscaler.get("version"),
            "group": _group(written(group), _WORKERS),
            "headPort": spec.head_group_spec.ray_start_params.get("port"),
            store: store in shared,
        }
    )


def _counted(spec: api.RayClusterSpec) -> dict[str, Any]:
    # A Service gets or loses its address only while there are no Pods.
    address = {"headServiceHasAddress": True} if has_address(spec) else {}
    return {
        **_shared(spec),
        **address,
        "headGroupSpec": _group(written(spec.head_group_spec), _HEAD),
        "workerGroupSpecs": [_group(written(each), _WORKERS) for each in spec.worker_group_specs],
    }


def _pods(counted: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the specs of the Pods, the head's first."""
    groups = (counted["headGroupSpec"], *counted["workerGroupSpecs"])
    return [each["template"]["spec"] for each in groups]


def _plain(value: Any) -> Any:
    """Leave out what is empty and means nothing, and write amounts in one way."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {key: each if key in _TEXTS else _plain(each) for key, each in value.items()}
    for key in _AMOUNTS & found.keys():
        if isinstance(found[key], dict):  # or it is a label
            found[key] = {name: _amount(each) for name, each in found[key].items()}
    for key in _AMOUNT & found.keys():
        found[key] = _amount(found[key]) or ""
    return {
        key: each
        for key, each in found.items()
        if each not in (None, "", [], {}) and not (each is False and key in _SWITCHES)
    }


def _amount(given: Any) -> Any:
    try:
        return quantity.parse(given).value
    except ValueError:  # nothing that any API server would take
        return given


def _shared(spec: api.RayClusterSpec) -> dict[str, Any]:
    """Return what counts outside of the groups."""
    rest = written(spec, exclude={"head_group_spec", "worker_group_specs"})
    counted = _without(rest, _SPEC)
    counted["headServiceName"] = _head_service_name(spec)
    if "autoscalerOptions" in counted:
        counted["autoscalerOptions"] = _without(counted["autoscalerOptions"], _AUTOSCALER)
    return counted


def written(part: base.Model, exclude: set[str] | None = None) -> dict[str, Any]:
    """Return what the user wrote of a part of a spec, less what says no more than the default."""
    return part.model_dump(
        mode="json",
        by_alias=True,
        exclude=exclude,
        exclude_unset=True,
        exclude_defaults=True,
        exclude_none=True,
    )


def _hash(counted: dict[str, Any]) -> str:
    text = json.dumps(counted, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).digest()
    return base64.b32hexencode(digest).decode()


def _group(group: dict[str, Any], ignored: set[str]) -> dict[str, Any]:
    template = dict(group["template"])
    template["spec"] = _without(template.get("spec") or {}, _POD)
    return {**_without(group, ignored), "template": template}


def _head_service_name(spec: api.RayClusterSpec) -> str:
    """Return the user's name of the head Service: the one part of it that workers depend on."""
    given = spec.head_group_spec.head_service or {}
    return (given.get("metadata") or {}).get("name") or ""


def has_address(spec: api.RayClusterSpec) -> bool:
    """Tell whether the user's choices give the head Service an address of its own."""
    head = spec.head_group_spec
    if head.head_service is None:
        is_exposed = head.service_type not in {None, "", "ClusterIP"}
        return is_exposed or spec.gcs_fault_tolerance_options is not None
    return bool((head.head_service.get("spec") or {}).get("clusterIP") != "None")


def _without(part: dict[str, Any], ignored: set[str]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key not in ignored}
