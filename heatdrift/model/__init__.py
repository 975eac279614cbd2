"""Stage 3: the pretrained reference model, its split attention, and what each method trains."""
