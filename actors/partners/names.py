"""What may name a server, a host, an image or a volume.  Standard library only: the guest program uses it too."""

import re
from typing import Final

#: Names become names of files: no separator, no leading dot, no room for a way out of the directory.
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
