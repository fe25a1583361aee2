"""Child: one contestant, once. Loads, compiles, warms up, then runs against the clock; writes what came out as JSON.

    python -m peers_parts.worker MODULE WAY MODEL SCALAR STEPS WARM_STEPS FOLDER RESULT
"""

import gc
import importlib
import json
import platform
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from fixture_parts.notebook import predict

from .course import RATE


def load(folder, model, scalar):
    """X (12288, m), Y (1, m), start: [(W, b), ...] of layer 1, 2, ...; all in the scalar type."""
    folder = Path(folder)
    with np.load(folder / f"{model}-{scalar}.npz") as file:
        start = [(file[f"W{l}"], file[f"b{l}"]) for l in range(1, len(file.files) // 2 + 1)]
    return SimpleNamespace(X=np.load(folder / f"x-{scalar}.npy"), Y=np.load(folder / f"y-{scalar}.npy"), start=start, rate=RATE)


def main(module, way, model, scalar, steps, warm_steps, folder, result):
    peer = importlib.import_module("peers_parts.peer_" + module)
    data = load(folder, model, scalar)
    warm, timed = (peer.ready(way, data, int(count)) for count in (warm_steps, steps))
    warm()
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    costs, parameters = timed()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu

    parameters = {name: np.asarray(value) for l, layer in enumerate(parameters, start=1) for name, value in zip((f"W{l}", f"b{l}"), layer)}
    kinds = {str(value.dtype) for value in parameters.values()}
    if kinds != {str(data.X.dtype)}:
        sys.exit(f"the parameters came back as {', '.join(sorted(kinds))}, not {data.X.dtype}: it computed in another scalar type")
    correct = int((predict(data.X, parameters)["predictions"] == data.Y).sum())
    facts = {"python": platform.python_version()} | peer.facts()
    # 'nan' is no JSON: repr and float() agree on it.
    Path(result).write_text(json.dumps({"seconds": wall, "busy": cpu / wall, "costs": [repr(float(cost)) for cost in costs], "correct": correct,
                                        "facts": facts}), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
