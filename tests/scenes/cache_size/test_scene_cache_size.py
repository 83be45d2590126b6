"""The scene about the size of the cache: it can be read, and all numbers are explained."""

from __future__ import annotations

from itertools import chain

import pytest

from extract.architectures import (
    ARCHITECTURES,
    MOE,
    architecture,
    kv_cache_bytes,
    v2_cache_claim,
)
from scenes.cache_size.scene_cache_size import SHIPPED, CacheSize
from tests.support.figures import all_texts, spelled, unexplained
from tests.support.staging import BeatPicture, play
from tests.support.traces import make_trace

R1 = architecture("DeepSeek-V3/R1")
SIZES = {
    "mha": kv_cache_bytes(R1, "mha"),
    "gqa": kv_cache_bytes(R1, "gqa", n_groups=8),
    "mqa": kv_cache_bytes(R1, "mqa"),
    "mla": kv_cache_bytes(R1, "mla"),
}
TRAINED = 860_200 / 34_600
CLAIM = v2_cache_claim()
NAMES = {
    *(arch.name for arch in ARCHITECTURES),
    *(arch.source for arch in ARCHITECTURES),
    MOE.source,
    "DeepSeek-R1",
    "FP8",
    "p. 16",
}


@pytest.fixture(scope="module")
def pictures() -> dict[str, BeatPicture]:
    return {picture.record.name: picture for picture in play(CacheSize, make_trace())}


def every(*groups: set[str]) -> set[str]:
    return set(chain.from_iterable(groups))


def whole(*values: float) -> set[str]:
    return every(*(spelled(value, "{:,.0f}") for value in values))


def three_digits(value: float) -> set[str]:
    """Return how the scene writes a number with three digits: 524, 32.7, 9.21."""
    places = 0 if value >= 100 else 1 if value >= 10 else 2
    return spelled(value, f"{{:.{places}f}}")


def explained() -> dict[str, set[str]]:
    """Return the numbers that each beat may show, computed here and not by the scene."""
    shape = whole(2, 128, 8, 512, 64)
    rows = shape | whole(*SIZES.values())
    ratios = three_digits(SIZES["mha"] / SIZES["mla"]) | three_digits(TRAINED)
    long = {scheme: size * 128 * 1024 / 1e9 for scheme, size in SIZES.items()}
    context = every(
        {"32", "64", "96", "128"},  # thousands of tokens along the axis
        *(three_digits(size) for size in long.values()),
        whole(80, 640, 0, 8),  # GPUs and their memory
        whole(80e9 // SIZES["mha"]),
    )
    shipped = [architecture(name) for name in SHIPPED]
    own = [kv_cache_bytes(arch) for arch in shipped]
    full = [kv_cache_bytes(arch, "mha") for arch in shipped]
    saving = spelled(100 * CLAIM.saving, "{:.1f}")
    claim = every(
        whole(2, 8, 128, 95, 16, 512, 64, 60, 6),
        whole(389_120, 69_120, 25_920),
        spelled(CLAIM.times_fewer_elements, "{:.1f}", "{:.2f}"),
        spelled(CLAIM.times_fewer_bits, "{:.1f}", "{:.2f}"),
        spelled(CLAIM.times_smaller, "{:.1f}"),
        saving,
    )
    return {
        "one_token": rows | whole(61) | spelled(SIZES["mha"] / 1e6, "{:.1f}"),
        "how_much_smaller": rows | ratios | {"57", "860.2", "34.6"},
        "longer_contexts": context | whole(160, 320, 480),
        "one_gpu": context
        | whole(20, 40, 60, 160, 320, 480)
        | whole(80e9 // SIZES["mla"])
        | spelled(long["mla"], "{:.1f}"),
        "real_models": every(
            whole(10_000, 100_000, 1_000_000, 16),
            whole(*(arch.n_kv_heads for arch in shipped if arch.scheme == "gqa")),
            *(three_digits(size / 1e3) for size in own),
            *(
                whole(ratio) if ratio.is_integer() else three_digits(ratio)
                for ratio in (a / b for a, b in zip(full, own, strict=True))
            ),
        ),
        "the_published_saving": claim,
        "throughput_too": claim | {"5.76"},
    }


def test_every_number_is_accounted_for(pictures: dict[str, BeatPicture]) -> None:
    allowed = explained()
    assert list(allowed) == list(pictures)
    for name, picture in pictures.items():
        assert unexplained(all_texts(picture), allowed[name], NAMES) == [], name


@pytest.mark.parametrize(
    ("beat", "expected"),
    [
        ("one_token", ["3,997,696 bytes", "249,856 bytes", "31,232 bytes", "70,272 bytes"]),
        ("how_much_smaller", ["56.9 ×", "24.9 ×"]),
        ("longer_contexts", ["MHA  524 GB", "MLA  9.21 GB", "one GPU of 80 GB", "8 GPUs, 640 GB"]),
        ("one_gpu", ["MHA: full after 20,011 tokens", "MLA: full after 1,138,433 tokens"]),
        ("real_models", ["DeepSeek-V3/R1", "Falcon 7B", "71 ×", "GPT-2 small", "1 ×"]),
        ("the_published_saving", ["5.63 ×", "2.67 ×", "15.0 ×", "93.3 % less"]),
    ],
)
def test_the_numbers_of_the_story_are_there(
    pictures: dict[str, BeatPicture], beat: str, expected: list[str]
) -> None:
    texts = {item.text for item in pictures[beat].texts if item.presence == 1}
    assert set(expected) <= texts


def test_the_claim_is_called_consistent_and_its_quantisation_is_named(
    pictures: dict[str, BeatPicture],
) -> None:
    texts = " ".join(all_texts(pictures["throughput_too"]))
    assert "consistent with the 93.3 %" in texts
    assert "measured with the 6-bit cache and FP8 weights" in texts
    assert "the paper says" not in texts


def test_the_traced_model_is_not_named_as_the_source(pictures: dict[str, BeatPicture]) -> None:
    for picture in pictures.values():
        texts = " ".join(item.text for item in picture.texts)
        assert "not the traced model" in texts
        assert "made-up model" not in texts


def test_digits_are_found_and_names_are_not_numbers() -> None:
    texts = ["DeepSeek-V2-Lite: 70,272 bytes, 3.", "GQA-8", "R12 is not R1"]
    found = unexplained(texts, {"70,272"}, {"DeepSeek-V2", "DeepSeek-V2-Lite", "R1"})
    assert found == [
        "3 in 'DeepSeek-V2-Lite: 70,272 bytes, 3.'",
        "8 in 'GQA-8'",
        f"12 in {texts[2]!r}",
    ]
    assert unexplained(["2.5"], {"2", "5"}) == ["2.5 in '2.5'"]
