"""Rules about GCS fault tolerance: one place for each setting, and no backend's in the other's.

Source: KubeRay 1.7, validation of RayCluster.
"""

from collections.abc import Iterator, Mapping

from ray_operator import names
from ray_operator.api import cel, options
from ray_operator.api import raycluster as api
from ray_operator.api.rules import FieldError, Rule
from ray_operator.api.validation import groups
from ray_operator.features import Feature, Features, lacking

ADDRESS = "RAY_REDIS_ADDRESS"
USERNAME = "REDIS_USERNAME"
PASSWORD = "REDIS_PASSWORD"
STORAGE_VARIABLES = ("RAY_gcs_storage", "RAY_gcs_storage_path")
VOLUME = "gcs-storage"
MOUNT_PATH = "/data/gcs"

_BLOCK = "gcsFaultToleranceOptions"


def errors(
    spec: api.RayClusterSpec, at: str, annotations: Mapping[str, str], features: Features
) -> Iterator[FieldError]:
    """Check the cluster spec at that path; the annotations are the resource's own."""
    given, head = spec.gcs_fault_tolerance_options, spec.head_group_spec
    env = f"{at}.headGroupSpec.template.spec.containers[0].env"
    params = f"{at}.headGroupSpec.rayStartParams"
    yield from _annotations(annotations, has_block=given is not None)
    is_on = given is not None or annotations.get(names.FT_ENABLED_ANNOTATION, "").lower() == "true"
    if not is_on and groups.variable(head, ADDRESS):
        message = f"{ADDRESS} has no effect: set {_BLOCK}.redisAddress instead"
        yield FieldError(env, message, Rule.FT_OFF)
    if given is not None:
        if head.ray_start_params.get("redis-password"):
            message = f"move it to {_BLOCK}.redisPassword"
            yield FieldError(f"{params}.redis-password", message, Rule.REDIS_PASSWORD)
        if groups.variable(head, PASSWORD):
            message = f"move {PASSWORD} to {_BLOCK}.redisPassword"
            yield FieldError(env, message, Rule.REDIS_PASSWORD)
        if groups.variable(head, ADDRESS):
            message = f"move {ADDRESS} to {_BLOCK}.redisAddress"
            yield FieldError(env, message, Rule.REDIS_ADDRESS)
        yield from _backend(spec, given, at, features)
    if head.ray_start_params.get("redis-username"):
        message = f"move it to {_BLOCK}.redisUsername"
        yield FieldError(f"{params}.redis-username", message, Rule.REDIS_USERNAME)
    if groups.variable(head, USERNAME):
        message = f"move {USERNAME} to {_BLOCK}.redisUsername"
        yield FieldError(env, message, Rule.REDIS_USERNAME)


def _annotations(annotations: Mapping[str, str], *, has_block: bool) -> Iterator[FieldError]:
    if not has_block:
        return
    for key, field in (
        (names.FT_ENABLED_ANNOTATION, "its presence is enough"),
        (names.FT_NAMESPACE_ANNOTATION, "use its externalStorageNamespace"),
    ):
        if annotations.get(key):
            message = f"remove it: {_BLOCK} is given, {field}"
            yield FieldError(f"metadata.annotations[{key}]", message, Rule.FT_ANNOTATIONS)


def _backend(
    spec: api.RayClusterSpec,
    given: options.GcsFaultToleranceOptions,
    at: str,
    features: Features,
) -> Iterator[FieldError]:
    path = f"{at}.{_BLOCK}"
    if given.backend != "rocksdb":
        if given.storage is not None:
            message = "is for the backend rocksdb: remove it, or set backend to rocksdb"
            yield FieldError(f"{path}.storage", message, Rule.FT_BACKEND)
        return
    if Feature.EMBEDDED_STORAGE not in features:
        message = f"rocksdb {lacking(Feature.EMBEDDED_STORAGE)}"
        yield FieldError(f"{path}.backend", message, Rule.FEATURE_GATE)
    for value, field in (
        (given.redis_address, "redisAddress"),
        (given.redis_username, "redisUsername"),
        (given.redis_password, "redisPassword"),
        (given.external_storage_namespace, "externalStorageNamespace"),
    ):
        if value:
            message = "is for the backend redis: remove it"
            yield FieldError(f"{path}.{field}", message, Rule.FT_BACKEND)
    yield from _storage(given.storage, f"{path}.storage")
    yield from _reserved(spec.head_group_spec, f"{at}.headGroupSpec.template.spec")


def _storage(storage: options.GcsStorage | None, path: str) -> Iterator[FieldError]:
    if storage is None or not storage.claim_name:
        return
    for value, field in (
        (storage.size, "size"),
        (storage.storage_class_name, "storageClassName"),
        (storage.access_modes, "accessModes"),
    ):
        if value:
            message = "describes a claim to make, but claimName names one: keep one of the two"
            yield FieldError(f"{path}.{field}", message, Rule.FT_STORAGE)


def _reserved(head: api.HeadGroupSpec, path: str) -> Iterator[FieldError]:
    """Refuse what the operator itself adds for the embedded store."""
    for variable in STORAGE_VARIABLES:
        if groups.variable(head, variable):
            message = f"remove {variable}: the operator sets it for the backend rocksdb"
            yield FieldError(f"{path}.containers[0].env", message, Rule.FT_STORAGE)
    if head.containers and groups.mount(head.ray_container, name=VOLUME, path=MOUNT_PATH):
        message = f"remove the mount {VOLUME} or {MOUNT_PATH}: the operator adds it"
        yield FieldError(f"{path}.containers[0].volumeMounts", message, Rule.FT_STORAGE)
    volumes = (head.template.get("spec") or {}).get("volumes") or []
    if any(each.get("name") == VOLUME for each in volumes):
        message = f"remove the volume {VOLUME}: the operator adds it"
        yield FieldError(f"{path}.volumes", message, Rule.FT_STORAGE)


_FT = f"has(self.{_BLOCK})"
_ROCKSDB = cel.is_("rocksdb", "backend")


def expressions() -> Iterator[cel.Cel]:
    """Yield the rules for the API server."""
    block, ft = _BLOCK, ("GcsFaultToleranceOptions",)
    for variable, field, rule in (
        (ADDRESS, "redisAddress", Rule.REDIS_ADDRESS),
        (PASSWORD, "redisPassword", Rule.REDIS_PASSWORD),
        (USERNAME, "redisUsername", Rule.REDIS_USERNAME),
    ):
        always = rule is Rule.REDIS_USERNAME
        yield cel.Cel(
            rule,
            cel.CLUSTER,
            cel.refuse(*([] if always else [_FT]), cel.variable(cel.HEAD, variable)),
            f"move {variable} of the head to {block}.{field}",
            cel.HEAD_ENV,
        )
    for param, field, rule in (
        ("redis-password", "redisPassword", Rule.REDIS_PASSWORD),
        ("redis-username", "redisUsername", Rule.REDIS_USERNAME),
    ):
        given = f"'{param}' in self.headGroupSpec.rayStartParams"
        value = f"self.headGroupSpec.rayStartParams['{param}'] != ''"
        always = rule is Rule.REDIS_USERNAME
        yield cel.Cel(
            rule,
            cel.CLUSTER,
            cel.refuse(
                *([] if always else [_FT]), "has(self.headGroupSpec.rayStartParams)", given, value
            ),
            f"move {param} of the head's rayStartParams to {block}.{field}",
            ".headGroupSpec.rayStartParams",
        )
    yield cel.Cel(
        Rule.FT_BACKEND,
        ft,
        "!has(oldSelf.backend) || !has(self.backend) || self.backend == oldSelf.backend",
        "backend can't be changed: make a new cluster",
        ".backend",
    )
    yield cel.Cel(
        Rule.FT_BACKEND,
        ft,
        cel.refuse("has(self.storage)", f"!({_ROCKSDB})"),
        "storage is for the backend rocksdb: remove it, or set backend to rocksdb",
        ".storage",
    )
    texts = " || ".join(
        f"({cel.given(each)})" for each in ("redisAddress", "externalStorageNamespace")
    )
    yield cel.Cel(
        Rule.FT_BACKEND,
        ft,
        cel.refuse(_ROCKSDB, f"{texts} || has(self.redisUsername) || has(self.redisPassword)"),
        "redisAddress, redisUsername, redisPassword and externalStorageNamespace are for the"
        " backend redis: remove them",
    )
    yield cel.Cel(
        Rule.FT_STORAGE,
        ("GcsStorage",),
        cel.refuse(
            cel.given("claimName"),
            f"has(self.size) || ({cel.given('storageClassName')}) || ({cel.given('accessModes')})",
        ),
        "size, storageClassName and accessModes describe a claim to make, but claimName names"
        " one: keep one of the two",
        ".claimName",
    )
    volumes = ("headGroupSpec", "template", "spec", "volumes")
    reserved = (
        f"({cel.variable(cel.HEAD, *STORAGE_VARIABLES)})"
        f" || ({cel.mount(cel.HEAD, VOLUME, MOUNT_PATH)})"
        f" || ({cel.has(*volumes)} && self.{'.'.join(volumes)}.exists(v, v.name == '{VOLUME}'))"
    )
    yield cel.Cel(
        Rule.FT_STORAGE,
        cel.CLUSTER,
        cel.refuse(cel.is_("rocksdb", block, "backend"), reserved),
        f"remove the variables {' and '.join(STORAGE_VARIABLES)}, the volume"
        f" {VOLUME} and mounts at {MOUNT_PATH} of the head: the"
        " operator adds them for the backend rocksdb",
        ".headGroupSpec.template",
    )
