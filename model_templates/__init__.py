"""The templates: one folder each, found by its presence.

Further folders of templates, of one's own, are named in STATGROVE_TEMPLATES (separated as in PATH).
"""

import os

__path__ = [*__path__, *filter(None, os.environ.get("STATGROVE_TEMPLATES", "").split(os.pathsep))]
