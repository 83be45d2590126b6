"""Test published cache sizes and quality figures, and the printed table."""

from __future__ import annotations

import json
import re
from itertools import product
from urllib.parse import urlsplit

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from extract.__main__ import main
from extract.commands.cache_table import SizeUnit, cache_row, cache_table
from extract.commands.work_table import newer_table, work_table
from extract.facts.architectures import (
    ARCHITECTURES,
    Architecture,
    LatentSize,
    Scheme,
    SparseIndexer,
    architecture,
    kv_cache_bytes,
    kv_cache_elements,
    latent_size,
)
from extract.facts.gpus import GPU_BYTES, GPUS, H100_SXM, Chip, decoding_work
from extract.facts.newer_schemes import NEWER_SCHEMES, CachedLayers, NewerScheme
from extract.facts.v2_report import DENSE_7B, MOE, V2_SAVING, v2_cache_claim

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


@pytest.mark.parametrize("arch", ARCHITECTURES, ids=lambda arch: arch.name)
def test_heads_and_widths_fit_the_scheme(arch: Architecture) -> None:
    widths = {"DeepSeek-V2-Lite": 2048, "DeepSeek-V2": 5120}
    if arch.scheme == "mla":
        assert arch.n_kv_heads == arch.n_heads
        assert arch.d_model == widths.get(arch.name, 7168)
    else:
        assert arch.d_model == arch.n_heads * arch.d_head
    if arch.scheme in ("mha", "mqa"):
        assert arch.n_kv_heads == (1 if arch.scheme == "mqa" else arch.n_heads)


def test_every_architecture_is_listed_with_a_source() -> None:
    assert {arch.name for arch in ARCHITECTURES} == set(BYTES_PER_TOKEN)
    assert all(arch.source for arch in ARCHITECTURES)


@pytest.mark.parametrize("fact", [*ARCHITECTURES, *GPUS], ids=lambda fact: fact.name)
def test_an_address_is_of_what_the_source_names(fact: Architecture | Chip) -> None:
    if fact.name == "SmolLM2-135M":  # a file in a package
        assert not fact.address
        return
    address = urlsplit(fact.address)
    assert address.scheme == "https"
    if (address.hostname or "").endswith("nvidia.com"):
        (product_name,) = re.findall(r"/(ada|h\d+)/", address.path)
        assert f"nvidia {product_name} " in fact.source.lower()
        return
    assert address.hostname in ("github.com", "huggingface.co")
    for part in address.path.replace("/blob/", "/").split("/")[1:]:
        assert part in fact.source


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
    with pytest.raises(KeyError, match=r"there is no model 'GPT-5'.*SmolLM2-135M"):
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


# --- What a chip does with the cache --------------------------------------------------------------


class Counted:
    """A vector in a cache that counts how often its numbers take part in a multiply-add."""

    def __init__(self, width: int) -> None:
        self.width, self.multiply_adds = width, 0

    def use(self) -> None:
        self.multiply_adds += self.width


def counted_work(arch: Architecture, scheme: Scheme, n_tokens: int) -> tuple[int, int]:
    """Return numbers read and multiply-adds, counted head by head and token by token."""
    read: set[Counted] = set()
    for _ in range(arch.n_layers):
        n_sets = {"mha": arch.n_heads, "gqa": arch.n_kv_heads, "mqa": 1, "mla": 1}[scheme]
        shape = n_tokens, n_sets
        if scheme == "mla":
            assert arch.latent is not None
            widths = arch.latent.kv_rank, arch.latent.rope_dim
        else:
            widths = arch.d_head, arch.d_head
        keys, values = (np.empty(shape, dtype=object) for _ in widths)
        for place in product(*map(range, shape)):
            keys[place], values[place] = (Counted(width) for width in widths)
        for token, head in product(range(n_tokens), range(arch.n_heads)):
            place = token, head * n_sets // arch.n_heads
            key, value = keys[place], values[place]
            key.use()
            value.use()
            if scheme == "mla":  # the rotated part is in the scores, the latent in scores and mix
                key.use()
            read |= {key, value}
    return sum(v.width for v in read), sum(v.multiply_adds for v in read)


@pytest.mark.parametrize("scheme", ["mha", "gqa", "mqa", "mla"])
def test_the_work_is_that_of_counting_every_multiply_add(scheme: Scheme) -> None:
    arch = Architecture("tiny", scheme, 3, 6, 2, 5, 30, "made up", LatentSize(7, 4))
    work = decoding_work(arch, scheme, n_tokens=11)
    assert (work.numbers_read, work.multiply_adds) == counted_work(arch, scheme, 11)
    assert work.numbers_read == kv_cache_elements(arch, scheme, n_tokens=11)


def test_multiply_adds_for_each_number_read() -> None:
    llama, r1 = architecture("Llama-3 70B"), architecture("DeepSeek-V3/R1")
    for n_tokens in (1, 100_000):
        assert decoding_work(llama, "mha", n_tokens=n_tokens).per_number == 1
        assert decoding_work(llama, n_tokens=n_tokens).per_number == 64 / 8
        assert decoding_work(llama, "mqa", n_tokens=n_tokens).per_number == 64
        assert decoding_work(r1, "mha", n_tokens=n_tokens).per_number == 1
        own = decoding_work(r1, n_tokens=n_tokens).per_number
        assert own == pytest.approx(128 * (576 + 512) / 576)
        assert round(own, 1) == 241.8


def test_sparse_attention_reads_all_indexer_keys_and_some_latents() -> None:
    v32 = architecture("DeepSeek-V3.2")
    assert v32.indexer == SparseIndexer(n_heads=64, top_k=2048)
    short, long = (decoding_work(v32, n_tokens=n) for n in (2048, 100_000))
    assert short.numbers_read == kv_cache_elements(v32, n_tokens=2048)
    assert long.numbers_read == 61 * (128 * 100_000 + 576 * 2048)
    assert long.multiply_adds == 61 * (64 * 128 * 100_000 + 128 * (576 + 512) * 2048)


def test_the_ridge_of_the_chip() -> None:
    assert H100_SXM.ridge() == pytest.approx(989.4 / 3.35)
    assert round(H100_SXM.ridge()) == 295
    assert H100_SXM.ridge(bits=8) == pytest.approx(H100_SXM.ridge() / 2)
    # The two sources that its text names agree.
    assert H100_SXM.operations_per_second == pytest.approx(132 * 4096 * 1.83e9, rel=1e-4)
    assert H100_SXM.operations_per_second == pytest.approx(1979e12 / 2, rel=2e-4)
    assert "datasheet" in H100_SXM.source
    assert GPU_BYTES == 80_000_000_000


def test_gpus_hold_and_read_what_is_published() -> None:
    gaming, data_centre, newer = GPUS
    assert [chip.memory_bytes / 1e9 for chip in GPUS] == [24, 80, 141]
    assert gaming.bytes_per_second == 384 * 21e9 / 8  # its bus, and the rate of one line of it
    assert newer.operations_per_second == data_centre.operations_per_second
    assert all(chip.source for chip in GPUS)


# --- Newer schemes --------------------------------------------------------------------------------

# Elements that a token adds, from facts that were collected apart from the table.
GROWTH = {
    ("DSA", "DeepSeek-V3.2"): 42_944,
    ("DSA", "GLM (glm_moe_dsa)"): 54_912,
    ("CSA + HCA", "DeepSeek-V4-Pro"): 4_924,
    ("CSA + HCA", "DeepSeek-V4-Flash"): 3_440,
    ("CSA2", "DeepSeek-V4.1-Flash"): 1_600,
    ("MSA", "MiniMax-M3"): 68_736,
    ("KDA + MLA", "Kimi Linear 48B"): 4_032,
    ("Gated DeltaNet + GQA", "Qwen3-Next 80B"): 12_288,
    ("window + GQA", "gpt-oss-120b"): 18_432,
    ("window + GQA", "gpt-oss-20b"): 12_288,
    ("window + MQA", "Gemma 3 1B"): 2_048,
    ("GTA", "DeepSeek-V3/R1"): 61 * 1088,
    ("GLA-2", "DeepSeek-V3/R1"): 35_136,
    ("TPA", "DeepSeek-V3/R1"): 61 * 1024,
}


# Elements that do not grow, likewise; no others have any.
FIXED = {
    "DeepSeek-V4-Pro": 3_997_696,
    "DeepSeek-V4-Flash": 2_818_048,
    "DeepSeek-V4.1-Flash": 2_621_440,
    "Kimi Linear 48B": 10_485_760,
    "Qwen3-Next 80B": 18_874_368,
    "gpt-oss-120b": 2_359_296,
    "gpt-oss-20b": 1_572_864,
    "Gemma 3 1B": 5_767_168,
}

LONG = 2**20
# Elements read after so many tokens by those that choose: the index of all, and what is chosen.
READ = {
    "DeepSeek-V3.2": 61 * (LONG * 128 + 2048 * 576),
    "GLM (glm_moe_dsa)": 78 * (LONG * 128 + 2048 * 576),
    "DeepSeek-V4-Pro": 30 * (LONG // 4 * 128 + 1024 * 512) + 31 * LONG // 128 * 512 + 3_997_696,
    "DeepSeek-V4-Flash": 21 * (LONG // 4 * 128 + 512 * 512) + 20 * LONG // 128 * 512 + 2_818_048,
    "DeepSeek-V4.1-Flash": 3 * (LONG // 2 * 128 + 6 * 512 * 512)
    + (LONG * 128 + 20 * 512 * 512)
    + 2_621_440,
    "MiniMax-M3": 57 * (LONG * 128 + 2048 * 1024) + 3 * LONG * 1024,
}


def test_every_newer_scheme_keeps_and_reads_what_its_source_says() -> None:
    for scheme in NEWER_SCHEMES:
        assert scheme.fixed == FIXED.get(scheme.model, 0), scheme.model
        assert scheme.read(LONG) == READ.get(scheme.model, scheme.held(LONG)), scheme.model
    assert all(scheme.year in (2025, 2026) for scheme in NEWER_SCHEMES)


def test_every_newer_scheme_adds_what_its_source_says() -> None:
    growth = {(scheme.name, scheme.model): scheme.growth for scheme in NEWER_SCHEMES}
    assert growth == GROWTH
    assert all(scheme.source and scheme.idea for scheme in NEWER_SCHEMES)


@pytest.mark.parametrize("scheme", NEWER_SCHEMES, ids=lambda scheme: scheme.model)
def test_growth_is_the_difference_between_two_long_contexts(scheme: NewerScheme) -> None:
    start, step = 128 * 100, 128 * 1000
    added = scheme.held(start + step) - scheme.held(start)
    assert added == scheme.growth * step
    assert scheme.held(start) == scheme.fixed + scheme.growth * start
    assert scheme.read(start) <= scheme.held(start)


def test_windows_fill_up_and_pools_count_whole_entries() -> None:
    window = CachedLayers(2, 10, window=4)
    assert [window.held(n) for n in (1, 4, 9)] == [20, 80, 80]
    pooled = CachedLayers(1, 10, index=3, pooling=4, top_k=2)
    assert [pooled.held(n) for n in (3, 4, 11, 40)] == [0, 13, 26, 130]
    assert pooled.read(40) == 2 * 10 + 10 * 3
    shared = CachedLayers(1, 10, index=3, top_k=2, readers=5)
    assert (shared.held(40), shared.read(40)) == (40 * 13, 5 * 2 * 10 + 40 * 3)


def test_the_command_prints_work_and_newer_schemes() -> None:
    text = CliRunner().invoke(main, ["cache", "--context", "1000"]).stdout
    assert "295 multiply-adds" in text
    assert any(line.split()[:1] == ["DeepSeek-V4-Pro"] for line in text.splitlines())
    one = CliRunner().invoke(main, ["cache", "--arch", "DeepSeek-V3/R1"]).stdout
    assert "241.8" in one
    assert "What came after" not in one


def test_the_command_prints_them_as_json() -> None:
    rows = json.loads(CliRunner().invoke(main, ["cache", "--json", "--context", "50"]).stdout)
    work = {row["model"]: row["work"] for row in rows}
    assert work["GPT-2 small"]["own"] == {
        "numbers_read": 36_864 // 2 * 50,
        "multiply_adds": 36_864 // 2 * 50,
        "multiply_adds_per_number": 1.0,
    }
    command = ["cache", "--newer", "--json", "--bits", "8", "--context", "128000"]
    newer = json.loads(CliRunner().invoke(main, command).stdout)
    flash = next(row for row in newer if row["model"] == "DeepSeek-V4-Flash")
    assert flash["growth"] == 3440
    assert flash["held"] == flash["fixed"] + 3440 * 128_000
    result = CliRunner().invoke(main, ["cache", "--newer", "--arch", "GPT-2 small"])
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("n_tokens", [1, 131_072, 1_000_000])
def test_the_tables_of_work_fit_80_characters(n_tokens: int) -> None:
    console = Console(width=80)
    rows = [cache_row(arch, 16, n_tokens) for arch in ARCHITECTURES]
    with console.capture() as capture:
        console.print(work_table(rows, H100_SXM), newer_table(NEWER_SCHEMES, 16, n_tokens))
    assert "…" not in capture.get()
    assert max(map(len, capture.get().splitlines())) <= 80


@pytest.mark.parametrize("width", [60, 66, 72])
def test_columns_are_left_out_where_numbers_would_be_cut_off(width: int) -> None:
    console = Console(width=width)
    rows = [cache_row(arch) for arch in ARCHITECTURES]
    with console.capture() as capture:
        console.print(cache_table(rows), work_table(rows, H100_SXM))
        console.print(newer_table(NEWER_SCHEMES, 16, 1))
    assert "…" not in capture.get()
    assert max(map(len, capture.get().splitlines())) <= width
    assert "Left out for want of room: layers x heads" in capture.get()
    assert "3,997,696" in capture.get()


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
