"""What runs inside a job: the ``/opt/ml`` contract, script mode, and the way an algorithm is started.

Standard library only, and nothing of the platform: these files are launched by the interpreter of the job's own
environment. ``training.py`` is the entry point of training jobs.
"""
