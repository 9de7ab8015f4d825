"""A build backend that builds nothing.

`pip download` asks a source package's backend for metadata, which would run the package's own code. `setup.py` puts this folder first on
the path in that step, so that pip finds the metadata that the package already ships and no code of it runs.
"""

from email.parser import HeaderParser
from pathlib import Path


class Backend:
    def prepare_metadata_for_build_wheel(self, metadata_directory, config_settings=None):
        metadata = Path("PKG-INFO").read_text(encoding="utf-8")
        fields = HeaderParser().parsestr(metadata)
        # Older pips read the name out of the folder's name.
        folder = Path(metadata_directory, f"{fields['Name'].replace('-', '_')}-{fields['Version']}.dist-info")
        folder.mkdir()
        (folder / "METADATA").write_text(metadata, encoding="utf-8")
        return folder.name


# The name that pip asks for when a package has no pyproject.toml.
__legacy__ = Backend()
