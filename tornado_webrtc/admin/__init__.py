"""The operator's socket: HTTP and JSON over a Unix socket that only the server's user may use.

socket.py        the socket: private from its first moment, a dead server's is replaced
application.py   which path is answered by what; starts and stops
handler.py       the requests
view.py          what there is to see: status, plugins, bans
loglevel.py      how much is logged
client.py        the other side, for commands
"""
