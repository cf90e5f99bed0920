"""What was found out about images, as a table that grows by pages, or as lines of JSON."""

import json
from collections.abc import Callable

from rich.table import Table
from rich.text import Text

from pipeline.asking.answers import ImageAnswer
from pipeline.inspection.history import visible
