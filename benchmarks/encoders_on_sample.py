"""What the sample's networks score with other extractors of one modality, from videos to test scores.

    python benchmarks/encoders_on_sample.py image                # colours against EfficientNet-Lite0, 240 videos
    python benchmarks/encoders_on_sample.py action --videos 120  # motion against an untrained S3D, strides 1 and 3

Each modality is a project of its own below ``--work``, with world 0 of the sample; what is there already is kept, so
that the run can be interrupted. ``alone`` is the MLP of the paper's table 1 on that modality, ``all`` the full network.
Intervals draw videos and seeds, and so does that of the difference to the extractor above. EfficientNet-Lite0 has its
weights of ImageNet (a package of the tests).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contrast import ORACLE, STAGES, interval, of_world

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

from lite0 import NETWORK, write_lite0
from tiny_project import make_project, newest, start, with_sample

MLP = {"fusion": "concatenation", "modality_dropout": 0.0, "classifier": "mlp"}


def lite0(weights: Path, precision: str) -> dict[str, Any]:
    extractor = "speedups:Int8Image" if precision == "int8" else "timm_image"
    settings = {"network": NETWORK, "pretrained": {"path": str(weights)}}
    if precision != "int8":
        settings["precision"] = precision
    return {"extractor": extractor, "settings": {extractor: settings}}


def s3d(stride: int) -> dict[str, Any]:
    return {
        "extractor": "s3d",
        "settings": {"s3d": {"pretrained": "random:0", "precision": "bfloat16", "stride": stride}},
    }


def ways(modality: str, work: Path) -> dict[str, dict[str, Any]]:
    if modality == "action":
        return {"motion descriptor": {"extractor": "action_descriptor"}, "S3D": s3d(1), "S3D, stride 3": s3d(3)}
    work.mkdir(parents=True, exist_ok=True)
    weights = write_lite0((work / "lite0.safetensors").resolve())
    return {
        "colour descriptor": {"extractor": "image_descriptor"},
        "EfficientNet-Lite0": lite0(weights, "float32"),
        "EfficientNet-Lite0, bfloat16": lite0(weights, "bfloat16"),
        "EfficientNet-Lite0, int8": lite0(weights, "int8"),
    }


def scores_of(project: Path, name: str, modality: str, way: dict[str, Any]) -> pd.DataFrame:
    """``predictor``, ``split``, ``video_id``, ``seed``, ``score`` with one extractor."""
    with_sample(project, {"modalities": {modality: way}})
    # Where the extractor of int8 is, which is tried and not taken.
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    process = start(project, "run", "--env", "sample", "--pipelines", STAGES, PYTHONPATH=path)
    for line in process.stdout:
        print(f"{name}: {line}", end="", file=sys.stderr)
    if process.wait():
        sys.exit(f"{name} failed: see above; run this again when it is mended")
    return pd.read_parquet(newest(project / "data/sample/07_model_output/ablation_scores.parquet")).assign(world=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modality", choices=("image", "action"))
    parser.add_argument("--videos", type=int, default=240)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("build/encoders_on_sample"))
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    rows = [{"row": "alone", "variant": "alone"}, {"row": "all", "variant": "moe_attention"}]
    parameters = {
        "sample": {"videos": arguments.videos},
        "execution": {"workers": 2},
        "ablation": {
            "seeds": arguments.seeds,
            "variants": {"alone": {"model": {**MLP, "modalities": [arguments.modality]}}},
            "table_1": [],
            "table_2": [],
            "other": {
                **{table: [] for table in ("number_of_experts", "modal_dropout", "reading_of_eq_2", "video_vectors")},
                "moments_around": rows,
            },
        },
    }
    project = arguments.work / arguments.modality
    if not project.exists():
        make_project(project, parameters)
    found, before = [], {}
    for name, way in ways(arguments.modality, arguments.work).items():
        scores = scores_of(project, name, arguments.modality, way)
        for row in rows:
            worlds = of_world(scores, row["variant"])
            mean, low, high = interval(worlds, np.random.default_rng(0))
            found.append({"extractor": name, "network": row["row"], "mean": mean, "low": low, "high": high})
            print(f"{name:<32}{row['row']:<8}{mean:>7.3f} [{low:.3f}, {high:.3f}]", end="")
            if row["row"] in before:
                gains = [now - then for now, then in zip(worlds, before[row["row"]], strict=True)]
                gain, low, high = interval(gains, np.random.default_rng(0))
                found[-1] |= {"gain": gain, "gain_low": low, "gain_high": high}
                print(f"{gain:>+9.3f} [{low:+.3f}, {high:+.3f}]", end="")
            print(flush=True)
            before[row["row"]] = worlds
    print(f"oracle: {np.mean(of_world(scores, ORACLE)[0]):.3f}")
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
