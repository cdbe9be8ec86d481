"""
What noisy channels have in common: the multi-task Lasso
========================================================

Twenty sensors record the same few events, each with strengths and signs of its own, and with much noise. Which events
were there? One sensor alone can hardly tell. The multi-task Lasso selects features for all targets or for none, so that
weak evidence adds up.
"""

# %%
# Short waves in noise
# --------------------
# The features are waves of 15 frequencies at 32 places: 480 of them, for 256 points of time. Six are in the recordings.
# A channel sees each with a random weight and sign, and the noise has eight times the power of the signal.

import matplotlib.pyplot as plt
import numpy as np

from skreg import Lasso, MultiTaskLasso

rng = np.random.default_rng(7)
n_times, n_channels = 256, 20
time = np.arange(n_times) / n_times  # seconds
places, frequencies = np.linspace(0.02, 0.98, 32), np.linspace(5, 75, 15)
place, frequency = (grid.ravel() for grid in np.meshgrid(places, frequencies))
lag = time[:, None] - place
waves = np.exp(-((lag / 0.05) ** 2)) * np.cos(2 * np.pi * frequency * lag)
waves /= np.linalg.norm(waves, axis=0) / np.sqrt(n_times)

events = [3 * 32 + 3, 3 * 32 + 20, 7 * 32 + 9, 6 * 32 + 25, 11 * 32 + 14, 13 * 32 + 4]
weights = np.zeros((waves.shape[1], n_channels))
weights[events] = rng.choice([-1, 1], (len(events), n_channels)) * rng.uniform(0.5, 1.5, (len(events), n_channels))
truth = waves @ weights
recorded = truth + np.sqrt(8.0) * truth.std() * rng.standard_normal(truth.shape)

# %%
# Alone and together
# ------------------
# :class:`~skreg.Lasso` takes several targets too, and lets each select for itself. We know the truth, so we can ask for
# the largest alpha at which each of the six events is found, by some channel at least, and see what else has come in by
# then.


def largest_alpha(make):
    """The model of the largest alpha on a grid that has all the events."""
    for alpha in np.geomspace(3.0, 0.05, 60):
        model = make(alpha=alpha).fit(waves, recorded)
        if model.coef_[:, events].any(axis=0).all():
            return model


models = {"each channel alone": largest_alpha(Lasso), "all channels together": largest_alpha(MultiTaskLasso)}
for name, model in models.items():
    error = np.std(model.predict(waves) - truth) / np.std(truth)
    print(f"{name}: {np.count_nonzero(model.coef_.any(axis=0))} waves, error {error:.2f} of the signal")

# %%
# Each disc is a wave that some channel uses, at its time and frequency; its area is the wave's power over all channels.

plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
colours = dict(zip(models, ("#D55E00", "#0072B2")))
fig, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", sharex=True, sharey=True)
for ax, (name, model) in zip(axes, models.items()):
    power = np.sum(model.coef_**2, axis=0)
    used = power > 0
    area = 10 + 300 * power[used] / power.max()
    ax.scatter(place[events], frequency[events], s=520, facecolor="none", edgecolor="black", lw=1.2, label="truth")
    ax.scatter(place[used], frequency[used], s=area, color=colours[name], label="selected")
    ax.set_title(f"{name}: {used.sum()} waves", loc="left")
    ax.set(xlabel="time (s)", xlim=(0, 1), ylim=(0, 82))
axes[0].set_ylabel("frequency (Hz)")
axes[1].legend(frameon=False, loc="upper right", markerscale=0.5)
plt.show()

# %%
# The L2,1 norm draws the selected waves towards zero. A refit to them alone, by least squares, undoes this: alpha is
# zero, and an infinite weight leaves all other waves out. Three of the channels:

selected = models["all channels together"].coef_.any(axis=0)
refit = MultiTaskLasso(alpha=0.0, penalty_weights=np.where(selected, 1.0, np.inf)).fit(waves, recorded)
print(f"refit: error {np.std(refit.predict(waves) - truth) / np.std(truth):.2f} of the signal")

fig, axes = plt.subplots(3, 1, figsize=(11, 6), layout="constrained", sharex=True, sharey=True)
for ax, channel in zip(axes, (0, 5, 11)):
    ax.plot(time, recorded[:, channel], color="0.82", lw=1, label="recorded")
    ax.plot(time, truth[:, channel], color="black", lw=1.6, label="truth")
    ax.plot(time, refit.predict(waves)[:, channel], color="#0072B2", lw=1.6, ls="--", label="refit")
    ax.set_ylabel(f"channel {channel}")
axes[0].legend(frameon=False, ncols=3, loc="upper right", bbox_to_anchor=(1.0, 1.28))
axes[-1].set_xlabel("time (s)")
plt.show()
