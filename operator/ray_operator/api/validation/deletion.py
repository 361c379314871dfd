"""Rules about what is deleted once a RayJob has ended.

Source: KubeRay 1.7, validation of RayJob.
"""

from collections import Counter
from collections.abc import Iterator

from ray_operator.api import cel
from ray_operator.api import rayjob as api
from ray_operator.api.rules import FieldError, Rule
from ray_operator.features import Feature, Features, lacking

OF_CLUSTER = ("DeleteCluster", "DeleteWorkers")
ORDER = ("DeleteWorkers", "DeleteCluster", "DeleteSelf")
"""What goes first can't wait longer than what takes it along."""


def errors(spec: api.RayJobSpec, at: str, features: Features) -> Iterator[FieldError]:
    """Check the deletion strategy of the job spec at that path."""
    given, path = spec.deletion_strategy, f"{at}.deletionStrategy"
    if given is None:
        return
    if Feature.DELETION_POLICY not in features:
        yield FieldError(path, lacking(Feature.DELETION_POLICY), Rule.FEATURE_GATE)
    has_legacy = given.on_success is not None or given.on_failure is not None
    if given.deletion_rules and spec.shutdown_after_job_finishes:
        yield _error(f"{path}.deletionRules", "remove it, or shutdownAfterJobFinishes")
    if given.deletion_rules and has_legacy:
        yield _error(f"{path}.deletionRules", "remove it, or onSuccess and onFailure")
    if not given.deletion_rules and not has_legacy:
        yield _error(path, "is empty: give deletionRules")
    if has_legacy:
        yield from _legacy(spec, given, path)
    yield from _rules(spec, given.deletion_rules, f"{path}.deletionRules")


def _legacy(spec: api.RayJobSpec, given: api.DeletionStrategy, path: str) -> Iterator[FieldError]:
    for field, each in (("onSuccess", given.on_success), ("onFailure", given.on_failure)):
        if each is None:
            yield _error(f"{path}.{field}", "is missing: give both, or better deletionRules")
        elif each.policy is None:
            yield _error(f"{path}.{field}.policy", "is missing: say what to delete")
        else:
            yield from _policy(spec, each.policy, f"{path}.{field}.policy")
            if each.policy == "DeleteNone" and spec.shutdown_after_job_finishes:
                message = "contradicts shutdownAfterJobFinishes: remove one of the two"
                yield _error(f"{path}.{field}.policy", message)


def _policy(spec: api.RayJobSpec, policy: str, path: str) -> Iterator[FieldError]:
    cluster = spec.ray_cluster_spec
    if spec.cluster_selector and policy in OF_CLUSTER:
        yield _error(path, f"can't be {policy} with clusterSelector, whose cluster others may use")
    if policy == "DeleteWorkers" and cluster is not None and cluster.enable_in_tree_autoscaling:
        yield _error(path, "can't be DeleteWorkers with autoscaling, which deletes them itself")


def _rules(spec: api.RayJobSpec, rules: list[api.DeletionRule], path: str) -> Iterator[FieldError]:
    count = Counter(map(_identity, rules))
    for index, rule in enumerate(rules):
        condition, at = rule.condition, f"{path}[{index}]"
        if (condition.job_status is None) == (condition.job_deployment_status is None):
            yield _error(f"{at}.condition", "give either jobStatus or jobDeploymentStatus")
        if condition.ttl_seconds < 0:
            message = f"is {condition.ttl_seconds}: use 0 or more seconds"
            yield _error(f"{at}.condition.ttlSeconds", message)
        yield from _policy(spec, rule.policy, f"{at}.policy")
        if count[_identity(rule)] > 1:
            yield _error(at, f"{rule.policy} appears twice for one condition: keep one")
        yield from _order(rule, rules, f"{at}.condition.ttlSeconds")


def _order(
    rule: api.DeletionRule, rules: list[api.DeletionRule], path: str
) -> Iterator[FieldError]:
    for other in rules:
        ranked = rule.policy in ORDER and other.policy in ORDER
        if not ranked or _identity(rule)[1:] != _identity(other)[1:]:
            continue
        mine, theirs = rule.condition.ttl_seconds, other.condition.ttl_seconds
        if ORDER.index(rule.policy) < ORDER.index(other.policy) and mine > theirs:
            message = f"is {mine}, after {other.policy} at {theirs}: use at most {theirs}"
            yield _error(path, message)


def _identity(rule: api.DeletionRule) -> tuple[str, str | None, str | None]:
    return (rule.policy, rule.condition.job_status, rule.condition.job_deployment_status)


def _error(path: str, message: str) -> FieldError:
    return FieldError(path, message, Rule.JOB_DELETION)


def expressions() -> Iterator[cel.Cel]:
    """Yield the rules for the API server."""
    strategy = ("DeletionStrategy",)
    legacy = "(has(self.onSuccess) || has(self.onFailure))"
    yield cel.Cel(
        Rule.JOB_DELETION,
        strategy,
        cel.refuse("has(self.deletionRules)", legacy),
        "give either deletionRules, or onSuccess and onFailure",
    )
    yield cel.Cel(
        Rule.JOB_DELETION,
        strategy,
        "has(self.deletionRules) || (has(self.onSuccess) && has(self.onFailure))",
        "give deletionRules (or both onSuccess and onFailure)",
    )
    yield cel.Cel(
        Rule.JOB_DELETION,
        ("DeletionPolicy",),
        "has(self.policy)",
        "policy is missing: say what to delete",
    )
    yield cel.Cel(
        Rule.JOB_DELETION,
        ("DeletionCondition",),
        "has(self.jobStatus) != has(self.jobDeploymentStatus)",
        "give either jobStatus or jobDeploymentStatus",
    )
    same = (
        "has(a.condition.jobStatus) == has(b.condition.jobStatus) && (has(a.condition.jobStatus)"
        " ? a.condition.jobStatus == b.condition.jobStatus : true)"
    )
    yield cel.Cel(
        Rule.JOB_DELETION,
        strategy,
        "!has(self.deletionRules) || self.deletionRules.all(a, self.deletionRules.exists_one(b,"
        f" a.policy == b.policy && {same}))",
        "a policy appears twice for one condition: keep one",
        ".deletionRules",
    )
    for first, later in ((ORDER[0], ORDER[1:]), (ORDER[1], ORDER[2:])):
        pair = f"a.policy == '{first}' && b.policy in {cel.listed(later)}"
        yield cel.Cel(
            Rule.JOB_DELETION,
            strategy,
            "!has(self.deletionRules) || self.deletionRules.all(a, self.deletionRules.all(b,"
            f" !({pair} && {same}) || a.condition.ttlSeconds <= b.condition.ttlSeconds))",
            f"ttlSeconds of {first} must not be above that of {' or '.join(later)}",
            ".deletionRules",
        )
    rules, shutdown = "self.deletionStrategy.deletionRules", cel.is_true("shutdownAfterJobFinishes")
    yield cel.Cel(
        Rule.JOB_DELETION,
        cel.JOB,
        cel.refuse(cel.has("deletionStrategy", "deletionRules"), shutdown),
        "remove deletionStrategy.deletionRules, or shutdownAfterJobFinishes",
        ".deletionStrategy",
    )
    yield cel.Cel(
        Rule.JOB_DELETION,
        cel.JOB,
        cel.refuse(shutdown, _any_policy("DeleteNone", rules="")),
        "DeleteNone contradicts shutdownAfterJobFinishes: remove one of the two",
        ".deletionStrategy",
    )
    yield cel.Cel(
        Rule.JOB_DELETION,
        cel.JOB,
        cel.refuse(
            cel.given("clusterSelector"),
            _any_policy("DeleteCluster", "DeleteWorkers", rules=rules),
        ),
        "policy can't be DeleteCluster or DeleteWorkers with clusterSelector, whose cluster"
        " others may use",
        ".deletionStrategy",
    )
    yield cel.Cel(
        Rule.JOB_DELETION,
        cel.JOB,
        cel.refuse(
            cel.is_true("rayClusterSpec", "enableInTreeAutoscaling"),
            _any_policy("DeleteWorkers", rules=rules),
        ),
        "policy can't be DeleteWorkers with autoscaling, which deletes them itself",
        ".deletionStrategy",
    )


def _any_policy(*policies: str, rules: str) -> str:
    """Tell whether the deletion strategy of a job holds one of the policies anywhere."""
    listed = cel.listed(policies)
    places = [
        f"({cel.has('deletionStrategy', place, 'policy')}"
        f" && self.deletionStrategy.{place}.policy in {listed})"
        for place in ("onSuccess", "onFailure")
    ]
    if rules:
        has_rules = cel.has("deletionStrategy", "deletionRules")
        places.append(f"({has_rules} && {rules}.exists(r, r.policy in {listed}))")
    return " || ".join(places)
