"""Rules about who may talk to the cluster: authentication, TLS and network policies.

Source: KubeRay 1.7, validation of RayCluster.
"""

from collections.abc import Iterator

from ray_operator.api import base, cel, options, ray_version
from ray_operator.api import raycluster as api
from ray_operator.api.rules import FieldError, Rule
from ray_operator.api.validation import groups, meta
from ray_operator.features import Feature, Features, lacking

TOKEN_VERSION = (2, 52, 0)
K8S_TOKEN_VERSION = (2, 55, 0)
TLS_VARIABLES = (
    "RAY_USE_TLS",
    "RAY_TLS_SERVER_CERT",
    "RAY_TLS_SERVER_KEY",
    "RAY_TLS_CA_CERT",
)
TLS_VOLUME = "ray-tls"
TLS_PATH = "/etc/ray/tls"


def errors(spec: api.RayClusterSpec, at: str, features: Features) -> Iterator[FieldError]:
    """Check the cluster spec found at that path."""
    if spec.auth_options is not None:
        yield from _auth(spec, spec.auth_options, f"{at}.authOptions")
    if spec.network_policy is not None:
        yield from _network_policy(spec, spec.network_policy, at, features)
    if spec.tls_options is not None:
        yield from _tls(spec, spec.tls_options, at, features)


def _auth(spec: api.RayClusterSpec, given: options.AuthOptions, path: str) -> Iterator[FieldError]:
    kubernetes = bool(given.enable_k8s_token_auth)
    least = K8S_TOKEN_VERSION if kubernetes else TOKEN_VERSION
    version = ray_version.parse(spec.ray_version)
    if (kubernetes or given.mode == "token") and (version is None or version < least):
        words = ".".join(map(str, least))
        message = f"needs Ray {words} or newer: set rayVersion to the version of the image"
        field = "enableK8sTokenAuth" if kubernetes else "mode"
        yield FieldError(f"{path}.{field}", message, Rule.AUTH)
    if kubernetes and given.mode == "disabled":
        message = "needs mode token: set it, or remove enableK8sTokenAuth"
        yield FieldError(f"{path}.enableK8sTokenAuth", message, Rule.AUTH)
    if kubernetes and given.secret_name:
        message = "is not used with enableK8sTokenAuth: remove one of the two"
        yield FieldError(f"{path}.secretName", message, Rule.AUTH)


def _network_policy(
    spec: api.RayClusterSpec,
    given: options.NetworkPolicyOptions,
    at: str,
    features: Features,
) -> Iterator[FieldError]:
    path = f"{at}.networkPolicy"
    if Feature.NETWORK_POLICY not in features:
        yield _gate(path, Feature.NETWORK_POLICY)
    known = {group.group_name for group in spec.worker_group_specs}
    rules: list[tuple[str, options.NetworkPolicyRules]] = [
        (f"{path}.{field}", each)
        for field, each in (("head", given.head), ("worker", given.worker))
        if each is not None
    ]
    for index, group in enumerate(given.worker_groups):
        rules.append((f"{path}.workerGroups[{index}]", group))
        if group.group_name not in known:
            message = f"{group.group_name!r} is no worker group: use a groupName of the cluster"
            name_path = f"{path}.workerGroups[{index}].groupName"
            yield FieldError(name_path, message, Rule.NETWORK_POLICY)
    for rules_path, each in rules:
        yield from _direction(given.mode, each, rules_path)
    for group_path, worker in groups.workers(spec, at):
        if not meta.is_dns_label(worker.group_name):
            message = f"{worker.group_name!r} names a NetworkPolicy: use a-z, 0-9 and '-' only"
            yield FieldError(f"{group_path}.groupName", message, Rule.NETWORK_POLICY)


def _direction(mode: str, rules: options.NetworkPolicyRules, path: str) -> Iterator[FieldError]:
    if mode == "DenyAllEgress" and rules.ingress_rules:
        message = "incoming traffic is not denied with mode DenyAllEgress: remove the rules"
        yield FieldError(f"{path}.ingressRules", message, Rule.NETWORK_POLICY)
    if mode == "DenyAllIngress" and rules.egress_rules:
        message = "outgoing traffic is not denied with mode DenyAllIngress: remove the rules"
        yield FieldError(f"{path}.egressRules", message, Rule.NETWORK_POLICY)


def _tls(
    spec: api.RayClusterSpec, given: options.TlsOptions, at: str, features: Features
) -> Iterator[FieldError]:
    if Feature.MTLS not in features:
        yield _gate(f"{at}.tlsOptions", Feature.MTLS)
    if not given.enabled:
        return
    named: list[tuple[str, api.GroupSpec]] = [(f"{at}.headGroupSpec", spec.head_group_spec)]
    for path, group in [*named, *groups.workers(spec, at)]:
        if group.containers:
            yield from _tls_reserved(group.ray_container, f"{path}.template.spec.containers[0]")
    if spec.autoscaler_options is not None:
        sidecar = spec.autoscaler_options.dump()
        yield from _tls_reserved(sidecar, f"{at}.autoscalerOptions")


def _tls_reserved(container: base.Json, path: str) -> Iterator[FieldError]:
    for variable in TLS_VARIABLES:
        if groups.find(container.get("env") or [], variable):
            message = f"remove {variable}: the operator sets it with tlsOptions.enabled"
            yield FieldError(f"{path}.env", message, Rule.TLS)
    if groups.mount(container, name=TLS_VOLUME, path=TLS_PATH):
        message = f"remove the mount {TLS_VOLUME} or {TLS_PATH}: the operator adds it"
        yield FieldError(f"{path}.volumeMounts", message, Rule.TLS)


def _gate(path: str, feature: Feature) -> FieldError:
    return FieldError(path, lacking(feature), Rule.FEATURE_GATE)


def expressions() -> Iterator[cel.Cel]:
    """Yield the rules for the API server."""
    kubernetes = cel.is_true("authOptions", "enableK8sTokenAuth")
    token = cel.is_("token", "authOptions", "mode")
    for least, condition, which in (
        (TOKEN_VERSION, token, "authOptions.mode token"),
        (K8S_TOKEN_VERSION, kubernetes, "enableK8sTokenAuth"),
    ):
        yield cel.Cel(
            Rule.AUTH,
            cel.CLUSTER,
            cel.refuse(condition, f"!(has(self.rayVersion) && {cel.since(least)})"),
            f"{which} needs Ray {'.'.join(map(str, least))} or newer: set rayVersion to the"
            " version of the image",
            ".rayVersion",
        )
    yield cel.Cel(
        Rule.AUTH,
        ("AuthOptions",),
        cel.refuse(cel.is_true("enableK8sTokenAuth"), f"({cel.is_('disabled', 'mode')})"),
        "enableK8sTokenAuth needs mode token: set it, or remove enableK8sTokenAuth",
        ".mode",
    )
    yield cel.Cel(
        Rule.AUTH,
        ("AuthOptions",),
        cel.refuse(cel.is_true("enableK8sTokenAuth"), cel.given("secretName")),
        "secretName is not used with enableK8sTokenAuth: remove one of the two",
        ".secretName",
    )
    yield from _network_policy_rules()
    # Workers are left to the Python: all variables of all groups would cost too much here.
    sidecar = f"has(self.autoscalerOptions) && ({_tls_expression('self.autoscalerOptions')})"
    yield cel.Cel(
        Rule.TLS,
        cel.CLUSTER,
        cel.refuse(
            cel.is_true("tlsOptions", "enabled"), f"({_tls_expression(cel.HEAD)}) || ({sidecar})"
        ),
        f"remove {', '.join(TLS_VARIABLES)} and mounts at {TLS_PATH}: the"
        " operator adds them with tlsOptions.enabled",
    )


def _tls_expression(container: str) -> str:
    variables = cel.variable(container, *TLS_VARIABLES)
    mounts = cel.mount(container, TLS_VOLUME, TLS_PATH)
    return f"({variables}) || ({mounts})"


def _network_policy_rules() -> Iterator[cel.Cel]:
    for mode, field, words in (
        ("DenyAllEgress", "ingressRules", "incoming"),
        ("DenyAllIngress", "egressRules", "outgoing"),
    ):
        places = " || ".join(f"({cel.given(place, field)})" for place in ("head", "worker"))
        group = cel.given(field, at="g")
        groups = f"has(self.workerGroups) && self.workerGroups.exists(g, {group})"
        yield cel.Cel(
            Rule.NETWORK_POLICY,
            ("NetworkPolicyOptions",),
            cel.refuse(f"self.mode == '{mode}'", f"{places} || ({groups})"),
            f"{words} traffic is not denied with mode {mode}: remove {field}",
            ".mode",
        )
    # Whether groupNames are those of groups is left to the Python: 500 by 500 cost too much here.
    yield cel.Cel(
        Rule.NETWORK_POLICY,
        cel.CLUSTER,
        cel.refuse(
            "has(self.networkPolicy)",
            f"{cel.WORKERS}.exists(g, !g.groupName.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$'))",
        ),
        "groupName names a NetworkPolicy: use a-z, 0-9 and '-' only",
        ".workerGroupSpecs",
    )
