"""What speaks HTTP and WebSocket.

application.py   which path is served by what; access log, error pages
static.py        the demo page, or the operator's own
health.py        /healthz, /readyz
turn.py          /api/turn: credentials and ICE servers
client.py        who a request comes from, behind proxies too
websocket.py     /ws: from an HTTP request to a `Connection`
connection.py    one connection: frames in order, limits, liveness
outbox.py        what waits to be sent to a slow reader, bounded
registration.py  `new`: authentication, scope, permission, the claim of an id
hub.py           all connections, joined with the signaling library and the hooks
"""
