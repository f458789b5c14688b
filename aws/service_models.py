"""AWS's descriptions of its services, as botocore has them in its files, read in half of the time: a page's start is little else.

https://botocore.amazonaws.com/v1/documentation/api/latest/reference/loaders.html
"""

import functools
import gzip
import json
from pathlib import Path
from typing import Any

from botocore.loaders import JSONFileLoader, Loader
from botocore.session import Session

ENDINGS: dict[str, Any] = {".json": open, ".json.gz": gzip.open}


class PlainFiles(JSONFileLoader):
    """A file as plain dicts, which keep their order too: botocore's OrderedDicts take twice the time and the memory."""

    def load_file(self, file_path: str) -> Any:
        for ending, opened in ENDINGS.items():
            if Path(file_path + ending).is_file():
                with opened(file_path + ending, "rb") as file:
                    return json.loads(file.read())
        return None


class Models(Loader):
    """What botocore's loader loads, without looking into the folder of every service first."""

    FILE_LOADER_CLASS = PlainFiles

    def list_available_services(self, type_name: str) -> list[str]:
        return self.folders

    @functools.cached_property
    def folders(self) -> list[str]:
        found = [Path(each) for each in self.search_paths if Path(each).is_dir()]
        return sorted({each.name for folder in found for each in folder.iterdir()})


@functools.cache
def read_once(paths: tuple[str, ...]) -> Models:
    return Models([*paths], include_default_search_paths=False)


def attach(session: Session) -> None:
    """AWS_DATA_PATH counts as ever."""
    found: Loader = session.get_component("data_loader")
    session.register_component("data_loader", read_once(tuple(found.search_paths)))
