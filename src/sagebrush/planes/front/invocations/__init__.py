"""InvokeEndpoint, answered at the front door: from the client's socket to a worker of the model and back.

    invocation    one request: read whole, authenticated, routed, asked, answered. Start reading here
    response_stream  the same, answered as a stream of events; parts: those events
    service       what they share: built once by the process, :class:`~.service.Invocations`
    snapshot      the routing snapshot that the control plane writes; fleet: what is alive of it here
    variant       a production variant: which worker is asked next, and who waits
    worker, lane  a worker's Unix socket; one connection to it, which knows what was written and what was read
    answer        reading a worker's answer; responses: what the client gets
    grants        secrets and rights of access keys, asked of the control plane and remembered
    counts, capture, spool    what is left behind for the control plane: metrics and captured data
    page          the platform's own page on the routing socket

Everything runs on the event loop's thread and never waits, but for hashing large bodies and writing the spool.
"""
