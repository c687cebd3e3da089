"""Networks over several devices: their costs, the choice of cuts, and running what was chosen."""

from paraedge.segment.choose import STRATEGIES, choose
from paraedge.segment.costs import Costs, costs_of, problem_for
from paraedge.segment.open import open_pipeline

__all__ = ["STRATEGIES", "Costs", "choose", "costs_of", "open_pipeline", "problem_for"]
