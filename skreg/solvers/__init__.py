"""Solvers: each turns a `Problem` into a certified `Solution`."""

from skreg.solvers._block_coordinate_descent import BlockCoordinateDescent, Progress
from skreg.solvers._covariance import is_worthwhile
from skreg.solvers._freedom import degrees_of_freedom
from skreg.solvers._look_ahead import solve_path
from skreg.solvers._models import GramModel
from skreg.solvers._prox_newton import ProxNewton, State
from skreg.solvers._proximal_gradient import ProximalGradient
from skreg.solvers._semismooth import SemismoothNewton, structured_alpha_max
from skreg.solvers._square_root import SquareRootLasso, SquareRootState, square_root_alpha_max
from skreg.solvers._strategy import begin_path, finish, path_starts, solve, solve_best, strengths, zero_point

__all__ = [
    "BlockCoordinateDescent",
    "GramModel",
    "Progress",
    "ProxNewton",
    "ProximalGradient",
    "SemismoothNewton",
    "SquareRootLasso",
    "SquareRootState",
    "State",
    "begin_path",
    "degrees_of_freedom",
    "is_worthwhile",
    "path_starts",
    "solve",
    "solve_best",
    "solve_path",
    "square_root_alpha_max",
    "finish",
    "strengths",
    "structured_alpha_max",
    "zero_point",
]
