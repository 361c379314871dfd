"""Quantities, compared with what a real API server makes of the same texts."""

import math
from fractions import Fraction

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ray_operator import quantity
from tests.support import cluster as clusters

SUFFIXES = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
NUMBERS = st.from_regex(r"(0|[1-9][0-9]{0,5})(\.[0-9]{0,6})?|\.[0-9]{1,6}", fullmatch=True)
TEXTS = st.builds(str.__add__, NUMBERS, st.sampled_from([*SUFFIXES, "e3", "E2", "e-2", "E+1"]))
LARGEST = 2**63 - 1
"""Beyond it, the server cuts."""
MILLI = 1000


def is_kept(given_: quantity.Quantity) -> bool:
    """Tell whether core resources keep the amount; they round it up to thousandths."""
    return (given_.value * MILLI).denominator == 1


@settings(max_examples=10, deadline=None, phases=[Phase.generate])
@given(texts=st.lists(TEXTS, min_size=60, max_size=60))
def test_amounts_and_texts_are_the_servers(api: clusters.Cluster, texts: list[str]) -> None:
    """A quota takes any quantity for any resource.

    What it rounds it also writes canonically; what it needn't round it keeps as it was written.
    """
    given_ = {text: quantity.parse(text) for text in texts}
    hard = {
        f"requests.example.com/r{index}": text
        for index, text in enumerate(given_)
        if given_[text].value <= LARGEST
    }
    stored = api.dry_run_answer(
        "/api/v1/namespaces/default/resourcequotas",
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "texts"},
            "spec": {"hard": hard},
        },
    )["spec"]["hard"]
    for name, text in hard.items():
        if is_kept(given_[text]):
            assert quantity.parse(stored[name]).value == given_[text].value
        else:
            value = Fraction(math.ceil(given_[text].value * MILLI), MILLI)
            assert stored[name] == str(quantity.Quantity(value, given_[text].format))


@pytest.mark.parametrize("text", ["1.5Gi", "1e3", "1E", "0.5Ki", ".5"])
def test_known_texts(api: clusters.Cluster, text: str) -> None:
    stored = api.dry_run_answer(
        "/api/v1/namespaces/default/pods",
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "texts"},
            "spec": {
                "containers": [
                    {"name": "a", "image": "a", "resources": {"limits": {"memory": text}}}
                ]
            },
        },
    )
    (container,) = stored["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == str(quantity.parse(text))
