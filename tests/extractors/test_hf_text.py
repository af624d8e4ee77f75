"""Text features with a real pretrained encoder, with an untrained one, and with checkpoints that are wrong."""

from __future__ import annotations

import copy
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_encoders import TRAINED_TEXT, save_with_tokenizer

from mgn_ma.extractors.base import END_OF_TIME_US, START_OF_TIME_US, ExtractionError
from mgn_ma.extractors.hf.config import BertConfig, HFTextConfig
from mgn_ma.extractors.hf.extractor import BertExtractor, HFTextExtractor
from mgn_ma.extractors.hf.network import pool
from mgn_ma.extractors.hf.words import HashedWords
from mgn_ma.extractors.pretrained import Pretrained, WeightsError
from mgn_ma.media.source import VideoSource

REAL = str(TRAINED_TEXT)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing here may as much as look up a name."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("an extractor opened a connection")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    yield


def config(path: str, **others: Any) -> BertConfig:
    return BertConfig(**({"source": "title", "device": "cpu"} | others), pretrained=Pretrained(path=path))


@pytest.fixture(scope="module")
def encoder() -> BertExtractor:
    return BertExtractor(config(REAL, pooling="mean"))


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.cosine_similarity(a, b, dim=0))


def test_a_paraphrase_is_nearer_than_an_unrelated_line(encoder: BertExtractor) -> None:
    line, paraphrase, unrelated = encoder.forward(
        [
            "the crowd went wild when the home team scored",
            "fans cheered loudly after our side got a goal",
            "whisk the egg whites until they form stiff peaks",
        ]
    )
    assert cosine(line, paraphrase) > 0.45
    assert cosine(line, unrelated) < 0.2


def test_mean_pooling_is_that_of_the_published_sentence_encoder(encoder: BertExtractor) -> None:
    sentences = pytest.importorskip("sentence_transformers")
    texts = ["[Music]", "short", "a line that is a good deal longer than the others, for the sake of padding"]
    expected = sentences.SentenceTransformer(REAL, device="cpu").encode(texts)
    ours = torch.nn.functional.normalize(encoder.forward(texts)).numpy()
    np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-6)


def test_cls_is_the_last_layer_at_the_first_token() -> None:
    text = "what a surprise"
    network = transformers.AutoModel.from_pretrained(REAL, local_files_only=True).eval()
    tokens = transformers.AutoTokenizer.from_pretrained(REAL, local_files_only=True)(text, return_tensors="pt")
    with torch.inference_mode():
        expected = network(**tokens).last_hidden_state[0, 0]
    ours = BertExtractor(config(REAL)).forward([text, "another text that makes padding necessary here"])[0]
    torch.testing.assert_close(ours, expected, rtol=0, atol=2e-6)


def test_padding_counts_in_no_mean() -> None:
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [100.0, 100.0]]])
    assert pool(hidden, torch.tensor([[1, 1, 0]]), "mean").tolist() == [[2.0, 3.0]]
    assert pool(hidden, torch.tensor([[1, 1, 0]]), "cls").tolist() == [[1.0, 2.0]]
    assert pool(hidden, torch.tensor([[1, 1, 0]]), "last").tolist() == [[3.0, 4.0]]
    assert pool(hidden, torch.tensor([[0, 1, 1]]), "cls").tolist() == [[3.0, 4.0]]
    assert pool(hidden, None, "last").tolist() == [[100.0, 100.0]]
    # Of six samples four are no padding: so are two of three tokens.
    assert pool(hidden, torch.tensor([[1, 1, 1, 1, 0, 0]]), "mean").tolist() == [[2.0, 3.0]]


def test_a_text_beyond_the_limit_is_cut(encoder: BertExtractor) -> None:
    assert encoder.forward(["word " * 5000]).shape == (1, encoder.width) == (1, 384)
    short = BertExtractor(config(REAL, pooling="mean", max_tokens=6))
    same, other = short.forward(["one two three four five six", "one two three four seven eight"])
    torch.testing.assert_close(same, other)


CAPTIONS = """WEBVTT

00:00:01.000 --> 00:00:02.500
[Music]

00:00:02.500 --> 00:00:04.000
we did it

00:00:05.000 --> 00:00:06.000
[Music]

00:00:06.000 --> 00:00:07.000
we did it
"""


ONLY_SOUND = "WEBVTT\n\n00:00:01.000 --> 00:00:02.500\n[Music]\n\n00:00:03.000 --> 00:00:04.000\n♪♪\n"


class Counting:
    """A tokenizer that remembers what it was asked."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.texts: list[str] = []

    def __call__(self, texts: list[str], length: int) -> Any:
        if length:
            self.texts += dict.fromkeys(texts)
        return self.inner(texts, length)


def test_a_row_a_spoken_cue_and_each_text_through_the_network_once(tmp_path: Path) -> None:
    extractor = BertExtractor(config(REAL, source="captions", batch_size=2))
    assert extractor.clock == "cues"
    extractor._tokenize = counting = Counting(extractor._tokenize)
    (tmp_path / "a.en.vtt").write_text(CAPTIONS)
    rows = extractor.extract(VideoSource("a", captions_path=str(tmp_path / "a.en.vtt")))
    assert rows.timestamps_us.tolist() == [2_500_000, 6_000_000]
    assert rows.ends_us.tolist() == [4_000_000, 7_000_000]
    np.testing.assert_array_equal(rows.vectors[0], rows.vectors[1])
    assert counting.texts == ["we did it"], "music is no speech"


@pytest.mark.parametrize(
    ("content", "reason"), [(ONLY_SOUND, "no speech"), ("WEBVTT\n", "no speech"), (None, "no captions")]
)
def test_captions_without_speech_are_an_error(tmp_path: Path, content: str | None, reason: str) -> None:
    path = tmp_path / "a.en.vtt"
    if content is not None:
        path.write_text(content)
    video = VideoSource("a", captions_path=None if content is None else str(path))
    with pytest.raises(ExtractionError, match=reason):
        BertExtractor(config(REAL, source="captions")).extract(video)


def test_each_text_has_its_own_vector_whatever_shares_its_batch(tmp_path: Path) -> None:
    texts = ["cats", "a much longer text, " * 9, "dogs at play", "Ünïcode 🎉", "the end of all this " * 3, "cats"]
    cues = [f"00:{k:02}.000 --> 00:{k:02}.900\n{text}\n" for k, text in enumerate(texts)]
    (tmp_path / "a.en.vtt").write_text("WEBVTT\n\n" + "\n".join(cues), encoding="utf-8")
    titles, extractor = BertExtractor(config(REAL)), BertExtractor(config(REAL, source="captions", batch_size=4))
    rows = extractor.extract(VideoSource("a", captions_path=str(tmp_path / "a.en.vtt")))
    for vector, text in zip(rows.vectors, texts, strict=True):
        alone = titles.extract(VideoSource("b", title=text)).vectors[0]
        # The shape of a batch may change the last bits.
        np.testing.assert_allclose(vector, alone, rtol=0, atol=1e-5 * np.abs(alone).max())


def test_a_title_holds_for_all_time(encoder: BertExtractor) -> None:
    rows = encoder.extract(VideoSource("a", title=" Ünïcode 🎉  title "))
    assert (rows.timestamps_us.tolist(), rows.ends_us.tolist()) == ([START_OF_TIME_US], [END_OF_TIME_US])
    np.testing.assert_array_equal(rows.vectors, encoder.extract(VideoSource("b", title="Ünïcode 🎉 title")).vectors)
    for title in (None, "   "):
        with pytest.raises(ExtractionError, match="no title"):
            encoder.extract(VideoSource("c", title=title))


def hf_text(path: Path | str, **others: Any) -> HFTextExtractor:
    settings = {"source": "title", "device": "cpu", "pretrained": str(path), **others}
    return HFTextExtractor(HFTextConfig.model_validate(settings))


TINY = {"vocab_size": 30522, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


class TestAnyArchitecture:
    def test_a_bert_is_what_it_is_by_its_own_name(self, encoder: BertExtractor) -> None:
        texts = ["what a surprise", "and a longer text that makes padding necessary"]
        assert torch.equal(hf_text(REAL).forward(texts), encoder.forward(texts))

    def test_a_network_can_be_copied_as_any(self) -> None:
        network = config(REAL).load()
        words = {"input_ids": torch.tensor([[101, 2054, 102]])}
        assert torch.equal(copy.deepcopy(network)(**words), network(**words))

    def test_a_prompt_is_put_before_each_text_and_counts_as_a_setting(self, encoder: BertExtractor) -> None:
        prompted = hf_text(REAL, prompt="query: ")
        torch.testing.assert_close(prompted.forward(["cats"]), encoder.forward(["query: cats"]), rtol=0, atol=1e-6)
        assert prompted.extract(VideoSource("a", title="cats")).vectors.shape == (1, 384)
        configs = [HFTextConfig(source="title", pretrained=Pretrained(path=REAL), prompt=p) for p in ("", "query: ")]
        assert configs[0].fingerprint() != configs[1].fingerprint()

    def test_of_an_encoder_with_a_decoder_it_is_the_encoder(self, tmp_path: Path) -> None:
        torch.manual_seed(0)
        settings = transformers.T5Config(vocab_size=30522, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
        save_with_tokenizer(transformers.T5Model(settings), tmp_path)
        extractor = hf_text(tmp_path)
        tokens = transformers.AutoTokenizer.from_pretrained(tmp_path)("two words", return_tensors="pt")
        model = transformers.T5Model.from_pretrained(tmp_path).eval()
        with torch.inference_mode():
            hidden = model.encoder(tokens["input_ids"], attention_mask=tokens["attention_mask"]).last_hidden_state
        torch.testing.assert_close(extractor.forward(["two words", "more " * 20])[0], hidden[0].mean(0))

    @pytest.mark.parametrize("side", ["left", "right"])
    def test_of_a_decoder_the_last_token_has_read_all(self, tmp_path: Path, side: str) -> None:
        torch.manual_seed(0)
        settings = transformers.Qwen3Config(**TINY, intermediate_size=32, head_dim=8, num_key_value_heads=2)
        save_with_tokenizer(transformers.Qwen3Model(settings), tmp_path)
        path = tmp_path / "tokenizer_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"padding_side": side}))
        extractor = hf_text(tmp_path, pooling="last")
        alone, beside = extractor.forward(["two words"]), extractor.forward(["two words", "more " * 20])
        tokens = transformers.AutoTokenizer.from_pretrained(tmp_path)("two words", return_tensors="pt")
        model = transformers.Qwen3Model.from_pretrained(tmp_path).eval()
        with torch.inference_mode():
            expected = model(tokens["input_ids"]).last_hidden_state[0, -1]
        torch.testing.assert_close(alone[0], expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(beside[0], expected, rtol=1e-4, atol=1e-5)

    def test_a_model_that_was_trained_to_read_its_padding_is_given_all_of_it(self, tmp_path: Path) -> None:
        torch.manual_seed(0)
        seen = {"image_size": 32, "patch_size": 8, "intermediate_size": 32, **TINY}
        texts = TINY | {"intermediate_size": 32, "max_position_embeddings": 24, "bos_token_id": 1, "eos_token_id": 2}
        save_with_tokenizer(
            transformers.SiglipModel(transformers.SiglipConfig(text_config=texts, vision_config=seen)), tmp_path
        )
        path = tmp_path / "tokenizer_config.json"
        path.write_text(
            json.dumps(json.loads(path.read_text()) | {"model_input_names": ["input_ids"], "model_max_length": 24})
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
        tokens = tokenizer("two words", padding="max_length", max_length=24, return_tensors="pt")
        model = transformers.SiglipModel.from_pretrained(tmp_path).eval()
        with torch.inference_mode():
            expected = model.get_text_features(tokens["input_ids"]).pooler_output
        torch.testing.assert_close(hf_text(tmp_path, pooling="pooled").forward(["two words"]), expected)

    def test_a_folder_without_a_tokenizer_says_so(self, tmp_path: Path) -> None:
        transformers.BertModel(transformers.BertConfig(**TINY, intermediate_size=32)).save_pretrained(tmp_path)
        with pytest.raises(WeightsError, match=r"no file tokenizer\.json or vocab\.txt"):
            hf_text(tmp_path)


class TestUntrained:
    @pytest.mark.slow
    def test_it_needs_no_file_and_has_the_papers_width(self) -> None:
        def vectors(seed: int) -> npt.NDArray[np.float32]:
            settings = BertConfig(source="title", pretrained=Pretrained(random=seed), device="cpu")
            extractor = BertExtractor(settings)
            assert extractor.width == 768
            return extractor.forward(["a funny cat", "A funny CAT", "a sad dog"]).numpy()

        state = torch.random.get_rng_state()
        first = vectors(0)
        assert torch.equal(state, torch.random.get_rng_state())
        np.testing.assert_array_equal(first, vectors(0))
        assert not np.allclose(first, vectors(1), atol=0.1)
        np.testing.assert_allclose(first[0], first[1], atol=1e-5)
        assert np.abs(first[0] - first[2]).max() > 0.1

    def test_words_are_numbers_that_never_change(self) -> None:
        words = HashedWords(30522, max_tokens=6)
        tokens = words(["It's", "one two three four five six", ""])
        assert tokens["input_ids"].shape == tokens["attention_mask"].shape == (3, 6)
        assert tokens["attention_mask"].sum(1).tolist() == [5, 6, 2]
        ids = tokens["input_ids"]
        assert (ids[:, 0] == 101).all()
        assert ids[2].tolist() == [101, 102, 0, 0, 0, 0]
        assert ids[1, 1:5].unique().numel() == 4
        assert ((ids[1, 1:5] >= 1000) & (ids[1, 1:5] < 30522)).all()
        # SHA-256 of "one" begins with 7692c3ad3540bb80.
        assert ids[1, 1] == 1000 + 0x7692C3AD3540BB80 % 29522


class TestWrongWeights:
    @pytest.fixture
    def small(self, tmp_path: Path) -> Path:
        """A tiny encoder in a directory, with the head of its training task beside it."""
        return save_with_tokenizer(
            transformers.BertForMaskedLM(transformers.BertConfig(**TINY, intermediate_size=32)), tmp_path
        )

    def test_the_head_of_a_training_task_is_no_harm(self, small: Path) -> None:
        extractor = BertExtractor(config(str(small)))
        assert extractor.forward(["hello"]).shape == (1, 16)

    @pytest.mark.parametrize(
        ("key", "says"),
        [
            ("bert.encoder.layer.1.output.dense.weight", "missing encoder.layer.1.output.dense.weight"),
            (None, "extra_key"),
        ],
    )
    def test_a_missing_or_an_extra_key_is_refused(self, small: Path, key: str | None, says: str) -> None:
        state = load_file(small / "model.safetensors")
        if key is None:
            state["bert.extra_key"] = torch.zeros(2)
        else:
            del state[key]
        save_file(state, small / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(WeightsError, match=says):
            config(str(small)).load()

    def test_a_wrong_shape_is_refused(self, small: Path) -> None:
        settings = json.loads((small / "config.json").read_text())
        (small / "config.json").write_text(json.dumps(settings | {"intermediate_size": 48}))
        with pytest.raises(WeightsError, match="loaded"):
            config(str(small)).load()

    def test_pickled_code_is_refused_and_not_run(self, small: Path) -> None:
        class Exploit:
            def __reduce__(self) -> tuple[Any, ...]:
                return os.mkdir, (str(small / "was-run"),)

        (small / "model.safetensors").unlink()
        torch.save({"x": Exploit()}, small / "pytorch_model.bin")
        with pytest.raises(WeightsError, match="refused and not run"):
            config(str(small)).load()
        assert not (small / "was-run").exists()

    @pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
    def test_an_absent_file_is_named(self, small: Path, name: str) -> None:
        (small / name).unlink()
        with pytest.raises(WeightsError, match=name.replace(".", r"\.")):
            config(str(small)).load()

    def test_a_repository_that_was_never_fetched_is_absent_at_once(self) -> None:
        with pytest.raises(WeightsError, match="local hub cache"):
            BertConfig(source="title", pretrained=Pretrained(hub="nobody/never-fetched")).load()

    def test_the_tokenizer_is_part_of_the_fingerprint(self, small: Path) -> None:
        before = config(str(small)).fingerprint()
        (small / "tokenizer_config.json").write_text('{"do_lower_case": false}')
        assert config(str(small)).fingerprint() != before
