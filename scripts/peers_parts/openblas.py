"""Which OpenBLAS is loaded in this process, and which of its kernels runs. Asks the library itself; changes nothing."""

import ctypes

# Plain, of NumPy's wheel (64-bit integers), of SciPy's.
NAMES = [("", ""), ("scipy_", "64_"), ("scipy_", "")]


def loaded(part="openblas"):
    with open("/proc/self/maps", encoding="utf-8") as lines:
        return sorted({line.split()[-1] for line in lines if part in line.rpartition("/")[2]})


def kernel_of(path):
    """Version and kernel, such as `OpenBLAS 0.3.30, kernel Haswell`."""
    library = ctypes.CDLL(path)
    for prefix, suffix in NAMES:
        try:
            corename, config = (getattr(library, f"{prefix}openblas_get_{what}{suffix}") for what in ("corename", "config"))
        except AttributeError:
            continue
        corename.restype = config.restype = ctypes.c_char_p
        version = next((word for word in config().decode().split() if word[0].isdigit()), "of unknown version")
        return f"OpenBLAS {version}, kernel {corename().decode()}"
    return "an OpenBLAS that does not name its kernel"


def kernel_of_numpy():
    """NumPy's own: SciPy may have brought a second one."""
    libraries = [path for path in loaded() if "numpy" in path] or loaded()
    return kernel_of(libraries[0]) if libraries else "no OpenBLAS"
