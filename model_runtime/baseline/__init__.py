"""Writing from left to right, which denoising is compared with; the door to it is `autoregressive`."""
