"""The loop that people write: transformers and peft, eager attention, a DataLoader, separate passes.

Choices, each the common one: Resize(224, bicubic), CenterCrop, RandomHorizontalFlip, ToTensor and Normalize on PIL
pictures in every epoch; AdamW as torch makes it; `loss.item()` per step; validation, probes (attentions and hidden
states), tracking, test and zero-shot as passes of their own, the attention summarised in torch per block; the text
embeddings are taken as given. ViT-B/32 of random weights; the same numbers of images and epochs as heatdrift's cell.
"""

import io

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms as T

MEAN, STD = (0.481, 0.458, 0.408), (0.269, 0.261, 0.276)


def pictures_transform(*, train: bool):
    flip = [T.RandomHorizontalFlip()] if train else []
    size = T.Resize(224, interpolation=T.InterpolationMode.BICUBIC)
    return T.Compose([size, T.CenterCrop(224), *flip, T.ToTensor(), T.Normalize(MEAN, STD)])


class Pictures(Dataset):
    def __init__(self, encoded, labels, *, train):
        self.encoded, self.labels, self.transform = encoded, labels, pictures_transform(train=train)

    def __len__(self):
        return len(self.encoded)

    def __getitem__(self, position):
        return self.transform(Image.open(io.BytesIO(self.encoded[position])).convert("RGB")), self.labels[position]


class Model(nn.Module):
    def __init__(self, method, classes):
        super().__init__()
        import transformers
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

        transformers.logging.set_verbosity_error()
        torch.manual_seed(0)
        config = CLIPVisionConfig(
            hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, patch_size=32,
            projection_dim=512,
        )  # fmt: skip
        self.tower = CLIPVisionModelWithProjection._from_config(config, attn_implementation="eager")
        if method == "lora_r8":
            from peft import LoraConfig, get_peft_model

            lora = LoraConfig(r=8, lora_alpha=16, lora_dropout=0.05, target_modules=["q_proj", "v_proj"])
            self.tower = get_peft_model(self.tower, lora)
        self.classifier = nn.Linear(512, classes)

    def embed(self, x, **more):
        return self.tower(pixel_values=x, **more)

    def forward(self, x):
        return self.classifier(self.embed(x).image_embeds)


def run(sets, *, method, classes, epochs, batch, device, workers, bfloat16=False, on_part=lambda _name: None):
    """Train and measure one cell; `sets`: name -> (encoded, labels); `on_part` is called before each part."""
    model = Model(method, classes).to(device)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-5, weight_decay=0.01)
    text = nn.functional.normalize(torch.randn(100, 512, device=device), dim=-1)
    pinned = {"num_workers": workers, "pin_memory": device.type == "cuda"}

    def loader(name, size=64):
        return DataLoader(Pictures(*sets[name], train=name == "train"), size, shuffle=name == "train", **pinned)

    def hits(name, score):
        model.eval()
        with torch.no_grad():
            found = [(score(x.to(device)).argmax(-1).cpu() == y).float().mean().item() for x, y in loader(name)]
        return sum(found) / len(found)

    def zero_shot(x):
        return model.embed(x).image_embeds @ text.T

    def probe():
        model.eval()
        total = torch.zeros(12)
        with torch.no_grad():
            for x, _ in loader("probe", 50):
                out = model.embed(x.to(device), output_attentions=True, output_hidden_states=True)
                for layer, attention in enumerate(out.attentions):
                    row = attention[:, :, 0, 1:].double()
                    row = row / row.sum(-1, keepdim=True)
                    total[layer] += float(torch.special.entr(row).sum(-1).mean())
                for state in out.hidden_states:
                    state[:, 0].cpu()
        return total

    on_part("probe")
    probe()
    for _ in range(epochs):
        on_part("train")
        model.train()
        for pixels, labels in loader("train", batch):
            x, y = pixels.to(device), labels.to(device)
            optimizer.zero_grad()
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16):
                scores = model(x)
            loss = nn.functional.cross_entropy(scores.float(), y)
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            loss.item()
        on_part("evaluate")
        hits("val", model)
        hits("track", zero_shot)
        on_part("probe")
        probe()
    on_part("evaluate")
    hits("test", model)
    hits("transfer", zero_shot)
    on_part("end")
