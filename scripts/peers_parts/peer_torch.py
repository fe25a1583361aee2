"""PyTorch, eagerly, as its own tutorials train: modules, autograd and an optimiser. Takes the number of threads from OMP_NUM_THREADS."""

import re

import numpy as np
import torch
from torch.nn import Linear, ReLU, Sequential
from torch.nn.functional import binary_cross_entropy_with_logits


def facts():
    mkl = re.search(r"Math Kernel Library Version (\S+)", torch.__config__.show())
    return {"torch": torch.__version__, "blas": f"MKL {mkl[1]}" if mkl else "not MKL", "threads_read_back": torch.get_num_threads()}


def ready(_way, data, steps):
    X, Y = (torch.from_numpy(np.ascontiguousarray(part.T)) for part in (data.X, data.Y))  # a picture a row

    def timed():
        linears = []
        for W, b in data.start:
            linear = Linear(W.shape[1], W.shape[0], dtype=X.dtype)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(W))
                linear.bias.copy_(torch.from_numpy(b[:, 0]))
            linears += [linear, ReLU()]
        network = Sequential(*linears[:-1])  # the sigmoid is in the loss
        descent = torch.optim.SGD(network.parameters(), lr=data.rate)
        costs = []
        for _ in range(steps):
            descent.zero_grad()
            cost = binary_cross_entropy_with_logits(network(X), Y)
            cost.backward()
            descent.step()
            costs.append(cost.item())
        return costs, [(layer.weight.detach().numpy(), layer.bias.detach().numpy()[:, None]) for layer in linears[::2]]

    return timed
