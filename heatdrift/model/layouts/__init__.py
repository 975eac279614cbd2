"""Every layout in which people keep a CLIP -> open_clip's names in float32. ``reading.py`` is the way in.

One module per step: ``containers`` (bytes -> named tensors, nothing executed), ``wrappers`` (what training loops put
around a state dict), ``open_clip_names`` and ``hugging_face`` (names), ``adapters`` (peft), ``architectures``
(configurations), ``fitting`` (what does not fit, grouped).
"""
