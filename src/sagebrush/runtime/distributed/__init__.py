"""Scripts that run as several processes which work together, over all hosts of a job.

``choice``      what the job's hyperparameters ask for
``torchrun``    one host's agent: starts the ranks of this host, and ends with them
``rendezvous``  how the agents of all hosts find each other
``rank``        one such process: the user's script, and how its failure is told
"""
