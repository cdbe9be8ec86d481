"""
A fan of quantiles that do not cross
====================================

A growth chart shows, for every age, below which value 3 %, 10 %, ... of all children lie. Quantile regression on a
spline of the age draws such a chart from measurements, without a distribution assumed. Where levels are fitted one by
one, nothing keeps the curves in order: where data are few, the curve of 3 % may rise above that of 10 %. Fitted
together, with ``non_crossing``, they stay in order.
"""

# %%
# Children with a known truth
# ---------------------------
# The body mass index of 200 children is simulated: the median falls until school age and rises after it, the spread
# grows, and the upper tail is longer than the lower one. The true quantiles are thus known, too.

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm
from sklearn.metrics import mean_absolute_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from skreg import QuantileRegressor
from skreg.metrics import crossing_rate, mean_pinball_loss

levels = [0.03, 0.10, 0.25, 0.50, 0.75, 0.90, 0.97]


def true_bmi(age, z):
    """Body mass index at an age, for a child z standard deviations from the median (after a power transform)."""
    median = 15.5 - np.exp(-(((age - 6) / 2.5) ** 2)) + 5.5 / (1 + np.exp(-(age - 12) / 2.2))
    spread = 0.07 + 0.07 / (1 + np.exp(-(age - 9) / 2))
    return median * (1 - 1.2 * spread * z) ** (-1 / 1.2)


rng = np.random.default_rng(1)
age = np.sort(rng.uniform(2, 18, 200))
bmi = true_bmi(age, rng.standard_normal(200))
X = age[:, None]

# %%
# Two fits
# --------
# Cubic splines with six knots, no penalty. ``non_crossing="rows"`` keeps the curves in order at the ages in the data;
# between two of them curves that touch may still cross by a hair. ``"box"`` keeps them in order wherever the features
# are within the range that they have in the data, and so between those ages, too.


def fan(non_crossing):
    """Curves of all levels."""
    return make_pipeline(
        SplineTransformer(n_knots=6, include_bias=False),
        QuantileRegressor(quantile=levels, alpha=0.0, non_crossing=non_crossing),
    ).fit(X, bmi)


def predict_quantiles(model, X):
    """What a pipeline's last step predicts at all levels."""
    return model[-1].predict_quantiles(model[:-1].transform(X))


models = {name: fan(name) for name in (False, "rows", "box")}
grid = np.linspace(age[0], age[-1], 1000)
curves = {name: predict_quantiles(model, grid[:, None]) for name, model in models.items()}
truth = true_bmi(grid[:, None], norm.ppf(levels))

new_age = rng.uniform(age[0], age[-1], 20_000)
new_bmi = true_bmi(new_age, rng.standard_normal(20_000))
print("non_crossing   ages where curves cross   distance from the truth   pinball loss on new children")
for name, model in models.items():
    print(
        f"{name!r:<15}{crossing_rate(curves[name]):<26.1%}{mean_absolute_error(truth, curves[name]):<26.3f}"
        f"{mean_pinball_loss(new_bmi, predict_quantiles(model, new_age[:, None]), levels):.4f}"
    )

# %%
# The chart
# ---------

plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
colours = ["#0072B2", "#2F8FC4", "#69AFD3", "black", "#69AFD3", "#2F8FC4", "#0072B2"]

fig, axes = plt.subplots(1, 2, figsize=(11, 5), layout="constrained", sharey=True)
titles = {False: "Each level by itself", "box": 'All levels together, non_crossing="box"'}
for ax, (name, title) in zip(axes, titles.items()):
    ax.plot(age, bmi, ".", color="0.65", ms=5, zorder=1)
    crossed = (np.diff(curves[name], axis=1) < 0).any(axis=1)
    ax.fill_between(
        grid, 0, 1, where=crossed, transform=ax.get_xaxis_transform(), color="#E69F00", alpha=0.35, lw=0, zorder=0
    )
    for k, (level, colour) in enumerate(zip(levels, colours)):
        ax.plot(grid, curves[name][:, k], color=colour, lw=2 if level == 0.5 else 1.6)
    ax.set(title=title, xlabel="age in years", xticks=range(2, 19, 4))
axes[0].set_ylabel("body mass index, kg / m²")
axes[0].plot([], [], ".", color="0.65", ms=5, label="child")
axes[0].fill_between([], [], color="#E69F00", alpha=0.35, lw=0, label="curves cross")
axes[0].legend(frameon=False, loc="upper left", bbox_to_anchor=(0.15, 1))
height = -np.inf
for end, level, colour in zip(curves["box"][-1], levels, colours):
    height = max(end, height + 0.6)  # labels of curves that end close together are moved apart
    axes[1].annotate(
        f"{level:.0%}", (grid[-1], height), xytext=(6, 0), textcoords="offset points", color=colour, va="center"
    )
plt.show()

# %%
# On new children, curves in order predict no worse, often better: that true quantiles do not cross is knowledge, and it
# helps most in the tails, where data are few.
