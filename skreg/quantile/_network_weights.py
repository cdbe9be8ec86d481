r"""Convex weights of forecasts that are the softmax of a function of the features, fitted by stochastic gradients.

With logits a_kq(x), a linear function ("softmax") or a small neural network ("mlp": deep quantile aggregation of
Fakoor et al. 2023) of the standardised features, level k is predicted by

    g_k(x) = sum_q w_kq(x) z_q(x),      w_k(x) = softmax(a_k(x)),

where q runs over the forecasts that inform level k: one a model, or (fine weights) all levels of all models. Minimised,
by Adam on mini-batches, is

    mean_i [ mean_k psi_k(y_i - g_k(x_i)) + rho mean_{k<l} (g_k(x_i) - g_l(x_i) + delta_kl)_+ ],

the pinball loss and a penalty of crossings. Its margins adapt to the data: delta_kl is a share of the distance between
the quantiles at the levels k and l of y less the median of the models' central forecasts.

The fit begins, whatever the features, at the global weights, mixed with a little of equal ones, so that none is out of
reach. The best number of steps is found on held-out rows, and the fit repeated on all rows. At last, the weights are
shrunk to the global ones along the line between them: the share of the way minimises, on the held-out rows, the pinball
loss plus lambda times the mean L1 distance from the global weights, in units of their loss. Where lambda is infinite,
or where nothing was gained on the held-out rows, the weights are the global ones.

Fine weights have n_models * n_quantiles^2 logits. Where these are many, they are tied: j a model, l its level,

    a_kjl(x) = b_kjl + u_kj(x) + s_k(x) (tau_l - tau_k) + c_k(x) (tau_l - tau_k)^2,

n_models + 2 functions of x a level, beside constants b.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skreg._quantiles import central_level
from skreg.quantile._local_weights import Standardised
from skreg.quantile._network import Adam, Network
from skreg.quantile._weights import fit_weights, pinball, weighted_loss
from skreg.solvers._interior_point_fit import weighted_quantile

_EQUAL = 0.02  # share of equal weights at the start
_HELD_OUT = 0.2  # share of the rows that decide on the number of steps
_FEWEST = 20  # rows; with fewer, weights are global
_CHECK = 20  # steps between looks at the held-out rows, ...
_PATIENCE = 10  # ... so many of which without a gain end the fit
_MANY = 4000  # logits, from which on fine ones are tied
_AT_A_TIME = 2_000_000  # weights in memory
_SHARES = np.linspace(0.0, 1.0, 21)


@dataclass
class NetworkWeights:
    """Global weights, and those of a network, of which combined forecasts have a share."""

    result: Any  # QuantileWeights
    phi: Standardised | None = None
    local: Any = None  # SoftmaxWeights
    share: float = 0.0

    def combine(self, Z, features):
        """Combined forecasts of shape (n_samples, n_quantiles)."""
        combined = self.result.combine(Z)
        if self.share > 0.0:
            informing = informing_forecasts(Z, self.result.weights.ndim)
            combined += self.share * (self.local.combine(informing, self.phi(features)[:, 1:]) - combined)
        return combined


@dataclass
class SoftmaxWeights:
    """Weights of shape (n_samples, n_quantiles or 1 for all, n_informing): the softmax of a network's output."""

    network: Network
    shape: tuple  # of one sample's weights
    tie: np.ndarray | None = None  # logits of each output, (n_quantiles, n_outputs, n_informing)

    @classmethod
    def at(cls, weights, levels, n_features, hidden, rng, many=_MANY):
        """Begin at `weights`, those of `fit_weights`, mixed with equal ones."""
        weights = np.maximum(weights, 0.0)  # they may miss 0 by rounding
        start = np.log((1.0 - _EQUAL) * rows_of(weights) + _EQUAL * rows_of(_equal(weights)))
        if weights.ndim < 3 or start.size <= many:
            return cls(Network([n_features, *hidden, start.size], start.ravel(), rng), start.shape)
        tie = _tie(levels, weights.shape[1])
        return cls(Network([n_features, *hidden, tie[:, :, 0].size], 0.0, rng, start.ravel()), start.shape, tie)

    def forward(self, x, dropout=0.0, rng=None):
        """Weights, and what `gradient` needs of the way there."""
        out, way = self.network.forward(x, dropout, rng)
        if self.tie is None:
            return _softmax(out.reshape(-1, *self.shape)), way
        logits = np.matmul(out.reshape(len(x), len(self.tie), -1).swapaxes(0, 1), self.tie).swapaxes(0, 1)
        return _softmax(logits + self.network.further.reshape(self.shape)), way

    def gradient(self, way, slope):
        """Gradient for the network's parameters, given that for the logits."""
        if self.tie is None:
            return self.network.gradient(way, slope.reshape(len(slope), -1))
        of_outputs = np.matmul(slope.swapaxes(0, 1), self.tie.swapaxes(1, 2)).swapaxes(0, 1)
        return self.network.gradient(way, of_outputs.reshape(len(slope), -1), slope.sum(axis=0).ravel())

    def combine(self, informing, x):
        """Combined forecasts."""
        parts = self._parts(len(x))
        return np.concatenate([_weigh(self.forward(x[part])[0], informing[part]) for part in parts])

    def distances(self, weights, x):
        """L1 distance of each sample's weights from given ones, averaged over the levels."""
        given = rows_of(weights)
        parts = [np.abs(self.forward(x[part])[0] - given).sum(axis=2).mean(axis=1) for part in self._parts(len(x))]
        return np.concatenate(parts)

    def _parts(self, n_samples):
        size = max(1, _AT_A_TIME // int(np.prod(self.shape)))
        return [slice(begin, begin + size) for begin in range(0, max(1, n_samples), size)]


def informing_forecasts(Z, ndim):
    """Forecasts by the level that they inform (or 1 for all), for weights of `ndim` axes: 3 for fine ones."""
    return Z.reshape(len(Z), 1, -1) if ndim == 3 else Z.transpose(0, 2, 1)


def rows_of(weights):
    """Coarse, medium or fine weights, of shape (n_quantiles or 1 for all, n_informing)."""
    return weights.reshape(len(weights), -1) if weights.ndim == 3 else np.atleast_2d(weights.T)


def _equal(weights):
    """Equal weights; of fine ones, half are spread over the models at the level itself, half over all."""
    if weights.ndim < 3:
        return np.full_like(weights, 1.0 / len(weights))
    m, p, _ = weights.shape
    equal = np.full_like(weights, 0.5 / (p * m))
    equal[np.arange(m), :, np.arange(m)] += 0.5 / p
    return equal


def _tie(levels, n_models):
    m, away = len(levels), levels[None, :] - levels[:, None]
    tie = np.zeros((m, n_models + 2, n_models, m))
    tie[:, np.arange(n_models), np.arange(n_models)] = 1.0
    tie[:, -2], tie[:, -1] = away[:, None], away[:, None] ** 2
    return tie.reshape(m, n_models + 2, n_models * m)


def _softmax(logits):
    logits = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return logits / logits.sum(axis=-1, keepdims=True)


def _weigh(weights, informing):
    return np.einsum("ikq,ikq->ik", *np.broadcast_arrays(weights, informing))


@dataclass
class Problem:
    """What is minimised: the data, and what the loss is made of."""

    informing: np.ndarray
    x: np.ndarray  # standardised features
    y: np.ndarray
    weight: np.ndarray  # mean 1
    levels: np.ndarray
    scale: float  # the loss of the global weights, its unit
    margins: np.ndarray  # (n_quantiles, n_quantiles); -inf but above the diagonal
    crossing_penalty: float

    @classmethod
    def of(cls, forecasts, x, result, params):
        """Make it of forecasts and their global weights."""
        Z, y, levels, weight, _ = forecasts
        weight = np.ones(len(y)) if weight is None else weight / weight.mean()
        r = y - np.median(Z[:, :, central_level(levels)], axis=1)
        q = np.array([weighted_quantile(r, weight, level) for level in levels])
        above = np.triu(np.ones((len(levels), len(levels)), dtype=bool), 1)
        margins = np.where(above, params["margin"] * np.maximum(q[None, :] - q[:, None], 0.0), -np.inf)
        scale = weighted_loss(y[:, None] - result.combine(Z), levels, np.repeat(weight[:, None], len(levels), axis=1))
        informing = informing_forecasts(Z, result.weights.ndim)
        return cls(informing, x, y, weight, levels, scale, margins, params["crossing_penalty"])

    def objective(self, local, rows, dropout=0.0, rng=None):
        """Loss on some rows, in units of that of the global weights, and its gradient for the parameters."""
        weights, way = local.forward(self.x[rows], dropout, rng)
        informing, m = self.informing[rows], len(self.levels)
        bands = _weigh(weights, informing)
        loss, slope = self.penalty(bands)
        r = self.y[rows, None] - bands
        loss += pinball(r, self.levels).mean(axis=1)
        slope += ((r < 0.0) - self.levels) / m
        share = self.weight[rows] / (len(r) * self.scale)
        slope *= share[:, None]
        of_logits = weights * slope[:, :, None] * (informing - bands[:, :, None])
        if weights.shape[1] < m:  # one set of weights for all levels
            of_logits = of_logits.sum(axis=1, keepdims=True)
        return float(loss @ share), local.gradient(way, of_logits)

    def penalty(self, bands):
        """Crossing penalty of each row, and its slopes."""
        m = len(self.levels)
        if m == 1 or self.crossing_penalty == 0.0:
            return np.zeros(len(bands)), np.zeros_like(bands)
        excess = np.maximum(bands[:, :, None] - bands[:, None, :] + self.margins, 0.0)
        crossed = excess > 0.0
        factor = self.crossing_penalty / (m * (m - 1) / 2)
        slope = crossed.sum(axis=2, dtype=float) - crossed.sum(axis=1)
        return factor * excess.sum(axis=(1, 2)), factor * slope

    def loss(self, bands, rows):
        """Pinball loss of combined forecasts, in the units of y."""
        return float(
            np.average(pinball(self.y[rows, None] - bands, self.levels).mean(axis=1), weights=self.weight[rows])
        )

    def combine(self, local, rows):
        """Combined forecasts."""
        return local.combine(self.informing[rows], self.x[rows])


def train(problem, local, rows, params, max_steps, rng, held_out=None):
    """Move `local` along the gradients of mini-batches of `rows`.

    With rows `held_out` it stops where these have the least loss, and it returns the number of steps there.
    """
    network, size = local.network, 2 ** (3 + int(np.log10(len(problem.y))))
    adam, decaying = Adam(len(network.theta), params["learning_rate"]), np.zeros(len(network.theta))
    for matrix in network.parts(decaying)[0]:
        matrix[:] = params["weight_decay"]
    best, least, kept, batches = 0, np.inf, network.theta.copy(), []
    for step in range(max_steps + 1):
        if held_out is not None and step % _CHECK == 0:
            loss = problem.loss(problem.combine(local, held_out), held_out)
            if loss < least:
                best, least, kept = step, loss, network.theta.copy()
            elif step - best >= _PATIENCE * _CHECK:
                break
        if step == max_steps:
            break
        batches = batches or np.array_split(rng.permutation(rows), max(1, len(rows) // size))
        _, gradient = problem.objective(local, batches.pop(), params["dropout"], rng)
        adam.step(network.theta, gradient + decaying * network.theta)
    if held_out is not None:
        network.theta[:] = kept
    return best


def fit_by_network(forecasts, strengths, settings, params, seed):
    """Weights for each strength of the shrinkage to the global weights, whose settings are `settings`.

    `params` are those of `skreg.quantile._localities.NETWORK_PARAMS`; without hidden layers, logits are linear.
    """
    if forecasts.weight is not None:
        forecasts = forecasts.rows(forecasts.weight > 0.0)
    Z, y, levels, weight, features = forecasts
    result = fit_weights(Z, y, levels, sample_weight=weight, **settings)
    everywhere = [NetworkWeights(result) for _ in strengths]
    if len(y) < _FEWEST or not np.isfinite(strengths).any():
        return everywhere
    phi = Standardised.of(features, weight)
    x = phi(features)[:, 1:]
    problem = Problem.of(forecasts, x, result, params)
    if problem.scale == 0.0:
        return everywhere

    def start():
        rng = np.random.default_rng(seed)
        return SoftmaxWeights.at(result.weights, levels, x.shape[1], params["hidden_layer_sizes"], rng), rng

    rows = np.random.default_rng([seed, 1]).permutation(len(y))
    held_out, rest = np.split(rows, [int(np.ceil(_HELD_OUT * len(y)))])
    local, rng = start()
    steps = train(problem, local, rest, params, params["max_steps"], rng, held_out)
    if steps == 0:
        return everywhere
    shares = _shares(problem, local, forecasts, result, strengths, held_out)
    local, rng = start()
    train(problem, local, np.arange(len(y)), params, steps, rng)
    return [NetworkWeights(result, phi, local, share) for share in shares]


def _shares(problem, local, forecasts, result, strengths, held_out):
    """Shares of the way from the global to the local weights, for each strength."""
    begin = result.combine(forecasts.Z[held_out])
    way = problem.combine(local, held_out) - begin
    losses = np.array([problem.loss(begin + share * way, held_out) for share in _SHARES])
    distances = local.distances(result.weights, problem.x[held_out])
    unit = problem.scale * np.average(distances, weights=problem.weight[held_out])
    chosen = [np.argmin(losses + s * unit * _SHARES) if np.isfinite(s) else 0 for s in strengths]
    return [float(_SHARES[place]) for place in chosen]
