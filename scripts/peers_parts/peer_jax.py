"""JAX's ways of the training: one jitted scan over all steps, compiled before the clock starts. Which computes what: contestants.py.

X is an argument, not a constant of the program: what is made of it would be made by the compiler otherwise, outside the
clock. Products are in the full precision of the scalar type: on a CPU that is JAX's default.
"""

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np

jax.config.update("jax_enable_x64", True)


def facts():
    return {"jax": jax.__version__, "jaxlib": jaxlib.__version__, "blas": f"XLA of jaxlib {jaxlib.__version__}, {jax.devices()[0].platform}"}


def ready(way, data, steps):
    # Stored a picture a row, the array is X^T, whose products take the other operand transposed.
    X = jnp.asarray(np.ascontiguousarray(data.X if way == "plain" else data.X.T))
    Y, start = jnp.asarray(data.Y), jax.tree.map(jnp.asarray, data.start)
    share = data.rate / data.Y.shape[1]
    run = gram if way == "gram" else plain

    def whole(X, Y, start):
        return run(X if way == "plain" else X.T, Y, start, share, steps)

    compiled = jax.jit(whole).lower(X, Y, start).compile()

    def timed():
        costs, parameters = jax.block_until_ready(compiled(X, Y, start))
        return np.asarray(costs), [(np.asarray(W), np.asarray(b)) for W, b in parameters]

    return timed


def plain(X, Y, start, share, steps):
    def step(layers, _):
        (W, b), *above = layers
        cost, D, above = above_first(W @ X + b, above, Y, share)
        return [(W - D @ X.T, b - row_sums(D)), *above], cost

    layers, costs = jax.lax.scan(step, list(start), length=steps)
    return costs, layers


def gram(X, Y, start, share, steps):
    (W, b), *above = start
    G = X.T @ X  # (m, m)

    def step(state, _):
        U, S, b, above = state
        cost, D, above = above_first(U + b, above, Y, share)
        return (U - D @ G, S + D, b - row_sums(D), above), cost

    U = W @ X
    (_, S, b, above), costs = jax.lax.scan(step, (U, jnp.zeros_like(U), b, above), length=steps)
    return costs, [(W - S @ X.T, b), *above]


def above_first(Z, layers, Y, share):
    """From Z of the first layer: the cost, share * dZ of that layer, and the layers above it, updated."""
    activations = []
    for W, b in layers:
        activations.append(jnp.maximum(Z, 0))
        Z = W @ activations[-1] + b
    AL = 1 / (1 + jnp.exp(-Z))
    cost = -jnp.sum(Y * jnp.log(AL) + (1 - Y) * jnp.log(1 - AL)) / Y.shape[1]
    D, updated = (AL - Y) * share, []
    for (W, b), A in zip(reversed(layers), reversed(activations)):
        updated.append((W - D @ A.T, b - row_sums(D)))
        D = jnp.where(A > 0, W.T @ D, 0)
    return cost, D, updated[::-1]


def row_sums(D):
    return D.sum(axis=1, keepdims=True)
