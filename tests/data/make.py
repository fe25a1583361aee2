"""Makes the HDF5 files of this folder, with h5py 3.16 (HDF5 2.0): what libhdf5 1.10 cannot write, and half of it cannot read.
The pictures are those of `tests/common/sets.rs`. Usage: python make.py"""

import zlib

import h5py
import numpy as np

X = np.fromfunction(lambda i, r, c, k: 60 * i + 30 * r + 3 * c + k, (4, 2, 5, 3)).astype("u1")
Y = np.array([0, 1, 1, 0])


def make(name, x=None, y=Y, libver=None, **options):
    with h5py.File(name, "w", libver=libver) as f:
        if x is None or isinstance(x, np.ndarray):
            f.create_dataset("train_set_x", data=X if x is None else x, **options)
        else:
            x(f)
        f["train_set_y"] = y
        f["list_classes"] = np.array([b"non-cat", b"cat"])


def virtual(f):
    f["x"] = X
    layout = h5py.VirtualLayout(X.shape, "u1")
    layout[:] = h5py.VirtualSource(f["x"])
    f.create_virtual_dataset("train_set_x", layout)


def float_of_16_bits(f, exponent, mantissa, bias):
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(15, mantissa, exponent, 0, mantissa)
    kind.set_size(2)
    kind.set_ebias(bias)
    h5py.h5d.create(f.id, b"train_set_x", kind, h5py.h5s.create_simple(X.shape))


def packed_twice(f):
    pictures = 500
    packed = zlib.compress(zlib.compress(bytes(pictures * 64 * 64 * 3), 9), 9)
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((pictures, 64, 64, 3))
    for _ in range(2):
        plan.set_filter(1, h5py.h5z.FLAG_OPTIONAL, (9,))
    shape = h5py.h5s.create_simple((pictures, 64, 64, 3))
    h5py.h5d.create(f.id, b"train_set_x", h5py.h5t.STD_U8LE, shape, plan).write_direct_chunk((0, 0, 0, 0), packed)


make("big_endian.h5", X.astype(">u1"), Y.astype(">i4"))
make("newer.h5", libver="latest", chunks=(1, 2, 5, 3), compression="gzip")
make("newer_virtual.h5", virtual, libver="latest")
make("for_older_readers.h5", libver=("earliest", "v108"), chunks=(1, 2, 5, 3), compression="gzip")
# Of one colour, else LZF finds nothing to pack and its chunks are stored plain.
make("lzf.h5", np.full((4, 32, 32, 3), 7, "u1"), compression="lzf")
make("float16.h5", X.astype("f2"))
make("bfloat16.h5", lambda f: float_of_16_bits(f, 8, 7, 127))
make("packed_twice.h5", packed_twice, np.zeros(500, "u1"))
