"""NumPy's ways of the training. Which computes what: contestants.py.

In all: X (n0, m), Y (1, m), W (n, n_prev), b (n, 1), Z, A and dZ (n, m).
"""

import numpy as np

from fixture_parts.notebook import L_model_backward, L_model_forward, compute_cost, update_parameters

from .openblas import kernel_of_numpy


def facts():
    return {"numpy": np.__version__, "blas": kernel_of_numpy()}


def ready(way, data, steps):
    run = {"notebook": notebook, "lean": lean, "gram": gram}[way]
    return lambda: run(data, steps)


def notebook(data, steps):
    parameters = {name: value for l, layer in enumerate(data.start, start=1) for name, value in zip((f"W{l}", f"b{l}"), layer)}
    costs = []
    for _ in range(steps):
        forward = L_model_forward(data.X, parameters)
        costs.append(compute_cost(forward["AL"], data.Y)["cost"])
        parameters = update_parameters(parameters, L_model_backward(forward["AL"], data.Y, forward["caches"]), data.rate)
    return costs, [(parameters[f"W{l}"], parameters[f"b{l}"]) for l in range(1, len(data.start) + 1)]


def lean(data, steps):
    X, Y, share = data.X, data.Y, data.rate / data.Y.shape[1]
    (W, b), *above = layers = copied(data.start)
    costs = []
    for _ in range(steps):
        cost, D = above_first(W @ X + b, above, Y, share)
        W -= D @ X.T
        b -= D.sum(axis=1, keepdims=True)
        costs.append(cost)
    return costs, layers


def gram(data, steps):
    X, Y, share = data.X, data.Y, data.rate / data.Y.shape[1]
    (W, b), *above = copied(data.start)
    G = X.T @ X  # (m, m)
    U, S = W @ X, np.zeros((W.shape[0], X.shape[1]), X.dtype)
    costs = []
    for _ in range(steps):
        cost, D = above_first(U + b, above, Y, share)
        U -= D @ G
        S += D
        b -= D.sum(axis=1, keepdims=True)
        costs.append(cost)
    return costs, [(W - S @ X.T, b), *above]


def copied(start):
    """Updates are in place, and the start serves the next run too."""
    return [(W.copy(), b.copy()) for W, b in start]


def above_first(Z, layers, Y, share):
    """From Z of the first layer: the cost, and share * dZ of that layer. Updates the layers above it."""
    activations = []
    for W, b in layers:
        activations.append(np.maximum(Z, 0))
        Z = W @ activations[-1] + b
    AL = 1 / (1 + np.exp(-Z))
    cost = -np.sum(Y * np.log(AL) + (1 - Y) * np.log(1 - AL)) / Y.shape[1]
    D = (AL - Y) * share
    for (W, b), A in zip(reversed(layers), reversed(activations)):
        dA = W.T @ D  # with the W before its update
        W -= D @ A.T
        b -= D.sum(axis=1, keepdims=True)
        D = dA * (A > 0)
    return cost, D
