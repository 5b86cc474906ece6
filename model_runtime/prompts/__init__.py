"""What the model is shown and told, and what it has read of it: once for a case, kept for its redrafts."""
