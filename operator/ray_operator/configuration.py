"""The operator's configuration file: its keys, their defaults, and what is wrong with one.

Owns: reading and checking the file. Does not own: flags (`cli`), which set the same keys, or what
a setting does. Invariant: a key that is unknown or of the wrong type, and a container that no API
server would take, end the start with a message that names it; nothing of a file is ignored.
Source: KubeRay 1.7, `config.ray.io/v1alpha1`.
"""

import collections
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from ray_operator import settings
from ray_operator.api import base, kubernetes, structural
from ray_operator.api.validation import meta

API_VERSION, KIND = "config.ray.io/v1alpha1", "Configuration"
ENCODERS = ("json", "console")
AUTOSCALERS = ("operator", "sidecar")
"""Who scales clusters that don't say; the first is the default."""
RESERVED = ("autoscaler", "wait-gcs-ready")
"""Names of containers that the operator itself adds to Pods."""
BATCH_SCHEDULERS = ("volcano", "yunikorn", "kai-scheduler", "scheduler-plugins")


class BadConfiguration(Exception):
    """The configuration can't be used; the message says where, why and what to do."""


class Configuration(base.Model):
    """All keys of the file; a flag sets the key of its name when there is no file."""

    api_version: str = Field(API_VERSION, json_schema_extra=base.one_of(API_VERSION))
    kind: str = Field(KIND, json_schema_extra=base.one_of(KIND))
    metrics_addr: str = ":8080"
    probe_addr: str = ":8082"
    enable_leader_election: bool = True
    leader_election_namespace: str = ""
    reconcile_concurrency: base.Positive = 16
    watch_namespace: str = ""
    log_file: str = ""
    log_file_encoder: str = Field("json", json_schema_extra=base.one_of(*ENCODERS))
    log_stdout_encoder: str = Field("json", json_schema_extra=base.one_of(*ENCODERS))
    enable_batch_scheduler: bool = False
    batch_scheduler: str = Field("", json_schema_extra=base.one_of("", *BATCH_SCHEDULERS))
    use_kubernetes_proxy: bool = False
    autoscaler_default: str = Field(AUTOSCALERS[0], json_schema_extra=base.one_of(*AUTOSCALERS))
    enable_metrics: bool = False
    qps: float | None = None
    burst: base.NonNegative = 200
    head_sidecar_containers: list[kubernetes.Container] = Field(default_factory=list)
    worker_sidecar_containers: list[kubernetes.Container] = Field(default_factory=list)
    default_container_envs: list[kubernetes.EnvVar] = Field(default_factory=list)
    default_pod_annotations: dict[str, str] = Field(default_factory=dict)
    default_pod_labels: dict[str, str] = Field(default_factory=dict)
    delete_ray_job_after_job_finishes: bool = False

    def additions(self) -> settings.PodAdditions:
        """Return what every Ray Pod gets."""
        return settings.PodAdditions(
            head_containers=tuple(self.head_sidecar_containers),
            worker_containers=tuple(self.worker_sidecar_containers),
            env=tuple(self.default_container_envs),
            annotations=self.default_pod_annotations,
            labels=self.default_pod_labels,
        )


def key(field: str) -> str:
    """Return the key of a field as the file spells it."""
    return Configuration.model_fields[field].alias or field


def read(path: Path) -> base.Json:
    """Read the file's keys, as they are written, without those of null.

    Raises BadConfiguration with all that is wrong, a line each.
    """
    try:
        documents = [each for each in yaml.safe_load_all(path.read_text()) if each is not None]
    except OSError as error:
        raise BadConfiguration(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"{path}: is no YAML: {' '.join(str(error).split())}") from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise BadConfiguration(f"{path}: must hold one object, of kind {KIND}")
    written = {key: value for key, value in documents[0].items() if value is not None}
    if wrong := list(dict.fromkeys(_wrong(written))):
        raise BadConfiguration("\n".join(f"{path}: {each}" for each in wrong))
    return written


def resources(text: str) -> base.Json:
    """Read a container's resources from JSON; raise BadConfiguration."""
    from ray_operator import strict  # only who sets this pays for it

    try:
        given = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadConfiguration(f"is no JSON: {' '.join(str(error).split())}") from error
    schema = strict.Schema(kubernetes.schema("ResourceRequirements"))
    if wrong := [_line(path, message) for path, message in schema.errors(given)]:
        raise BadConfiguration("; ".join(wrong))
    found: base.Json = given
    return found


def _wrong(written: base.Json) -> Iterator[str]:
    """Say what is wrong: first the form, then, if that is fine, what a schema can't tell."""
    from ray_operator import strict  # an operator without a file needs no schemas

    for key, value in (("apiVersion", API_VERSION), ("kind", KIND)):
        if key not in written:
            yield f"{key}: is missing: write {key}: {value}"
    schema = structural.schema(Configuration, structural.Style(described=False, complete=True))
    broken = [_line(path, message) for path, message in strict.Schema(schema).errors(written)]
    yield from broken
    if not broken:
        yield from _unusable(written)


def _unusable(written: base.Json) -> Iterator[str]:
    for key in ("headSidecarContainers", "workerSidecarContainers"):
        containers = written.get(key, [])
        yield from _twice(key, (each["name"] for each in containers))
        for index, each in enumerate(containers):
            if not meta.is_dns_label(each["name"]):
                yield (
                    f"{key}[{index}].name: {each['name']!r} must be at most 63 lower-case letters,"
                    " digits and '-', starting and ending with a letter or digit"
                )
            if each["name"] in RESERVED:
                yield f"{key}[{index}].name: {each['name']!r} is the operator's own: use another"
            if not each.get("image"):
                yield f"{key}[{index}].image: is missing: name the image to run"
    key = "defaultContainerEnvs"
    yield from _twice(key, (each["name"] for each in written.get(key, [])))
    for found in meta.labels("defaultPodLabels", written.get("defaultPodLabels", {})):
        yield str(found)
    keys = dict.fromkeys(written.get("defaultPodAnnotations", {}), "")  # values may be any text
    for found in meta.labels("defaultPodAnnotations", keys):
        yield str(found)


def _twice(key: str, names: Iterable[str]) -> Iterator[str]:
    for name, count in collections.Counter(names).items():
        if count > 1:
            yield f"{key}: {name!r} is there {count} times: give each a name of its own"


def _line(path: str, message: Any) -> str:
    return f"{path}: {message}" if path else str(message)
