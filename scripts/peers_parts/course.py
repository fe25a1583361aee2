"""The course's models and where the files of a run lie. Imports no numeric library: parent and children share it."""

import os
from pathlib import Path

RATE = 0.0075
SEED = 1
MODELS = {  # name: (layer sizes, scale of the initial weights as fixture_parts.notebook spells it)
    "l-layer": ([12288, 20, 7, 5, 1], "1/sqrt(n_prev)"),
    "two-layer": ([12288, 7, 1], 0.01),
}
SCALARS = ("f64", "f32")
ROOT = Path(__file__).resolve().parent.parent.parent
KNOWN_COSTS = ROOT / "fixtures" / "cat_costs.json"


class Refused(Exception):
    """Usage or environment: ends the program with exit code 2 and this sentence."""


def picture_files():
    """The two HDF5 files of the course."""
    folder = os.environ.get("LAYERBENCH_CAT_DIR")
    if not folder:
        raise Refused("SKIPPED: nothing was compared, because LAYERBENCH_CAT_DIR is not set. It names the folder of the course's pictures "
                      "(train_catvnoncat.h5 and test_catvnoncat.h5), which are not shipped.")
    files = {part: Path(folder).resolve() / f"{part}_catvnoncat.h5" for part in ("train", "test")}
    for file in files.values():
        if not file.is_file():
            raise Refused(f"SKIPPED: nothing was compared, because LAYERBENCH_CAT_DIR has no {file.name}.")
    return files
