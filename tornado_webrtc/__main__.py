"""``python -m tornado_webrtc`` is ``tornado-webrtc``."""

from tornado_webrtc.cli import main

main(prog_name="python -m tornado_webrtc")
