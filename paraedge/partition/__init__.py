"""Where to cut a network: span costs to cuts, with a proven bound. Pure: numbers in, numbers out."""

from paraedge.partition.bound import any_bound
from paraedge.partition.judge import judge
from paraedge.partition.optimal import Solution, best_by_count, optimal
from paraedge.partition.problem import Assigned, DeviceType, Problem, Value, evaluate
from paraedge.partition.regret import regret, worst_ms

__all__ = [
    "Assigned", "DeviceType", "Problem", "Solution", "Value", "any_bound", "best_by_count", "evaluate", "judge",
    "optimal", "regret", "worst_ms",
]  # fmt: skip
