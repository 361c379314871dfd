"""What is said to users is explained to them."""

import pytest

from ray_operator import names
from ray_operator.api import annotations, vocabulary

TABLES = (
    vocabulary.ClusterCondition,
    vocabulary.ClusterReason,
    vocabulary.NotReady,
    vocabulary.Starting,
    vocabulary.CronCondition,
    vocabulary.CronReason,
)


@pytest.mark.parametrize("table", TABLES)
def test_every_term_has_a_meaning(table: type[vocabulary.Term]) -> None:
    assert [each for each in table if not each.meaning] == []


def test_every_reason_for_not_being_ready_has_a_remedy() -> None:
    assert [each for each in vocabulary.NotReady if not each.remedy] == []


def test_every_annotation_is_explained() -> None:
    known = {value for key, value in vars(names).items() if key.endswith("_ANNOTATION")}
    assert known == {each.key for each in annotations.ANNOTATIONS}
