"""Each Triton kernel against float32, and each plain twin against what it stands for.

Kernels run on a GPU, or, slowly and in float32, in Triton's interpreter: TRITON_INTERPRET=1. On a machine that has
PyTorch and transformers and little else:
    python -m pytest --noconftest -c /dev/null tests/model_runtime/test_gpu_kernels.py
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical
from torch.nn import functional
from transformers.integrations.moe import grouped_mm_experts_forward

from model_runtime.canvas import FREE
from model_runtime.denoising.step import Clamp, draw
from model_runtime.gpu import norms
from model_runtime.gpu.attention import attend_plain
from model_runtime.gpu.experts import Weights, eight_bit, mix_plain
from model_runtime.gpu.hardware import unusable
from model_runtime.gpu.router import choose_plain
from model_runtime.gpu.sampler import sample_plain

CAP = 30.0


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def like() -> dict[str, Any]:
    """Where kernels run here, and on what they are tried."""
    if find_spec("triton") and os.environ.get("TRITON_INTERPRET") == "1":
        return {"device": "cpu", "dtype": torch.float32}
    if reason := unusable(torch.device("cuda" if torch.cuda.is_available() else "cpu")):
        pytest.skip(f"Triton's kernels do not run here: {reason}")
    return {"device": "cuda", "dtype": torch.bfloat16}


def error(found: Tensor, wanted: Tensor) -> float:
    return float((found.float() - wanted.float()).norm() / wanted.float().norm())


def closeness(like: dict[str, Any]) -> float:
    return 1e-5 if like["dtype"] == torch.float32 else 6e-3


# The sampler


def logits_of(rows: int, vocabulary: int, **like: Any) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Logits, some of them sharp; clamp, banned ids with a whole chunk among them, temperatures, chances."""
    logits = (torch.randn(rows, vocabulary) * torch.linspace(1, 8, rows)[:, None]).to(**like)
    banned = torch.rand(vocabulary) < 0.3
    banned[4096:8192] = True
    clamp = torch.full((rows,), FREE)
    clamp[1], clamp[-1] = 17, vocabulary - 1
    chance = torch.rand(rows)
    chance[2], chance[3] = 0.0, 1 - 2**-24
    device = like["device"]
    return (
        logits,
        clamp.to(device),
        banned.to(device),
        torch.linspace(0.4, 0.8, rows, device=device),
        chance.to(device),
    )


def test_the_plain_sampler_is_that_of_the_plain_step() -> None:
    logits, clamp, banned, temperature, chance = logits_of(12, 300, device="cpu", dtype=torch.float32)
    probabilities = torch.empty_like(logits)
    likeliest, drawn, entropy, confidence = sample_plain(logits, CAP, clamp, banned, temperature, chance, probabilities)
    capped = Clamp(clamp[None], banned.nonzero()[:, 0].tolist())(torch.tanh(logits / CAP)[None] * CAP)[0]
    scaled = capped / temperature[:, None]
    assert torch.equal(likeliest, scaled.argmax(-1))
    assert torch.equal(probabilities, scaled.softmax(-1))
    assert torch.equal(drawn, draw(probabilities, chance))
    torch.testing.assert_close(entropy, Categorical(logits=scaled, validate_args=False).entropy(), rtol=1e-6, atol=1e-6)
    assert torch.equal(confidence, capped.softmax(-1).amax(-1))


@pytest.mark.parametrize("vocabulary", [9000, 262_144])
def test_the_sampler(vocabulary: int, like: dict[str, Any]) -> None:
    from model_runtime.gpu import sampler_kernels

    given = logits_of(12, vocabulary, **like)
    logits, clamp, banned, _, chance = given
    found_p, wanted_p = torch.full_like(logits, 9.0), torch.empty_like(logits, dtype=torch.float32)
    likeliest, drawn, entropy, confidence = sampler_kernels.sample(logits, CAP, *given[1:], found_p)
    _, _, wanted_entropy, wanted_confidence = sample_plain(logits.float(), CAP, *given[1:], wanted_p)
    assert error(wanted_p.gather(-1, likeliest[:, None])[:, 0], wanted_p.amax(-1)) < 1e-5
    torch.testing.assert_close(entropy, wanted_entropy, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(confidence, wanted_confidence, rtol=1e-4, atol=1e-6)
    assert error(found_p, wanted_p) < closeness(like)
    assert not banned[drawn[clamp == FREE]].any()
    assert torch.equal(drawn[clamp != FREE], clamp[clamp != FREE])
    # The drawn token is where the chance falls in the cumulative distribution, within the rounding of a sum.
    upto = wanted_p.double().cumsum(-1)
    after = upto.gather(-1, drawn[:, None])[:, 0]
    before = after - wanted_p.double().gather(-1, drawn[:, None])[:, 0]
    free = clamp == FREE
    assert ((before <= chance + 1e-5) & (chance <= after + 1e-5))[free].all()
    assert (wanted_p.gather(-1, drawn[:, None]) > 0).all()


# The router


def scores_of(tokens: int, experts: int, **like: Any) -> tuple[Tensor, Tensor]:
    """Scores, of which the first token's are all equal, and scales."""
    scores = torch.randn(tokens, experts) * 3
    scores[0] = 1.5
    return scores.to(**like), (torch.rand(experts) + 0.5).to(**like)


def test_the_plain_choice_is_transformers_own() -> None:
    scores, scale = scores_of(40, 20, device="cpu", dtype=torch.float32)
    chosen, share = choose_plain(scores, scale, 3)
    wanted_share, wanted = torch.topk(scores.softmax(-1), 3)
    assert torch.equal(chosen[1:], wanted[1:])
    assert chosen[0].tolist() == [0, 1, 2]
    torch.testing.assert_close(share, wanted_share / wanted_share.sum(-1, keepdim=True) * scale[chosen])


@pytest.mark.parametrize(("tokens", "experts", "each"), [(7, 20, 3), (256, 128, 8)])
def test_the_choice(tokens: int, experts: int, each: int, like: dict[str, Any]) -> None:
    from model_runtime.gpu import router_kernels

    scores, scale = scores_of(tokens, experts, **like)
    chosen, share = router_kernels.choose(scores, scale, each)
    wanted, wanted_share = choose_plain(scores.float(), scale.float(), each)
    assert torch.equal(chosen, wanted)
    torch.testing.assert_close(share, wanted_share, rtol=1e-5, atol=1e-7)


# What stands between products

EPS = 1e-6


def some(like: dict[str, Any], *shape: int) -> Tensor:
    return torch.randn(*shape).to(**like)


def exactly(*tensors: Tensor) -> list[Tensor]:
    return [tensor.cpu().float() for tensor in tensors]


@pytest.mark.parametrize("own_values", [True, False])
@pytest.mark.parametrize(("queries", "keys", "head"), [(4, 2, 32), (16, 8, 256), (16, 2, 512)])
def test_heads(queries: int, keys: int, head: int, own_values: bool, like: dict[str, Any]) -> None:
    rows, length, given = 2, 9, queries + keys * (2 if own_values else 1)
    projected, cos, sin = (
        some(like, rows, length, given * head),
        some(like, rows, length, head),
        some(like, rows, 9, head),
    )
    q_weight, k_weight = some(like, head), some(like, head)
    how = {"key_heads": keys, "own_values": own_values}
    from model_runtime.gpu import norms_kernels

    found = norms_kernels.heads(projected.unflatten(-1, (-1, head)), q_weight, k_weight, cos, sin, EPS, queries, keys)
    wanted = norms.heads(*exactly(projected, q_weight, k_weight, cos, sin), EPS, **how)
    for part, exact in zip(found, wanted, strict=True):
        assert part.shape == exact.shape
        assert error(part.cpu(), exact) < closeness(like)


@pytest.mark.parametrize("size", [96, 2816])
def test_after_attention(size: int, like: dict[str, Any]) -> None:
    from model_runtime.gpu import norms_kernels

    out, hidden, *weights = some(like, 6, 5, size)
    weights = [weight[0] for weight in weights]
    found = norms_kernels.after_attention(out, hidden, *weights, EPS)
    wanted = norms.after_attention(*exactly(out, hidden), norms.AfterAttention(*exactly(*weights)), EPS)
    for part, exact in zip(found, wanted, strict=True):
        assert error(part.cpu(), exact) < closeness(like)


@pytest.mark.parametrize("inner", [100, 2112])
def test_gates(inner: int, like: dict[str, Any]) -> None:
    from model_runtime.gpu import norms_kernels

    gate_up = some(like, 5, 2 * inner)
    assert error(norms_kernels.gated(gate_up).cpu(), norms.gated(*exactly(gate_up))) < closeness(like)


@pytest.mark.parametrize(("each", "size"), [(1, 96), (8, 2816)])
def test_after_experts(each: int, size: int, like: dict[str, Any]) -> None:
    from model_runtime.gpu import norms_kernels

    of_experts = some(like, 5, each, size)
    of_dense, hidden, *weights = some(like, 6, 5, size)
    dense, experts, both, following = (weight[0] for weight in weights)
    given = (dense, experts, both, some(like, 1), following)
    found = norms_kernels.after_experts(of_experts, of_dense, hidden, *given, EPS)
    wanted = norms.after_experts(*exactly(of_experts, of_dense, hidden), norms.AfterExperts(*exactly(*given)), EPS)
    for part, exact in zip(found, wanted, strict=True):
        assert error(part.cpu(), exact) < 2 * closeness(like)  # rounded up to four times on the way


# Attention


def prompts(like: dict[str, Any], heads: int, kv: int, head: int, room: int) -> tuple[Tensor, ...]:
    """A full room, an empty one, and one in between; what must not be seen is not a number."""
    rows, length = 3, 37
    q = torch.randn(rows, length, heads, head).to(**like) * 0.3
    k, v = torch.randn(2, rows, length, kv, head).to(**like)
    prompt_k, prompt_v = torch.randn(2, rows, kv, room, head).to(**like)
    first = torch.tensor([0, room, room // 3], dtype=torch.int32, device=like["device"])
    for row, begin in enumerate(first.tolist()):
        prompt_k[row, :, :begin] = prompt_v[row, :, :begin] = float("nan")
    return q, k, v, prompt_k, prompt_v, first


def by_hand(q: Tensor, k: Tensor, v: Tensor, prompt_k: Tensor, prompt_v: Tensor, first: Tensor) -> Tensor:
    """Row by row, head by head, in float32."""
    out, group = torch.empty_like(q, dtype=torch.float32), q.shape[2] // k.shape[2]
    for row, begin in enumerate(first.tolist()):
        for head in range(q.shape[2]):
            kv = head // group
            keys = torch.cat([prompt_k[row, kv, begin:], k[row, :, kv]]).float()
            values = torch.cat([prompt_v[row, kv, begin:], v[row, :, kv]]).float()
            out[row, :, head] = (q[row, :, head].float() @ keys.T).softmax(-1) @ values
    return out


def test_plain_attention_is_attention() -> None:
    given = prompts({"device": "cpu", "dtype": torch.float32}, heads=4, kv=2, head=16, room=50)
    without = [torch.nan_to_num(t) for t in given[:5]]  # 0 times NaN is NaN; the buffers never hold one
    torch.testing.assert_close(attend_plain(*without, given[5]), by_hand(*given), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows", [slice(0, 1), slice(1, 2), slice(2, 3), slice(0, 3)])
@pytest.mark.parametrize(("heads", "kv", "head"), [(4, 2, 32), (16, 8, 256), (16, 2, 512)])
def test_attention(rows: slice, heads: int, kv: int, head: int, like: dict[str, Any]) -> None:
    """For one row alone, the keys are shared out."""
    from model_runtime.gpu import attention_kernels

    given = [each[rows] for each in prompts(like, heads, kv, head, room=200)]
    assert error(attention_kernels.attend(*given), by_hand(*given)) < closeness(like)


# Experts


def routed(tokens: int, hidden: int, inner: int, experts: int, chosen: int, **like: Any) -> tuple[Any, ...]:
    """No token goes to the second expert."""
    device = like["device"]
    x = torch.randn(tokens, hidden, device=device).to(**like)
    scores = torch.rand(tokens, experts, device=device)
    scores[:, 1] = 0.0
    share, ids = scores.topk(chosen)
    weights = Weights(
        torch.randn(experts, 2 * inner, hidden, device=device).mul(0.05).to(**like),
        torch.randn(experts, hidden, inner, device=device).mul(0.05).to(**like),
    )
    return x, ids, share / share.sum(-1, keepdim=True), weights


class StockExperts(torch.nn.Module):
    """What transformers' implementation reads of the module that it is bound to."""

    has_gate, has_bias, is_transposed, has_post_expert_norm, _is_expert_parallel = True, False, False, False, False

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.num_experts = weights.down.shape[0]
        self.gate_up_proj, self.down_proj = weights.gate_up, weights.down

    def _apply_gate(self, gate_up: Tensor) -> Tensor:
        gate, up = gate_up.chunk(2, dim=-1)
        return functional.gelu(gate, approximate="tanh") * up


def test_plain_experts_are_those_of_transformers() -> None:
    x, ids, share, weights = routed(50, 64, 32, 6, 2, device="cpu", dtype=torch.float32)
    stock = grouped_mm_experts_forward(StockExperts(weights), x, ids, share)
    torch.testing.assert_close(mix_plain(x, ids, share, weights), stock, rtol=1e-4, atol=1e-5)


def test_eight_bits_keep_each_row_within_its_rounding() -> None:
    *_, weights = routed(1, 64, 32, 6, 2, device="cpu", dtype=torch.float32)
    weights.down[3, 5] *= 1e-4  # a small row is rounded no worse
    weights.down[3, 6] = 0.0
    rounded = eight_bit(weights)
    assert rounded.gate_up.dtype == torch.float8_e4m3fn
    assert rounded.down_scale is not None
    back = rounded.down.float() * rounded.down_scale[..., None]
    of_row = weights.down.abs().amax(-1, keepdim=True)
    assert ((back - weights.down).abs() <= weights.down.abs() / 16 + of_row / 448 / 512).all()


SIZES = [(40, 256, 128, 6, 2), (300, 256, 128, 6, 2)]
REAL = [(tokens, 2816, 704, 128, 8) for tokens in (64, 256, 512, 1024, 2048)]


@pytest.mark.parametrize("size", [*SIZES, *REAL])
@pytest.mark.parametrize("narrow", [None, 16, 64])
@pytest.mark.parametrize("bits", [16, 8])
def test_experts(
    size: tuple[int, ...], narrow: int | None, bits: int, like: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the tiles that were tuned, and with wide ones, some of which are narrower."""
    if size in REAL and like["device"] == "cpu":
        pytest.skip("of the real size on a GPU only")
    from model_runtime.gpu import experts_kernels

    if narrow is not None:
        tile = experts_kernels.Tile(64, 64, 2, 4)
        cut = experts_kernels.Tiles(64, narrow, tile, tile)
        monkeypatch.setattr(experts_kernels, "tiles", lambda tokens, eight_bit: cut)
    x, ids, share, weights = routed(*size, **like)
    if bits == 8:
        weights = eight_bit(weights)
        x = x.half()
    found = experts_kernels.expert_pairs(x, ids, share, *weights).float().sum(1)
    exact = Weights(*(None if part is None else part.float() for part in weights))
    # Products of float16 come back in bfloat16.
    assert error(found, mix_plain(x.float(), ids, share, exact)) < (6e-3 if bits == 8 else closeness(like))
