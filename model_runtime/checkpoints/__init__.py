"""A directory of weights and what lies beside them, read into a model: card, tokenizer, fingerprint."""
