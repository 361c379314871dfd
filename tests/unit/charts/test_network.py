"""Who reaches the operator, and whom it reaches, under the chart's NetworkPolicy."""

from typing import Any

from tests.support import charts


def policy(operator: charts.Helm, **values: Any) -> charts.Json:
    """Return the spec of the policy."""
    rendered = operator.render({"networkPolicy": {"enabled": True, **values}})
    spec: charts.Json = rendered.one("NetworkPolicy")["spec"]
    return spec


def test_the_operator_and_hooks_are_isolated(operator: charts.Helm) -> None:
    rendered = operator.render(charts.EVERYTHING)
    spec = rendered.one("NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    (expression,) = spec["podSelector"]["matchExpressions"]
    fixed = spec["podSelector"]["matchLabels"].items()
    for pod in rendered.pods():
        labels = pod["metadata"]["labels"]
        assert fixed <= labels.items()
        assert labels[expression["key"]] in expression["values"]


def test_who_comes_in(operator: charts.Helm) -> None:
    metrics, probes = policy(operator)["ingress"]
    assert metrics == {"ports": [{"port": 8080, "protocol": "TCP"}]}
    assert probes == {"ports": [{"port": 8082, "protocol": "TCP"}]}
    _, called = operator.render(charts.EVERYTHING).one("NetworkPolicy")["spec"]["ingress"]
    assert [each["port"] for each in called["ports"]] == [8082, 9443]


def test_who_may_scrape(operator: charts.Helm) -> None:
    peer = {"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}
    extra = {"ports": [{"port": 1}]}
    metrics, _, last = policy(operator, metricsFrom=[peer], extraIngress=[extra])["ingress"]
    hooks, prometheus = metrics["from"]
    assert prometheus == peer
    pod = operator.render().one("Pod")
    labels = pod["metadata"]["labels"].items()
    assert hooks["podSelector"]["matchLabels"].items() <= labels
    assert last == extra


def test_where_it_goes(operator: charts.Helm) -> None:
    block = {"ipBlock": {"cidr": "10.0.0.1/32"}}
    extra = {"to": [block]}
    rules = policy(operator, apiServerPorts=[6443], apiServerTo=[block], extraEgress=[extra])[
        "egress"
    ]
    dns, api, ray, own, last = rules
    assert {each["protocol"] for each in dns["ports"]} == {"UDP", "TCP"}
    assert api == {"ports": [{"port": 6443, "protocol": "TCP"}], "to": [block]}
    ray_nodes = {"matchLabels": {"ray.io/is-ray-node": "yes"}}
    assert ray == {"to": [{"namespaceSelector": {}, "podSelector": ray_nodes}]}
    assert own["ports"] == [{"port": 8080, "protocol": "TCP"}]
    assert last == extra


def test_only_to_watched_namespaces(operator: charts.Helm) -> None:
    values = {"networkPolicy": {"enabled": True}, "watchNamespace": ["a", "b"]}
    spec = operator.render(values).one("NetworkPolicy")["spec"]
    (expression,) = spec["egress"][2]["to"][0]["namespaceSelector"]["matchExpressions"]
    assert expression["values"] == ["a", "b"]
