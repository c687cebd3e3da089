"""Networks over several devices: their costs, the choice of cuts, and running what was chosen."""

from paraedge.segment.choose import STRATEGIES, choose
from paraedge.segment.costs import Costs, costs_of, problem_for

__all__ = ["STRATEGIES", "Costs", "choose", "costs_of", "problem_for"]
