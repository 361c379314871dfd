"""Rules about the collector of the history server, and where it stores what it collects.

Source: KubeRay 1.7, validation of RayCluster.
"""

from collections.abc import Iterator, Mapping

from ray_operator.api import base, cel, options
from ray_operator.api import raycluster as api
from ray_operator.api.rules import FieldError, Rule
from ray_operator.api.validation import groups
from ray_operator.features import Feature, Features, lacking

CONTAINER = "ray-history-collector"
RESERVED = (
    "POD_IP",
    "FQ_RAY_IP",
    "RAY_CLUSTER_NAME",
    "RAY_CLUSTER_NAMESPACE",
    "RAY_ROLE",
    "OWNER_KIND",
    "OWNER_NAME",
    "EVENTS_PORT",
)
BACKENDS: Mapping[str, tuple[str, ...]] = {
    "GCS": ("GCS_BUCKET",),
    "S3": ("S3_REGION",),
    "AliyunOSS": ("OSS_BUCKET", "OSS_ENDPOINT", "OSS_REGION"),
}
"""Variables that a storage backend needs; Azure's depend on how it authenticates."""

_CONNECTION = "AZURE_STORAGE_CONNECTION_STRING"
_ACCOUNT = "AZURE_STORAGE_ACCOUNT_URL"
_AZURE: Mapping[str, str] = {
    "connection_string": _CONNECTION,
    "workload_identity": _ACCOUNT,
    "default": _ACCOUNT,
}


def errors(spec: api.RayClusterSpec, at: str, features: Features) -> Iterator[FieldError]:
    """Check the cluster spec found at that path."""
    given = spec.history_server_options
    if given is None:
        return
    path = f"{at}.historyServerOptions"
    if Feature.HISTORY_SERVER not in features:
        yield FieldError(path, lacking(Feature.HISTORY_SERVER), Rule.FEATURE_GATE)
    if given.collector_options is None:
        message = "is missing: say at least its image and STORAGE_BACKEND"
        yield FieldError(f"{path}.collectorOptions", message, Rule.HISTORY_SERVER)
    else:
        yield from _collector(given.collector_options, f"{path}.collectorOptions")
    named: list[tuple[str, api.GroupSpec]] = [(f"{at}.headGroupSpec", spec.head_group_spec)]
    for group_path, group in [*named, *groups.workers(spec, at)]:
        if any(each.get("name") == CONTAINER for each in group.containers):
            message = f"rename the container {CONTAINER}: the operator adds one of that name"
            yield FieldError(f"{group_path}.template.spec.containers", message, Rule.HISTORY_SERVER)


def _collector(given: options.CollectorOptions, path: str) -> Iterator[FieldError]:
    if not given.image:
        yield FieldError(f"{path}.image", "is empty: name an image", Rule.HISTORY_SERVER)
    for variable in RESERVED:
        if groups.find(given.env, variable):
            message = f"remove {variable}: the operator sets it"
            yield FieldError(f"{path}.env", message, Rule.HISTORY_SERVER)
    backend = (groups.find(given.env, "STORAGE_BACKEND") or {}).get("value")
    if not backend:
        message = "add STORAGE_BACKEND with a value such as S3, GCS, AzureBlob or AliyunOSS"
        yield FieldError(f"{path}.env", message, Rule.HISTORY_SERVER)
        return
    for needed in _needed(backend.upper(), given.env):
        if not any(_is_set(given.env, name) for name in needed):
            message = f"add {' or '.join(needed)}: STORAGE_BACKEND {backend} needs it"
            yield FieldError(f"{path}.env", message, Rule.HISTORY_SERVER)


def _needed(backend: str, env: list[base.Json]) -> list[tuple[str, ...]]:
    """Return what must be set: of each tuple at least one variable."""
    if backend != "AZUREBLOB":
        needed = {name.upper(): each for name, each in BACKENDS.items()}.get(backend, ())
        return [(name,) for name in needed]
    mode = (groups.find(env, "AZURE_STORAGE_AUTH_MODE") or {}).get("value") or ""
    one = _AZURE.get(mode.strip().lower())
    return [(one,)] if one else [(_CONNECTION, _ACCOUNT)]


def _is_set(env: list[base.Json], name: str) -> bool:
    found = groups.find(env, name) or {}
    return bool(found.get("value") or found.get("valueFrom"))


def _named(group: str) -> str:
    containers = f"{group}.template.spec.containers"
    return f"has({group}.template.spec) && {containers}.exists(c, c.name == '{CONTAINER}')"


def expressions() -> Iterator[cel.Cel]:
    """Yield the rules for the API server."""
    yield cel.Cel(
        Rule.HISTORY_SERVER,
        ("HistoryServerOptions",),
        "has(self.collectorOptions)",
        "collectorOptions is missing: say at least its image and STORAGE_BACKEND",
    )
    collector = ("CollectorOptions",)
    yield cel.Cel(
        Rule.HISTORY_SERVER,
        collector,
        cel.given("image"),
        "image is empty: name an image",
    )
    yield cel.Cel(
        Rule.HISTORY_SERVER,
        collector,
        f"!({cel.variable('self', *RESERVED)})",
        f"remove {', '.join(RESERVED)}: the operator sets them",
        ".env",
    )
    backend = "has(self.env) && self.env.exists(e, e.name == 'STORAGE_BACKEND' && {0})"
    some = "has(e.value) && size(e.value) > 0"
    yield cel.Cel(
        Rule.HISTORY_SERVER,
        collector,
        backend.format(some),
        "add STORAGE_BACKEND to env with a value such as S3, GCS, AzureBlob or AliyunOSS",
    )
    for spelling, needed in BACKENDS.items():
        name = spelling.upper()
        spellings = (name, name.lower(), spelling)  # others are left to the Python
        chosen = backend.format(f"has(e.value) && e.value in {cel.listed(spellings)}")
        for variable in needed:
            set_ = f"e.name == '{variable}' && (({some}) || has(e.valueFrom))"
            yield cel.Cel(
                Rule.HISTORY_SERVER,
                collector,
                cel.refuse(chosen, f"!self.env.exists(e, {set_})"),
                f"add {variable} to env: STORAGE_BACKEND {spelling} needs it",
                ".env",
            )
    yield cel.Cel(
        Rule.HISTORY_SERVER,
        cel.CLUSTER,
        cel.refuse(
            "has(self.historyServerOptions)",
            f"({_named('self.headGroupSpec')}) || ({cel.WORKERS}.exists(g, {_named('g')}))",
        ),
        f"rename the container {CONTAINER}: the operator adds one of that name",
    )
