"""Encoders of images, sound and clips by transformers: tiny untrained ones, saved to folders, against transformers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from tiny_encoders import CLIP, MODELS

from mgn_ma.extractors.base import ExtractionError
from mgn_ma.extractors.pretrained import WeightsError
from mgn_ma.extractors.registry import build, parse_config
from mgn_ma.extractors.weights import require_weights
from mgn_ma.media.audio import iter_audio
from mgn_ma.media.source import VideoSource


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("models")

    def of(name: str) -> Path:
        if not (root / name).exists():
            torch.manual_seed(0)
            MODELS[name](root / name)
        return root / name

    return of


def extractor(name: str, folder: Path, **settings: Any) -> Any:
    return build(parse_config(name, {"pretrained": str(folder), "device": "cpu", "batch_size": 3, **settings}))


def close(ours: np.ndarray, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(torch.from_numpy(ours), theirs, rtol=1e-4, atol=1e-5)


class TestImages:
    @pytest.mark.parametrize(
        ("name", "pooling"),
        [("vit", "cls"), ("vit", "mean"), ("vit", "pooled"), ("dinov3", "pooled"), ("dinov3", "cls")],
    )
    def test_vectors_are_those_of_the_model_on_its_own_processors_images(
        self,
        folder: Callable[[str], Path],
        short_video: VideoSource,
        pictures: list[np.ndarray],
        name: str,
        pooling: str,
    ) -> None:
        rows = extractor("hf_image", folder(name), pooling=pooling).extract(short_video)
        model = transformers.AutoModel.from_pretrained(folder(name)).eval()
        processor = transformers.AutoImageProcessor.from_pretrained(folder(name))
        with torch.inference_mode():
            output = model(**processor(images=pictures, return_tensors="pt"))
        hidden = output.last_hidden_state
        close(rows.vectors, {"cls": hidden[:, 0], "mean": hidden.mean(1), "pooled": output.pooler_output}[pooling])
        assert rows.timestamps_us[:3].tolist() == [0, 166_666, 333_333]
        assert len(rows) == 12

    def test_a_model_of_images_and_texts_gives_its_image_features(
        self, folder: Callable[[str], Path], short_video: VideoSource, pictures: list[np.ndarray]
    ) -> None:
        rows = extractor("hf_image", folder("siglip"), pooling="pooled").extract(short_video)
        model = transformers.SiglipModel.from_pretrained(folder("siglip")).eval()
        processor = transformers.AutoImageProcessor.from_pretrained(folder("siglip"))
        with torch.inference_mode():
            features = model.get_image_features(**processor(images=pictures, return_tensors="pt")).pooler_output
        close(rows.vectors, features)


class TestSound:
    @pytest.mark.parametrize(
        ("name", "rate", "pooling"),
        [
            ("whisper", 16_000, "mean"),
            ("wav2vec2", 16_000, "mean"),
            ("clap", 48_000, "pooled"),
            ("pe_audio", 48_000, "pooled"),
            ("pe_audio_alone", 48_000, "mean"),
        ],
    )
    def test_a_row_is_the_window_around_it_at_the_rate_that_the_processor_wants(
        self, folder: Callable[[str], Path], short_video: VideoSource, name: str, rate: int, pooling: str
    ) -> None:
        settings = {"window_us": 500_000, "hop_us": 166_667, "pooling": pooling}
        rows = extractor("hf_audio", folder(name), **settings).extract(short_video)
        assert rows.timestamps_us.tolist() == [row * 166_667 for row in range(12)]
        assert rows.ends_us[:2].tolist() == [166_667, 333_334]

        sound = np.concatenate(list(iter_audio(str(short_video.video_path), rate)))
        around = np.concatenate([np.zeros(rate, np.float32), sound, np.zeros(rate, np.float32)])
        starts = [rate + (row * 166_667 * 2 + 166_667 - 500_000) * rate // 2_000_000 for row in range(12)]
        processor = transformers.AutoFeatureExtractor.from_pretrained(folder(name))
        model = transformers.AutoModel.from_pretrained(folder(name)).eval()
        expected = []
        for start in starts:
            inputs = processor(around[start : start + rate // 2], sampling_rate=rate, return_tensors="pt")
            with torch.inference_mode():
                if name == "clap":
                    expected.append(model.get_audio_features(**inputs).pooler_output)
                elif name == "pe_audio":
                    expected.append(model.get_audio_embeds(**inputs))
                elif name == "whisper":
                    # Half a second of the thirty that are padded to: 25 of 1,500 tokens.
                    expected.append(model.encoder(inputs["input_features"]).last_hidden_state[:, :25].mean(1))
                else:
                    expected.append(model(**inputs).last_hidden_state.mean(1))
        close(rows.vectors, torch.cat(expected))

    def test_a_video_without_sound_is_an_error(self, folder: Callable[[str], Path]) -> None:
        with pytest.raises(ExtractionError, match="no sound"):
            extractor("hf_audio", folder("wav2vec2")).extract(VideoSource("x", video_path="x.mp4"))

    def test_tokens_that_sound_does_not_fill_count_in_no_mean(self, folder: Callable[[str], Path]) -> None:
        made = extractor("hf_audio", folder("wav2vec2"), pooling="mean")
        assert made.clock == "windows"
        assert made.width == 16


class TestClips:
    @pytest.mark.parametrize("name", ["videomae", "vjepa2"])
    def test_a_row_is_the_clip_around_its_middle(
        self, folder: Callable[[str], Path], short_video: VideoSource, pictures: list[np.ndarray], name: str
    ) -> None:
        rows = extractor("hf_video", folder(name), step_us=166_667, hop_us=500_000).extract(short_video)
        assert rows.timestamps_us.tolist() == [0, 500_000, 1_000_000, 1_500_000]
        # The frames of the grid nearest to 250, 750, 1250 and 1750 ms, and the two before and the one after each.
        middles = [1, 4, 7, 10]
        processor = transformers.AutoVideoProcessor.from_pretrained(folder(name))
        model = transformers.AutoModel.from_pretrained(folder(name)).eval()
        expected = []
        for middle in middles:
            clip = np.stack([pictures[min(max(k, 0), 11)] for k in range(middle - 2, middle + 2)])
            inputs = processor(videos=[clip], return_tensors="pt", do_sample_frames=False)
            with torch.inference_mode():
                expected.append(model(**inputs).last_hidden_state.mean(1))
        close(rows.vectors, torch.cat(expected))

    def test_a_repository_of_old_has_its_processor_under_the_name_of_one_of_images(
        self, folder: Callable[[str], Path], tmp_path: Path
    ) -> None:
        shutil.copytree(folder("videomae"), tmp_path, dirs_exist_ok=True)
        (tmp_path / "video_preprocessor_config.json").unlink()
        transformers.VideoMAEImageProcessor(**CLIP).save_pretrained(tmp_path)
        assert extractor("hf_video", tmp_path).width == 16

    def test_a_hop_longer_than_what_is_left_is_a_row_still(
        self, folder: Callable[[str], Path], short_video: VideoSource
    ) -> None:
        rows = extractor("hf_video", folder("videomae"), step_us=100_000, hop_us=900_000).extract(short_video)
        assert rows.timestamps_us.tolist() == [0, 900_000, 1_800_000]


class TestRefused:
    def test_a_seed_is_no_architecture(self) -> None:
        with pytest.raises(ValidationError, match="a seed alone says nothing of the architecture"):
            parse_config("hf_image", {"pretrained": "random:0"})

    def test_a_repository_that_was_never_fetched_is_absent_at_once(self) -> None:
        config = parse_config("hf_audio", {"pretrained": "hub:nobody/never-fetched"})
        with pytest.raises(WeightsError, match=r"audio \(hf_audio\): no file .* local hub cache: nobody/never-fetched"):
            require_weights({"audio": config})

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"model_type": "siglp"}, "transformers .* has no model type 'siglp': is one of .*siglip"),
            ({"model_type": "newest", "auto_map": {"AutoModel": "code.Model"}}, "needs code of its own .* refused"),
            ({"model_type": "zzzzzz"}, "no model type 'zzzzzz'; a later version may have it"),
            ({"hidden_size": 24}, "can't be loaded as an encoder"),
        ],
    )
    def test_an_architecture_that_is_not_known_or_not_its_own(
        self, tmp_path: Path, change: dict[str, Any], says: str
    ) -> None:
        MODELS["vit"](tmp_path)
        settings = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps(settings | change))
        (tmp_path / "code.py").write_text("raise SystemExit('was run')")
        with pytest.raises(WeightsError, match=says) as raised:
            extractor("hf_image", tmp_path)
        assert "\n" not in str(raised.value)

    def test_a_configuration_that_is_none(self, tmp_path: Path) -> None:
        MODELS["vit"](tmp_path)
        (tmp_path / "config.json").write_text("[]")
        with pytest.raises(WeightsError, match="is no configuration"):
            extractor("hf_image", tmp_path)

    @pytest.mark.parametrize(
        ("name", "model", "says"),
        [
            ("hf_image", "wav2vec2", "prepares no picture: Unrecognized image processor"),
            ("hf_image", "clap", "prepares no picture: Unrecognized image processor"),
            ("hf_audio", "vit", "prepares no sound: Unrecognized feature extractor"),
            ("hf_video", "siglip", "prepares no clip: Unrecognized video processor"),
        ],
    )
    def test_a_model_of_another_kind(self, folder: Callable[[str], Path], name: str, model: str, says: str) -> None:
        with pytest.raises(WeightsError, match=says) as raised:
            extractor(name, folder(model))
        assert "\n" not in str(raised.value)

    @pytest.mark.parametrize(("name", "model"), [("hf_video", "videomae"), ("hf_audio", "whisper")])
    def test_a_pooling_that_the_model_does_not_have(self, folder: Callable[[str], Path], name: str, model: str) -> None:
        with pytest.raises(WeightsError, match=r"makes no vector of .* by this pooling.*set another `pooling`"):
            extractor(name, folder(model), pooling="pooled")

    def test_a_damaged_file(self, folder: Callable[[str], Path], tmp_path: Path) -> None:
        damaged = shutil.copytree(folder("vit"), tmp_path / "vit")
        (damaged / "model.safetensors").write_bytes((damaged / "model.safetensors").read_bytes()[:1000])
        with pytest.raises(WeightsError, match="vit can't be loaded as an encoder") as raised:
            extractor("hf_image", damaged)
        assert "\n" not in str(raised.value)

    def test_a_pooler_that_was_never_trained_is_refused_where_it_is_used(self, tmp_path: Path) -> None:
        MODELS["vit"](tmp_path)
        state = {key: value for key, value in load_file(tmp_path / "model.safetensors").items() if "pooler" not in key}
        save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
        assert extractor("hf_image", tmp_path, pooling="cls").width == 16
        with pytest.raises(WeightsError, match=r"missing pooler\.dense\.bias"):
            extractor("hf_image", tmp_path, pooling="pooled")

    def test_a_checkpoint_of_more_layers_is_refused_and_one_with_a_head_is_not(self, tmp_path: Path) -> None:
        MODELS["vit"](tmp_path)
        state = load_file(tmp_path / "model.safetensors")
        head = {"classifier.weight": torch.zeros(10, 16)}
        save_file(state | head, tmp_path / "model.safetensors", metadata={"format": "pt"})
        assert extractor("hf_image", tmp_path).width == 16
        settings = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps(settings | {"num_hidden_layers": 1}))
        with pytest.raises(WeightsError, match="unexpected"):
            extractor("hf_image", tmp_path)
