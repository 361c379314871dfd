"""What all objects that a RayJob or RayService makes have in common.

Owns: labels of origin, owner, namespace, and which annotations a RayCluster takes over. Does not
own: any object. Invariant: what its maker's own tools wrote there stays with the maker.
Source: KubeRay 1.7, labels of what a RayJob or RayService makes.
"""

from collections.abc import Mapping
from typing import Any

from ray_operator import names
from ray_operator.api import base

_NOT_COPIED = ("kubectl.kubernetes.io/last-applied-configuration",)
_NOT_COPIED_PREFIXES = ("argocd.argoproj.io/", "meta.helm.sh/", "ray-operator.io/")


def origin(maker: base.Resource) -> dict[str, str]:
    """Return the labels that say which resource an object comes from."""
    return {
        names.ORIGIN_NAME_LABEL: names.label_value(maker.metadata.name),
        names.ORIGIN_KIND_LABEL: maker.kind,
    }


def metadata(
    maker: base.Resource,
    *,
    name: str,
    labels: Mapping[str, str],
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the metadata of an object that the resource controls."""
    return {
        "name": name,
        "namespace": maker.metadata.namespace,
        "labels": dict(labels),
        **({"annotations": dict(annotations)} if annotations else {}),
        "ownerReferences": [
            {
                "apiVersion": maker.api_version,
                "kind": maker.kind,
                "name": maker.metadata.name,
                "uid": maker.metadata.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }


def copied_annotations(maker: base.Resource) -> dict[str, str]:
    """Return the annotations that describe the cluster too, and not the maker's own handling."""
    return {
        key: text
        for key, text in maker.metadata.annotations.items()
        if key not in _NOT_COPIED
        and (key == names.AUTOSCALER_ANNOTATION or not key.startswith(_NOT_COPIED_PREFIXES))
    }
