"""All rules of a RayService.

Source: KubeRay 1.7, validation of RayService. Refused too is what the reference accepts and can't
finish: upgrades in steps of nothing, strategies of the cluster within, configurations that are no
YAML mapping.
"""

from collections.abc import Iterator
from datetime import timedelta

from ray_operator import features, names
from ray_operator.api import cel, duration, kubernetes, serve_config
from ray_operator.api import rayservice as api
from ray_operator.api.rules import FieldError, Rule
from ray_operator.api.validation import forms, meta, raycluster, upgrade

INCREMENTAL = "NewClusterWithIncrementalUpgrade"


def errors(
    service: api.RayService, enabled: features.Features = features.DEFAULT
) -> list[FieldError]:
    """List all that is wrong, with the feature gates that are on."""
    malformed = [
        *forms.cluster(service.spec.ray_cluster_config, "spec.rayClusterConfig"),
        *forms.errors(
            "spec.serveService", service.spec.serve_service or {}, kubernetes.FORMS["Service"]
        ),
    ]
    return malformed or [
        *meta.name("RayService", service.metadata),
        *_timeout(service),
        *_cluster(service, enabled),
        *_upgrade(service.spec, enabled),
        *_rest(service.spec),
    ]


def warnings(
    service: api.RayService, enabled: features.Features = features.DEFAULT
) -> list[FieldError]:
    """List what works, and hardly as meant."""
    found = []
    config = serve_config.parse(service.spec.serve_config_v2)
    if config is None or (isinstance(config, dict) and not config.get("applications")):
        message = "lists no applications: nothing is deployed"
        found.append(FieldError("spec.serveConfigV2", message, Rule.SERVICE_CONFIG))
    if _is_incremental(service.spec) and features.Feature.INCREMENTAL_UPGRADE not in enabled:
        message = f"never upgrades without the feature gate {features.Feature.INCREMENTAL_UPGRADE}"
        found.append(FieldError("spec.upgradeStrategy.type", message, Rule.FEATURE_GATE))
    return found


def initializing_timeout(service: api.RayService) -> timedelta | None:
    """Return how long nothing may serve at first; None for ever, also if what is given is refused.

    It is a duration as Go writes it, or whole seconds, and at most what Go can hold.
    """
    text = service.metadata.annotations.get(names.INITIALIZING_TIMEOUT_ANNOTATION, "")
    is_seconds = text.isascii() and text.isdigit()
    try:
        given = duration.parse(f"{text}s" if is_seconds else text)
    except ValueError:  # Python reads no number of thousands of digits
        return None
    return given if given and given > timedelta() else None


def _timeout(service: api.RayService) -> Iterator[FieldError]:
    key = names.INITIALIZING_TIMEOUT_ANNOTATION
    text = service.metadata.annotations.get(key, "")
    if text and initializing_timeout(service) is None:
        message = (
            f"{text!r} is no positive duration of at most 292 years: write it like 30s, 5m or 300"
        )
        yield FieldError(f"metadata.annotations[{key}]", message, Rule.SERVICE_TIMEOUT)


def _cluster(service: api.RayService, enabled: features.Features) -> Iterator[FieldError]:
    spec, path = service.spec.ray_cluster_config, "spec.rayClusterConfig"
    yield from raycluster.spec_errors(spec, path, service.metadata.annotations, enabled)
    yield from upgrade.errors(spec, path, creator="RayService")
    if spec.auth_options is not None and spec.auth_options.enable_k8s_token_auth:
        message = "works for a RayCluster only: use a secret"
        yield FieldError(f"{path}.authOptions.enableK8sTokenAuth", message, Rule.AUTH)
    head_service = spec.head_group_spec.head_service or {}
    if (head_service.get("metadata") or {}).get("name"):
        yield FieldError(
            f"{path}.headGroupSpec.headService.metadata.name",
            "remove it: two clusters live at once during an upgrade",
            Rule.SERVICE_HEAD_NAME,
        )


def _upgrade(spec: api.RayServiceSpec, enabled: features.Features) -> Iterator[FieldError]:
    kind = spec.upgrade_strategy.type if spec.upgrade_strategy else None
    path = "spec.upgradeStrategy"
    if kind and kind not in api.UPGRADE_TYPES:
        message = f"{kind!r} is unknown: use {', '.join(api.UPGRADE_TYPES)}"
        yield FieldError(f"{path}.type", message, Rule.SERVICE_UPGRADE)
    if not _is_incremental(spec) or features.Feature.INCREMENTAL_UPGRADE not in enabled:
        return
    if not spec.ray_cluster_config.enable_in_tree_autoscaling:
        message = f"must be true for {INCREMENTAL}, which scales both clusters"
        yield FieldError(
            "spec.rayClusterConfig.enableInTreeAutoscaling", message, Rule.SERVICE_UPGRADE
        )
    assert spec.upgrade_strategy is not None
    given = spec.upgrade_strategy.cluster_upgrade_options
    if given is None:
        message = "is missing: give stepSizePercent, intervalSeconds and gatewayClassName"
        yield FieldError(f"{path}.clusterUpgradeOptions", message, Rule.SERVICE_UPGRADE)
    else:
        yield from _steps(given, f"{path}.clusterUpgradeOptions")


def _steps(given: api.ClusterUpgradeOptions, path: str) -> Iterator[FieldError]:
    surge = 100 if given.max_surge_percent is None else given.max_surge_percent
    step = given.step_size_percent
    if not 1 <= surge <= 100:
        message = f"is {surge}: use 1 to 100"
        yield FieldError(f"{path}.maxSurgePercent", message, Rule.SERVICE_UPGRADE)
    if not 1 <= step <= 100:
        message = f"is {step}: use 1 to 100"
        yield FieldError(f"{path}.stepSizePercent", message, Rule.SERVICE_UPGRADE)
    elif step > surge:
        message = f"is {step}, above maxSurgePercent {surge}: lower it, or raise maxSurgePercent"
        yield FieldError(f"{path}.stepSizePercent", message, Rule.SERVICE_UPGRADE)
    if given.interval_seconds <= 0:
        message = f"is {given.interval_seconds}: use 1 or more seconds"
        yield FieldError(f"{path}.intervalSeconds", message, Rule.SERVICE_UPGRADE)
    if not given.gateway_class_name:
        message = "is empty: name a GatewayClass"
        yield FieldError(f"{path}.gatewayClassName", message, Rule.SERVICE_UPGRADE)


def _rest(spec: api.RayServiceSpec) -> Iterator[FieldError]:
    delay = spec.ray_cluster_deletion_delay_seconds
    if delay is not None and delay < 0:
        message = f"is {delay}: use 0 or more seconds"
        path = "spec.rayClusterDeletionDelaySeconds"
        yield FieldError(path, message, Rule.SERVICE_DELETION_DELAY)
    if not isinstance(serve_config.parse(spec.serve_config_v2), dict | None):
        message = "is no YAML mapping: give Serve's configuration, 'applications: [...]'"
        yield FieldError("spec.serveConfigV2", message, Rule.SERVICE_CONFIG)


def _is_incremental(spec: api.RayServiceSpec) -> bool:
    return spec.upgrade_strategy is not None and spec.upgrade_strategy.type == INCREMENTAL


def expressions() -> Iterator[cel.Cel]:
    """Yield the rules for the API server."""
    service = ("RayServiceSpec",)
    steps = "self.upgradeStrategy.clusterUpgradeOptions"
    incremental = cel.is_("NewClusterWithIncrementalUpgrade", "upgradeStrategy", "type")
    yield cel.Cel(
        Rule.SERVICE_UPGRADE,
        service,
        cel.refuse(incremental, "!has(self.upgradeStrategy.clusterUpgradeOptions)"),
        "clusterUpgradeOptions is missing: give stepSizePercent, intervalSeconds and"
        " gatewayClassName",
        ".upgradeStrategy",
    )
    yield cel.Cel(
        Rule.SERVICE_UPGRADE,
        service,
        cel.refuse(incremental, f"!({cel.is_true('rayClusterConfig', 'enableInTreeAutoscaling')})"),
        "enableInTreeAutoscaling must be true for NewClusterWithIncrementalUpgrade, which scales"
        " both clusters",
        ".rayClusterConfig",
    )
    surge = f"(has({steps}.maxSurgePercent) ? {steps}.maxSurgePercent : 100)"
    for test, message in (
        (f"{surge} >= 1 && {surge} <= 100", "maxSurgePercent must be 1 to 100"),
        (f"{steps}.stepSizePercent >= 1", "stepSizePercent must be 1 to 100"),
        (
            f"{steps}.stepSizePercent <= {surge}",
            "stepSizePercent is above maxSurgePercent: lower it, or raise maxSurgePercent",
        ),
        (f"{steps}.intervalSeconds > 0", "intervalSeconds must be 1 or more"),
        (f"size({steps}.gatewayClassName) > 0", "gatewayClassName is empty: name a GatewayClass"),
    ):
        has_steps = "has(self.upgradeStrategy.clusterUpgradeOptions)"
        yield cel.Cel(
            Rule.SERVICE_UPGRADE,
            service,
            cel.refuse(incremental, has_steps, f"!({test})"),
            message,
            ".upgradeStrategy.clusterUpgradeOptions",
        )
    yield cel.Cel(
        Rule.AUTH,
        service,
        f"!({cel.is_true('rayClusterConfig', 'authOptions', 'enableK8sTokenAuth')})",
        "enableK8sTokenAuth works for a RayCluster only: use a secret",
        ".rayClusterConfig",
    )
    yield cel.Cel(
        Rule.UPGRADE_STRATEGY,
        service,
        f"!({cel.has('rayClusterConfig', 'upgradeStrategy', 'type')})",
        "remove rayClusterConfig.upgradeStrategy: the RayService decides about upgrades",
        ".rayClusterConfig",
    )
    head_name = cel.given("metadata", "name", at="self.rayClusterConfig.headGroupSpec.headService")
    yield cel.Cel(
        Rule.SERVICE_HEAD_NAME,
        service,
        cel.refuse("has(self.rayClusterConfig.headGroupSpec.headService)", head_name),
        "remove the name of headService: two clusters live at once during an upgrade",
        ".rayClusterConfig",
    )
