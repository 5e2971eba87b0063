"""Looks a server over, from its configuration to a datagram through its relay.

    case.py           what is examined, and what one check leaves for the next
    target.py         where the server is
    examination.py    which checks there are, their order, their time
    machine.py        this machine: Python, limits, clock
    configuration.py  the file, the certificate, the domain
    web.py            HTTP(S), TLS, readiness, the server's clock
    trust.py          whether the server may have the token
    signaling.py      signing in over a WebSocket
    credential.py     `/api/turn`, and what clients are told
    relay.py          STUN and TURN as clients use them
    scope.py          which addresses a server may name
    turnclient.py     a TURN client

Nothing here changes anything: neither the server nor its files.
"""
