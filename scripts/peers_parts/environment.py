"""The variables a child starts with: the shell's, less all that steers a numeric library, plus one number of threads said to all alike.

Never changes a running process's variables: libraries read theirs when they are loaded.
"""

import os

STEERING = ("OPENBLAS_", "GOTO_", "OMP_", "GOMP_", "KMP_", "MKL_", "BLIS_", "VECLIB_", "XLA_", "JAX_", "RAYON_", "NPY_", "NUMEXPR_", "TORCH_",
            "PYTORCH_", "PYTHON")
COUNTS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "RAYON_NUM_THREADS", "NPROC")  # NPROC: XLA's pool


def removed():
    """What the shell had set: it is said in the report, because programs that run there run with it."""
    return sorted(name if "/" in value else f"{name}={value}"  # a path of this machine is no reader's business
                  for name, value in os.environ.items() if name.startswith(STEERING) and not name.startswith("PYTHON"))


def for_child(threads, coretype="", **more):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(STEERING) and name not in COUNTS}
    environment |= {name: str(threads) for name in COUNTS}
    environment |= {"MKL_DYNAMIC": "FALSE", "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.environ.get("PYTHONPATH", ""), "PYTHONDONTWRITEBYTECODE": "1",
                    "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'}"}
    if coretype:
        environment["OPENBLAS_CORETYPE"] = coretype
    return environment | more
