"""Images and anchors to text: a block-diffusion vision-language model that fills what the radiologist has not said.

Knows nothing of the service above it: every module takes plain arguments and reads no environment.
"""
