"""The work of a training job as a library: no database, no server, no reconciler.

In the order in which a job meets them: ``channels`` (which objects go to which host) and ``placing`` (bind mounts or
copies), ``opt_ml`` (configuration files), ``variables`` and ``job_credentials`` (the job's environment), ``command``
(what is launched), ``log_follower`` and ``metrics`` (what the job prints), ``checkpoints``, ``failure`` (why it
failed), ``artefacts`` (what it leaves).
"""
