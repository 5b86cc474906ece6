"""Denoising steps the GPU's own way: Triton kernels with a plain PyTorch twin each, and a whole step as one CUDA graph.

Nothing here is needed: without a GPU, or without Triton, steps are computed in plain PyTorch. How fast it is:
bench/decode.py, docs/gpu.md.
"""
