"""In the controlling process: the studies, and all that is decided about their trials.

Nothing here knows pytest.
"""

from __future__ import annotations
