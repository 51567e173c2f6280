"""The rules of models and endpoints: pure functions and values; no SQL, no files, no clock.

``states``       EndpointStatus, and what leads from one to another
``containers``   what a container definition asks for: data, code, program, workers
``requests``     what CreateModel and CreateEndpointConfig refuse beyond the shapes of the API
``revisions``    what an endpoint runs: configuration and models, copied when it was created or updated
``crashes``      when a replica that ended is started again, and when no more
``routing``      what the front door is told of an endpoint
``description``  stored resources as Describe and List show them, and what is metered
``ignored``      members of requests that change nothing here
``wording``      SageMaker's messages
"""
