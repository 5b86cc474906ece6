"""LoRA adapters: read, proven to fit the weights, attached side by side, or merged."""
