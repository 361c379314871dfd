"""The part of OpenShift that shows dashboards: Routes, without the router behind them."""

from typing import Any

ROUTES: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "routes.route.openshift.io"},
    "spec": {
        "group": "route.openshift.io",
        "names": {"kind": "Route", "plural": "routes", "singular": "route"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "required": ["spec"],
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["to"],
                                "properties": {
                                    "host": {"type": "string"},
                                    "path": {"type": "string"},
                                    "to": {
                                        "type": "object",
                                        "required": ["kind", "name", "weight"],
                                        "properties": {
                                            "kind": {"type": "string", "enum": ["Service"]},
                                            "name": {"type": "string", "minLength": 1},
                                            "weight": {"type": "integer", "maximum": 256},
                                        },
                                    },
                                    "port": {
                                        "type": "object",
                                        "required": ["targetPort"],
                                        "properties": {
                                            "targetPort": {"x-kubernetes-int-or-string": True}
                                        },
                                    },
                                    "wildcardPolicy": {
                                        "type": "string",
                                        "enum": ["None", "Subdomain", ""],
                                    },
                                },
                            }
                        },
                    }
                },
            }
        ],
    },
}
"""The definition of Routes. Source: OpenShift, `route.openshift.io/v1`, as far as it is used."""
