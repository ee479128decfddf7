"""Whether a wheel holds what the clone has: each module and data file of the folders that are symlinked into src."""

import sys
import zipfile
from pathlib import Path

DATA = {".py", ".yaml", ".json", ".html", ".css", ".j2", ".template"}

source = Path("src/headrace")
expected = {
    f"headrace/{path.relative_to(source).as_posix()}"
    for top in source.iterdir()
    for path in ([top] if top.is_file() else top.resolve().rglob("*"))
    for path in [top / path.relative_to(top.resolve()) if not top.is_file() else path]
    if path.suffix in DATA or path.name == "py.typed"
}
held = set(zipfile.ZipFile(sys.argv[1]).namelist())
if missing := sorted(expected - held):
    sys.exit("missing in the wheel:\n  " + "\n  ".join(missing))
if strangers := sorted(name for name in held - expected if ".dist-info/" not in name):
    sys.exit("in the wheel, but not in the clone:\n  " + "\n  ".join(strangers))
kinds = {suffix: sum(name.endswith(suffix) for name in expected) for suffix in sorted(DATA)}
print(f"the wheel holds all {len(expected)} files: " + ", ".join(f"{n} {suffix}" for suffix, n in kinds.items() if n))
