"""A tiny published CLIP: OpenAI-style TorchScript archive, hub cache, and a server here that hands it out."""

import hashlib
import threading
import warnings
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import open_clip
import torch
from torch import nn

REPO = "timm/tiny_clip.openai"
FILE = "open_clip_model.safetensors"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def published_config(*, quick_gelu=True):
    """Widths are multiples of 64: OpenAI's archives do not say the heads, and open_clip assumes 64 wide ones."""
    return {
        "embed_dim": 24,
        **({"quick_gelu": True} if quick_gelu else {}),
        "vision_cfg": {"image_size": 28, "layers": 2, "width": 128, "patch_size": 7},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
    }


def published_clip(seed=0):
    """Weights that survive half precision, in which OpenAI publishes them."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        clip = open_clip.CLIP(**published_config())
    for parameter in clip.parameters():
        parameter.data = parameter.data.half().float()
    return clip.eval()


def write_archive(path, clip):
    """TorchScript archive with OpenAI's names, half precision and its three integers; returns its SHA-256."""
    root = nn.Module()
    for name, tensor in clip.state_dict().items():
        *parents, last = name.split(".")
        module = root
        for parent in parents:
            if parent not in module._modules:
                module.add_module(parent, nn.Module())
            module = module._modules[parent]
        module.register_parameter(last, nn.Parameter(tensor.half(), requires_grad=False))
    for name, value in (("input_resolution", 28), ("context_length", 16), ("vocab_size", 49408)):
        root.register_buffer(name, torch.tensor(value))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch deprecates TorchScript
        torch.jit.save(torch.jit.script(root), str(path))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_hub_cache(cache, source, *, file=FILE, repo=REPO):
    """Lay `source` out as huggingface_hub does: refs/main, a blob named by its hash, a snapshot that links to it."""
    folder = cache / f"models--{repo.replace('/', '--')}"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    for part in ("refs", "blobs", f"snapshots/{COMMIT}"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text(COMMIT)
    (folder / "blobs" / digest).write_bytes(source.read_bytes())
    link = folder / "snapshots" / COMMIT / file
    link.symlink_to(f"../../blobs/{digest}")
    return link


@contextmanager
def serving(content, *, cut_at=None, ranges=True, status=200):
    """Serve `content` at every path; yields (address, list of Range headers asked for).

    `cut_at`: the connection closes after that many bytes of the first answer. ``status`` other than 200: always that.
    """
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, *, body):
            wanted = self.headers.get("Range")
            if body:
                asked.append(wanted)
            if status != 200:
                self.send_error(status)
                return
            start = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted and ranges else 0
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if body:
                end = cut_at if cut_at is not None and len(asked) == 1 else len(content)
                self.wfile.write(content[start:end])

        def log_message(self, *_args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
