"""What customers will do and be worth: models of repeat purchases and of their values, and lifetime value from both."""

from ml.lifetime.beta_geo import BetaGeoModel, ModifiedBetaGeoModel
from ml.lifetime.pareto import ParetoNBDModel
from ml.lifetime.spend import GammaGammaModel
from ml.lifetime.value import LifetimeResult, estimate_lifetime_value

__all__ = [
    "BetaGeoModel",
    "GammaGammaModel",
    "LifetimeResult",
    "ModifiedBetaGeoModel",
    "ParetoNBDModel",
    "estimate_lifetime_value",
]
