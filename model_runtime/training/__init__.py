"""How the demo checkpoint is made: `python -m model_runtime.training.demo`."""
