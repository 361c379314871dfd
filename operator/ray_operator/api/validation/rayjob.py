"""All rules of a RayJob, and of the job within a RayCronJob.

Source: KubeRay 1.7, validation of RayJob. What the reference accepts and can't run is refused too:
unknown submission modes, missing entrypoints, resources that are no JSON.
"""

from collections.abc import Iterator, Mapping

from ray_operator import features, go_yaml, names
from ray_operator.api import cel, kubernetes, ray_resources, ray_version
from ray_operator.api import rayjob as api
from ray_operator.api.rules import FieldError, Rule
from ray_operator.api.validation import deletion, forms, groups, meta, raycluster, upgrade

METADATA_VERSION = (2, 6, 0)


def errors(job: api.RayJob, enabled: features.Features = features.DEFAULT) -> list[FieldError]:
    """List all that is wrong, with the feature gates that are on."""
    return [
        *meta.name("RayJob", job.metadata),
        *spec_errors(job.spec, "spec", job.metadata.annotations, enabled),
    ]


def spec_errors(
    spec: api.RayJobSpec, at: str, annotations: Mapping[str, str], enabled: features.Features
) -> Iterator[FieldError]:
    """Check the job spec at that path; the annotations are the outermost resource's."""
    if malformed := _malformed(spec, at):
        yield from malformed
        return
    yield from _cluster(spec, at)
    yield from _submission(spec, at)
    yield from _entrypoint(spec, at)
    yield from _times(spec, at)
    yield from deletion.errors(spec, at, enabled)
    if spec.ray_cluster_spec is not None:
        path = f"{at}.rayClusterSpec"
        yield from raycluster.spec_errors(spec.ray_cluster_spec, path, annotations, enabled)
        yield from upgrade.errors(spec.ray_cluster_spec, path, creator="RayJob")
        auth = spec.ray_cluster_spec.auth_options
        if auth is not None and auth.enable_k8s_token_auth:
            message = "works for a RayCluster only: use a secret"
            yield FieldError(f"{path}.authOptions.enableK8sTokenAuth", message, Rule.AUTH)


def _malformed(spec: api.RayJobSpec, at: str) -> list[FieldError]:
    template = spec.submitter_pod_template or {}
    found = forms.errors(
        f"{at}.submitterPodTemplate", template, kubernetes.FORMS["PodTemplateSpec"]
    )
    if spec.ray_cluster_spec is not None:
        found += forms.cluster(spec.ray_cluster_spec, f"{at}.rayClusterSpec")
    return found


def _cluster(spec: api.RayJobSpec, at: str) -> Iterator[FieldError]:
    selector, path = spec.cluster_selector, f"{at}.clusterSelector"
    if not selector:
        if spec.ray_cluster_spec is None:
            message = "is missing: describe a cluster, or name one in clusterSelector"
            yield FieldError(f"{at}.rayClusterSpec", message, Rule.JOB_CLUSTER)
        return
    if not selector.get(names.CLUSTER_LABEL):
        message = f"has no {names.CLUSTER_LABEL}: give the cluster's name under this key"
        yield FieldError(path, message, Rule.JOB_CLUSTER)
    if spec.suspend:
        message = "can't be true with clusterSelector, whose cluster others may use"
        yield FieldError(f"{at}.suspend", message, Rule.JOB_SUSPEND)
    if spec.submission_mode == "SidecarMode":
        message = "can't be SidecarMode with clusterSelector, whose head Pod is made already"
        yield FieldError(f"{at}.submissionMode", message, Rule.JOB_CLUSTER)
    if spec.backoff_limit > 0:
        message = "must be 0 with clusterSelector: another attempt needs another cluster"
        yield FieldError(f"{at}.backoffLimit", message, Rule.JOB_RETRY)


def _submission(spec: api.RayJobSpec, at: str) -> Iterator[FieldError]:
    mode = spec.submission_mode
    if mode not in api.SUBMISSION_MODES:
        message = f"{mode!r} is unknown: use {', '.join(api.SUBMISSION_MODES)}"
        yield FieldError(f"{at}.submissionMode", message, Rule.JOB_SUBMISSION)
    if mode == "InteractiveMode" and spec.backoff_limit > 0:
        message = "must be 0 in InteractiveMode: the operator can't submit another attempt"
        yield FieldError(f"{at}.backoffLimit", message, Rule.JOB_RETRY)
    if spec.submitter_pod_template is not None and mode == "K8sJobMode":
        path = f"{at}.submitterPodTemplate"
        yield from groups.containers(path, spec.submitter_pod_template, does="submits")
    if mode != "SidecarMode":
        return
    for value, field in (
        (spec.submitter_pod_template, "submitterPodTemplate"),
        (spec.submitter_config, "submitterConfig"),
    ):
        if value is not None:
            message = "has no effect in SidecarMode: remove it"
            yield FieldError(f"{at}.{field}", message, Rule.JOB_SUBMITTER)
    head = spec.ray_cluster_spec.head_group_spec if spec.ray_cluster_spec else None
    policy = (head.template.get("spec") or {}).get("restartPolicy") if head else None
    if policy not in {None, "", "Never"}:
        path = f"{at}.rayClusterSpec.headGroupSpec.template.spec.restartPolicy"
        message = f"is {policy}: in SidecarMode it must be Never, or unset"
        yield FieldError(path, message, Rule.JOB_SUBMITTER)


def _entrypoint(spec: api.RayJobSpec, at: str) -> Iterator[FieldError]:
    if not spec.entrypoint.strip() and needs_entrypoint(spec):
        message = "is empty: give the command to run"
        yield FieldError(f"{at}.entrypoint", message, Rule.JOB_ENTRYPOINT)
    resources = spec.entrypoint_resources
    if resources and ray_resources.parse(resources) is None:
        message = f"{resources} is no JSON object of numbers: write it like '{{\"name\": 1}}'"
        yield FieldError(f"{at}.entrypointResources", message, Rule.JOB_RESOURCES)
    if spec.metadata and spec.submission_mode in {"K8sJobMode", "SidecarMode"}:
        yield from _metadata(spec, at)
    if not is_mapping(spec.runtime_env_yaml):
        message = "is no YAML mapping: write it like 'pip: [requests]'"
        yield FieldError(f"{at}.runtimeEnvYAML", message, Rule.JOB_RUNTIME_ENV)


def needs_entrypoint(spec: api.RayJobSpec) -> bool:
    """Tell whether the operator builds a command of the entrypoint."""
    listed = ((spec.submitter_pod_template or {}).get("spec") or {}).get("containers") or [{}]
    has_command = spec.submission_mode == "K8sJobMode" and bool(listed[0].get("command"))
    return spec.submission_mode != "InteractiveMode" and not has_command


def is_mapping(text: str) -> bool:
    """Tell whether the YAML is a mapping, or nothing."""
    try:
        return all(isinstance(each, dict | None) for each in go_yaml.load_all(text))
    except ValueError:
        return False


def _metadata(spec: api.RayJobSpec, at: str) -> Iterator[FieldError]:
    given = spec.ray_cluster_spec.ray_version if spec.ray_cluster_spec else None
    version = ray_version.parse(given)
    if given and (version is None or version < METADATA_VERSION):
        message = f"needs Ray 2.6.0 or newer, but rayVersion is {given!r}"
        yield FieldError(f"{at}.metadata", message, Rule.JOB_METADATA)


def _times(spec: api.RayJobSpec, at: str) -> Iterator[FieldError]:
    if spec.suspend and not spec.shutdown_after_job_finishes:
        message = "needs shutdownAfterJobFinishes: true, since suspending deletes the cluster"
        yield FieldError(f"{at}.suspend", message, Rule.JOB_SUSPEND)
    ttl = spec.ttl_seconds_after_finished
    if ttl < 0:
        message = f"is {ttl}: use 0 or more seconds"
        yield FieldError(f"{at}.ttlSecondsAfterFinished", message, Rule.JOB_TTL)
    if ttl > 0 and not spec.shutdown_after_job_finishes:
        message = "has no effect: set shutdownAfterJobFinishes to true, or remove it"
        yield FieldError(f"{at}.ttlSecondsAfterFinished", message, Rule.JOB_TTL)
    for seconds, field in (
        (spec.active_deadline_seconds, "activeDeadlineSeconds"),
        (spec.pre_running_deadline_seconds, "preRunningDeadlineSeconds"),
    ):
        if seconds is not None and seconds <= 0:
            message = f"is {seconds}: use 1 or more seconds"
            yield FieldError(f"{at}.{field}", message, Rule.JOB_DEADLINE)
    if spec.backoff_limit < 0:
        message = f"is {spec.backoff_limit}: use 0 or more"
        yield FieldError(f"{at}.backoffLimit", message, Rule.JOB_RETRY)


def expressions() -> Iterator[cel.Cel]:
    """Yield the rules for the API server."""
    selector = cel.given("clusterSelector")
    retries = "has(self.backoffLimit) && self.backoffLimit > 0"
    sidecar = "self.submissionMode == 'SidecarMode'"
    head_policy = ("rayClusterSpec", "headGroupSpec", "template", "spec", "restartPolicy")
    submitters = ("submitterPodTemplate", "spec", "containers")
    has_command = (
        f"self.submissionMode == 'K8sJobMode' && {cel.given(*submitters)}"
        f" && {cel.given('command', at='self.submitterPodTemplate.spec.containers[0]')}"
    )
    label = names.CLUSTER_LABEL
    table = (
        (
            Rule.JOB_CLUSTER,
            f"has(self.rayClusterSpec) || ({selector})",
            "rayClusterSpec is missing: describe a cluster, or name one in clusterSelector",
            "",
        ),
        (
            Rule.JOB_CLUSTER,
            cel.refuse(
                selector,
                f"(!('{label}' in self.clusterSelector) || self.clusterSelector['{label}'] == '')",
            ),
            f"clusterSelector has no {label}: give the cluster's name under this key",
            ".clusterSelector",
        ),
        (
            Rule.JOB_CLUSTER,
            cel.refuse(selector, sidecar),
            (
                "submissionMode can't be SidecarMode with clusterSelector, whose head Pod is made"
                " already"
            ),
            ".submissionMode",
        ),
        (
            Rule.JOB_SUSPEND,
            cel.refuse(selector, cel.is_true("suspend")),
            "suspend can't be true with clusterSelector, whose cluster others may use",
            ".suspend",
        ),
        (
            Rule.JOB_SUSPEND,
            cel.refuse(cel.is_true("suspend"), f"!({cel.is_true('shutdownAfterJobFinishes')})"),
            "suspend needs shutdownAfterJobFinishes: true, since suspending deletes the cluster",
            ".suspend",
        ),
        (
            Rule.JOB_RETRY,
            cel.refuse(selector, retries),
            "backoffLimit must be 0 with clusterSelector: another attempt needs another cluster",
            ".backoffLimit",
        ),
        (
            Rule.JOB_RETRY,
            cel.refuse("self.submissionMode == 'InteractiveMode'", retries),
            "backoffLimit must be 0 in InteractiveMode: the operator can't submit another attempt",
            ".backoffLimit",
        ),
        (
            Rule.JOB_SUBMITTER,
            cel.refuse(sidecar, "has(self.submitterPodTemplate) || has(self.submitterConfig)"),
            "submitterPodTemplate and submitterConfig have no effect in SidecarMode: remove them",
            ".submissionMode",
        ),
        (
            Rule.JOB_SUBMITTER,
            cel.refuse(
                sidecar, cel.given(*head_policy), f"self.{'.'.join(head_policy)} != 'Never'"
            ),
            "restartPolicy of the head must be Never, or unset, in SidecarMode",
            ".rayClusterSpec",
        ),
        (
            Rule.JOB_ENTRYPOINT,
            (
                f"self.submissionMode == 'InteractiveMode' || ({cel.given('entrypoint')})"
                f" || ({has_command})"
            ),
            "entrypoint is empty: give the command to run",
            "",
        ),
        (
            Rule.CONTAINERS,
            cel.refuse(
                "self.submissionMode == 'K8sJobMode'",
                "has(self.submitterPodTemplate)",
                f"!({cel.given(*submitters)})",
            ),
            "submitterPodTemplate has no container: add the one that submits",
            ".submitterPodTemplate",
        ),
        (
            Rule.JOB_METADATA,
            cel.refuse(
                cel.given("metadata"),
                "self.submissionMode in ['K8sJobMode', 'SidecarMode']",
                cel.given("rayClusterSpec", "rayVersion"),
                f"!{cel.since(METADATA_VERSION, 'self.rayClusterSpec.rayVersion')}",
            ),
            "metadata needs Ray 2.6.0 or newer: set rayVersion to the version of the image",
            ".metadata",
        ),
        (
            Rule.JOB_TTL,
            cel.refuse(
                "has(self.ttlSecondsAfterFinished) && self.ttlSecondsAfterFinished > 0",
                f"!({cel.is_true('shutdownAfterJobFinishes')})",
            ),
            (
                "ttlSecondsAfterFinished has no effect: set shutdownAfterJobFinishes to true, or"
                " remove it"
            ),
            ".ttlSecondsAfterFinished",
        ),
        (
            Rule.AUTH,
            f"!({cel.is_true('rayClusterSpec', 'authOptions', 'enableK8sTokenAuth')})",
            "enableK8sTokenAuth works for a RayCluster only: use a secret",
            ".rayClusterSpec",
        ),
        (
            Rule.UPGRADE_STRATEGY,
            f"!({cel.has('rayClusterSpec', 'upgradeStrategy', 'type')})",
            "remove rayClusterSpec.upgradeStrategy: the RayJob decides about upgrades",
            ".rayClusterSpec",
        ),
    )
    for rule, expression, message, field in table:
        yield cel.Cel(rule, cel.JOB, expression, message, field)
