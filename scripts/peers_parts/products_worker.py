"""Child: the products of the first layer on one library, which it loads itself. Checks some elements of each result, then times the calls.

Loads no NumPy: its OpenBLAS would be a second library with threads in this process.

    python -m peers_parts.products_worker LIBRARY-AS-JSON SCALAR|archs RESULT
"""

import array
import ctypes
import json
import math
import random
import statistics
import sys
import time
from pathlib import Path

from .openblas import kernel_of

PIXELS, PICTURES, UNITS = 12288, 209, (20, 7)
ROW_MAJOR, PLAIN, TRANSPOSED, PACKED, B_MATRIX = 101, 111, 112, 151, 162
SECONDS, CALLS = 0.3, 7  # per product at least


class Blas:
    def __init__(self, kind, path, prefix, suffix, wide, scalar):
        # MKL's parts look for its core's symbols among the global ones. There is one library in this process: nothing can get in its way.
        self.library = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        self.kind, self.path, self.names = kind, path, f"{prefix}cblas_{'d' if scalar == 'f64' else 's'}gemm%s{suffix}"
        self.whole = ctypes.c_int64 if wide else ctypes.c_int
        self.real = ctypes.c_double if scalar == "f64" else ctypes.c_float

    def function(self, part, arguments, result=None):
        """`arguments`: e an enum, i a size, r a number, p a pointer."""
        kinds = {"e": ctypes.c_int, "i": self.whole, "r": self.real, "p": ctypes.c_void_p}
        function = getattr(self.library, self.names % part)
        function.argtypes, function.restype = [kinds[argument] for argument in arguments], result
        return function

    def kernel(self):
        text = ctypes.create_string_buffer(256)
        if self.kind == "mkl":
            self.library.MKL_Get_Version_String(text, len(text))
            return " ".join(text.value.decode().replace("Intel(R) oneAPI Math Kernel Library Version", "MKL").partition(" for ")[0].split())
        if self.kind == "blis":
            names = self.library.bli_info_get_version_str, self.library.bli_arch_string
            for name in names:
                name.restype = ctypes.c_char_p
            return f"BLIS {names[0]().decode()}, {names[1](self.library.bli_arch_query_id()).decode()}"
        return kernel_of(self.path)


class Matrix:
    """(rows, columns), row-major, on a boundary of 64 bytes, which libraries like."""

    def __init__(self, rows, columns, scalar, draw=None):
        self.rows, self.columns = rows, columns
        kind, size = ("d", 8) if scalar == "f64" else ("f", 4)
        room = array.array(kind, bytes(rows * columns * size + 64))
        self.room, self.shift = room, -room.buffer_info()[0] % 64 // size
        if draw:
            self.room[self.shift:self.shift + rows * columns] = array.array(kind, (draw() for _ in range(rows * columns)))
        self.pointer = room.buffer_info()[0] + self.shift * size

    def at(self, row, column):
        return self.room[self.shift + row * self.columns + column]

    def transposed(self, scalar):
        copy = Matrix(self.columns, self.rows, scalar)
        for row in range(self.rows):
            start = self.shift + row * self.columns
            copy.room[copy.shift + row:copy.shift + self.rows * self.columns:self.rows] = self.room[start:start + self.columns]
        return copy


def expect_right(c, a, b, transposed, unit_roundoff):
    """Nine elements against exactly summed products, within the hard bound of any order of summation."""
    k = a.columns
    for row in 0, c.rows // 2, c.rows - 1:
        for column in 0, c.columns // 2, c.columns - 1:
            terms = [a.at(row, i) * (b.at(column, i) if transposed else b.at(i, column)) for i in range(k)]
            error, allowed = abs(c.at(row, column) - math.fsum(terms)), (k + 2) * unit_roundoff * math.fsum(map(abs, terms))
            if not error <= allowed:
                sys.exit(f"wrong product: element ({row}, {column}) is off by {error:.1e}, allowed {allowed:.1e}")


def timed(call):
    """Median seconds of a call, and threads that were busy."""
    call(), call()
    times, wall, cpu = [], time.perf_counter(), time.process_time()
    while len(times) < CALLS or time.perf_counter() - wall < SECONDS:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times), (time.process_time() - cpu) / (time.perf_counter() - wall)


def products(blas, scalar):
    draw = random.Random(1)
    uniform = lambda: draw.uniform(-1, 1)
    x = Matrix(PIXELS, PICTURES, scalar, uniform)
    stored = {"pixel rows": x, "picture rows": x.transposed(scalar)}
    gemm = blas.function("", "eeeiiirpipirpi")
    for n in UNITS:
        for product, left, k in ("forward", Matrix(n, PIXELS, scalar, uniform), PIXELS), ("dW", Matrix(n, PICTURES, scalar, uniform), PICTURES):
            for name, b in stored.items():
                transposed = b.rows != k
                c = Matrix(n, b.rows if transposed else b.columns, scalar)
                op = TRANSPOSED if transposed else PLAIN
                sizes = n, c.columns, k

                def plain():
                    gemm(ROW_MAJOR, PLAIN, op, *sizes, 1, left.pointer, left.columns, b.pointer, b.columns, 0, c.pointer, c.columns)

                yield (product, n, name, "gemm"), 2 * n * c.columns * k, plain, None, (c, left, b, transposed)
                if blas.kind == "mkl":
                    compute, pack = packing(blas, sizes, left, b, op, c)
                    yield (product, n, name, "packed"), 2 * n * c.columns * k, compute, pack, (c, left, b, transposed)


def packing(blas, sizes, left, b, op, c):
    """MKL's pack-and-compute with the second operand packed, as X may be: it never changes. (MKL 2026 has no `_alloc` any more.)"""
    size, pack = blas.function("_pack_get_size", "eiii", ctypes.c_size_t), blas.function("_pack", "eeeiiirpip")
    compute = blas.function("_compute", "eeeiiipipirpi")
    packed = Matrix(1, -(-size(B_MATRIX, *sizes) // 8), "f64")  # room only
    return (lambda: compute(ROW_MAJOR, PLAIN, PACKED, *sizes, left.pointer, left.columns, packed.pointer, b.columns, 0, c.pointer, c.columns),
            lambda: pack(ROW_MAJOR, B_MATRIX, op, *sizes, 1, b.pointer, b.columns, packed.pointer))


def blis_archs(library):
    """Names by number. BLIS 0.9 takes the number only in BLIS_ARCH_TYPE: a name it reads as 0, another CPU's kernels. The last is `generic`."""
    library.bli_arch_string.restype = ctypes.c_char_p
    names = []
    while len(names) < 64 and names[-1:] != ["generic"]:
        names.append((library.bli_arch_string(len(names)) or b"").decode())
    return names


def main(described, task, result):
    said = blis_archs(ctypes.CDLL(json.loads(described)["path"])) if task == "archs" else measured(json.loads(described), task)
    Path(result).write_text(json.dumps(said), encoding="utf-8")


def measured(library, scalar):
    blas = Blas(**library, scalar=scalar)
    rows = []
    for product, flop, call, pack, operands in products(blas, scalar):
        pack_seconds = None
        if pack:
            pack_seconds, _ = timed(pack)
        operands[0].room[:] = array.array(operands[0].room.typecode, [math.nan]) * len(operands[0].room)  # C must not be read
        call()
        expect_right(*operands, unit_roundoff=2.0**-53 if scalar == "f64" else 2.0**-24)
        seconds, busy = timed(call)
        rows.append({"product": product, "flop": flop, "seconds": seconds, "pack_seconds": pack_seconds, "busy": busy})
    return {"facts": {"kernel": blas.kernel()}, "rows": rows}


if __name__ == "__main__":
    main(*sys.argv[1:])
