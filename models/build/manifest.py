"""The manifest beside a model, and its golden samples: input tensors with what the model must say about them."""
import gzip
import hashlib
import json
from pathlib import Path

import numpy as np


def write_golden(folder: Path, name: str, tensor: np.ndarray) -> str:
    """Stores the raw input tensor as golden/NAME.rgb.gz (the same bytes each time); gives the path for the manifest."""
    path = folder / "golden" / f"{name}.rgb.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(np.ascontiguousarray(tensor).tobytes(), 9, mtime=0))
    return path.relative_to(folder).as_posix()


def write_manifest(folder: Path, manifest: dict) -> None:
    """Writes manifest.json for `manifest`, adding the size and SHA-256 of the model and every golden sample."""
    names = [manifest["model"], *(sample["input"] for sample in manifest["golden"])]
    files = {name: _file((folder / name).read_bytes()) for name in names}
    before, after = ({key: value for key, value in manifest.items() if (key in HEAD) is first} for first in (True, False))
    complete = {"format": 1, **before, "files": files, **after}
    (folder / "manifest.json").write_text(json.dumps(complete, indent=2, ensure_ascii=False) + "\n")


HEAD = ("name", "version", "task", "description", "licence", "source", "model")


def _file(data: bytes) -> dict:
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
