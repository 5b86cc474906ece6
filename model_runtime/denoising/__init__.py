"""From a canvas with gaps to a filled one: how long gaps are, the loop, and its step in plain PyTorch."""
