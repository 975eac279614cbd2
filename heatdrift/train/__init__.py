"""Stage 4: where plan, data, model and probes meet: one cell trained and measured, and many of them in processes."""
