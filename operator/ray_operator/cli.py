"""The command line: flags and environment in, one typed value out.

Owns: every flag and environment variable of the running operator, with its default. Does not own:
commands that end by themselves (`commands`), or acting on any (`__main__`). Invariant: the flags
are KubeRay's, in single-dash form too, because existing manifests use both.
"""

import argparse
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from ray_operator import commands, configuration, features, logs, settings
from ray_operator.api.validation import raycronjob

CERTIFICATES = Path("/tmp/k8s-webhook-server/serving-certs")
KEYS = {
    "metrics-addr": "metrics_addr",
    "health-probe-bind-address": "probe_addr",
    "enable-leader-election": "enable_leader_election",
    "leader-election-namespace": "leader_election_namespace",
    "reconcile-concurrency": "reconcile_concurrency",
    "watch-namespace": "watch_namespace",
    "log-file-path": "log_file",
    "log-file-encoder": "log_file_encoder",
    "log-stdout-encoder": "log_stdout_encoder",
    "enable-batch-scheduler": "enable_batch_scheduler",
    "batch-scheduler": "batch_scheduler",
    "use-kubernetes-proxy": "use_kubernetes_proxy",
    "autoscaler-default": "autoscaler_default",
    "enable-metrics": "enable_metrics",
    "qps": "qps",
    "burst": "burst",
}
"""The flags that a configuration file replaces, and the fields that they set."""
ENCODERS = ("log_stdout_encoder", "log_file_encoder")
"""What may be a flag beside a file."""
LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
ZAP_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "error": logging.ERROR,
    "panic": logging.CRITICAL,
}
WAIT_RESOURCES = "WAIT_GCS_READY_RESOURCES"
DRAIN_SECONDS = "RAY_OPERATOR_DRAIN_SECONDS"
REQUEUE_SECONDS = "RAYCLUSTER_DEFAULT_REQUEUE_SECONDS_ENV"
USUAL_WAIT = timedelta(minutes=5)
"""As KubeRay has it, of whatever is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What `ray-operator run` was asked for.

    Attributes:
        namespaces: those to watch; empty means all.
        enable_metrics: tell of each resource, too, not only of the operator.
        warnings: what of the flags and the configuration file can't be obeyed.
        webhook_certificates: folder of tls.crt and tls.key; None means no webhook.
        is_rehearsal: only tell what would be written first.
    """

    metrics_address: str
    health_address: str
    leader_election: bool
    leader_election_namespace: str
    concurrency: int
    namespaces: tuple[str, ...]
    logs: logs.Options
    enable_metrics: bool
    qps: float | None
    burst: int
    kubeconfig: Path | None
    pod_name: str
    warnings: tuple[str, ...]
    webhook_certificates: Path | None
    webhook_address: str
    settings: settings.Settings
    pod_uid: str = ""
    ignore_other_operators: bool = False
    is_rehearsal: bool = False


def _flag(text: str) -> bool:
    lowered = text.lower()
    if lowered not in {"true", "false", "1", "0", "t", "f"}:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return lowered in {"true", "1", "t"}


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def _level(text: str) -> int:
    """Read a level of zap's, where any number asks for more than `debug` has to tell."""
    if text.isdigit() and int(text) > 0:
        return logging.DEBUG
    if text.lower() not in ZAP_LEVELS:
        words = ", ".join(ZAP_LEVELS)
        raise argparse.ArgumentTypeError(f"{text!r} is no level: use {words} or a number above 0")
    return ZAP_LEVELS[text.lower()]


HELP = {"-h", "--help"}


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    made = argparse.ArgumentParser(prog="ray-operator", description="A Kubernetes operator for Ray")
    subparsers = made.add_subparsers(dest="command", required=True)
    _add_run(subparsers.add_parser("run", help="run the operator"))
    told = "tell what an operator with these flags would write first; nothing is kept"
    adopt = subparsers.add_parser("adopt", help=told)
    adopt.add_argument("--dry-run", action="store_true", required=True, help="to adopt is `run`'s")
    _add_run(adopt)
    commands.add(subparsers)
    return made


def _add_run(run: argparse.ArgumentParser) -> None:
    def add(name: str, **options: Any) -> None:
        run.add_argument(f"--{name}", f"-{name}", **options)

    def key(name: str, **options: Any) -> None:
        """Add a flag for a key of the configuration file; its default is the key's."""
        add(name, dest=KEYS[name], default=argparse.SUPPRESS, **options)

    switch: Any = {"type": _flag, "nargs": "?", "const": True}
    add("config", type=Path, default=None, help="a file of settings, instead of most flags")
    key("metrics-addr", help="address of /metrics; :8080")
    key("health-probe-bind-address", help="address of /healthz and /readyz; :8082")
    key("enable-leader-election", **switch, help="on unless switched off")
    key("leader-election-namespace", help="empty: the Pod's namespace")
    key("reconcile-concurrency", type=_positive, help="resources worked on at once; 16")
    key("watch-namespace", help="comma-separated; empty: all namespaces")
    key("log-file-path", help="log into this file, too; 10 older ones of 500 MB are kept")
    key("log-file-encoder", choices=configuration.ENCODERS, help="json")
    key("log-stdout-encoder", choices=configuration.ENCODERS, help="json")
    key("enable-batch-scheduler", **switch, help="deprecated: volcano; not built yet")
    key("batch-scheduler", choices=configuration.BATCH_SCHEDULERS, help="not built yet")
    key("use-kubernetes-proxy", **switch, help="reach heads through the API server")
    key("autoscaler-default", choices=configuration.AUTOSCALERS, help="operator")
    key("enable-metrics", **switch, help="metrics of each resource, too; false")
    key("qps", type=float, help="requests a second to the API server; no limit")
    key("burst", type=_positive, help="requests at once when --qps is given; 200")
    add("log-level", choices=LEVELS, default=None, help="info")
    add("zap-devel", **switch, default=False, help="console, debug, unless other flags say more")
    add("zap-encoder", choices=configuration.ENCODERS, default=None, help="as log-stdout-encoder")
    add("zap-log-level", type=_level, default=None, help="debug, info, error, panic or a number")
    add("zap-stacktrace-level", type=_level, default=None, help="tracebacks from here; error")
    add("zap-time-encoding", choices=tuple(logs.TIMES), default="iso8601", help="iso8601")
    add("forced-cluster-upgrade", **switch, default=False, help="deprecated: without effect")
    add("kubeconfig", type=Path, default=None, help="instead of the Pod's service account")
    add("webhook-bind-address", default=":9443", help="address of the webhook, if it is on; :9443")
    add(
        "webhook-cert-dir",
        type=Path,
        default=CERTIFICATES,
        help=f"holds tls.crt and tls.key; {CERTIFICATES}",
    )
    add("feature-gates", type=commands.gates, default=features.DEFAULT, help="A=true,B=false")
    add("ignore-other-operators", **switch, default=False, help="work beside an active one")


def parse(
    arguments: Sequence[str], environment: Mapping[str, str], *, version: str
) -> Run | commands.Command:
    """Parse a command line; on a bad one print why and exit with 2, as argparse does.

    Flags alone are `run`'s: patches of KubeRay's Deployment replace its arguments by such.
    """
    reading = parser()
    is_bare = bool(arguments) and arguments[0].startswith("-") and arguments[0] not in HELP
    given = reading.parse_args(["run", *arguments] if is_bare else arguments)
    if command := commands.of(given):
        return command
    try:
        config, warnings = _configured(given)
        gates, unbuilt = features.built(given.feature_gates)
        warnings += unbuilt
        warnings += _batch_scheduler(config, given.feature_gates)
        options = _settings(environment, config, version=version, enabled=gates)
    except (ValueError, configuration.BadConfiguration) as error:
        reading.error(str(error))
    if given.forced_cluster_upgrade:
        warnings.append("--forced-cluster-upgrade has no effect: leave it out")
    return Run(
        metrics_address=config.metrics_addr,
        health_address=config.probe_addr,
        leader_election=config.enable_leader_election,
        leader_election_namespace=config.leader_election_namespace,
        concurrency=config.reconcile_concurrency,
        namespaces=commands.namespaces(config.watch_namespace),
        logs=_logs(given, config),
        enable_metrics=config.enable_metrics,
        qps=config.qps,
        burst=config.burst,
        kubeconfig=given.kubeconfig,
        pod_name=environment.get("POD_NAME", ""),
        pod_uid=environment.get("POD_UID", ""),
        ignore_other_operators=given.ignore_other_operators,
        warnings=tuple(warnings),
        webhook_certificates=given.webhook_cert_dir
        if environment.get("ENABLE_WEBHOOKS", "").lower() == "true"
        else None,
        webhook_address=given.webhook_bind_address,
        is_rehearsal=given.command == "adopt",
        settings=options,
    )


def _configured(given: argparse.Namespace) -> tuple[configuration.Configuration, list[str]]:
    """Return the configuration, from the file if there is one, and what of the flags is ignored.

    Only the encoders of the log may come from a flag beside a file, and the file's word is first.
    """
    flags = {field: value for field, value in vars(given).items() if field in KEYS.values()}
    encoder = {"log_stdout_encoder": given.zap_encoder or "console"}
    zap = encoder if given.zap_encoder or given.zap_devel else {}
    if given.config is None:
        return configuration.Configuration(**{**zap, **flags}), []
    written = configuration.read(given.config)
    beside = {
        field: flags.pop(field)
        for field in ENCODERS
        if field in flags and configuration.key(field) not in written
    }
    said = {configuration.key(field): value for field, value in {**zap, **beside}.items()}
    config = configuration.Configuration.model_validate({**said, **written})
    ignored = {f"--{name}": field for name, field in KEYS.items() if field in flags}
    if not ignored:
        return config, []
    keys = ", ".join(map(configuration.key, ignored.values()))
    warning = f"--config is given, so {', '.join(ignored)} had no effect: set {keys} in the file"
    return config, [warning]


def _logs(given: argparse.Namespace, config: configuration.Configuration) -> logs.Options:
    level = LEVELS[given.log_level] if given.log_level else given.zap_log_level
    if level is None:
        level = logging.DEBUG if given.zap_devel else logging.INFO
    traced = given.zap_stacktrace_level
    if traced is None:
        traced = logging.WARNING if given.zap_devel else logging.ERROR
    return logs.Options(
        stdout_encoder=config.log_stdout_encoder,
        file=Path(config.log_file) if config.log_file else None,
        file_encoder=config.log_file_encoder,
        level=level,
        tracebacks_from=traced,
        times=given.zap_time_encoding,
    )


def _batch_scheduler(config: configuration.Configuration, gates: features.Features) -> list[str]:
    """Return a warning when one is asked for; raise ValueError when that can't be meant."""
    name = config.batch_scheduler
    if name and config.enable_batch_scheduler:
        raise ValueError(
            f"batchScheduler is {name} and enableBatchScheduler, which means volcano, is true:"
            " leave enableBatchScheduler out"
        )
    name = name or ("volcano" if config.enable_batch_scheduler else "")
    if name and features.Feature.WORKLOAD_AWARE_SCHEDULING in gates:
        raise ValueError(
            f"the batch scheduler {name} and the feature gate KubernetesWAS exclude each other:"
            " leave one out"
        )
    return (
        [f"the batch scheduler {name} isn't built yet: Pods are scheduled as if it weren't given"]
        if name
        else []
    )


def _settings(
    environment: Mapping[str, str],
    config: configuration.Configuration,
    *,
    version: str,
    enabled: features.Features,
) -> settings.Settings:
    """Add the switches that KubeRay takes from the environment.

    Raises:
        ValueError: a value can't be read; the message names the variable.
    """

    def switch(name: str, *, default: bool) -> bool:
        value = environment.get(name, "").lower()
        return value != "false" if default else value == "true"

    def seconds(name: str, *, least: int, default: timedelta = USUAL_WAIT) -> timedelta:
        text = environment.get(name) or str(round(default.total_seconds()))
        if not re.fullmatch(r"-?\d+", text, re.ASCII) or int(text) < least:
            raise ValueError(f"{name} is {text!r}; give seconds, {least} or more")
        return timedelta(seconds=int(text))

    return settings.Settings(
        version=version,
        cluster_domain=environment.get("CLUSTER_DOMAIN") or "cluster.local",
        inject_init_container=switch("ENABLE_INIT_CONTAINER_INJECTION", default=True),
        inject_probes=switch("ENABLE_PROBES_INJECTION", default=True),
        login_shell=switch("ENABLE_LOGIN_SHELL", default=False),
        deterministic_head_name=switch("ENABLE_DETERMINISTIC_HEAD_POD_NAME", default=False),
        head_cluster_ip_service=switch("ENABLE_RAY_HEAD_CLUSTER_IP_SERVICE", default=False),
        redis_cleanup=switch("ENABLE_GCS_FT_REDIS_CLEANUP", default=True),
        random_pod_delete=switch("ENABLE_RANDOM_POD_DELETE", default=False),
        ingress_on_openshift=switch("USE_INGRESS_ON_OPENSHIFT", default=False),
        zero_downtime=switch("ENABLE_ZERO_DOWNTIME", default=True),
        delete_finished_rayjobs=config.delete_ray_job_after_job_finishes
        or switch("DELETE_RAYJOB_CR_AFTER_JOB_FINISHES", default=False),
        rayjob_transition_grace=seconds(
            "RAYJOB_DEPLOYMENT_STATUS_TRANSITION_GRACE_PERIOD_SECONDS", least=0
        ),
        rayjob_status_timeout=seconds("RAYJOB_STATUS_CHECK_TIMEOUT_SECONDS", least=1),
        rayjob_trusts_submitter=switch("RAYJOB_FAIL_WHEN_SUBMITTER_FINISHES_FIRST", default=False),
        resync=seconds(REQUEUE_SECONDS, least=1),
        revisit=seconds(REQUEUE_SECONDS, least=1, default=settings.REVISIT),
        feature_gates=enabled,
        drain_timeout=seconds(DRAIN_SECONDS, least=0) if environment.get(DRAIN_SECONDS) else None,
        use_kubernetes_proxy=config.use_kubernetes_proxy,
        autoscaler_default=config.autoscaler_default,
        additions=config.additions(),
        wait_resources=_wait_resources(environment.get(WAIT_RESOURCES, "")),
        time_zone=_time_zone(environment.get("TZ", "")),
    )


def _time_zone(text: str) -> str:
    """Read the variable TZ, which may begin with a colon; what is no zone's name means UTC.

    So does the C library, which takes rules such as CET-1CEST there, too; schedules don't.
    """
    name = text.removeprefix(":")
    return name if name and raycronjob.is_zone(name) else "UTC"


def _wait_resources(text: str) -> settings.Json | None:
    try:
        return configuration.resources(text) if text else None
    except configuration.BadConfiguration as error:
        example = '{"limits": {"memory": "1Gi"}}'
        raise ValueError(f"{WAIT_RESOURCES}: {error}; give resources as in {example}") from error
