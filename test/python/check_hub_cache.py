"""The cache of the Hub, seen by Python's huggingface_hub.

    check_hub_cache.py read REPO CACHE FOLDER   what sdconvert left in CACHE are the files of FOLDER, found offline
    check_hub_cache.py fill REPO CACHE FOLDER   downloads what sdconvert needs from HF_ENDPOINT into CACHE

The last line is `N passed, N failed`.
"""

import argparse
import os
import sys
from pathlib import Path

# The library reads it when it is loaded.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download

UNREAD = {"README.md"}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=["read", "fill"])
    parser.add_argument("repo")
    parser.add_argument("cache", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()

    files = sorted(
        path.relative_to(arguments.folder).as_posix() for path in arguments.folder.rglob("*") if path.is_file()
    )
    files = [name for name in files if name not in UNREAD]
    offline = {"repo_id": arguments.repo, "cache_dir": arguments.cache, "local_files_only": True}

    failures = []
    passed = 0

    def check(what: str, holds: bool) -> None:
        nonlocal passed
        if holds:
            passed += 1
        else:
            failures.append(what)
            print(f"FAIL {what}")

    if arguments.action == "fill":
        snapshot_download(arguments.repo, cache_dir=arguments.cache, allow_patterns=files)

    snapshot = Path(snapshot_download(**offline, allow_patterns=files))
    found = sorted(path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*") if path.is_file())
    check("the snapshot holds the files and no others", found == files)
    for name in files:
        path = Path(hf_hub_download(**offline, filename=name))
        check(f"{name} is found", path == snapshot / name)
        check(f"{name} is whole", path.read_bytes() == (arguments.folder / name).read_bytes())

    info = scan_cache_dir(arguments.cache)
    check(f"the cache has no faults: {info.warnings}", not info.warnings)
    repos = {repo.repo_id: repo for repo in info.repos}
    check("the repository is in it", set(repos) == {arguments.repo})
    [revision] = repos[arguments.repo].revisions
    check("one revision, called main", set(revision.refs) == {"main"} and revision.commit_hash == snapshot.name)
    check("each blob once", len({file.blob_path for file in revision.files}) == len(files))

    print(f"{passed} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
