"""Stand-ins for the Hugging Face hub and for a web server: its cache laid out on disk, and both over localhost."""

import contextlib
import hashlib
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

COMMIT = "c0ffee" + "0" * 34


def picture(colour=(200, 30, 30), size=(10, 8), kind="PNG"):
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, kind)
    return stream.getvalue()


def hub_shard(path, labels, *, names=None, image="image", label="label", extra=None, first=0):
    """A shard as `datasets` writes it: struct image column, ClassLabel names in the schema metadata if `names`."""
    pictures = [
        {"bytes": picture((label * 60, 10 * (i + first), 0)), "path": f"{i}.png"} for i, label in enumerate(labels)
    ]
    table = pa.table({image: pictures, label: pa.array(labels, pa.int64()), **(extra or {})})
    if names is not None:
        features = {image: {"_type": "Image"}, label: {"names": list(names), "_type": "ClassLabel"}}
        for name in extra or {}:
            features[name] = {"names": ["cat", "dog"], "_type": "ClassLabel"}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def hub_files(folder):
    """Relative path -> bytes of a folder that plays a repository."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def fill_cache(cache: Path, repo: str, files: dict, *, revision="main", commit=COMMIT):
    """Lay files out as huggingface_hub does: blobs named by hash, snapshots that link to them, refs."""
    storage = cache / f"datasets--{repo.replace('/', '--')}"
    (storage / "refs").mkdir(parents=True, exist_ok=True)
    (storage / "refs" / revision).write_text(commit)
    (storage / "blobs").mkdir(exist_ok=True)
    for name, data in files.items():
        blob = storage / "blobs" / hashlib.sha256(data).hexdigest()
        blob.write_bytes(data)
        link = storage / "snapshots" / commit / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(blob)
    return storage


@contextlib.contextmanager
def web_server(files, *, repo=None, commit=COMMIT, breaks=None, stated=None):
    """Serve `files` with ranges; with `repo` as the hub does.

    `breaks` maps a path to the bytes sent before hanging up, once; `stated` maps a path to the hash that the hub
    states, where it is not that of the content.
    """
    requests = []
    breaks = dict(breaks or {})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def _file(self):
            path = self.path.split("?")[0].lstrip("/")
            if repo is not None:
                for revision in ("main", commit):
                    path = path.removeprefix(f"datasets/{repo}/resolve/{revision}/")
            return path

        def _head(self, status, length, extra=None):
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            for name, value in (extra or {}).items():
                self.send_header(name, value)
            self.end_headers()

        def _hub_headers(self, data):
            return {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha256(data).hexdigest()}"'} if repo else {}

        def do_HEAD(self):  # the names that http.server calls
            requests.append(("HEAD", self.path))
            data = files.get(self._file())
            self._head(404, 0) if data is None else self._head(200, len(data), self._hub_headers(data))

        def do_GET(self):
            requests.append(("GET", self.path, self.headers.get("Range")))
            if repo is not None and self.path.startswith(f"/api/datasets/{repo}"):
                siblings = [{"rfilename": name, "size": len(data), "blobId": "0"} for name, data in files.items()]
                for sibling, (name, data) in zip(siblings, files.items(), strict=True):
                    if name.endswith("parquet"):
                        sha256 = (stated or {}).get(name, hashlib.sha256(data).hexdigest())
                        sibling["lfs"] = {"size": len(data), "sha256": sha256, "pointerSize": 1}
                answer = json.dumps({"id": repo, "sha": commit, "siblings": siblings}).encode()
                self._head(200, len(answer), {"Content-Type": "application/json"})
                self.wfile.write(answer)
                return
            name = self._file()
            data = files.get(name)
            if data is None:
                self._head(404, 0)
                return
            start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
            if start >= len(data):
                self._head(416, 0)
                return
            self._head(206 if start else 200, len(data) - start, self._hub_headers(data))
            stop = breaks.pop(name, None)
            self.wfile.write(data[start:] if stop is None else data[start:stop])
            if stop is not None:
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
