"""The work of a training job as a library: no database, no server, no reconciler.

In the order in which a job meets them: ``channels`` (which objects go to which host) and ``placing`` (bind mounts or
copies), ``opt_ml`` (configuration files), ``variables`` (the job's environment), ``command`` (what is launched),
``metrics`` (in what the job prints), ``checkpoints``, ``artefacts`` (what it leaves).
"""
