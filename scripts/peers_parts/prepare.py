"""Child: reads the pictures and writes X, Y and the starting parameters once, so that all contestants start from the same bits.

X keeps the order in memory that the notebook gives it (a picture after the other, a column of X contiguous). What is in
f32 is rounded from f64.
"""

import sys
from pathlib import Path

import h5py
import numpy as np

from fixture_parts.notebook import initialize_parameters

from .course import MODELS, SEED


def main(train_file, folder):
    folder = Path(folder)
    with h5py.File(train_file) as file:
        pixels, labels = file["train_set_x"][:], file["train_set_y"][:]
    X, Y = pixels.reshape(len(pixels), -1).T / 255, labels.reshape(1, -1)
    starts = {}
    for model, (sizes, scale) in MODELS.items():
        starts[model] = initialize_parameters(sizes, SEED, {"kind": "normal", "scale": scale})
        if X.shape[0] != sizes[0]:
            sys.exit(f"the pictures have {X.shape[0]} numbers each, the course's networks take {sizes[0]}")
    for scalar, kind in ("f64", np.float64), ("f32", np.float32):
        np.save(folder / f"x-{scalar}.npy", X.astype(kind))
        np.save(folder / f"y-{scalar}.npy", Y.astype(kind))
        for model, parameters in starts.items():
            np.savez(folder / f"{model}-{scalar}.npz", **{name: value.astype(kind) for name, value in parameters.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
