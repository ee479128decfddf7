"""When a pipeline runs: as a Prefect flow, now or on a schedule. What runs is the same as without Prefect.

Nothing here sends usage figures anywhere: what this package starts inherits the two settings below, unless they are
set otherwise. They are set here because Prefect reads them when it is first imported.
"""

import os

os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
