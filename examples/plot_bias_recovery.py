"""
Bias and recovery: Lasso, MCP, CEL0
===================================

The L1 norm buys sparsity with bias: it pulls every coefficient towards zero by about the same amount, large ones too. A
model that predicts well must then use a small alpha, which lets in many features that have no effect. Penalties that
level off do not pull at large coefficients, so that a few features suffice.

Here the truth is known: 300 correlated features, 10 of which act, and 120 samples. For each penalty we follow the whole
path and take the alpha with the least estimation error. That choice needs the truth, so it compares what the penalties
can do at best; it is not a way to choose alpha on real data.
"""

# %%
# Data
# ----
# Neighbouring features have correlation 0.5; the ten coefficients lie between 0.5 and 2 in size.

import matplotlib.pyplot as plt
import numpy as np

from skreg import Lasso, SparseRegressor
from skreg.model_selection import regularization_path

rng = np.random.default_rng(0)
n_samples, n_features, n_active, correlation, noise = 120, 300, 10, 0.5, 0.7

X = rng.standard_normal((n_samples, n_features))
for j in range(1, n_features):
    X[:, j] = correlation * X[:, j - 1] + np.sqrt(1 - correlation**2) * X[:, j]
truth = np.zeros(n_features)
active = rng.choice(n_features, n_active, replace=False)
truth[active] = rng.uniform(0.5, 2.0, n_active) * rng.choice([-1.0, 1.0], n_active)
y = X @ truth + noise * rng.standard_normal(n_samples)

# %%
# Three paths
# -----------
# Each path starts at the alpha that empties the model and falls by a factor of 100. The penalties measure alpha in
# different units (CEL0's is the price of a non-zero coefficient in units of the loss, so it goes with the square of the
# others), so we plot against the alpha relative to the first.

models = {
    "Lasso": Lasso(),
    "MCP": SparseRegressor(penalty="mcp", gamma=3.0),
    "CEL0": SparseRegressor(penalty="cel0"),
}
colours = {"Lasso": "#D55E00", "MCP": "#0072B2", "CEL0": "#009E73"}
markers = {"Lasso": "o", "MCP": "s", "CEL0": "^"}

paths, errors, best = {}, {}, {}
for name, model in models.items():
    eps = 1e-4 if name == "CEL0" else 1e-2
    path = regularization_path(model, X, y, alphas=60, eps=eps)
    errors[name] = np.linalg.norm(path.coefs - truth, axis=1) / np.linalg.norm(truth)
    best[name] = int(np.argmin(errors[name]))
    paths[name] = path
    found = np.flatnonzero(path.coefs[best[name]])
    wrong = len(np.setdiff1d(found, active))
    print(
        f"{name:<6} least error {errors[name].min():.3f}: {len(found):>2} features, {wrong} of them wrong; "
        f"largest relative KKT violation on the path {path.kkt_violations.max():.0e}"
    )

# %%
# Estimation error along the path
# -------------------------------

plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
fig, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained", sharey=True)
for name, path in paths.items():
    style = dict(color=colours[name], marker=markers[name], markevery=[best[name]], markersize=9, lw=2, label=name)
    power = 0.5 if name == "CEL0" else 1.0
    axes[0].plot((path.alphas / path.alphas[0]) ** power, errors[name], **style)
    axes[1].plot(path.df, errors[name], **{**style, "lw": 0, "marker": ".", "markevery": None, "markersize": 8})
    axes[1].plot(path.df[best[name]], errors[name][best[name]], color=colours[name], marker=markers[name], ms=9)
axes[0].set(
    xscale="log", xlabel=r"$\alpha\,/\,\alpha_{\max}$ (CEL0: its square root)", ylabel="relative estimation error"
)
axes[0].invert_xaxis()
axes[0].set_ylim(0, 1.05)
axes[0].legend(frameon=False)
axes[0].set_title("Error along the path")
axes[1].axvline(n_active, color="0.6", lw=1, ls="--")
axes[1].annotate("true number", (n_active, 0.97), xytext=(6, 0), textcoords="offset points", color="0.35")
axes[1].set(xlabel="non-zero coefficients", xlim=(-3, 100))
axes[1].set_title("The same against the size of the model")
plt.show()

# %%
# The Lasso reaches its least error with a model several times too large. Beyond it the noise takes over. The two
# penalties that level off come down as soon as they have found the ten features, and stay there over a wide range of
# alphas.
#
# Coefficients at the best alpha
# ------------------------------
# Open circles are the truth. The Lasso's coefficients fall short of it, and small wrong ones fill the picture.

fig, axes = plt.subplots(3, 1, figsize=(10, 6.6), layout="constrained", sharex=True, sharey=True)
for ax, (name, path) in zip(axes, paths.items()):
    coef = path.coefs[best[name]]
    found = np.flatnonzero(coef)
    ax.axhline(0, color="0.7", lw=0.8)
    ax.vlines(found, 0, coef[found], color=colours[name], lw=1.8)
    ax.plot(found, coef[found], markers[name], color=colours[name], ms=4.5, label=f"{name}: {len(found)} non-zero")
    ax.plot(active, truth[active], "o", mfc="none", mec="black", ms=9, mew=1.2, label="truth")
    ax.set_ylabel("coefficient")
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
axes[-1].set_xlabel("feature")
plt.show()

# %%
# The price is convexity. The Lasso's duality gap proves that no coefficients do better; the KKT violation of MCP and
# CEL0 only that no change of a single coefficient does. The solver starts each alpha from the last point of the path
# and from a Lasso solution and keeps the better.
