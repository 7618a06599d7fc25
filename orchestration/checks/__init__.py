"""Checks that SQL expresses badly. Each is a pure function from figures to a verdict; assets compute the figures.

What SQL says well is a dbt test beside its model. Checks on models warn and never block: small data must still publish.
"""

from orchestration.checks.models import (
    CHURN_DRIFT,
    CHURN_QUALITY,
    IMPLAUSIBLE_AUC,
    churn_drift,
    churn_quality,
)
from orchestration.checks.verdict import Declared, Verdict

__all__ = [
    "CHURN_DRIFT",
    "CHURN_QUALITY",
    "IMPLAUSIBLE_AUC",
    "Declared",
    "Verdict",
    "churn_drift",
    "churn_quality",
]
