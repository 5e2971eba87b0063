"""Everything a WebRTC app needs between "page loaded" and "call connected".

The core hosts signaling, presence, credentials and static files on Tornado;
what an operator may want to replace is a plugin. A plugin marks its hook
implementations with ``tornado_webrtc.hookimpl``.
"""

import pluggy

__version__ = "0.1.0"

hookimpl = pluggy.HookimplMarker("tornado_webrtc")

__all__ = ["__version__", "hookimpl"]
