"""
A signal with jumps: the fused Lasso
====================================

Some signals stay on a level and then jump: copy numbers along a chromosome, the state of a machine, a price. The fused
Lasso penalises the differences of neighbouring coefficients, so most of them are exactly zero, and what remains are the
jumps. On a graph the neighbours are the ends of its edges.
"""

# %%
# Along a line
# ------------
# One coefficient for each of 300 time points: the design is the identity, and ``edges="chain"`` joins each point to the
# next. The levels are 1 to 4 apart and the noise has standard deviation 0.8.

import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse as sp

from skreg import FusedLasso
from skreg.model_selection import regularization_path

rng = np.random.default_rng(0)
lengths = [45, 60, 20, 75, 40, 60]
truth = np.repeat([0.0, 3.0, -1.0, 1.0, 4.0, 1.5], lengths)
n = len(truth)
y = truth + 0.8 * rng.standard_normal(n)

identity = sp.eye_array(n, format="csc")
path = regularization_path(FusedLasso(), identity, y, alphas=40, eps=1e-3)
errors = np.sqrt(np.mean((path.coefs + path.intercepts[:, None] - truth) ** 2, axis=1))
best = int(np.argmin(errors))
print(f"largest relative duality gap on the path: {path.dual_gaps.max():.0e}")

# %%
# A large alpha leaves few levels, a small one follows the noise. The number of levels is one plus that of the jumps. We
# know the truth, so we can say which alpha comes nearest. On real data, give some points the sample weight 0 and score
# the model there: their coefficients follow their neighbours.

plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
levels = 1 + np.count_nonzero(np.diff(path.coefs, axis=1), axis=1)
strong, weak = best - 11, best + 9
cases = {strong: "alpha too large", best: "alpha of least error", weak: "alpha too small"}

fig, axes = plt.subplots(3, 1, figsize=(10, 7.5), layout="constrained", sharex=True, sharey=True)
for ax, (k, title) in zip(axes, cases.items()):
    ax.plot(y, ".", color="0.72", ms=5, label="data")
    ax.step(np.arange(n), truth, where="mid", color="black", lw=1.6, ls="--", label="truth")
    fit = path.coefs[k] + path.intercepts[k]
    ax.step(np.arange(n), fit, where="mid", color="#0072B2", lw=2.4, label="fused Lasso")
    ax.set_title(f"{title}: {levels[k]} levels, error {errors[k]:.2f}", loc="left")
    ax.set_ylabel("signal")
axes[0].legend(frameon=False, ncols=3, loc="upper right", bbox_to_anchor=(1.0, 1.22))
axes[-1].set_xlabel("time")
plt.show()

# %%
# Even at its best, a jump may come as a short staircase, and levels are drawn a little towards each other: the bias of
# the L1 norm, here of the jumps.
#
# On a graph
# ----------
# The pixels of a picture, each joined to its neighbours on the right and below. Edges are pairs of column indices, so
# any graph will do: a map, a mesh, a network.

side = 40
row, column = np.mgrid[:side, :side]
picture = np.zeros((side, side))
picture[6:20, 5:17] = 2.0
picture[(row - 26) ** 2 + (column - 27) ** 2 < 81] = -1.5
picture[9:15, 24:37] = 1.0
noisy = picture + 0.8 * rng.standard_normal(picture.shape)

pixel = np.arange(side * side).reshape(side, side)
right = np.stack([pixel[:, :-1].ravel(), pixel[:, 1:].ravel()], axis=1)
below = np.stack([pixel[:-1].ravel(), pixel[1:].ravel()], axis=1)
edges = np.concatenate([right, below])

image = FusedLasso(alpha=0.7 / side**2, edges=edges).fit(sp.eye_array(side * side, format="csc"), noisy.ravel())
restored = (image.coef_ + image.intercept_).reshape(side, side)
print(f"{len(np.unique(image.coef_))} levels in {side * side} pixels, relative duality gap {image.dual_gap_:.0e}")

fig, axes = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
for ax, (title, shown) in zip(axes, {"truth": picture, "data": noisy, "fused Lasso": restored}.items()):
    drawn = ax.imshow(shown, cmap="PuOr", vmin=-3, vmax=3)
    ax.set(title=title, xticks=[], yticks=[])
fig.colorbar(drawn, ax=axes, label="signal", shrink=0.85, pad=0.02, extend="both")
plt.show()
