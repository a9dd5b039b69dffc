"""Make docs/notebook.ipynb: the road from class names to a memorisation curve, on drawn images.

Run from the repository root: python tests/assets/make_notebook.py
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[2] / "docs" / "notebook.ipynb"

TEXT, CODE = "markdown", "code"
CELLS = [
    (
        TEXT,
        """
    # A first look, in a notebook

    The whole road in small: a web is crawled, copies are dropped, people vote, two training sets are built, looked at
    and measured, two networks are trained, and one sees how wrong labels are memorised. It takes about a minute, needs
    no network, and says nothing about the real web: images are drawn by code, annotators are simulated.

    It needs `pip install -c constraints.txt '.[train,report]'` and a notebook's kernel (`ipykernel`).
    """,
    ),
    (
        CODE,
        """
    import os

    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the networks are tiny

    from pathlib import Path
    from tempfile import mkdtemp

    from noisyweb.drawn.subset import write_subset
    from noisyweb.workspace import Workspace

    CLASSES = [
        "Audi TT RS Coupe 2012",
        "Dodge Caravan Minivan 1997",
        "Ford F-150 Regular Cab 2012",
        "Jeep Wrangler SUV 2012",
        "Mercedes-Benz Sprinter Van 2012",
        "smart fortwo Convertible 2012",
    ]
    folder = Path(mkdtemp(prefix="noisyweb-"))
    definition = write_subset(folder, CLASSES, "garage", "crawl")  # clean images, and a file that names them
    print(definition.read_text())
    """,
    ),
    (
        TEXT,
        """
    ## Crawl

    `serve` is a small web on this machine: a search like Openverse's, and hosts with dead links, copies and pictures of
    other things. Yours would be `noisyweb crawl --classes garage.toml --workspace crawl` on the real one.
    """,
    ),
    (
        CODE,
        """
    from noisyweb.crawl import crawl
    from noisyweb.crawl_plan import CrawlPlan, Provider
    from noisyweb.drawn.server import serve
    from noisyweb.fetch import Limits
    from noisyweb.hosts import Pace

    workspace = Workspace(folder / "crawl", create=True)
    limits = Limits(pace=Pace(concurrency=8, rate=0), total_s=2.0, read_s=2.0, tries=1)
    with serve(CLASSES, delay_s=0.05) as web:
        plan = CrawlPlan(CLASSES, [Provider("openverse", {"base_url": web.api_url})], per_class=100)
        report = await crawl(workspace, plan, allow_loopback=True, limits=limits, processes=1)
        truth = web.truth()  # what the pictures really show: for the simulated annotators alone
    print("\\n".join(report.lines()[:2]))
    """,
    ),
    (
        TEXT,
        """
    ## Drop copies and leaks

    What is there twice, and what is also a clean image, goes. (Drawn images are made of the same few shapes, so that
    only their hashes tell copies from others: `views=False`. Leave it out for photographs.)
    """,
    ),
    (
        CODE,
        """
    from noisyweb.dataset import read_definition
    from noisyweb.dedup import dedup

    dataset = read_definition(definition)
    report = dedup(workspace, dataset.train(), dataset.validation(), views=False, processes=1)
    print("\\n".join(report.lines()[:2]))
    """,
    ),
    (
        TEXT,
        """
    ## Let people vote

    "Is this a Jeep Wrangler?" Three answers make a verdict; images that are judged wrong are the pool of web noise.
    """,
    ),
    (
        CODE,
        """
    import pyarrow.parquet as pq

    from noisyweb.consensus import summary, update
    from noisyweb.labelling.simulated import collect
    from noisyweb.votes import add, questions

    pq.write_table(truth, folder / "truth.parquet")
    with workspace.locked():
        add(workspace, collect(questions(workspace), {"truth": str(folder / "truth.parquet"), "seed": "0"}))
        update(workspace, min_votes=3)
    print("\\n".join(summary(workspace.read("votes"), workspace.read("verdicts"))))
    """,
    ),
    (
        TEXT,
        """
    ## Build

    Two sets with exactly 40 % wrong labels: *red*, web images in the place of clean ones, and *blue*, labels flipped.
    """,
    ),
    (
        CODE,
        """
    from decimal import Decimal

    from noisyweb.build import Recipe, build

    built = {}
    for kind in ("red", "blue"):
        *_, built[kind] = build(dataset, Recipe.of(kind, [Decimal("0.4")], seed=0), out=folder / "builds")
        print(f"{kind}: {built[kind].num_wrong} of {built[kind].num_rows} labels are wrong")
    """,
    ),
    (
        TEXT,
        """
    ## Look

    Given label, verdict and source stand under each image. Most look like what they are taken for; some are wheels and
    cabins, which no class of the set is.
    """,
    ),
    (
        CODE,
        """
    from noisyweb.manifest import open_manifest
    from noisyweb.show import choose_rows, contact_sheet

    manifest = open_manifest(built["red"].folder)
    contact_sheet(manifest, choose_rows(manifest.rows, 24, which="wrong", seed=0))
    """,
    ),
    (
        TEXT,
        """
    And where they come from:
    """,
    ),
    (
        CODE,
        """
    rows = manifest.rows.to_pandas()
    wrong = rows[~rows["is_clean"]].assign(label=lambda each: [CLASSES[label] for label in each["label"]])
    wrong[["label", "noise", "source", "license", "creator", "votes_yes", "votes_total"]].head(8)
    """,
    ),
    (
        TEXT,
        """
    ## Measure the noise

    The paper names three differences between noise from the web and flipped labels: wrong images look like the class,
    errors hang on the image, and many images show no class of the set. A star says that a value is not what flips of
    the same level give.
    """,
    ),
    (
        CODE,
        """
    from noisyweb.profile import profile
    from noisyweb.profile.table import compared

    voted = {"red": workspace.folder, "blue": None}  # verdicts on right and wrong images
    measured = [profile(built[kind].folder, workspace=voted[kind]) for kind in built]
    print("\\n".join(compared(measured)))
    """,
    ),
    (
        TEXT,
        """
    ## Train

    Plain cross-entropy and MentorMix on the red set.
    """,
    ),
    (
        CODE,
        """
    from noisyweb.training.config import Wishes
    from noisyweb.training.run import make_plan, run

    METHODS = ("standard", "mentormix")
    runs = {}
    for method in METHODS:
        wishes = Wishes(method=method, epochs=20, image_size=24, seed=0, device="cpu", precision="fp32")
        runs[method] = run(make_plan(built["red"].folder, wishes, out=folder / "runs" / method))
        print(f"{method}: validation accuracy {runs[method]['final_val_accuracy']:.0%} (chance {1 / len(CLASSES):.0%})")
    """,
    ),
    (
        TEXT,
        """
    ## What is memorised

    Solid: the share of right labels that the network repeats while it trains. Dashed: the share of *wrong* ones. Plain
    training takes over most of both; MentorMix believes fewer of the wrong ones, and learns more slowly, too.
    """,
    ),
    (
        CODE,
        """
    import matplotlib.pyplot as plt

    metrics = {method: pq.read_table(folder / "runs" / method / "metrics.parquet").to_pandas() for method in METHODS}
    figure, axes = plt.subplots(figsize=(6, 3.5))
    for color, (method, table) in zip(("tab:blue", "tab:orange"), metrics.items(), strict=True):
        axes.plot(table["epoch"], table["train_accuracy_clean"], color=color, label=f"{method}, right labels")
        axes.plot(table["epoch"], table["train_accuracy_wrong"], color=color, ls="--", label=f"{method}, wrong labels")
    axes.set(xlabel="epoch", ylabel="labels fitted", ylim=(0, 1), xticks=range(0, 21, 5))
    axes.legend(frameon=False)
    plt.show()
    """,
    ),
    (
        CODE,
        """
    fitted = {method: float(table["train_accuracy_wrong"].iloc[-3:].mean()) for method, table in metrics.items()}
    for method, share in fitted.items():
        print(f"{method} repeats {share:.0%} of the wrong labels at the end")
    """,
    ),
    (
        TEXT,
        """
    Next: the same on [a set of your own](tutorials/own-set.md), and with several seeds, levels and kinds in
    [a study](tutorials/train-and-compare.md).
    """,
    ),
]


def cell(number: int, kind: str, text: str) -> dict[str, Any]:
    """One cell, without outputs; its id is its number."""
    lines = textwrap.dedent(text).strip().splitlines(keepends=True)
    made: dict[str, Any] = {"cell_type": kind, "id": f"cell-{number:02d}", "metadata": {}, "source": lines}
    if kind == CODE:
        made |= {"execution_count": None, "outputs": []}
    return made


def notebook() -> str:
    """The file's text."""
    content = {
        "cells": [cell(number, *each) for number, each in enumerate(CELLS)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    TARGET.write_text(notebook(), encoding="utf-8")
    print(TARGET)
