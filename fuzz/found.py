#!/usr/bin/env python3
"""What fuzzing found, a line of base64 for each input: found/TARGET.txt, and a folder of files.

    fuzz/found.py unpack grafana FOLDER      for a run that begins with it
    fuzz/found.py pack grafana FOLDER        takes in what a run came to
"""

import base64
import pathlib
import sys


def unpack(lines: pathlib.Path, folder: pathlib.Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, line in enumerate(lines.read_text().split()):
        (folder / f"found-{number:04}").write_bytes(base64.b64decode(line))


def pack(lines: pathlib.Path, folder: pathlib.Path) -> None:
    inputs = sorted(file.read_bytes() for file in folder.iterdir())
    encoded = (base64.b64encode(one).decode() for one in inputs if one)
    lines.write_text("".join(f"{line}\n" for line in encoded))


def main() -> None:
    if len(sys.argv) != 4 or sys.argv[1] not in ("pack", "unpack"):
        sys.exit(__doc__)
    what, target, folder = sys.argv[1:]
    lines = pathlib.Path(__file__).parent / "found" / f"{target}.txt"
    {"pack": pack, "unpack": unpack}[what](lines, pathlib.Path(folder))


main()
