"""Test published cache sizes and quality figures, and the printed table."""

from __future__ import annotations

import json

import pytest
from rich.console import Console

from extract.architectures import (
    ARCHITECTURES,
    DENSE_7B,
    MOE,
    V2_SAVING,
    Scheme,
    architecture,
    kv_cache_bytes,
    kv_cache_elements,
    latent_size,
    v2_cache_claim,
)
from extract.cache_table import SizeUnit, cache_row, cache_table

# Bytes per token at 16 bits: multi-head, 8 groups, multi-query, latent, and the model's own scheme.
BYTES_PER_TOKEN = {
    "GPT-2 small": (36_864, 24_576, 3_072, 6_912, 36_864),
    "SmolLM2-135M": (69_120, 61_440, 7_680, 17_280, 23_040),
    "Llama-3 8B": (524_288, 131_072, 16_384, 36_864, 131_072),
    "Llama-3 70B": (2_621_440, 327_680, 40_960, 92_160, 327_680),
    "Mistral 7B": (524_288, 131_072, 16_384, 36_864, 131_072),
    "Falcon 7B": (581_632, 65_536, 8_192, 18_432, 8_192),
    "DeepSeek 67B": (3_112_960, 389_120, 48_640, 109_440, 389_120),
    "DeepSeek-V2-Lite": (221_184, 110_592, 13_824, 31_104, 31_104),
    "DeepSeek-V2": (3_932_160, 245_760, 30_720, 69_120, 69_120),
    "DeepSeek-V3/R1": (3_997_696, 249_856, 31_232, 70_272, 70_272),
    "DeepSeek-V3.2": (3_997_696, 249_856, 31_232, 85_888, 85_888),
}


@pytest.mark.parametrize("name", BYTES_PER_TOKEN)
def test_bytes_per_token(name: str) -> None:
    arch = architecture(name)
    sizes = (
        kv_cache_bytes(arch, "mha"),
        kv_cache_bytes(arch, "gqa", n_groups=8),
        kv_cache_bytes(arch, "mqa"),
        kv_cache_bytes(arch, "mla"),
        kv_cache_bytes(arch),
    )
    assert sizes == BYTES_PER_TOKEN[name]


def test_every_architecture_is_listed_with_a_source() -> None:
    assert {arch.name for arch in ARCHITECTURES} == set(BYTES_PER_TOKEN)
    assert all(arch.source for arch in ARCHITECTURES)


def test_r1_cache_is_57_times_smaller_than_multi_head() -> None:
    r1 = architecture("deepseek-v3/r1")
    assert kv_cache_bytes(r1, "mha") / kv_cache_bytes(r1) == pytest.approx(56.89, abs=0.005)


def test_v32_also_caches_its_indexer_key() -> None:
    v3, v32 = architecture("DeepSeek-V3/R1"), architecture("DeepSeek-V3.2")
    assert kv_cache_elements(v32) == kv_cache_elements(v3) + 128 * 61 == 42_944


def test_size_is_proportional_to_context_and_bits() -> None:
    """128K tokens of Llama-3 70B are 40 GiB at 16 bits and 20 GiB at 8."""
    llama = architecture("Llama-3 70B")
    assert kv_cache_bytes(llama, n_tokens=131_072) == 40 * 2**30
    assert kv_cache_bytes(llama, bits=8, n_tokens=131_072) == 20 * 2**30


def test_latent_proportions_are_deepseeks() -> None:
    """DeepSeek's own latents have the proportions used for models without one."""
    for name in ("DeepSeek-V2-Lite", "DeepSeek-V2", "DeepSeek-V3/R1"):
        arch = architecture(name)
        assert latent_size(arch)[:2] == (4 * arch.d_head, arch.d_head // 2)
    assert latent_size(architecture("GPT-2 small")) == (256, 32, 0)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r"no architecture is called 'GPT-5'.*SmolLM2-135M"):
        architecture("GPT-5")


@pytest.mark.parametrize("scheme", ["mha", "mqa", "mla"])
def test_n_groups_is_refused_for_other_schemes(scheme: Scheme) -> None:
    with pytest.raises(ValueError, match=f"not to '{scheme}'"):
        kv_cache_elements(architecture("GPT-2 small"), scheme, n_groups=4)


def test_the_93_percent_of_the_v2_report() -> None:
    claim = v2_cache_claim()
    assert (claim.elements, claim.bits) == (34_560, 6)
    assert (claim.reference_elements, claim.reference_bits) == (194_560, 16)
    assert round(claim.saving, 6) == 0.933388
    assert round(claim.saving_at_equal_bits, 4) == 0.8224
    assert round(claim.saving, 3) == V2_SAVING
    assert round(claim.times_smaller, 2) == 15.01
    assert round(claim.times_fewer_elements, 2) == 5.63
    assert round(claim.times_fewer_bits, 2) == 2.67
    # Figure 1(b) of the report, measured from its vector drawing, in kB per token.
    assert claim.elements * claim.bits / 8_000 == pytest.approx(25.901, rel=0.001)
    assert claim.reference_elements * claim.reference_bits / 8_000 == pytest.approx(389.111, 1e-4)


def test_quality_table_8() -> None:
    assert [c.attention for c in DENSE_7B.columns] == ["MQA", "GQA, 8 groups", "MHA"]
    assert [(c.bbh, c.mmlu, c.c_eval, c.cmmlu) for c in DENSE_7B.columns] == [
        (33.2, 37.9, 30.0, 34.6),
        (35.6, 41.2, 37.7, 38.4),
        (37.0, 45.2, 42.9, 43.5),
    ]
    assert [c.total_parameters for c in DENSE_7B.columns] == [7.1, 6.9, 6.9]


def test_quality_table_9() -> None:
    small_mha, small_mla, large_mha, large_mla = MOE.columns
    assert [(c.attention, c.size) for c in MOE.columns] == [
        ("MHA", "small"),
        ("MLA", "small"),
        ("MHA", "large"),
        ("MLA", "large"),
    ]
    assert [(c.bbh, c.mmlu, c.c_eval, c.cmmlu) for c in MOE.columns] == [
        (37.9, 48.7, 51.6, 52.3),
        (39.0, 50.0, 50.9, 53.4),
        (46.6, 57.5, 57.9, 60.7),
        (50.7, 59.0, 59.2, 62.5),
    ]
    assert [(c.total_parameters, c.activated_parameters) for c in MOE.columns] == [
        (15.8, 2.5),
        (15.7, 2.4),
        (250.8, 25.0),
        (247.4, 21.5),
    ]
    assert small_mla.cache_elements is not None
    assert large_mla.cache_elements is not None
    assert small_mla.cache_elements / small_mha.cache_elements == pytest.approx(0.14, abs=0.005)
    assert large_mla.cache_elements / large_mha.cache_elements == pytest.approx(0.04, abs=0.005)


def test_the_caches_of_table_9_are_those_of_the_published_models() -> None:
    """V2-Lite with and without its latent, V2 with its latent; the large MHA has fewer heads."""
    lite, v2 = architecture("DeepSeek-V2-Lite"), architecture("DeepSeek-V2")
    small_mha, small_mla, large_mha, large_mla = (c.cache_elements for c in MOE.columns)
    assert kv_cache_elements(lite, "mha") == pytest.approx(small_mha, abs=50)
    assert kv_cache_elements(lite) == pytest.approx(small_mla, abs=50)
    assert kv_cache_elements(v2) == pytest.approx(large_mla, abs=50)
    assert kv_cache_elements(v2, "mha") > 2 * (large_mha or 0)


# --- The printed table ----------------------------------------------------------------------------


def printed(*names: str, bits: int = 16, n_tokens: int = 1) -> str:
    """Return the table of some models as printed on a terminal of 80 characters."""
    console = Console(width=80)
    with console.capture() as capture:
        console.print(cache_table(cache_row(architecture(n), bits, n_tokens) for n in names))
    return capture.get()


def test_the_table_shows_exact_bytes_per_token() -> None:
    line = next(line for line in printed("DeepSeek-V3/R1").splitlines() if "V3/R1" in line)
    sizes = ["3,997,696", "249,856", "31,232", "70,272", "MLA", "70,272", "56.89x"]
    assert line.split() == ["DeepSeek-V3/R1", "61", "x", "128", *sizes]


@pytest.mark.parametrize("n_tokens", [1, 1000, 131_072, 1_000_000])
def test_the_table_fits_80_characters(n_tokens: int) -> None:
    text = printed(*BYTES_PER_TOKEN, n_tokens=n_tokens)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_table_marks_what_is_hypothetical() -> None:
    mixed = printed("Llama-3 8B", "DeepSeek-V3/R1")
    assert "36,864*" in mixed
    assert "70,272*" not in mixed
    assert "* hypothetical" in mixed
    assert "hypothetical" not in printed("DeepSeek-V3/R1")


def test_the_table_explains_the_published_93_percent() -> None:
    assert "93.34%" in printed("DeepSeek-V2")
    assert "93.34%" not in printed("DeepSeek-V3/R1")


def test_a_single_model_comes_with_its_source() -> None:
    source = f"Source: {architecture('GPT-2 small').source}."
    assert source in printed("GPT-2 small")
    assert "Source: " not in printed("GPT-2 small", "Llama-3 8B")


def test_the_title_says_tokens_and_bits() -> None:
    assert "of one token, 16 bits an element, in bytes" in printed("GPT-2 small")
    many = " ".join(printed("GPT-2 small", bits=8, n_tokens=4096).split())
    assert "of 4,096 tokens, 8 bits an element, in MB" in many


def test_the_table_names_the_groups_a_model_ships_with() -> None:
    assert "GQA-3" in printed("SmolLM2-135M")
    assert "GQA-12" not in printed("GPT-2 small")


def test_a_row_is_plain_json() -> None:
    row = cache_row(architecture("DeepSeek-V2"), bits=6, n_tokens=1000)
    document = json.loads(json.dumps(row.as_json()))
    assert document["own"] == 25_920_000
    assert document["own_elements"] == 34_560_000
    assert document["gqa_8"] == 2 * 8 * 128 * 60 * 6 / 8 * 1000
    assert document["n_tokens"] == 1000
    assert document["mla_is_hypothetical"] is False


@pytest.mark.parametrize(
    ("largest", "count", "text", "name"),
    [
        (9_999_999, 3_997_696, "3,997,696", "bytes"),
        (9_999_999, 0.75, "0.75", "bytes"),
        (1e7, 4_000_000, "4.00", "MB (1e6 bytes)"),
        (1e10, 16 * 2**30, "17.18", "GB (1e9 bytes)"),
        (1e13, 2e12, "2,000.00", "GB (1e9 bytes)"),
    ],
)
def test_sizes_of_one_table_share_a_unit(
    largest: float, count: float, text: str, name: str
) -> None:
    unit = SizeUnit.for_largest(largest)
    assert (unit.name, unit.format(count)) == (name, text)
