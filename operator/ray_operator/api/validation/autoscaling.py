"""Rules about autoscaling: which options go together, and with which Ray.

Source: KubeRay 1.7, validation of RayCluster.
"""

from collections.abc import Iterator

from ray_operator.api import cel, options
from ray_operator.api import raycluster as api
from ray_operator.api.rules import FieldError, Rule
from ray_operator.api.validation import groups
from ray_operator.features import Feature, Features, lacking

V2_SWITCH = "RAY_enable_autoscaler_v2"
COMMAND_VARIABLE = "KUBERAY_GEN_AUTOSCALER_START_CMD"
GCS_PORT = "6379"

_NOT_IN_V1 = "means nothing to Ray's autoscaler v1: remove it, or autoscalerOptions.version"


def errors(spec: api.RayClusterSpec, at: str, features: Features) -> Iterator[FieldError]:
    """Check the cluster spec found at that path."""
    given = spec.autoscaler_options or options.AutoscalerOptions()
    for path, group in groups.workers(spec, at):
        yield from _group(spec, group, path, features)
    if given.idle_timeout_seconds is not None and given.idle_timeout_seconds < 0:
        message = f"is {given.idle_timeout_seconds}: use 0 or more seconds"
        yield FieldError(
            f"{at}.autoscalerOptions.idleTimeoutSeconds", message, Rule.AUTOSCALER_IDLE_TIMEOUT
        )
    if groups.find(given.env, COMMAND_VARIABLE):
        message = f"remove {COMMAND_VARIABLE}: the operator sets it"
        yield FieldError(f"{at}.autoscalerOptions.env", message, Rule.AUTOSCALER_ENV)
    yield from _version(spec, at, given)
    if spec.enable_in_tree_autoscaling and given.version == "v2":
        yield from _restarting(spec, at, everywhere=True)


def warnings(spec: api.RayClusterSpec, at: str) -> Iterator[FieldError]:
    """List what works, and hardly as meant."""
    given = spec.autoscaler_options
    if spec.enable_in_tree_autoscaling and given and given.version == "v1":
        yield from _restarting(spec, at, everywhere=False)
    port = spec.head_group_spec.ray_start_params.get("port", GCS_PORT)
    if spec.enable_in_tree_autoscaling and port != GCS_PORT:
        message = (
            f"is {port}: Ray's own autoscaler asks at {GCS_PORT} only, and nothing would scale"
        )
        yield FieldError(f"{at}.headGroupSpec.rayStartParams[port]", message, Rule.AUTOSCALER_PORT)


def _is_v1(spec: api.RayClusterSpec) -> bool:
    """Tell whether the user asks for the autoscaler v1, by option or by variable."""
    given = spec.autoscaler_options
    is_switched_off = _has_switch(spec) and not _has_switch(spec, "1", "true")
    return (given is not None and given.version == "v1") or is_switched_off


def _has_switch(spec: api.RayClusterSpec, *values: str) -> bool:
    switch = groups.variable(spec.head_group_spec, V2_SWITCH)
    return switch is not None and (not values or switch.get("value") in values)


def _group(
    spec: api.RayClusterSpec, group: api.WorkerGroupSpec, path: str, features: Features
) -> Iterator[FieldError]:
    idle = group.idle_timeout_seconds
    if idle is not None and idle < 0:
        message = f"is {idle}: use 0 or more seconds"
        yield FieldError(f"{path}.idleTimeoutSeconds", message, Rule.GROUP_IDLE_TIMEOUT)
    elif idle is not None and _is_v1(spec):
        yield FieldError(f"{path}.idleTimeoutSeconds", _NOT_IN_V1, Rule.GROUP_IDLE_TIMEOUT)
    if group.priority and _is_v1(spec):
        yield FieldError(f"{path}.priority", _NOT_IN_V1, Rule.GROUP_PRIORITY)
    if group.suspend and Feature.DELETION_POLICY not in features:
        message = lacking(Feature.DELETION_POLICY)
        yield FieldError(f"{path}.suspend", message, Rule.FEATURE_GATE)
    if group.suspend and spec.enable_in_tree_autoscaling:
        message = "can't be true with autoscaling on: set maxReplicas to 0 instead"
        yield FieldError(f"{path}.suspend", message, Rule.GROUP_SUSPEND)


def _version(
    spec: api.RayClusterSpec, at: str, given: options.AutoscalerOptions
) -> Iterator[FieldError]:
    path = f"{at}.headGroupSpec.template.spec.containers[0].env"
    if not spec.enable_in_tree_autoscaling and _has_switch(spec, "1", "true"):
        message = f"{V2_SWITCH} has no effect: set enableInTreeAutoscaling to true, or remove it"
        yield FieldError(path, message, Rule.AUTOSCALER_VERSION)
    if spec.enable_in_tree_autoscaling and given.version and _has_switch(spec):
        message = f"remove {V2_SWITCH}: autoscalerOptions.version decides"
        yield FieldError(path, message, Rule.AUTOSCALER_VERSION)


def _restarting(spec: api.RayClusterSpec, at: str, *, everywhere: bool) -> Iterator[FieldError]:
    """List the groups whose Pods restart in place, which the autoscaler doesn't understand."""
    listed: list[tuple[str, api.GroupSpec]] = list(groups.workers(spec, at))
    if everywhere:
        listed.insert(0, (f"{at}.headGroupSpec", spec.head_group_spec))
    for path, group in listed:
        policy = (group.template.get("spec") or {}).get("restartPolicy")
        if policy not in {None, "", "Never"}:
            message = f"is {policy}: with autoscaling it must be Never, or unset"
            yield FieldError(
                f"{path}.template.spec.restartPolicy", message, Rule.AUTOSCALER_RESTART_POLICY
            )


_V2_OPTION = cel.is_("v2", "autoscalerOptions", "version")
_V2_SWITCH = cel.variable(cel.HEAD, V2_SWITCH, literal=("1", "true"))
_V1_OPTION = cel.is_("v1", "autoscalerOptions", "version")
_IS_V1 = f"(({_V1_OPTION}) || (({cel.variable(cel.HEAD, V2_SWITCH)}) && !({_V2_SWITCH})))"
_POLICY = ("template", "spec", "restartPolicy")


def _restarts(group: str) -> str:
    return f"{cel.given(*_POLICY, at=group)} && {group}.{'.'.join(_POLICY)} != 'Never'"


def expressions() -> Iterator[cel.Cel]:
    """Yield the rules for the API server."""
    yield cel.Cel(
        Rule.GROUP_IDLE_TIMEOUT,
        cel.CLUSTER,
        cel.refuse(f"{cel.WORKERS}.exists(g, has(g.idleTimeoutSeconds))", _IS_V1),
        f"idleTimeoutSeconds of a group {_NOT_IN_V1}",
        ".workerGroupSpecs",
    )
    prioritized = f"{cel.WORKERS}.exists(g, has(g.priority) && g.priority != 0)"
    yield cel.Cel(
        Rule.GROUP_PRIORITY,
        cel.CLUSTER,
        cel.refuse(prioritized, _IS_V1),
        f"priority of a group {_NOT_IN_V1}",
        ".workerGroupSpecs",
    )
    yield cel.Cel(
        Rule.AUTOSCALER_VERSION,
        cel.CLUSTER,
        cel.refuse(f"!({cel.AUTOSCALING})", _V2_SWITCH),
        f"{V2_SWITCH} of the head has no effect: set enableInTreeAutoscaling to true, or remove it",
        cel.HEAD_ENV,
    )
    yield cel.Cel(
        Rule.AUTOSCALER_VERSION,
        cel.CLUSTER,
        cel.refuse(
            cel.AUTOSCALING,
            cel.has("autoscalerOptions", "version"),
            cel.variable(cel.HEAD, V2_SWITCH),
        ),
        f"remove {V2_SWITCH} of the head: autoscalerOptions.version decides",
        cel.HEAD_ENV,
    )
    restarts = f"({_restarts('self.headGroupSpec')})"
    restarts += f" || ({cel.WORKERS}.exists(g, {_restarts('g')}))"
    yield cel.Cel(
        Rule.AUTOSCALER_RESTART_POLICY,
        cel.CLUSTER,
        cel.refuse(cel.AUTOSCALING, _V2_OPTION, restarts),
        "restartPolicy of every group must be Never, or unset, with the autoscaler v2",
    )
    yield cel.Cel(
        Rule.AUTOSCALER_ENV,
        ("AutoscalerOptions",),
        f"!({cel.variable('self', COMMAND_VARIABLE)})",
        f"remove {COMMAND_VARIABLE}: the operator sets it",
        ".env",
    )
