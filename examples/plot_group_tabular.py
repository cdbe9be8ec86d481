"""
A table with categoricals and splines: whole inputs in or out
=============================================================

A table with columns of different kinds is encoded before a linear model sees it: a category becomes one column a level,
a number becomes a handful of spline columns. The Lasso then picks single levels and single pieces of curves. A group
Lasso picks *inputs*: all columns made of one input enter together or not at all.

``groups="auto"`` reads from the names of the columns which of them belong together, so that a pipeline needs no list of
groups. The data are generated, like the hourly counts of a bicycle hire, so that we know which inputs act, and how.
"""

# %%
# Data
# ----
# Twelve inputs. Five of them act on the logarithm of the hourly rate: three through curves, two through categories. The
# other seven are noise, but some are correlated with those that act: humidity and pressure with the temperature.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.metrics import d2_tweedie_score
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer

from skreg import GroupLasso
from skreg.model_selection import regularization_path

rng = np.random.default_rng(0)
n_samples = 1500
days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
winds = ["N", "NE", "E", "SE", "S", "SW", "W", "NW"]

temperature = rng.normal(14.0, 8.0, n_samples).clip(-8.0, 36.0)
table = pd.DataFrame(
    {
        "hour": rng.integers(24, size=n_samples).astype(float),
        "temperature": temperature,
        "wind speed": rng.gamma(3.0, 1.6, n_samples).clip(0.0, 18.0),
        "humidity": (75.0 - 1.2 * temperature + 14.0 * rng.standard_normal(n_samples)).clip(10.0, 100.0),
        "pressure": 1013.0 - 0.4 * temperature + 6.0 * rng.standard_normal(n_samples),
        "visibility": rng.uniform(1.0, 20.0, n_samples),
        "moon": rng.uniform(0.0, 1.0, n_samples),
        "weather": rng.choice(["clear", "cloudy", "rain", "snow"], n_samples, p=[0.5, 0.3, 0.15, 0.05]),
        "weekday": rng.choice(days, n_samples),
        "wind from": rng.choice(winds, n_samples),
        "district": rng.choice(list("ABCDEF"), n_samples),
        "operator": rng.choice(["Ada", "Ben", "Cid", "Dot", "Eve"], n_samples),
    }
)

curves = {
    "hour": lambda h: 0.9 * np.exp(-(((h - 8) / 1.8) ** 2)) + 1.1 * np.exp(-(((h - 17.5) / 2.4) ** 2)),
    "temperature": lambda t: 0.7 * np.tanh((t - 8) / 8) - 0.6 * np.maximum(t - 26, 0) / 10,
    "wind speed": lambda v: -0.5 * np.maximum(v - 5, 0) / 10,
}
levels = {
    "weather": {"clear": 0.25, "cloudy": 0.1, "rain": -0.55, "snow": -0.9},
    "weekday": {"Mon": 0.05, "Tue": 0.1, "Wed": 0.1, "Thu": 0.1, "Fri": 0.05, "Sat": -0.25, "Sun": -0.35},
}
log_rate = 0.8 + sum(f(table[name].to_numpy()) for name, f in curves.items())
log_rate += sum(table[name].map(effect).to_numpy() for name, effect in levels.items())
y = rng.poisson(np.exp(log_rate))
acting = [*curves, *levels]

# %%
# From the table to groups
# ------------------------
# Numbers become cubic splines (periodic ones for the hour), texts become 0/1 columns. ``set_output`` keeps the names.

numbers = ["temperature", "wind speed", "humidity", "pressure", "visibility", "moon"]
texts = ["weather", "weekday", "wind from", "district", "operator"]
daily = SplineTransformer(knots=np.linspace(0, 24, 11)[:, None], extrapolation="periodic", include_bias=False)
encode = ColumnTransformer(
    [
        ("hour", daily, ["hour"]),
        ("spline", SplineTransformer(6, knots="quantile", include_bias=False), numbers),
        ("category", OneHotEncoder(sparse_output=False), texts),
    ],
    verbose_feature_names_out=False,
).set_output(transform="pandas")

model = GroupLasso(groups="auto", loss="poisson", alpha=0.1, standardize=True)
fitted = make_pipeline(encode, model).fit(table, y)[-1]
print("input          columns  norm of its coefficients")
for name, columns, norm in zip(fitted.groups_, fitted.group_columns_, fitted.group_norms_):
    print(f"{name:<12} {len(columns):>7}    {norm:.2f}" if norm > 0 else f"{name:<12} {len(columns):>7}    -")
print(f"relative duality gap {fitted.dual_gap_:.0e}")

# %%
# Inputs along the path
# ---------------------
# A path shows the order in which inputs enter. Norms of coefficients depend on the units of the columns; to compare
# inputs, we take the standard deviation of what each of them contributes to the linear predictor.

features = encode.fit_transform(table)
groups = dict(zip(fitted.groups_, fitted.group_columns_))
path = regularization_path(model, features, y, alphas=40, eps=0.02)


def contribution(coef, name):
    """What an input adds to the linear predictor of each sample, its mean taken off."""
    part = features.to_numpy()[:, groups[name]] @ coef[groups[name]]
    return part - part.mean()


sizes = {name: np.array([contribution(coef, name).std() for coef in path.coefs]) for name in groups}

# %%
# Cross-validation says how far to go. The encoder is fitted anew in each fold, and the path on the training part is
# scored on the part held out: the share of the Poisson deviance that it explains.

scores = []
for train, test in KFold(5, shuffle=True, random_state=0).split(table):
    fold = encode.fit(table.iloc[train])
    models = regularization_path(model, fold.transform(table.iloc[train]), y[train], alphas=path.alphas)
    held_out = models.predict(fold.transform(table.iloc[test]))
    scores.append([d2_tweedie_score(y[test], prediction, power=1) for prediction in held_out])
mean, error = np.mean(scores, axis=0), np.std(scores, axis=0, ddof=1) / np.sqrt(len(scores))
best = int(np.argmax(mean))
sparser = int(np.argmax(mean >= mean[best] - error[best]))  # largest alpha within one standard error of the best
for title, k in (("best", best), ("one standard error", sparser)):
    kept = [name for name, size in sizes.items() if size[k] > 0]
    print(f"{title}: alpha {path.alphas[k]:.3f}, D2 {mean[k]:.3f}, {len(kept)} inputs: {', '.join(kept)}")

# %%
# Coloured lines are the inputs that act.

plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
colours = dict(zip(acting, ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"]))
noise = [name for name in groups if name not in acting]

fig, (top, bottom) = plt.subplots(2, 1, figsize=(9, 7.5), layout="constrained", sharex=True, height_ratios=[2.4, 1])
for name in noise:
    top.plot(path.alphas, sizes[name], color="0.65", lw=1.2)
for name in acting:
    top.plot(path.alphas, sizes[name], color=colours[name], lw=2.4)
beside = dict(xytext=(8, 0), textcoords="offset points", va="center", annotation_clip=False)
lowest = 0.0
for name in sorted(acting, key=lambda name: sizes[name][-1]):  # from below, names kept apart
    lowest = max(sizes[name][-1], lowest + 0.013)
    top.annotate(name, (path.alphas[-1], lowest), color=colours[name], **beside)
quiet = np.mean([sizes[name][-1] for name in noise])
top.annotate("inputs that\ndo not act", (path.alphas[-1], quiet), color="0.4", **beside)
top.set(ylabel="standard deviation of the contribution", title="Inputs enter the group Lasso one after the other")
top.set_ylim(0, None)
bottom.plot(path.alphas, mean, color="black", lw=2)
bottom.fill_between(path.alphas, mean - error, mean + error, color="0.85", lw=0)
bottom.set(xscale="log", xlabel=r"$\alpha$", ylabel="held-out $D^2$", xlim=(path.alphas[0], path.alphas[-1]))
bottom.set_xticks([0.5, 0.2, 0.1, 0.05, 0.02], ["0.5", "0.2", "0.1", "0.05", "0.02"])
bottom.set_xticks([], minor=True)
for ax in (top, bottom):
    ax.axvline(path.alphas[best], color="0.4", lw=1, ls=":")
    ax.axvline(path.alphas[sparser], color="0.4", lw=1, ls="--")
for k, height, text in ((best, 0.02, "best"), (sparser, 0.14, "one standard error")):
    bottom.annotate(text, (path.alphas[k], height), (-5, 0), textcoords="offset points", ha="right", color="0.25")
plt.show()

# %%
# All that act enter first. The alpha that predicts best is smaller: it undoes some of the shrinking of large effects,
# and lets small wrong ones in, as with the Lasso.
#
# Curves and levels
# -----------------
# The effects of the five inputs at three alphas, and the truth. Each enters as a whole, a curve or a set of levels, and
# grows as alpha falls. Where data are few, above 30 degrees or in snow, it falls short longest.

shown = {sparser - 15: "#A6CEE3", sparser - 6: "#4A98C9", best: "#08306B"}
fig, axes = plt.subplots(1, 5, figsize=(13, 4), layout="constrained", sharey=True, width_ratios=[1.3, 1.3, 1.3, 1, 1.3])
for ax, name in zip(axes, acting):
    values = table[name].to_numpy()
    smooth = name in curves
    if smooth:
        x, truth = values, curves[name](values)
    else:
        kinds = list(levels[name])
        x, truth = np.array([kinds.index(level) for level in values]), np.array([levels[name][v] for v in values])
        ax.set_xticks(range(len(kinds)), kinds, rotation=60)
        ax.margins(x=0.12)
    _, order = np.unique(x, return_index=True)
    for k, colour in shown.items():
        line = dict(lw=2.2) if smooth else dict(marker="o", ms=7, ls="")
        label = rf"$\alpha$ = {path.alphas[k]:.2g}"
        ax.plot(x[order], contribution(path.coefs[k], name)[order], color=colour, label=label, **line)
    line = dict(lw=1.8, ls="--") if smooth else dict(marker="_", ms=15, mew=2, ls="")
    ax.plot(x[order], (truth - truth.mean())[order], color="#D55E00", label="truth", **line)
    ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    ax.set_title(name)
axes[0].set(ylabel="effect on the log rate", xticks=[0, 6, 12, 18], xlabel="hour of the day")
axes[1].set_xlabel("degrees Celsius")
axes[2].set_xlabel("metres a second")
handles, names = axes[0].get_legend_handles_labels()
fig.legend(handles, names, loc="outside lower center", ncols=4, frameon=False)
plt.show()
