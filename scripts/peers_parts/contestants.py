"""Who takes part: a line for each peer, with what it computes that another does not. To add one: a line here and a way in its peer_*.py."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Contestant:
    name: str
    module: str  # peer_<module>.py; "ours" is layerbench
    way: str
    computes: str
    package: str = ""  # the tag of its lines in peers_requirements.txt, where it is optional
    coretype: str = ""  # forced by OPENBLAS_CORETYPE

    def forced(self, coretype):
        return replace(self, name=f"{self.name}@{coretype}", coretype=coretype,
                       computes=f"as {self.name}, with OPENBLAS_CORETYPE={coretype} set before it starts")


GRAM = ("keeps U = W X of the first layer with G = X^T X, made once: U -= dZ G rate/m; W is formed at the end, G and W inside the clock; "
        "reads X twice in the whole run")
PEERS = [
    Contestant("numpy", "numpy", "notebook",
               "the notebook's functions: dAL from AL, caches, new arrays at each update; also the gradient of the pixels, dA0, which nobody uses"),
    Contestant("numpy-lean", "numpy", "lean",
               "NumPy of one who minds the time: no dA0, dZ = A - Y, rate/m multiplied into dZ instead of dW, updates in place"),
    Contestant("numpy-gram", "numpy", "gram", GRAM),
    Contestant("jax", "jax", "plain",
               "one jitted scan over all steps, no dA0, dZ = A - Y, rate/m multiplied into dZ; X stored as the formulas have it, a row a pixel"),
    Contestant("jax-rows", "jax", "rows", "as jax, with X stored a picture a row: the order that JAX's products like better here"),
    Contestant("jax-gram", "jax", "gram", GRAM + "; one jitted scan"),
    Contestant("torch", "torch", "eager",
               "nn.Linear, autograd, SGD, binary_cross_entropy_with_logits: the cost from Z, no dA0; X a picture a row", package="torch"),
    Contestant("sklearn", "sklearn", "fit",
               "MLPClassifier.fit, one batch a step, no momentum, no penalty; started from the given parameters by overriding a private method; "
               "checks its input inside the clock; X a picture a row", package="sklearn"),
]
REFERENCE = next(peer for peer in PEERS if peer.name == "numpy-lean")
# Those that also run with the best kernel of OpenBLAS forced.
KERNEL_MATTERS = ("numpy", "numpy-lean")


def our_contestants(names):
    """`simd+implicit` is the backend simd with the implicit first layer."""
    for name in names:
        backend, _, first_layer = name.partition("+")
        computes = f"layerbench train --backend {backend}" + (f" --first-layer {first_layer}" if first_layer else "")
        if first_layer == "implicit":
            computes += ": the same algebra as the gram rows"
        else:
            computes += ": no dA0, dZ = A - Y, the cost from Z"
        yield Contestant("layerbench " + name, "ours", name, computes)
