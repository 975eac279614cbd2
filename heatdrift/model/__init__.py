"""Stage 3: backbones and their weights, the split attention, a tower made trainable by a method, and its export."""
