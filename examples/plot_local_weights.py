"""
Local weights: whom to trust, and where
=======================================

One forecaster is good by the sea, another in the mountains. One weight for each is then a poor compromise: what they
deserve depends on the place. `QuantileAggregator` lets weights depend on the features in four ways. Here are two
problems with a known answer, and what each of them makes of it.
"""

# %%
# Two experts
# -----------
# Both know the true distribution where they are at home. Elsewhere they are off, up or down, by an error that depends
# on a second feature. In the first problem one is at home on the left, the other on the right; in the second, one
# inside and one outside.

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import expit
from scipy.stats import norm
from sklearn.base import BaseEstimator, RegressorMixin

from skreg import QuantileAggregator
from skreg.metrics import weighted_interval_score

levels = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
at_home = {  # from 0 to 1, how much of the first expert's home a place is; the second one has the rest
    "left and right": lambda x: expit(-12 * x),
    "inside and outside": lambda x: expit(16 * (0.5 - np.abs(x))),
}


class Expert(RegressorMixin, BaseEstimator):
    """Knows the distribution at home."""

    def __init__(self, place, first, quantiles=(0.5,)):
        self.place = place
        self.first = first
        self.quantiles = quantiles

    def fit(self, X, y):
        self.quantiles_ = np.asarray(self.quantiles)
        return self

    def predict_quantiles(self, X):
        home = at_home[self.place](X[:, 0])
        away = 1 - home if self.first else home
        error = 1.5 * away * np.cos((5 if self.first else 7) * X[:, 1])
        return (np.sin(2 * X[:, 0]) + error)[:, None] + 0.4 * norm.ppf(self.quantiles_)


def draw(n, seed):
    """Two features, and y, whose distribution is that which the experts know."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, 2))
    return X, np.sin(2 * X[:, 0]) + 0.4 * rng.standard_normal(n)


# %%
# Five kinds of weights
# ---------------------
# Nobody tells the aggregator about homes: it sees forecasts, features and y. The weight of the first expert at a place
# can be read off the predictions, which lie between the forecasts.

X, y = draw(500, seed=0)
X_test, y_test = draw(4000, seed=1)
grid = np.linspace(-1, 1, 201)
second_feature = np.linspace(-1, 1, 60)
places = np.column_stack([np.repeat(grid, 60), np.tile(second_feature, 201)])
localities = ["global", "features", "partition", "softmax", "mlp"]


def first_weight(model):
    """Weight of the first expert's median along x: least squares over the second feature."""
    first, second = (expert.predict_quantiles(places)[:, 2].reshape(201, 60) for expert in model.estimators_)
    moved, apart = model.predict(places).reshape(201, 60) - second, first - second
    return (moved * apart).sum(axis=1) / (apart**2).sum(axis=1)


weights, scores = {}, {}
for place in at_home:
    experts = [("first", Expert(place, True)), ("second", Expert(place, False))]
    for locality in localities:
        model = QuantileAggregator(experts, levels, resolution="coarse", locality=locality, cv=2, random_state=0)
        model.fit(X, y)
        weights[place, locality] = first_weight(model)
        scores[place, locality] = weighted_interval_score(y_test, model.predict_quantiles(X_test), levels)
truth = norm.ppf(levels) * 0.4 + np.sin(2 * X_test[:, :1])
best = weighted_interval_score(y_test, truth, levels)

# %%
# What they make of it
# --------------------

plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
colours = dict(zip(localities, ["0.35", "#E69F00", "#009E73", "#56B4E9", "#0072B2"]))
fig, axes = plt.subplots(
    2, 2, figsize=(11, 7), layout="constrained", sharex="row", sharey="row", height_ratios=[1.5, 1]
)
for (top, bottom), place in zip(axes.T, at_home):
    top.fill_between(grid, at_home[place](grid), color="0.9", lw=0, zorder=0)
    for locality in localities:
        top.plot(grid, weights[place, locality], color=colours[locality], lw=2, label=locality)
    top.set(title=f"At home {place}", xlabel="x, the first feature", ylim=(-0.04, 1.04), xlim=(-1, 1))
    bars = bottom.barh(localities, [scores[place, name] for name in localities], color=list(colours.values()))
    bottom.bar_label(bars, fmt="%.3f", padding=4)
    bottom.axvline(best, color="black", lw=1, ls=":")
    bottom.set(xlabel="weighted interval score on test data (smaller is better)")
axes[0, 0].set_ylabel("weight of the first expert")
axes[0, 0].text(-0.95, 0.08, "the first expert's home", color="0.45")
axes[0, 1].text(0, 0.08, "the first expert's home", color="0.45", ha="center")
axes[0, 0].legend(frameon=False, loc="upper right")
axes[1, 0].invert_yaxis()
axes[1, 0].text(best, -0.55, " the true distribution", fontsize=10, va="bottom")
axes[1, 0].set_xlim(0, 1.18 * max(scores.values()))
plt.show()

# %%
# Where trust changes from one side to the other, softmax of a linear function of x is all that is needed. "features" is
# linear in x itself, and so takes a wide road from one expert to the other. Where trust rises and falls, no linear
# function can follow: "features" gains nothing on held-out rows, and stays at the global weights, which its line
# covers; "softmax" settles for one of the two edges. The tree cuts out the piece, and the network draws the curve.
#
# Which kind suits is seldom known beforehand. Their scores on rows that the weights have not seen, in
# ``local_cv_results_``, tell.
