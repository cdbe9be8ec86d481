"""
Block coordinate descent: progress by iterations and by seconds
===============================================================

Block coordinate descent changes a few coefficients at a time. Which ones? Greedy rules look at the whole gradient and
take the block that promises the most; each iteration then gets further, and costs more. This example follows
Nutini, Laradji and Schmidt (2022), "Let's make block coordinate descent converge faster", on small versions of the five
problems of that paper, and puts the seconds beside the iterations.
"""

# %%
# Five problems
# -------------
# A is least squares, B logistic and C multinomial logistic regression, on sparse data whose columns differ widely in
# size: greedy rules can only win where coordinates differ. D and E spread labels over a graph: the values of unlabelled
# nodes minimise the sum of squared differences along the edges, which is least squares on the edges' incidence matrix.
# D is a lattice, E the nearest neighbours in two half-moons.

import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse as sp
from matplotlib.ticker import NullFormatter
from sklearn.datasets import make_moons
from sklearn.neighbors import kneighbors_graph

from skreg._design import as_design
from skreg._problem import Data, Problem
from skreg.losses import Logistic, Multinomial, Squared
from skreg.penalties import L1, ElasticNet
from skreg.solvers import BlockCoordinateDescent, ProxNewton

rng = np.random.default_rng(0)


def uneven_design(n_samples, n_features, density):
    """Entries of mean 1, so that columns depend on each other, kept at random; columns scaled by 10 N(0, 1)."""
    X = (rng.standard_normal((n_samples, n_features)) + 1.0) * (10.0 * rng.standard_normal(n_features))
    X *= rng.random(X.shape) < density
    return X / 10.0


def spread_labels(n_nodes, edges, labelled, labels):
    """Design and target of the squared differences along edges, of which unlabelled nodes are the coefficients."""
    rows = np.arange(len(edges))
    ones = np.ones(len(edges))
    incidence = sp.coo_array((ones, (rows, edges[:, 0])), (len(edges), n_nodes)).tocsc()
    incidence = incidence - sp.coo_array((ones, (rows, edges[:, 1])), (len(edges), n_nodes)).tocsc()
    unlabelled = np.setdiff1d(np.arange(n_nodes), labelled)
    return sp.csc_array(incidence[:, unlabelled]), -(incidence[:, labelled] @ labels), unlabelled


def make_problem(X, y, loss, penalty, alpha, fit_intercept=False, lower=-np.inf):
    data = Data(as_design(X), y, np.full(X.shape[0], 1.0 / X.shape[0]), loss, fit_intercept)
    ones = np.ones(data.n_coordinates)
    return Problem(data, penalty, penalty.bind(alpha, ones, lower * ones, np.inf * ones, data.curvature))


def lattice_edges(side):
    node = np.arange(side * side).reshape(side, side)
    across, down = np.stack([node[:, :-1], node[:, 1:]], -1), np.stack([node[:-1], node[1:]], -1)
    return np.concatenate([across.reshape(-1, 2), down.reshape(-1, 2)])


problems = {}

X = uneven_design(200, 1000, 0.25)
truth = rng.standard_normal(1000) * (rng.random(1000) < 0.1)
problems["A  least squares"] = make_problem(X, X @ truth + rng.standard_normal(200), Squared(), L1(), 0.0)

X = uneven_design(200, 400, 0.25)
signal = X @ rng.standard_normal(400)
y = np.where(rng.random(200) < 0.1, signal < 0, signal > 0).astype(float)
problems["B  logistic"] = make_problem(X, y, Logistic(), ElasticNet(0.0), 1e-3)

X = uneven_design(200, 60, 0.25)
classes = np.argmax(X @ rng.standard_normal((60, 8)) + 2 * rng.gumbel(size=(200, 8)), axis=1)
problems["C  multinomial"] = make_problem(X, np.eye(8)[classes], Multinomial(), ElasticNet(0.0), 1e-3)

side = 30
labelled = rng.choice(side * side, 36, replace=False)
X, y, unlabelled_D = spread_labels(side * side, lattice_edges(side), labelled, rng.choice([-1.0, 1.0], 36))
problems["D  lattice"] = make_problem(X, y, Squared(), L1(), 0.0)

points, moon = make_moons(600, noise=0.05, random_state=0)
graph = kneighbors_graph(points, 5)
edges = np.argwhere(sp.triu(graph.maximum(graph.T), 1).toarray())
labelled = rng.choice(600, 30, replace=False)
X, y, _ = spread_labels(600, edges, labelled, 2.0 * moon[labelled] - 1.0)
problems["E  half-moons"] = make_problem(X, y, Squared(), ElasticNet(0.0), 1e-5)

# %%
# Six ways to go
# --------------
# Fixed blocks come from a partition of the coordinates; variable ones are any ten of them (30 on the graphs). Where
# nothing else is said, the update goes to the minimum of the quadratic model over the block; "gradient" is a gradient
# step of length 1 / L_B. Recording does not count in the seconds. Runs are repeated, and the shortest time of each
# iteration counts: what other programs took is left out.

ways = {
    "cyclic, fixed blocks": dict(rule="cyclic", blocks="fixed"),
    "random, variable": dict(rule="random", blocks="variable"),
    "GS, variable, gradient": dict(rule="gs", blocks="variable", update="gradient"),
    "GS, variable": dict(rule="gs", blocks="variable"),
    "GSD, variable": dict(rule="gsd", blocks="variable"),
    "GSQ, variable": dict(rule="gsq", blocks="variable"),
}
looks = {
    "cyclic, fixed blocks": dict(color="0.55", ls="-", lw=2),
    "random, variable": dict(color="0.55", ls=":", lw=2),
    "GS, variable, gradient": dict(color="#E69F00", ls="--", lw=2),
    "GS, variable": dict(color="#D55E00", ls="-", lw=2),
    "GSD, variable": dict(color="#56B4E9", ls="-", lw=4),
    "GSQ, variable": dict(color="black", ls=(0, (3, 2)), lw=1.5),
    "cyclic, red and black": dict(color="#009E73", ls="-", lw=2),
}


def record(problem, repeats=1, **parameters):
    """What was done in each iteration, and the seconds up to its end."""
    histories = []
    for _ in range(repeats):
        histories.append([])
        solver = BlockCoordinateDescent(random_state=0, callback=histories[-1].append, **parameters)
        solver.solve(problem)
    each = [np.diff([step.seconds for step in history], prepend=0.0) for history in histories]
    return histories[0], np.cumsum(np.min(each, axis=0))


common = dict(max_iter=300, tol=1e-11, repeats=3)
runs, best = {}, {}
for name, problem in problems.items():
    size = 30 if problem.data.design.is_sparse else 10
    best[name] = ProxNewton(tol=1e-12).solve(problem).objective
    runs[name] = {way: record(problem, block_size=size, **how, **common) for way, how in ways.items()}

# %%
# The nodes of a lattice fall into two colours, and no two neighbours have the same: given the red ones, the black ones
# are independent. Two blocks of 400 coefficients can thus be minimised exactly at little cost. (The paper grows this
# into blocks that are forests, solved by message passing.)

row, column = np.divmod(unlabelled_D, side)
colours = [np.flatnonzero((row + column) % 2 == colour) for colour in (0, 1)]
runs["D  lattice"]["cyclic, red and black"] = record(
    problems["D  lattice"], rule="cyclic", blocks="fixed", partition=colours, **common
)

# %%
# Progress
# --------
# On the left against iterations, as in the paper; on the right against seconds.

plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})


def excess(history, least, floor=1e-10):
    objective = np.array([step.objective for step in history])
    return np.maximum((objective - least) / (objective[0] - least), floor)


fig, axes = plt.subplots(5, 2, figsize=(10, 14), layout="constrained", sharey="row")
for (by_iteration, by_time), (name, recorded) in zip(axes, runs.items()):
    least = min(best[name], *(step.objective for history, _ in recorded.values() for step in history))
    for way, (history, seconds) in recorded.items():
        by_iteration.semilogy(excess(history, least), label=way, **looks[way])
        by_time.semilogy(1e3 * seconds, excess(history, least), **looks[way])
    by_iteration.set_title(name, loc="left", fontweight="bold")
    by_iteration.set_ylabel("excess of objective")
    by_iteration.yaxis.set_minor_formatter(NullFormatter())
    bottom, top = by_iteration.get_ylim()
    by_iteration.set_ylim(min(bottom, 0.009), 2.0)
    by_time.set_xscale("log")
    by_time.set_xlim(0.3, None)
axes[-1, 0].set_xlabel("iterations (blocks)")
axes[-1, 1].set_xlabel("milliseconds")
handles, labels = axes[3, 0].get_legend_handles_labels()
fig.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
plt.show()

# %%
# Finite termination
# ------------------
# With an L1 norm, or with coefficients that may not be negative, most coefficients end at zero. From some iteration on
# the signs no longer change, and the problem that is left is smooth: a Newton step on the support solves it. For least
# squares one step is exact and the method *ends*; for logistic regression a few steps converge quadratically.

X = uneven_design(300, 1000, 0.25)
noisy = X @ truth + 3.0 * rng.standard_normal(300)
two_stage = {
    "Lasso": make_problem(X, noisy, Squared(), L1(), 0.3),
    "non-negative least squares": make_problem(X[:, :300], noisy, Squared(), L1(), 0.0, lower=0.0),
    "L1 logistic": make_problem(X, (noisy > 0).astype(float), Logistic(), L1(), 0.02),
}

fig, axes = plt.subplots(1, 3, figsize=(10, 3.9), layout="constrained", sharey=True)
for ax, (name, problem) in zip(axes, two_stage.items()):
    how = dict(rule="gsd", block_size=20, max_iter=400, tol=1e-14)
    plain, ended = (record(problem, finish=finish, **how)[0] for finish in (None, "newton"))
    least = min(step.objective for step in plain + ended)
    ax.semilogy(excess(plain, least, 1e-15), color="#D55E00", lw=2, ls="--", label="blocks alone")
    curve = excess(ended, least, 1e-15)
    ax.semilogy(curve, color="#0072B2", lw=2, label="with Newton steps on the support")
    steps = [k for k, step in enumerate(ended) if step.kind == "finish"]
    ax.plot(steps, curve[steps], "o", color="#0072B2", ms=6, mfc="white", mew=1.6, label="Newton step")
    ax.set(title=name, xlabel="iterations")
    print(f"{name}: {len(ended) - 1} iterations, {len(steps)} of them Newton steps; {len(plain) - 1} by blocks alone")
axes[0].set_ylabel("excess of objective")
handles, labels = axes[0].get_legend_handles_labels()
fig.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
plt.show()

# %%
# What to make of it
# ------------------
# - By iterations, greedy rules win, and those that know how the coordinates' curvatures differ (GSD, GSQ) win where
#   they do differ: A. On the graphs, where all are alike, they equal GS.
# - What is done with the block matters as much as the choice of it: compare the two curves of GS.
# - By seconds the lead shrinks, and on the graphs it is gone: a cyclic rule needs the gradient of its block only, a
#   greedy one all of it. GSQ needs several products more, which what it gains over GSD never repays; it begins late
#   because it has to find the largest eigenvalue of the second derivatives.
# - Large blocks that are cheap to solve beat any choice of small ones: D.
# - With a sparse solution, greedy steps need only find the support and the signs. Newton steps do the rest.
#
# The last point is how :class:`skreg.solvers.ProxNewton`, the solver behind the estimators, works: it chooses greedily
# once a pass over the data, when the gradient is needed for the certificate anyway.
