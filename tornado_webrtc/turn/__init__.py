"""The TURN protocol as a library (RFC 8656): no socket, no clock, no event loop, no randomness.

Bytes and the time go in, actions and questions come out. Where things stand:

    server.py           `TurnServer`: what comes in, open questions, expiry
    request.py          a request on its way through the RFC's steps
    authentication.py   who sent it (RFC 8489 section 9.2)
    allocate.py refresh.py permission.py    requests, as the RFC's numbered steps
    relaying.py         Send indications, and ChannelData of streams
    allocation.py       allocations, permissions, channels, reservations
    action.py           what the caller has to do, and what it is asked
    policy.py           which peers may be reached
    nonce.py quota.py deadline.py settings.py
"""
