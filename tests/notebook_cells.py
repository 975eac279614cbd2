"""Run a notebook's code cells in one namespace and give their outputs as the format has them, without a kernel.

``python tests/notebook_cells.py docs/tutorial.ipynb`` writes the outputs into the file.
"""

import ast
import base64
import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path


def read(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def run(notebook):
    """The outputs of each code cell, in order; an error in a cell is raised."""
    names = {"__name__": "__main__"}
    return [outputs("".join(cell["source"]), names, number) for number, cell in enumerate(code_cells(notebook), 1)]


def outputs(source, names, number):
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, f"cell {number}", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)
    found = []
    if printed.getvalue():
        found.append({"output_type": "stream", "name": "stdout", "text": lines(printed.getvalue())})
    if value is not None:
        data = {mime: part if mime == "image/png" else lines(part) for mime, part in shown(value).items()}
        found.append({"output_type": "execute_result", "execution_count": number, "metadata": {}, "data": data})
    return found


def shown(value):
    """What a notebook shows of a value, by MIME type; only text and pictures that need no script are kept."""
    if hasattr(value, "_repr_mimebundle_"):
        bundle = value._repr_mimebundle_(None, None)
        bundle = bundle[0] if isinstance(bundle, tuple) else bundle
        png = bundle.get("image/png")
        if png is not None:
            return {"image/png": base64.b64encode(png).decode() if isinstance(png, bytes) else png,
                    "text/plain": type(value).__name__}  # fmt: skip
    data = {"text/plain": repr(value)}
    if hasattr(value, "_repr_html_"):
        data["text/html"] = value._repr_html_()
    return data


def lines(text):
    return text.splitlines(keepends=True)


if __name__ == "__main__":
    target = Path(sys.argv[1]).resolve()
    notebook = read(target)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        made = run(notebook)
    for number, (cell, found) in enumerate(zip(code_cells(notebook), made, strict=True), 1):
        cell["outputs"], cell["execution_count"] = found, number
    target.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
