"""One RayService in one pass: all that its steps decide on, and what a step comes to.

Owns: the bundle, and questions that several steps ask. Does not own: the answers' consequences.
Invariant: a step is a value; nothing is done by making one.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ray_operator import actions, settings
from ray_operator.api import rayservice as api
from ray_operator.api import serve_config
from ray_operator.api.rules import FieldError
from ray_operator.rayservice.observed import Observed
from ray_operator.rayservice.state import State

INCREMENTAL = "NewClusterWithIncrementalUpgrade"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`invalid` is what is wrong with the spec, of which nothing new is done then."""

    service: api.RayService
    state: State
    observed: Observed
    options: settings.Settings
    now: datetime
    invalid: tuple[FieldError, ...] = ()

    @property
    def spec(self) -> api.RayServiceSpec:
        """The spec as it is, valid or not."""
        return self.service.spec

    @property
    def strategy(self) -> str:
        """What a change of the cluster does: `NewCluster`, `None`, or the incremental one."""
        given = self.spec.upgrade_strategy.type if self.spec.upgrade_strategy else None
        if given:
            return given
        return "NewCluster" if self.options.zero_downtime else "None"

    def config(self) -> serve_config.ServeConfig | None:
        """Return the configuration to deploy; None when there is none that counts."""
        return None if self.invalid else serve_config.read(self.spec.serve_config_v2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a pass comes to: the next state, actions, and when to look again at the latest."""

    state: State
    todo: tuple[actions.Action, ...] = ()
    wait: timedelta | None = None


def soonest(*waits: timedelta | None) -> timedelta | None:
    """Return the shortest of the times, None when there is none."""
    return min((each for each in waits if each is not None), default=None)
