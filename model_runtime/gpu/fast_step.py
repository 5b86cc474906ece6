"""A whole denoising step on the GPU's own: one CUDA graph, from canvas to canvas.

>>> loaded = accelerated(checkpoint.load(directory))
>>> infill(loaded, jobs)  # as ever

Matrix products are cuBLAS's, all between them is Triton. A layer's dense half runs beside its sparse half, whose router
and sorting leave most of the GPU idle. Rows are padded to a number in SIZES, and there is one graph for each, captured
in a fraction of a second. A prompt's length costs no graph: see attention_kernels.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.denoising.step import Guess, accept
from model_runtime.denoising.stepping import PlainStepper, Seen, SteppedModel, Steps
from model_runtime.gpu import experts, layers
from model_runtime.gpu.buffers import Buffers
from model_runtime.gpu.hardware import unusable
from model_runtime.gpu.sampler import sample
from model_runtime.prompts.prefix import Prefix

SIZES = (1, 2, 4, 8)  # rows of a step
_FEW = 512  # tokens, up to which a layer's dense half leaves room on the GPU for its router
_WARMUPS = 2  # steps before a capture: the first compiles kernels, the second finds every one loaded

log = logging.getLogger(__name__)


def accelerated(loaded: LoadedModel, *, longest_prompt: int = 2048, eight_bit: bool = False) -> LoadedModel:
    """The same model with steps of the GPU's own; as it was where there is no such GPU, and the log says why.

    `eight_bit` reads experts as 8-bit floats: faster, and not the same drafts. The model's own weights stay as well.
    """
    if reason := unusable(loaded.device) or experts.unfit(loaded.model.config.get_text_config(decoder=True)):
        log.info("denoising steps are computed in plain PyTorch: %s", reason)
        return loaded
    ALL_EXPERTS_FUNCTIONS.register(experts.NAME, experts.grouped_experts)
    loaded.model.set_experts_implementation(experts.NAME)
    return SteppedModel.of(loaded, FastStepper(loaded, longest_prompt=longest_prompt, eight_bit=eight_bit))


class FastStepper:
    """Steps of one loaded model, in buffers of their own; one batch at a time.

    Longer prompts and larger batches than there is room for are left to the plain step. Without a GPU the same
    arithmetic runs in plain PyTorch: slow, and good for tests.
    """

    def __init__(self, loaded: LoadedModel, *, longest_prompt: int = 2048, eight_bit: bool = False) -> None:
        self._model = loaded.model
        self._decoder = loaded.model.model.decoder
        self._kinds = loaded.model.config.get_text_config(decoder=True).layer_types
        self._gpu = loaded.device.type == "cuda"
        self._joined = [layers.Joined.of(layer) for layer in self._decoder.layers]
        self._experts = [
            experts.Weights(layer.experts.gate_up_proj, layer.experts.down_proj) for layer in self._decoder.layers
        ]
        if eight_bit:
            self._experts = [experts.eight_bit(weights) for weights in self._experts]
        self._banned = torch.zeros(loaded.vocabulary_size, dtype=torch.bool, device=loaded.device)
        self._banned[list(loaded.codec.banned)] = True
        self.buffers = Buffers.of(loaded, SIZES[-1], longest_prompt)
        self._movers: dict[tuple[int, float, tuple[str, ...]], Callable[[], None]] = {}
        self._memory = torch.cuda.graph_pool_handle() if self._gpu else None
        self._beside = torch.cuda.Stream() if self._gpu else None  # type: ignore[no-untyped-call]
        self.under_way: object = None  # whose rows the buffers hold

    def warm_up(self, loaded: LoadedModel) -> None:
        for size in SIZES:
            self.mover(size, loaded.card.sampler.entropy_bound)

    @torch.no_grad()
    def start(
        self, loaded: LoadedModel, prefixes: Sequence[Prefix], clamp: Tensor, canvas: Tensor, *, size: int = 1
    ) -> Steps:
        rows = len(prefixes)
        if not self._has_room(prefixes):
            return PlainStepper().start(loaded, prefixes, clamp, canvas, size=size)
        steps = _FastSteps(self, rows, size, loaded.card.sampler.entropy_bound)
        self._hold(loaded, prefixes, canvas)
        self.buffers.clamp[:rows].copy_(clamp)
        return steps

    @torch.no_grad()
    def look(self, loaded: LoadedModel, prefixes: Sequence[Prefix], canvas: Tensor) -> Tensor:
        if not self._has_room(prefixes):
            return PlainStepper().look(loaded, prefixes, canvas)
        self.under_way = None
        self._hold(loaded, prefixes, canvas)
        logits = self.logits(self.buffers[: len(prefixes)]).float()
        cap = self._model.final_logit_softcapping
        return torch.tanh(logits / cap).mul_(cap).view(*canvas.shape, -1)

    def _has_room(self, prefixes: Sequence[Prefix]) -> bool:
        return len(prefixes) <= SIZES[-1] and all(map(self.buffers.holds, prefixes))

    def _hold(self, loaded: LoadedModel, prefixes: Sequence[Prefix], canvas: Tensor) -> None:
        for row, prefix in enumerate(prefixes):
            self.buffers.read(loaded, row, prefix)
        self.buffers.canvas[: len(prefixes)].copy_(canvas)
        self.buffers.probabilities[: len(prefixes)].zero_()

    @torch.no_grad()
    def mover(self, rows: int, entropy_bound: float) -> Callable[[], None]:
        """What moves the buffers' first rows by one step; it is captured when it is first asked for."""
        size = min(size for size in SIZES if size >= rows)
        key = size, entropy_bound, self._adapters()
        if key not in self._movers:
            buffers = self.buffers[:size]
            self._movers[key] = self._captured(buffers, lambda: self._step(buffers, entropy_bound))
        return self._movers[key]

    def _captured(self, buffers: Buffers, step: Callable[[], None]) -> Callable[[], None]:
        if not self._gpu:
            return step
        under_way = buffers.canvas.clone(), buffers.probabilities.clone()
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARMUPS):
                step()
        torch.cuda.current_stream().wait_stream(aside)
        buffers.canvas.copy_(under_way[0])
        buffers.probabilities.copy_(under_way[1])
        graph = torch.cuda.CUDAGraph()
        urgent = torch.cuda.Stream(priority=-1)  # type: ignore[no-untyped-call]  # what is done aside gives way
        with torch.cuda.graph(graph, pool=self._memory, stream=urgent):
            step()
        return graph.replay

    def logits(self, buffers: Buffers) -> Tensor:
        """What the model makes of the canvases, before the softcap, (tokens, vocabulary)."""
        hidden, normed = layers.enter(self._decoder, buffers.canvas, buffers.probabilities)
        modules = [*self._decoder.layers]
        following = [*(module.input_layernorm for module in modules[1:]), self._decoder.norm]
        joints = [None] * len(modules) if self._adapters() else self._joined
        weights = zip(modules, following, joints, self._experts, strict=True)
        prompts = zip(self._kinds, buffers.keys, buffers.values, strict=True)
        for (module, reader, joined, own), (kind, keys, values) in zip(weights, prompts, strict=True):
            where = (buffers.cos[kind], buffers.sin[kind], keys, values, buffers.first[kind])
            attended = layers.attention(module, hidden, normed, *where, joined)
            routed = layers.route(module, attended) if len(hidden) > _FEW else None
            with self._aside():
                of_dense = layers.dense(module, attended, joined)
            of_experts = layers.sparse(attended, routed or layers.route(module, attended), own)
            self._meet()
            hidden, normed = layers.join(module, attended, of_dense, of_experts, reader)
        logits: Tensor = self._model.lm_head(normed)
        return logits

    def _aside(self) -> AbstractContextManager[object]:
        """What is done in it waits for all before it, and for nothing after it."""
        if self._beside is None:
            return nullcontext()
        self._beside.wait_stream(torch.cuda.current_stream())
        return torch.cuda.stream(self._beside)

    def _meet(self) -> None:
        """What comes next waits for what was done aside."""
        if self._beside is not None:
            torch.cuda.current_stream().wait_stream(self._beside)

    def _step(self, buffers: Buffers, entropy_bound: float) -> None:
        """Nothing here waits for the host, or depends on what the tensors hold."""
        likeliest, drawn, entropy, confidence = sample(
            self.logits(buffers),
            self._model.final_logit_softcapping,
            buffers.clamp.flatten(),
            self._banned,
            buffers.temperature[:, None].expand_as(buffers.chance).flatten(),
            buffers.chance.flatten(),
            buffers.probabilities.flatten(0, 1),
        )
        buffers.likeliest.copy_(likeliest.view_as(buffers.likeliest))
        buffers.entropy.copy_(entropy.view_as(buffers.entropy))
        buffers.confidence.copy_(confidence.view_as(buffers.confidence))
        guess = Guess(
            buffers.likeliest, drawn.view_as(buffers.canvas), buffers.entropy, buffers.confidence, buffers.probabilities
        )
        buffers.canvas.copy_(accept(guess, entropy_bound, buffers.noise))

    def _adapters(self) -> tuple[str, ...]:
        """The LoRA adapters in use: a graph holds the weights that it was captured with, so each needs its own."""
        for module in self._decoder.modules():
            if hasattr(module, "lora_A"):
                return tuple(module.active_adapters)
        return ()


class _FastSteps:
    def __init__(self, stepper: FastStepper, rows: int, size: int, entropy_bound: float) -> None:
        self._stepper, self._size, self._entropy_bound = stepper, size, entropy_bound
        self._hold(rows)
        stepper.under_way = self

    def _hold(self, rows: int) -> None:
        self._buffers = self._stepper.buffers[:rows]
        self._move = self._stepper.mover(max(rows, self._size), self._entropy_bound)

    def keep(self, rows: Sequence[int]) -> None:
        self._check()
        for target, source in enumerate(rows):
            if source != target:
                self._buffers.move(source, target)
        self._hold(len(rows))

    @torch.no_grad()
    def step(self, temperature: Tensor, chance: Tensor, noise: Tensor) -> Callable[[], Seen]:
        self._check()
        buffers = self._buffers
        buffers.temperature.copy_(temperature, non_blocking=True)
        buffers.chance.copy_(chance, non_blocking=True)
        buffers.noise.copy_(noise, non_blocking=True)
        self._move()
        # Copies of their own, so that a later step cannot change them.
        results = (buffers.likeliest, buffers.confidence, buffers.entropy.sum(-1))
        seen = Seen(*(result.to("cpu", non_blocking=True, copy=True) for result in results))
        if buffers.canvas.device.type != "cuda":
            return lambda: seen
        copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        copied.record()

        def outcome() -> Seen:
            copied.synchronize()
            return seen

        return outcome

    def _check(self) -> None:
        """Raises RuntimeError where other rows have been started since: they may be another patient's."""
        if self._stepper.under_way is not self:
            raise RuntimeError("other rows have been started in these buffers; start anew")
