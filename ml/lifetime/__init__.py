"""What customers will do and be worth: models of repeat purchases and of their values, and lifetime value from both."""

from ml.lifetime.beta_geo import BetaGeoModel, ModifiedBetaGeoModel
from ml.lifetime.pareto import ParetoNBDModel
from ml.lifetime.spend import GammaGammaModel

__all__ = ["BetaGeoModel", "GammaGammaModel", "ModifiedBetaGeoModel", "ParetoNBDModel"]
