"""
A regularisation path on real data
==================================

Ten measurements of 442 patients, their squares and products make 64 features for the progress of their diabetes a year
later. The path of the Lasso shows in which order they enter the model, and cross-validation which part of it predicts.
"""

# %%
# Features with names
# -------------------
# A pipeline that returns data frames keeps the names; everything after it may use them. The columns are standardised,
# so that coefficients can be compared.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from skreg import Lasso
from skreg.model_selection import alpha_grid, regularization_path

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
expand = make_pipeline(StandardScaler(), PolynomialFeatures(2, include_bias=False), StandardScaler())
expand.set_output(transform="pandas")
features = expand.fit_transform(X).drop(columns="sex^2")  # sex has two values: its square says nothing new
print(features.shape)

# %%
# The path
# --------
# Every point carries its certificate, the relative duality gap.

path = regularization_path(Lasso(), features, y, alphas=100, eps=2e-3)
print(f"largest relative duality gap on the path: {path.dual_gaps.max():.0e}")

# %%
# How well does each alpha predict? The same grid serves all folds; in each one, the path of the training part is scored
# on the part held out.

alphas = alpha_grid(Lasso(), features, y, n_alphas=100, eps=2e-3)
scores = []
for train, test in KFold(10, shuffle=True, random_state=0).split(features):
    fold = regularization_path(Lasso(), features.iloc[train], y.iloc[train], alphas=alphas)
    scores.append([r2_score(y.iloc[test], prediction) for prediction in fold.predict(features.iloc[test])])
mean = np.mean(scores, axis=0)
error = np.std(scores, axis=0, ddof=1) / np.sqrt(len(scores))
best = int(np.argmax(mean))
sparser = int(np.argmax(mean >= mean[best] - error[best]))  # largest alpha within one standard error of the best
print(f"best alpha {alphas[best]:.2f}: R2 {mean[best]:.3f} with {path.df[best]} features")
print(f"one standard error: alpha {alphas[sparser]:.2f}: R2 {mean[sparser]:.3f} with {path.df[sparser]} features")

# %%
# The picture
# -----------
# Coloured lines are the features of the sparser model; their names stand where the lines end.

plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
styles = ["-", "--"]

names = np.asarray(features.columns)
chosen = np.flatnonzero(path.coefs[sparser])
chosen = chosen[np.argsort(-path.coefs[-1, chosen])]

fig, (top, bottom) = plt.subplots(2, 1, figsize=(10, 8), layout="constrained", sharex=True, height_ratios=[3, 1.3])
others = np.setdiff1d(np.arange(len(names)), chosen)
top.plot(path.alphas, path.coefs[:, others], color="0.82", lw=0.9, zorder=1)
for k, j in enumerate(chosen):
    style = dict(color=colours[k % len(colours)], ls=styles[k // len(colours) % 2])
    top.plot(path.alphas, path.coefs[:, j], lw=2.2, **style, zorder=2)
top.axhline(0, color="0.6", lw=0.8)


def spread(heights, least):
    """Heights moved apart so that labels do not overlap; they come in decreasing order."""
    heights = np.array(heights, dtype=float)
    for _ in range(200):
        for k in range(len(heights) - 1):
            short = least - (heights[k] - heights[k + 1])
            if short > 0:
                heights[k] += short / 2
                heights[k + 1] -= short / 2
    return heights


ends = path.coefs[-1, chosen]
for k, (j, height) in enumerate(zip(chosen, spread(ends, 0.045 * np.ptp(path.coefs[-1])))):
    top.annotate(
        names[j],
        (path.alphas[-1], ends[k]),
        xytext=(path.alphas[-1] * 0.88, height),
        color=colours[k % len(colours)],
        va="center",
        annotation_clip=False,
        arrowprops=dict(arrowstyle="-", color="0.7", lw=0.6),
    )
top.set(ylabel="coefficient (per standard deviation)", title="Lasso path, diabetes with squares and products")

bottom.plot(alphas, mean, color="black", lw=2)
bottom.fill_between(alphas, mean - error, mean + error, color="0.85", lw=0)
bottom.set(xscale="log", xlabel=r"$\alpha$", ylabel="held-out $R^2$", ylim=(-0.05, None))
bottom.set_xlim(alphas[0], alphas[-1])
for ax in (top, bottom):
    ax.axvline(alphas[best], color="0.4", lw=1, ls=":")
    ax.axvline(alphas[sparser], color="0.4", lw=1, ls="--")
for k, height, text in ((best, 0.0, "best"), (sparser, 0.1, "one standard error")):
    bottom.annotate(
        f"{text}: {path.df[k]} features",
        (alphas[k], height),
        xytext=(5, 4),
        textcoords="offset points",
        color="0.25",
    )
plt.show()

# %%
# Body mass, blood pressure and two serum values enter first and carry most of what can be predicted; products are late.
# On the far right, coefficients of opposite sign grow against each other: correlated features that the data cannot tell
# apart.
