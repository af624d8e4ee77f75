"""The project as a whole: how pipelines compose, what the catalog names, what the lock holds."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from kedro.config import OmegaConfigLoader
from kedro.framework.project import configure_project, pipelines, settings
from kedro.io import DataCatalog

from mgn_ma.eev.frames import ANNOTATED

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def registered():
    configure_project("mgn_ma")
    return dict(pipelines)


@pytest.fixture(scope="module", params=["base", "sample", "smoke"])
def configuration(request):
    configure_project("mgn_ma")
    return OmegaConfigLoader(
        str(ROOT / "conf"),
        env=None if request.param == "base" else request.param,
        **settings.CONFIG_LOADER_ARGS | {"default_run_env": "base"},
    )


def _names(catalog_entry_names, dataset):
    """Whether a dataset is named by an entry or fits a factory pattern such as ``{modality}.tracks``."""
    if dataset in catalog_entry_names:
        return True
    patterns = [re.escape(n) for n in catalog_entry_names if "{" in n]
    return any(re.fullmatch(re.sub(r"\\\{\w+\\\}", r"[^.]+", p), dataset) for p in patterns)


def test_default_chain_needs_only_raw_data_and_truth(registered):
    free = {name for name in registered["__default__"].inputs() if not name.startswith("params:")}
    handles = {name for name in free if name.endswith(("_on_disk", "_folder"))} | {"tracker", "training_states"}
    truth = {name for name in free if name.startswith("truth_")}
    assert free - handles - truth == {
        "annotations_train",
        "annotations_validation",
        "annotations_test",
        *(f"annotations_digest_{split}" for split in ANNOTATED),
        "raw_videos",
    }


def test_the_model_is_registered_last_and_promoted_by_nobody_but_the_user(registered):
    chain = registered["__default__"]
    made = {dataset for node in chain.nodes for dataset in node.outputs}
    assert "challenger" in made
    assert "challenger" not in chain.inputs()
    assert not {node.name for node in chain.nodes} & {node.name for node in registered["promotion"].nodes}
    order = [node.name for node in (registered["registration"] + registered["promotion"]).nodes]
    assert order.index("registration.register_ensemble") < order.index("decide_promotion")


def test_random_weights_are_registered_under_a_name_of_their_own(configuration):
    name = "mgn-ma-smoke" if "smoke" in configuration["globals"]["data"] else "mgn-ma"
    assert configuration["globals"]["model"] == name
    assert {configuration["catalog"][entry]["model"] for entry in ("challenger", "model_registry")} == {name}


def test_truth_is_read_by_evaluation_only(registered):
    readers = {
        node.name
        for name in ("ingestion", "frame_features", "clip_features", "video_features", "model_input", "training")
        for node in registered[name].nodes
        if any(dataset.startswith("truth_") for dataset in node.inputs)
    }
    assert not readers
    assert any(i.startswith("truth_") for n in registered["__default__"].nodes for i in n.inputs)


def test_sample_renders_before_ingestion_reads(registered):
    both = registered["sample_data"] + registered["__default__"]
    order = [node.name for node in both.nodes]
    rendered = max(order.index(node.name) for node in registered["sample_data"].nodes if "raw_videos" in node.outputs)
    read = min(order.index(node.name) for node in registered["ingestion"].nodes if "raw_videos" in node.inputs)
    assert rendered < read


def test_every_persistent_result_is_in_the_catalog(registered, configuration):
    """Nothing that a node makes stays in memory by accident: what may is named here."""
    catalog = configuration["catalog"]
    in_memory = re.compile(r".*\.plan$|new_videos$")
    left_out = {
        dataset
        for pipeline in registered.values()
        for dataset in pipeline.all_outputs()
        if not _names(catalog.keys(), dataset) and not in_memory.match(dataset)
    }
    assert not left_out


def test_layers_are_known_and_flow_one_way(registered, configuration):
    """A result stands in the layer of what it is made from or in a later one; what is in no layer is a handle."""
    order = ["raw", "intermediate", "primary", "feature", "model_input", "models", "model_output", "reporting"]
    entries, ranks = configuration["catalog"], {}
    for name, entry in entries.items():
        layer = entry.get("metadata", {}).get("kedro-viz", {}).get("layer")
        if layer is not None and not name.startswith("_"):
            ranks[name] = order.index(layer)
    catalog = DataCatalog.from_config({name: {"type": "MemoryDataset"} for name in ranks})
    pattern = catalog.config_resolver.match_dataset_pattern

    def rank(dataset):
        return ranks.get(dataset if dataset in entries else pattern(dataset))

    backwards = {
        (source, node.name, made)
        for node in (registered["__default__"] + registered["ablation"]).nodes
        for source in node.inputs
        for made in node.outputs
        if rank(source) is not None and rank(made) is not None and rank(source) > rank(made)
    }
    assert not backwards


def test_paths_stay_below_the_environment_s_data_folder(configuration):
    root = configuration["globals"]["data"]
    for name, entry in configuration["catalog"].items():
        for key in ("filepath", "path"):
            if key in entry:
                assert str(entry[key]).startswith(root + "/"), name


def test_lock_names_no_index_and_no_address():
    lock = (ROOT / "requirements.lock").read_text()
    assert "==" in lock
    assert not re.search(r"https?://|file:|--index|--extra-index|--find-links| @ ", lock)


def installed(*settings):
    """The requirements that `make` gives to pip: the version of each, and the packages that need it."""
    command = ["make", "--no-print-directory", "--eval", "show: ; @$(LOCK)", "show", *settings]
    lock = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = {}
    for line in lock.splitlines():
        if line[0] != " ":
            name, _, rest = line.partition("==")
            version, needed_by = rest.partition(" ;")[0], set()
            found[name] = version, needed_by
        elif (needing := line.removeprefix("    # via").strip(" #").partition(" ")[0]) != "":
            needed_by.add(needing)
    return found


def test_without_cuda_everything_else_is_as_locked():
    everything, without = installed(), installed("TORCH=cpu")
    left_out = everything.keys() - without.keys()
    assert {"nvidia-cudnn-cu13", "triton", "cuda-toolkit"} <= left_out
    assert all(everything[name][1] <= left_out | {"torch"} for name in left_out)
    # What only those need whom it leaves out, it leaves out too.
    assert all(everything[name][1] - left_out for name in without)
    changed = {name: version for name, (version, _) in without.items() if version != everything[name][0]}
    assert changed == {name: f"{everything[name][0]}+cpu" for name in ("torch", "torchvision")}


def test_parameters_files_are_yaml_mappings():
    for path in sorted((ROOT / "conf").rglob("parameters*.yml")):
        assert isinstance(yaml.safe_load(path.read_text()), dict), path
