"""A small neural network in NumPy: output, gradient, and the steps of Adam with the AMSGrad correction."""

import numpy as np


class Network:
    """Linear -> ELU -> (dropout -> linear -> ELU) -> ... -> linear; without hidden layers it is linear.

    All parameters lie in one vector, `theta`, of which `matrices`, `biases` and `further` are views. The last matrix
    begins with zeros: at first the output is its bias, whatever the input.

    Parameters
    ----------
    sizes : sequence of int
        Width of the input, of each hidden layer, and of the output.
    bias : float or ndarray of shape (sizes[-1],)
        Bias of the output, at first.
    rng : numpy.random.Generator
        Draws the hidden layers' matrices.
    further : ndarray of shape (n_further,), default=()
        More parameters, which the network itself has no use for.
    """

    def __init__(self, sizes, bias, rng, further=()):
        self.sizes = sizes
        self.theta = np.zeros(sum((a + 1) * b for a, b in zip(sizes, sizes[1:])) + len(further))
        self.matrices, self.biases, self.further = self.parts(self.theta)
        for matrix in self.matrices[:-1]:
            matrix[:] = rng.standard_normal(matrix.shape) / np.sqrt(len(matrix))
        self.biases[-1][:] = bias
        self.further[:] = further

    def parts(self, vector):
        """Views of a vector like `theta`: the layers' matrices, their biases, and what is further there."""
        matrices, biases, end = [], [], 0
        for a, b in zip(self.sizes, self.sizes[1:]):
            matrices.append(vector[end : end + a * b].reshape(a, b))
            biases.append(vector[end + a * b : end + (a + 1) * b])
            end += (a + 1) * b
        return matrices, biases, vector[end:]

    def forward(self, x, dropout=0.0, rng=None):
        """Output of shape (n_samples, n_outputs), and what `gradient` needs of the way there.

        A share `dropout` of a hidden layer's entries is left out on the way to another hidden layer.
        """
        way = []
        for depth, (matrix, bias) in enumerate(zip(self.matrices[:-1], self.biases)):
            kept = 1.0
            if depth > 0 and dropout > 0.0:
                kept = (rng.random(x.shape) >= dropout) / (1.0 - dropout)
                x = x * kept
            into = x @ matrix + bias
            below = np.expm1(np.minimum(into, 0.0))
            way.append((x, kept, below + 1.0))  # the slope of ELU is 1 + min(ELU, 0)
            x = np.maximum(into, 0.0) + below
        return x @ self.matrices[-1] + self.biases[-1], [*way, (x, 1.0, None)]

    def gradient(self, way, slope, further=()):
        """Gradient for all parameters, given that for the output and for the further ones."""
        gradient = np.empty_like(self.theta)
        matrices, biases, rest = self.parts(gradient)
        rest[:] = further
        for depth in range(len(way) - 1, -1, -1):
            x, kept, _ = way[depth]
            np.matmul(x.T, slope, out=matrices[depth])
            np.sum(slope, axis=0, out=biases[depth])
            if depth > 0:
                slope = slope @ self.matrices[depth].T * kept * way[depth - 1][2]
        return gradient


class Adam:
    """Steps of Adam with the AMSGrad correction (Reddi, Kale, Kumar 2018)."""

    def __init__(self, size, learning_rate, decay=(0.9, 0.999), floor=1e-8):
        self.mean, self.square, self.largest = np.zeros((3, size))
        self.learning_rate, self.decay, self.floor, self.count = learning_rate, decay, floor, 0

    def step(self, theta, gradient):
        """Move `theta`, in place."""
        first, second = self.decay
        self.count += 1
        self.mean += (1.0 - first) * (gradient - self.mean)
        self.square += (1.0 - second) * (gradient**2 - self.square)
        np.maximum(self.largest, self.square, out=self.largest)
        scale = np.sqrt(self.largest / (1.0 - second**self.count)) + self.floor
        theta -= self.learning_rate / (1.0 - first**self.count) * self.mean / scale
