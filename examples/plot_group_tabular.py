"""
A table with categoricals and splines: whole inputs in or out
=============================================================

A table with columns of different kinds is encoded before a linear model sees it: a category becomes one column a level, a
number becomes a handful of spline columns. The Lasso then picks single levels and single pieces of curves. A group Lasso
picks *inputs*: all columns made of one input enter together or not at all.

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
log_rate = 2.0 + sum(f(table[name].to_numpy()) for name, f in curves.items())
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

model = GroupLasso(groups="auto", loss="poisson", alpha=0.3, standardize=True)
fitted = make_pipeline(encode, model).fit(table, y)[-1]
print("input          columns  norm of its coefficients")
for name, columns, norm in zip(fitted.groups_, fitted.group_columns_, fitted.group_norms_):
    print(f"{name:<12} {len(columns):>7}    {norm:.2f}" if norm > 0 else f"{name:<12} {len(columns):>7}    -")
print(f"relative duality gap {fitted.dual_gap_:.0e}")

# %%
# Inputs along the path
# ---------------------
# A path shows the order in which inputs enter. Norms of coefficients depend on the units of the columns; to compare
# inputs, we take the standard deviation of what each of them contributes to the linear predictor. Below it, each alpha's
# score on held-out data, and the same of the group MCP, which pulls small groups towards zero and leaves large ones alone.

features = encode.fit_transform(table)
groups = dict(zip(fitted.groups_, fitted.group_columns_))
models = {
    "group Lasso": GroupLasso(groups="auto", loss="poisson", standardize=True),
    "group MCP": GroupLasso(groups="auto", loss="poisson", penalty="group_mcp", standardize=True),
}
paths = {name: regularization_path(model, features, y, alphas=30, eps=0.02) for name, model in models.items()}
alphas = paths["group Lasso"].alphas


def contribution(coef, name):
    """What an input adds to the linear predictor of each sample, its mean taken off."""
    part = features.to_numpy()[:, groups[name]] @ coef[groups[name]]
    return part - part.mean()


def cross_validated(model):
    """Share of the Poisson deviance explained in held-out folds: mean and standard error for each alpha."""
    scores = []
    for train, test in KFold(5, shuffle=True, random_state=0).split(table):
        fold = encode.fit(table.iloc[train])
        path = regularization_path(model, fold.transform(table.iloc[train]), y[train], alphas=alphas)
        held_out = path.predict(fold.transform(table.iloc[test]))
        scores.append([d2_tweedie_score(y[test], prediction, power=1) for prediction in held_out])
    return np.mean(scores, axis=0), np.std(scores, axis=0, ddof=1) / np.sqrt(len(scores))


means, errors, best = {}, {}, {}
for name, model in models.items():
    means[name], errors[name] = cross_validated(model)
    top = int(np.argmax(means[name]))
    best[name] = int(np.argmax(means[name] >= means[name][top] - errors[name][top]))  # within one standard error
    kept = [group for group, columns in groups.items() if paths[name].coefs[best[name], columns].any()]
    print(f"{name}: held-out D2 {means[name][best[name]]:.3f} with {', '.join(kept)}")

# %%
# Coloured lines are the inputs that act. The dotted line marks the sparsest group Lasso within one standard error of the
# best score.

plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
palette = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"]
colours = dict(zip(acting, palette))

lasso = paths["group Lasso"]
sizes = {name: [contribution(coef, name).std() for coef in lasso.coefs] for name in groups}
fig, (top, bottom) = plt.subplots(2, 1, figsize=(9, 7.5), layout="constrained", sharex=True, height_ratios=[2.4, 1])
for name, size in sizes.items():
    style = dict(color=colours[name], lw=2.4) if name in acting else dict(color="0.7", lw=1.1, zorder=1)
    top.plot(alphas, size, **style)
    if name in acting:
        top.annotate(name, (alphas[-1], size[-1]), (8, 0), textcoords="offset points", color=colours[name], va="center")
noise = [name for name in groups if name not in acting]
top.annotate(
    f"{len(noise)} inputs\nwithout effect",
    (alphas[-1], np.mean([sizes[name][-1] for name in noise])),
    (8, -2),
    textcoords="offset points",
    color="0.45",
    va="center",
)
top.set(ylabel="standard deviation of the contribution", title="Inputs enter the group Lasso one after the other")
top.set_ylim(0, None)
shades = {"group Lasso": ("#000000", "-"), "group MCP": ("#56B4E9", "--")}
for name, (colour, style) in shades.items():
    bottom.plot(alphas, means[name], color=colour, ls=style, lw=2, label=name)
bottom.set(xscale="log", xlabel=r"$\alpha$", ylabel="held-out $D^2$", xlim=(alphas[0], alphas[-1]))
bottom.legend(frameon=False, loc="lower right")
for ax in (top, bottom):
    ax.axvline(alphas[best["group Lasso"]], color="0.4", lw=1, ls=":")
plt.show()

# %%
# Curves and levels
# -----------------
# What the two models make of the five inputs, and the truth. The group Lasso has all shapes right, and all of them too
# flat: that is its bias. The group MCP comes closer, with no input too many.

fig, axes = plt.subplots(1, 5, figsize=(13, 3.9), layout="constrained", sharey=True, width_ratios=[1.3, 1.3, 1.3, 1, 1.3])
models = {"group Lasso": ("#D55E00", "s"), "group MCP": ("#0072B2", "o")}
for ax, name in zip(axes, acting):
    values = table[name]
    if name in curves:
        order = np.argsort(values.to_numpy(), kind="stable")
        x, truth = values.to_numpy(), curves[name](values.to_numpy())
    else:
        kinds = list(levels[name])
        x, truth = values.map({level: k for k, level in enumerate(kinds)}).to_numpy(), values.map(levels[name]).to_numpy()
        order = np.unique(x, return_index=True)[1]
        ax.set_xticks(range(len(kinds)), kinds, rotation=55 if len(kinds) > 4 else 35)
    truth = truth - truth.mean()
    smooth = name in curves
    style = dict(color="black", lw=2, ls="--") if smooth else dict(color="black", marker="_", ms=15, mew=2.2, ls="")
    ax.plot(x[order], truth[order], label="truth", zorder=3, **style)
    for model, (colour, marker) in models.items():
        part = contribution(paths[model].coefs[best[model]], name)
        shape = dict(lw=2.2) if smooth else dict(marker=marker, ms=7, ls="")
        ax.plot(x[order], part[order], color=colour, label=model, **shape)
    ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    ax.set_title(name)
axes[0].set(ylabel="effect on the log rate", xticks=[0, 6, 12, 18])
axes[0].set_xlabel("hour of the day")
axes[1].set_xlabel("degrees Celsius")
axes[2].set_xlabel("metres a second")
axes[0].legend(frameon=False, fontsize=9.5, loc="upper left")
plt.show()
