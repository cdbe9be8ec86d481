"""
Groups, features, or both: the sparse-group Lasso
=================================================

The group Lasso selects groups with all their features, the Lasso selects features wherever they are. The sparse-group
Lasso lies between,

.. math::
    \\alpha \\Big( \\rho \\, \\|w\\|_1 + (1 - \\rho) \\sum_g \\sqrt{d_g} \\, \\|w_g\\|_2 \\Big),

with :math:`\\rho` = `l1_ratio` and :math:`d_g` the number of features of group g. Here the truth is of that kind: few
groups act, and within them some of the features.
"""

# %%
# Data
# ----
# 40 groups of 10 features, as genes in pathways, and 150 samples. Four groups act, each through four of
# its features. Within a group, features have correlation 0.4.

import matplotlib.pyplot as plt
import numpy as np

from skreg import SparseGroupLasso
from skreg.model_selection import regularization_path

rng = np.random.default_rng(0)
n_samples, n_groups, width, shared = 150, 40, 10, 0.4
active_groups = [0, 1, 2, 3]

common = np.repeat(rng.standard_normal((n_samples, n_groups)), width, axis=1)
X = np.sqrt(shared) * common + np.sqrt(1 - shared) * rng.standard_normal((n_samples, n_groups * width))
truth = np.zeros((n_groups, width))
for g in active_groups:
    truth[g, rng.choice(width, 4, replace=False)] = rng.uniform(0.5, 1.5, 4) * rng.choice([-1, 1], 4)
truth = truth.ravel()
y = X @ truth + 1.5 * rng.standard_normal(n_samples)

# %%
# Three paths
# -----------
# An int is the width of every group. Each path begins at the alpha that empties the model, which for the sparse-group
# Lasso follows from the epsilon-norms of the groups' gradients.

titles = {0.0: "group Lasso", 0.5: "sparse-group Lasso", 1.0: "Lasso"}
paths, errors = {}, {}
for l1_ratio, title in titles.items():
    path = regularization_path(SparseGroupLasso(width, l1_ratio=l1_ratio), X, y, alphas=60, eps=0.02)
    error = np.linalg.norm(path.coefs - truth, axis=1) / np.linalg.norm(truth)
    k = int(np.argmin(error))
    paths[l1_ratio], errors[l1_ratio] = path, error
    groups = np.unique(np.flatnonzero(path.coefs[k]) // width)
    print(
        f"{title:<19} least estimation error {error[k]:.2f}, with {path.df[k]:>3} features in {len(groups):>2} groups; "
        f"largest relative duality gap {path.dual_gaps.max():.0e}"
    )

# %%
# Norms of the groups
# -------------------
# Coloured lines are the four groups that act. The dashed line is the alpha of least estimation error. That choice needs
# the truth; it compares what the penalties can do at best.

plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"]

fig, axes = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained", sharey=True)
for ax, (l1_ratio, path) in zip(axes, paths.items()):
    norms = np.linalg.norm(path.coefs.reshape(-1, n_groups, width), axis=2)
    relative = path.alphas / path.alphas[0]
    ax.plot(relative, norms[:, len(active_groups) :], color="0.75", lw=0.9)
    for g in active_groups:
        ax.plot(relative, norms[:, g], color=colours[g], lw=2.4, label=f"group {g}")
    ax.axvline(relative[np.argmin(errors[l1_ratio])], color="0.3", lw=1, ls="--")
    ax.set(xscale="log", xlim=(1, relative[-1]), xlabel=r"$\alpha\,/\,\alpha_{\max}$")
    ax.set_title(f"{titles[l1_ratio]}\n(l1_ratio = {l1_ratio:g})")
axes[0].set(ylabel="norm of the group's coefficients", ylim=(0, None))
axes[0].plot([], [], color="0.75", label="the others")
axes[0].legend(frameon=False, loc="upper left")
plt.show()

# %%
# Coefficients at the best alpha
# ------------------------------
# One row a group, one column a feature, of the first twelve groups. The group Lasso fills whole rows. The Lasso leaves
# gaps, but strews coefficients over most groups. The sparse-group Lasso keeps the rows and leaves gaps in them.

tables = {"truth": truth}
for l1_ratio, path in paths.items():
    tables[titles[l1_ratio]] = path.coefs[np.argmin(errors[l1_ratio])]
largest = max(abs(coef).max() for coef in tables.values())

fig, axes = plt.subplots(1, 4, figsize=(12, 4.2), layout="constrained", sharey=True)
for ax, (title, coef) in zip(axes, tables.items()):
    shown = coef.reshape(n_groups, width)[:12]
    shown = np.where(shown == 0, np.nan, shown)  # exact zeros stay white
    image = ax.imshow(shown, cmap="PuOr", vmin=-largest, vmax=largest, aspect="auto")
    ax.set(title=title, xlabel="feature of the group", xticks=[0, 3, 6, 9], yticks=range(0, 12, 2))
    ax.set_xticks(np.arange(width + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(13) - 0.5, minor=True)
    ax.grid(which="minor", color="0.9", lw=0.6)
    ax.tick_params(which="minor", length=0)
axes[0].set_ylabel("group")
fig.colorbar(image, ax=axes, label="coefficient", pad=0.01)
plt.show()
