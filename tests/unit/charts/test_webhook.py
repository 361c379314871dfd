"""The chart's admission webhook: who reaches, trusts and waits for it."""

import base64
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from ray_operator import admission
from tests.support import charts
from tests.unit.charts import objects


@pytest.fixture(scope="module")
def rendered(operator: charts.Helm) -> charts.Rendered:
    return operator.render({"webhook": {"enabled": True}})


def test_the_api_server_reaches_and_trusts_it(rendered: charts.Rendered) -> None:
    secret = rendered.one("Secret")
    name = secret["metadata"]["name"]
    authority, certificate = (
        x509.load_pem_x509_certificate(base64.b64decode(secret["data"][key]))
        for key in ("ca.crt", "tls.crt")
    )
    key = authority.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    certificate.verify_directly_issued_by(authority)
    hosts = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert f"{name}.{objects.NAMESPACE}.svc" in hosts.get_values_for_type(x509.DNSName)
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == 3650
    webhooks = rendered.one("ValidatingWebhookConfiguration")["webhooks"]
    for each in webhooks:
        config = each["clientConfig"]
        assert config["caBundle"] == secret["data"]["ca.crt"]
        assert config["service"]["name"] == rendered.one("Service", name)["metadata"]["name"]
    paths = [each["clientConfig"]["service"]["path"] for each in webhooks]
    assert tuple(paths) == admission.PATHS


def test_every_kind_is_reviewed(rendered: charts.Rendered) -> None:
    webhooks = rendered.one("ValidatingWebhookConfiguration")["webhooks"]
    reviewed = [resource for each in webhooks for resource in each["rules"][0]["resources"]]
    assert reviewed == [f"{kind.lower()}s" for kind in admission.MODELS]
    assert {each["failurePolicy"] for each in webhooks} == {"Fail"}
    assert all("namespaceSelector" not in each for each in webhooks)


def test_the_operator_s_own_changes_are_not(rendered: charts.Rendered) -> None:
    (condition,) = rendered.one("ValidatingWebhookConfiguration")["webhooks"][0]["matchConditions"]
    user = f"system:serviceaccount:{objects.NAMESPACE}:{objects.FULL}"
    assert condition["expression"] == f"request.userInfo.username != '{user}'"


def test_the_operator_serves_it(rendered: charts.Rendered) -> None:
    spec = rendered.one("Deployment")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    environment = {each["name"]: each.get("value", "") for each in container["env"]}
    found = objects.run(rendered, **environment)
    (mount,) = container["volumeMounts"]
    assert found.webhook_certificates == Path(mount["mountPath"])
    (volume,) = spec["volumes"]
    assert volume["name"] == mount["name"]
    secret = rendered.one("Secret")["metadata"]["name"]
    assert volume["secret"] == {"secretName": secret}
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    (port,) = rendered.one("Service", secret)["spec"]["ports"]
    assert found.webhook_address == f":{ports[port['targetPort']]}"


def test_a_certificate_of_one_s_own(operator: charts.Helm) -> None:
    certificate = {"secretName": "mine", "caBundle": "Y2E="}
    webhook = {"enabled": True, "failurePolicy": "Ignore", "certificate": certificate}
    rendered = operator.render({"webhook": webhook})
    assert rendered.all("Secret") == []
    spec = rendered.one("Deployment")["spec"]["template"]["spec"]
    assert spec["volumes"][0]["secret"] == {"secretName": "mine"}
    for each in rendered.one("ValidatingWebhookConfiguration")["webhooks"]:
        assert each["clientConfig"]["caBundle"] == "Y2E="
        assert each["failurePolicy"] == "Ignore"


def test_only_watched_namespaces_wait_for_it(operator: charts.Helm) -> None:
    values = {
        "webhook": {"enabled": True},
        "singleNamespaceInstall": True,
        "watchNamespace": ["a", "b"],
    }
    rendered = operator.render(values)
    configured = rendered.one("ValidatingWebhookConfiguration")
    assert configured["metadata"]["name"] == f"{objects.FULL}.{objects.NAMESPACE}"
    for each in configured["webhooks"]:
        (expression,) = each["namespaceSelector"]["matchExpressions"]
        assert expression["values"] == ["a", "b"]
