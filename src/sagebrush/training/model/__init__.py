"""The rules of training jobs: pure functions and values; no SQL, no files, no clock.

``phases``       the legal statuses and what leads from one to another
``wording``      SageMaker's messages for each phase
``cluster``      hosts, groups and their names out of a ResourceConfig
``locations``    where a job's artefacts go
``request``      what CreateTrainingJob refuses beyond the shapes of the API
``description``  the stored request and its progress as DescribeTrainingJob and ListTrainingJobs show them
``times``        durations, deadlines, what is billed
``builtin``      metric definitions of the built-in algorithms
"""
