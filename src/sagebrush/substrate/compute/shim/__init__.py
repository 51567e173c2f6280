"""The shim: a tiny program that runs one host of one job and outlives the control plane.

Started as ``python -I -S`` with nothing but the standard library, and of that only what loads in a millisecond
(no json, signal, socket, subprocess: each would cost as much as the interpreter itself). Three processes:

    shim     holds the lock of the attempt directory, stamps the output, records the state durably
      keeper     parent of the job; first process of the job's PID namespace in a sandbox; reaps, passes signals on,
                 and ends the whole job when the shim is gone
        job          the user's command, in its own session

Start reading in ``main``. The control plane imports only ``launchfile``, ``record`` (reading) and ``kernel``.
"""
