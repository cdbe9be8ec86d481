"""
Coverage: quantile models as they are, and calibrated
=====================================================

An interval from the quantile 0.05 to the quantile 0.95 should cover 90 % of new rows. A model with many features fits
its training rows too well, and its intervals are too narrow for others. Conformal calibration widens them by as much as
rows ask for that the model has not seen. Whether that keeps the promise can be counted.
"""

# %%
# Fifteen splits
# --------------
# The diabetes data with all squares and products: 65 features. In each of fifteen random splits, half of the 442 rows
# train and half are covered or not. Two ways to calibrate: "split" keeps a quarter of the training rows for it; "cv+"
# calibrates on all of them, each row by a model fitted without the row's fold.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import ShuffleSplit
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from skreg import ConformalQuantileRegressor, QuantileRegressor
from skreg.metrics import coverage, interval_width

X, y = load_diabetes(return_X_y=True)
X = StandardScaler().fit_transform(PolynomialFeatures(2, include_bias=False).fit_transform(X))

nominal = [0.5, 0.8, 0.9]
levels = [0.05, 0.1, 0.25, 0.75, 0.9, 0.95]
base = QuantileRegressor(quantile=levels, alpha=0.01)
models = {
    "as it is": base,
    "split": ConformalQuantileRegressor(base, quantiles=levels, method="split", random_state=0),
    "CV+": ConformalQuantileRegressor(base, quantiles=levels, method="cv+", cv=5, random_state=0),
}
splits = ShuffleSplit(15, test_size=0.5, random_state=0)

covered = {name: [] for name in models}
widths = {name: [] for name in models}
for train, test in splits.split(X):
    for name, model in models.items():
        q = model.fit(X[train], y[train]).predict_quantiles(X[test])
        intervals = [(q[:, k], q[:, -1 - k]) for k in (2, 1, 0)]
        covered[name].append([coverage(y[test], *interval) for interval in intervals])
        widths[name].append([interval_width(*interval) for interval in intervals])

print("mean coverage of intervals of", *(f"{level:.0%}" for level in nominal))
for name, shares in covered.items():
    print(f"{name:<10}", *(f"{share:.1%}" for share in np.mean(shares, axis=0)))

# %%
# Coverage and width
# ------------------
# Each small point is one split, each large one the mean over the splits; the black lines are the promise.

plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
looks = {"as it is": ("#D55E00", "o"), "split": ("#56B4E9", "s"), "CV+": ("#0072B2", "^")}

fig, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
place = np.arange(len(nominal))
jitter = np.random.default_rng(0).uniform(-0.07, 0.07, (splits.get_n_splits(), 1))
for shift, (name, (colour, marker)) in zip((-0.25, 0.0, 0.25), looks.items()):
    for ax, values in zip(axes, (covered, widths)):
        values = np.array(values[name])
        ax.plot(place + shift + jitter, values, marker, color=colour, ms=4, alpha=0.35, mew=0)
        ax.plot(place + shift, values.mean(axis=0), marker, color=colour, ms=11, mec="black", mew=1.2, label=name)
axes[0].hlines(nominal, place - 0.4, place + 0.4, color="black", lw=1.5)
axes[0].set(ylabel="share of test rows covered", title="Coverage", ylim=(0.3, 1.0))
axes[1].set(ylabel="mean width, units of y", title="Width", ylim=(0, None))
for ax in axes:
    ax.set_xticks(place, [f"{level:.0%}" for level in nominal])
    ax.set_xlabel("promised coverage")
axes[1].legend(frameon=False, loc="upper left")
plt.show()

# %%
# As it is, the model covers six to ten points less than it promises. Calibrated, it covers what it should, but for the
# noise of fifteen splits, and the price is width. CV+ scatters less than split, since all training rows calibrate; it
# costs a fit for each fold. Neither asks whether the model is right: a poor one is calibrated, too, by wide intervals.
