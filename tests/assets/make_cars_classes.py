"""Makes manifests/cars/classes.csv from the Stanford Cars devkit: `python tests/assets/make_cars_classes.py DEVKIT`.

Train sizes are counted; the devkit's validation labels are not public, so its 8,041 images are allotted to the
classes in proportion to the train sizes, by largest remainder.
"""

from __future__ import annotations

import csv
import sys
from fractions import Fraction
from pathlib import Path

from scipy.io import loadmat

from noisyweb.atomic import replacing_file

TARGET = Path(__file__).parents[2] / "manifests/cars/classes.csv"
NUM_VALIDATION = 8041


def main(devkit: Path) -> None:
    """Write the file whole."""
    names = [str(name) for name in loadmat(devkit / "cars_meta.mat", squeeze_me=True)["class_names"]]
    rows = loadmat(devkit / "cars_train_annos.mat", squeeze_me=True)["annotations"]
    train = [0] * len(names)
    for row in rows:
        train[int(row["class"]) - 1] += 1
    quotas = [Fraction(size * NUM_VALIDATION, sum(train)) for size in train]
    validation = [int(quota) for quota in quotas]
    largest = sorted(range(len(names)), key=lambda label: (validation[label] - quotas[label], label))
    for label in largest[: NUM_VALIDATION - sum(validation)]:
        validation[label] += 1
    with replacing_file(TARGET) as temporary, temporary.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["class_name", "num_train", "num_validation"])
        writer.writerows(zip(names, train, validation, strict=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
