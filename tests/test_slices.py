"""Parts of the chain by every option that Kedro has for it, on what a whole run has left."""

import shutil

import pytest
from kedro.framework.project import configure_project, pipelines
from kedro.runner import SequentialRunner

from mgn_ma.modalities import BY_NAME, EXTRACTED
from mgn_ma.pipeline_registry import CHAIN

STAGES = [name for name in CHAIN if not name.endswith("_features") or name == "video_features"]
"""Pipelines whose namespace has their name; in the others there is one a modality only."""
EXTRACTION = ("plan_extraction", "extract_tracks", "account_for_tracks", "require_tracks")


def extraction(*namespaces):
    return {f"{namespace}.{name}" for namespace in namespaces for name in EXTRACTION}


@pytest.fixture(scope="module")
def registered():
    configure_project("mgn_ma")
    pipelines.set_requested(None)
    return dict(pipelines)


@pytest.mark.parametrize("name", CHAIN)
def test_a_pipeline_s_nodes_have_its_name_as_a_tag_and_as_the_start_of_their_namespace(registered, name):
    chain, nodes = registered["__default__"], set(registered[name].nodes)
    assert set(chain.only_nodes_with_tags(name).nodes) == nodes
    assert {node.namespace.split(".")[0] for node in nodes} == {name}


@pytest.mark.parametrize("name", EXTRACTED)
def test_a_modality_has_a_namespace_within_its_stage(registered, name):
    namespace = f"{BY_NAME[name].granularity}_features.{name}"
    found = registered["__default__"].only_nodes_with_namespaces([namespace])
    assert {node.name for node in found.nodes} == extraction(namespace)


@pytest.fixture(scope="module")
def finished(undisturbed, tmp_path_factory):
    """A copy of a project after its chain, in which runs are of no harm."""
    return shutil.copytree(undisturbed[0], tmp_path_factory.mktemp("slices") / "project")


@pytest.fixture
def nodes_of(finished, run_here, monkeypatch):
    """Runs a part of the chain as `kedro run` with some options does; the names of the nodes that it ran."""
    ran = []
    original = SequentialRunner.run

    def recording(self, pipeline, *arguments, **options):
        ran.extend(node.name for node in pipeline.nodes)
        return original(self, pipeline, *arguments, **options)

    monkeypatch.setattr(SequentialRunner, "run", recording)

    def nodes(*options):
        run_here(finished, *options)
        return ran

    return nodes


FIGURES = {f"reporting.{name}" for name in ("choose_example_video", "draw_attention", "draw_curves", "draw_page")}
MANIFEST = {f"ingestion.{name}" for name in ("validate_train", "validate_validation", "validate_test", "list_videos")}
COMBINING = {"ensembling.combine_members", "ensembling.calibrate"}
EVALUATION = {f"evaluation.{name}" for name in ("predict_zero_shot", "score_members", "report_members")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--pipelines evaluation", EVALUATION),
        ("--tags evaluation", EVALUATION),
        ("--namespaces evaluation", EVALUATION),
        (f"--nodes {','.join(sorted(COMBINING))}", COMBINING),
        (
            "--namespaces frame_features.image,clip_features.subtitle",
            extraction("frame_features.image", "clip_features.subtitle"),
        ),
        ("--from-nodes reporting.choose_example_video", FIGURES),
        ("--to-outputs manifest", MANIFEST),
        (
            "--from-nodes model_input.pack_train --to-outputs learning_curves",
            {"model_input.pack_train", "training.train_members"},
        ),
    ],
)
def test_a_part_of_the_chain_runs_on_what_is_there(nodes_of, options, expected):
    ran = nodes_of(*options.split())
    assert len(ran) == len(expected) and set(ran) == expected
